"""The worker: does the jobs that acts asked for, and looks every minute after what is due."""
