"""The twin: a network in which parcels of a plan move through simulated days. See README.md."""
