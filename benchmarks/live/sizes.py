"""How many parcels, scans, simulated days and messages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Size:
    """What each part of the benchmark does, on the sample network `sample`."""

    sample: Literal["tiny", "country"] = "country"
    parcels: int = 20_000  # booked, that are scanned
    scans_a_second: int = 2_000
    scan_seconds: int = 240
    scan_batch: int = 80
    connections: int = 4
    hub_orders: int = 26_000  # booked, of which those through one hub count
    hub_parcels: int = 10_000  # so many go through it, at least
    twin_parcels: int = 5_000
    twin_days: int = 9
    border_parcels: int = 500  # through the same days on a network with customs on its ways
    deliveries: int = 100_000
    delivery_keys: int = 5_000
    deliverer_kills: int = 5


FULL = Size()
LONG = Size(
    scan_seconds=600, hub_orders=50_000, twin_parcels=20_000, twin_days=14, border_parcels=2_000,
    deliveries=1_000_000, delivery_keys=50_000, deliverer_kills=20,
)  # fmt: skip
SMALLEST = Size(
    sample="tiny", parcels=60, scans_a_second=150, scan_seconds=4, scan_batch=20, connections=2, hub_orders=60,
    hub_parcels=10, twin_parcels=60, twin_days=3, border_parcels=60, deliveries=300, delivery_keys=20,
    deliverer_kills=1,
)  # fmt: skip
