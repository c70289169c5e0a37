"""One wave: what it looks at, what room it has, how it is planned and written; waving.py says when."""
