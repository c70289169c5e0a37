"""Other people's programs on the planner's work, each in its own process: shortest paths, and flows under capacity."""
