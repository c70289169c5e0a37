"""Events in: EPCIS documents in batches over several connections, and COPY of every row that they wrote beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import psycopg

from benchmarks.form import Result, Say, Show, Table
from benchmarks.record.served import serving
from benchmarks.tracking.copying import Copied, copy_of
from benchmarks.tracking.handing_in import hand_in
from benchmarks.tracking.life import LIFE, QUICK, Step, events_of
from benchmarks.tracking.making import ENDED_DAYS, OVER_DAYS, SCANS_PER_GROUP, documents, scan_bodies
from benchmarks.tracking.parcels import GROUP, prepared, still, unbound
from benchmarks.tracking.sizes import Size
from rookery.base.db import Cluster

CAPTURED, SCANNED = 5_000, 8_000
"""Events and scans a second that are to be taken."""


def run(size: Size, say: Say) -> Result:
    """Capture the life of booked parcels, then COPY what it wrote."""
    return _run(size, say, LIFE, size.events, "capture by POST /epcis/capture")


def run_bags(size: Size, say: Say) -> Result:
    """The same of parcels that are put into bags and taken out of them all the time."""
    return _run(size, say, QUICK, size.bag_events, "capture of a life in bags")


def _run(size: Size, say: Say, life: Sequence[Step], events: int, name: str) -> Result:
    per_group = events_of(tuple(life), GROUP)
    with serving(size.sample) as served:
        now, (warm, groups) = datetime.now(UTC), _groups(size.batch, events, per_group)
        world = prepared(served, warm + groups, _earliest(now))
        courier, key = world.couriers[0]

        def streams(first: int, many: int) -> list[Iterator[bytes]]:
            """Each connection a device of its own, with parcels of its own."""
            cuts = [first + many * place // size.connections for place in range(size.connections + 1)]
            return [
                documents(life, world.nodes, begin * GROUP, end - begin, size.batch, now)
                for begin, end in pairwise(cuts) if end > begin
            ]  # fmt: skip

        say("warming up")
        hand_in(served, "/epcis/capture", key, streams(0, warm))
        say(f"{groups * per_group:,} events in documents of {size.batch}")
        told = hand_in(served, "/epcis/capture", key, streams(warm, groups))
        say("COPY of the same rows")
        with Cluster(served.data) as cluster:
            limit = copy_of(cluster, size.batch, _earliest(now))
        with unbound(served) as conn:
            kept, moved = _there(conn, courier)
    sent, lost = groups * per_group, (warm + groups) * per_group - kept
    left = (warm + groups) * GROUP - moved
    return _told(size, life, name, told, sent, limit, lost, left)


def run_scans(size: Size, say: Say) -> Result:
    """Take scans as couriers' devices send them, few or many at once; the same while nobody looks at the parcels."""
    found = [_scanned(size, batch, live, say) for live in (True, False) for batch in size.scan_batches]
    return Result(
        shows=[show for shows, _ in found for show in shows],
        tables=[
            Table(
                f"scans taken, {size.connections} connections", _COLUMNS, [row for _, row in found],
                "the last four: CPU seconds. "
                f"{SCANS_PER_GROUP} scans of each {GROUP} booked parcels and of bags, by event time, one courier. Live:"
                " the worker looks at every parcel that moved, on the same processors; all are long overdue, and in"
                " cases.",
            )
        ],
    )  # fmt: skip


