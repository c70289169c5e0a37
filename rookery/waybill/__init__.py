"""Waybills: numbers that are never issued twice, route codes, and labels that scanners read. See README.md."""
