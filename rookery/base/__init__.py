"""Plumbing that knows no parcels."""
