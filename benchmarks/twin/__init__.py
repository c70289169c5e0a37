"""The twin: predictions held against what comes of them, policies side by side, and how fast parcels move."""

from benchmarks.twin import closed_hub, growth, india, open_world, strained
from benchmarks.twin.sizes import FULL, LONG, SMALLEST

PARTS = {
    "open": open_world.run,
    "strained": strained.run,
    "closed": closed_hub.run,
    "growth": growth.run,
    "india": india.run,
}

__all__ = ["FULL", "LONG", "PARTS", "SMALLEST"]
