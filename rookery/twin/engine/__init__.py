"""Kernels of the twin: pure functions on arrays that no other room shares."""
