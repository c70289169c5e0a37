"""Other people's shortest-path libraries doing the planner's deterministic work, each in its own process."""
