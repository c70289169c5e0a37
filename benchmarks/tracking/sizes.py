"""How many events, scans, questions, kills and hashes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal


@dataclass(frozen=True)
class Size:
    """What each part of the benchmark does; every server has the sample network `sample`."""

    sample: Literal["tiny", "country"] = "country"
    events: int = 100_000  # handed in as EPCIS documents
    bag_events: int = 40_000  # of parcels that live in bags
    scans: int = 150_000
    batch: int = 500  # events in a document
    scan_batches: tuple[int, ...] = (500, 1_000, 2_000)  # scans at once, one after the other
    connections: int = 4
    stored: tuple[int, ...] = (1_000_000, 3_000_000)  # events there when questions are asked, one after the other
    traces: int = 1_000
    asks: int = 50  # of each kind, by each asker
    writers: int = 8
    crash_batch: int = 20
    kills: int = 20
    kill_seconds: int = 420  # writers give up then
    hashes: int = 400

    def storing(self, events: int) -> Size:
        """The same with so many events stored in the end."""
        return replace(self, stored=(*(few for few in LONG.stored if few < events), events))


FULL = Size()
LONG = Size(
    events=400_000, bag_events=160_000, scans=600_000, stored=(1_000_000, 3_000_000, 10_000_000), traces=4_000,
    asks=500, kills=200, kill_seconds=5400, hashes=2_000,
)  # fmt: skip
SMALLEST = Size(
    sample="tiny", events=340, bag_events=240, scans=500, batch=40, scan_batches=(40, 80), connections=2,
    stored=(1_680, 3_360), traces=10, asks=3, writers=2, kills=2, kill_seconds=90, hashes=5,
)  # fmt: skip
