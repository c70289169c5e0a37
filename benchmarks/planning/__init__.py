"""How fast and how exact the planner is, on a synthetic peak day. Each part is a module; see benchmarks/README.md."""

from benchmarks.planning import growth, lookup, memory, orders, stochastic, tables
from benchmarks.planning.sizes import FULL, LONG, SMALLEST

PARTS = {
    "tables": tables.run,
    "stochastic": stochastic.run,
    "orders": orders.run,
    "lookup": lookup.run,
    "memory": memory.run,
    "growth": growth.run,
}

__all__ = ["FULL", "LONG", "PARTS", "SMALLEST"]
