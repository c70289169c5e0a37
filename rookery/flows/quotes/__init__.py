"""Quotes: what is asked, where it is answered, what is kept ready for that, and what room is left."""
