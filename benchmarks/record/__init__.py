"""The system of record: orders in, promises out, labels, and what no crash, no stranger and no odd question may do."""

from benchmarks.record import crossing, intake, kills, labels, odd_questions, promise
from benchmarks.record.sizes import FULL, LONG, SMALLEST

PARTS = {
    "intake": intake.run,
    "promise": promise.run,
    "labels": labels.run,
    "kills": kills.run,
    "crossing": crossing.run,
    "schemathesis": odd_questions.run,
}

__all__ = ["FULL", "LONG", "PARTS", "SMALLEST"]