def _scanned(size: Size, batch: int, live: bool, say: Say) -> tuple[list[Show], Sequence[Any]]:
    """What came of so many scans at once, on a server of their own; live: its worker looks at what moved."""
    with serving(size.sample) as served, nullcontext() if live else still(served):
        now, (warm, groups) = datetime.now(UTC), _groups(batch, size.scans, SCANS_PER_GROUP)
        world = prepared(served, warm + groups, _earliest(now))
        courier, key = world.couriers[0]

        def streams(first: int, many: int) -> list[Iterator[bytes]]:
            """Each connection a device of its own, with parcels of its own."""
            cuts = [first + many * place // size.connections for place in range(size.connections + 1)]
            return [
                scan_bodies(world.nodes, begin * GROUP, end - begin, batch, now)
                for begin, end in pairwise(cuts) if end > begin
            ]  # fmt: skip

        say("warming up")
        hand_in(served, "/scans", key, streams(0, warm))
        sent = groups * SCANS_PER_GROUP
        say(f"{sent:,} scans in batches of {batch}{'' if live else ', nobody looks'}")
        told = hand_in(served, "/scans", key, streams(warm, groups))
        with unbound(served) as conn:
            kept, moved = _there(conn, courier)
    way = f"{batch:,} at once{'' if live else ', live side still'}"
    name = f"scans by POST /scans, {way}"
    return [
        Show(name, sent / told["seconds"], "scans/s", f">= {SCANNED}"),
        Show(f"{name}: not kept once", abs((warm + groups) * SCANS_PER_GROUP - kept), "scans", "<= 0"),
        Show(f"{name}: parcels not delivered by them", (warm + groups) * GROUP - moved, "parcels", "<= 0"),
        Show(f"{name}: the client's own share of a core", _share(told), "%"),
    ], _row(way, sent, told)


def _groups(batch: int, events: int, per_group: int) -> tuple[int, int]:
    """Groups of parcels to warm up with, and those that are measured."""
    return max(1, 4 * batch // per_group), max(1, events // per_group)


def _earliest(now: datetime) -> datetime:
    return now - timedelta(days=ENDED_DAYS + OVER_DAYS + 1)


def _there(conn: psycopg.Connection, courier: str) -> tuple[int, int]:
    """(events of a courier, parcels that were delivered)"""
    found = []
    for query, asked in (
        ("select count(*) from tracking.events where party_id = %s", (courier,)),
        ("select count(*) from tracking.parcels where status = 'delivered'", ()),
    ):
        row = conn.execute(query.encode(), asked).fetchone()
        found.append(row[0] if row else 0)
    return found[0], found[1]


_COLUMNS = (
    "way", "events", "s", "events/s", "of COPY", "ms a batch", "most ms", "server s", "PostgreSQL s", "worker s",
    "client s",
)  # fmt: skip


def _row(way: str, events: int, told: dict[str, Any], limit: float | None = None) -> Sequence[Any]:
    rate = events / told["seconds"]
    return (
        way, events, told["seconds"], rate, "" if limit is None else rate / limit, 1000 * told["median_s"],
        1000 * told["most_s"], told["door_cpu"], told["postgres_cpu"], told["worker_cpu"], told["cpu"],
    )  # fmt: skip


def _share(told: dict[str, Any]) -> float:
    return 100 * told["cpu"] / told["seconds"]


def _told(
    size: Size, life: Sequence[Step], name: str, told: dict[str, Any], sent: int, limit: Copied, lost: int, left: int
) -> Result:
    rate, whole, batched = sent / told["seconds"], limit.events / limit.whole_s, limit.events / limit.batched_s
    rows = sum(limit.rows.values())
    whose = Counter(step.who for step in life for _ in range(GROUP if step.who == "each" else 1))
    return Result(
        shows=[
            Show(name, rate, "events/s", f">= {CAPTURED}"),
            Show(f"{name}: COPY of the same rows, batch by batch", batched, "events/s"),
            Show(f"{name}: COPY of the same rows, all at once", whole, "events/s"),
            Show(f"{name}, of COPY batch by batch", 100 * rate / batched, "%"),
            Show(f"{name}, of COPY all at once", 100 * rate / whole, "%"),
            Show(f"{name}: rows written for an event", rows / limit.events, "rows"),
            Show(f"{name}: not kept once", abs(lost), "events", "<= 0"),
            Show(f"{name}: captures that did not succeed", told["failed"], "captures", "<= 0"),
            Show(f"{name}: parcels not delivered by them", left, "parcels", "<= 0"),
            Show(f"{name}: the client's own share of a core", _share(told), "%"),
        ],
        tables=[
            Table(
                f"events captured, {size.connections} connections, documents of {size.batch}", _COLUMNS,
                [
                    _row("capture", sent, told, batched),
                    ("COPY, batches", limit.events, limit.batched_s, batched, 1.0, *("",) * 6),
                    ("COPY, whole", limit.events, limit.whole_s, whole, whole / batched, *("",) * 6),
                ],
                "the last four: CPU seconds. "
                f"Of {sum(whose.values())} events of each {GROUP} booked parcels {whose['each']} are of one parcel,"
                f" {whose['bag']} of the bag they lie in, {whose['in'] + whose['out']} put all into a bag or take them"
                " out; each connection a device with parcels of its own, by event time, one courier. COPY: rows as they"
                " were in the end, over one connection into the same partitions with all indexes: "
                + ", ".join(f"{many:,} {table.partition('.')[2]}" for table, many in limit.rows.items()) + ".",
            )
        ],
    )  # fmt: skip
