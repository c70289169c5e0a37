"""Closures entered, listed and lifted, and what one touches."""
