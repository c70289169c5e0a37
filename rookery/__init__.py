"""Rookery: an open smart-logistics network. `import rookery as rk; plan = rk.plan(rk.read_feed(f), rk.read_orders(o))`."""

from importlib.metadata import version

__version__ = version("rookery")
