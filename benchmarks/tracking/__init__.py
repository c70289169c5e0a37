"""Tracking: events and scans in, parcels traced and events asked for among millions, and what no crash may lose."""

from benchmarks.tracking import capturing, crash, hashing, stored
from benchmarks.tracking.sizes import FULL, LONG, SMALLEST

PARTS = {
    "capture": capturing.run,
    "bags": capturing.run_bags,
    "scans": capturing.run_scans,
    "stored": stored.run,
    "crash": crash.run,
    "hash": hashing.run,
}

__all__ = ["FULL", "LONG", "PARTS", "SMALLEST"]
