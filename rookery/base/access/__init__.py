"""Parties and their keys: who asks, and what they may do."""
