"""Plans under capacity on a synthetic peak day, held against a bound and against others' programs."""

from benchmarks.capacity import disruption, forms, growth, methods, peers
from benchmarks.capacity.sizes import FULL, LONG, SMALLEST

PARTS = {
    "plain": forms.plain,
    "real": forms.real,
    "stochastic": forms.stochastic,
    "disruption": disruption.run,
    "peers": peers.run,
    "growth": growth.run,
    "methods": methods.run,
}

__all__ = ["FULL", "LONG", "PARTS", "SMALLEST"]
