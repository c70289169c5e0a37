"""The planner's kernels: pure functions on arrays, compiled by numba and cached on disk."""
