"""Booked parcels put by COPY, as a year's bookings would have left them: order, shipment, parcel, grant and legs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from benchmarks.record.served import Served
from benchmarks.tracking.numbers import PARCEL, sscc
from rookery.base.db import MAIN, Cluster
from rookery.base.db.partitions import tend
from rookery.doors.worker.living import LIVE

SHARES = (10, 6, 3, 1)
"""Of any twenty parcels in a row, so many are each shipper's."""
COURIER_SHARES = (7, 3)
"""Of any ten groups of twenty in a row, so many are each courier's."""
GROUP = 20
"""Parcels that travel together, bag by bag."""
CHUNK = 100_000


@dataclass(frozen=True)
class World:
    """Who ships, who carries, and where: (party_id, key) of each, an operator's key, nodes of the network."""

    shippers: Sequence[tuple[str, str]]
    couriers: Sequence[tuple[str, str]]
    operator: str
    nodes: Sequence[str]


def peopled(served: Served) -> World:
    """Parties with keys, and the network's nodes."""
    shippers = [served.party(f"Shop Example {number}") for number in range(len(SHARES))]
    couriers = [served.party(f"Courier Example {number}", "courier") for number in range(len(COURIER_SHARES))]
    _, operator = served.party("Network Example", "operator")
    nodes = pl.read_csv(served.feed / "nodes.csv", schema_overrides={"node_id": pl.String})["node_id"].to_list()
    return World(shippers, couriers, operator, nodes)


def prepared(served: Served, groups: int, begins: datetime) -> World:
    """A world whose first courier carries all of so many groups of parcels, booked at `begins`, a month ago at most."""
    world = peopled(served)
    world = replace(world, couriers=[world.couriers[0]] * len(world.couriers))
    with unbound(served) as conn:
        for days in (0, 31):  # as the worker would have made them, had it run then
            tend(conn, begins + timedelta(days=days))
        conn.commit()
        book(conn, world, 0, groups * GROUP, begins)
        conn.execute("analyze orders.parcels, orders.parcel_party")
        conn.commit()
    return world


@contextmanager
def unbound(served: Served) -> Iterator[psycopg.Connection]:
    """A connection that row-level security does not bind, for bulk: COPY knows no row-level security."""
    with Cluster(served.data) as cluster, psycopg.connect(bulk_url(cluster.urls().maintain)) as conn:
        yield conn


@contextmanager
def still(served: Served) -> Iterator[None]:
    """While this lasts no worker looks at what moved: none is the live one."""
    with unbound(served) as conn:
        conn.autocommit = True
        conn.execute(
            "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and classid = 0 and objid = %s",
            (LIVE,),
        )
        conn.execute("select pg_advisory_lock(%s)", (LIVE,))
        yield


def bulk_url(maintain: str) -> str:
    """How bulk connects: nothing waits for the disk at each commit, and foreign keys are right by construction."""
    options = "-c timezone=UTC -c synchronous_commit=off -c session_replication_role=replica"
    return make_conninfo(maintain, dbname=MAIN, options=options)


def put(conn: psycopg.Connection, table: str, frame: pl.DataFrame) -> None:
    """Add a frame's rows to a table that has columns of its names."""
    names = sql.SQL(", ").join(map(sql.Identifier, frame.columns))
    text = sql.SQL("copy {} ({}) from stdin (format csv)").format(sql.Identifier(*table.split(".")), names)
    with conn.cursor() as cursor, cursor.copy(text) as copy:
        copy.write(frame.write_csv(include_header=False).encode())


def owners(index: np.ndarray) -> np.ndarray:
    """Which shipper's each parcel is."""
    return np.repeat(np.arange(len(SHARES)), SHARES)[index % GROUP]


def carriers(index: np.ndarray) -> np.ndarray:
    """Which courier carries each parcel."""
    return np.repeat(np.arange(len(COURIER_SHARES)), COURIER_SHARES)[index // GROUP % sum(COURIER_SHARES)]


def ids(kind: str, index: np.ndarray) -> pl.Series:
    """Ids of parcels, orders or shipments, as long as real ones."""
    return (pl.Series(index).cast(pl.String).str.zfill(26)).str.replace("^", f"{kind}_")


def book(conn: psycopg.Connection, world: World, first: int, many: int, begins: datetime) -> None:
    """Parcels number `first` and the following, booked at `begins` (UTC)."""
    feed = conn.execute("select feed_id from network.feeds limit 1").fetchone()
    for at in range(first, first + many, CHUNK):
        _book(conn, world, np.arange(at, min(at + CHUNK, first + many)), begins, feed[0] if feed else "none")


def _book(conn: psycopg.Connection, world: World, index: np.ndarray, begins: datetime, feed_id: str) -> None:
    at = begins.astimezone(UTC).replace(tzinfo=None)
    due = at + timedelta(days=6)
    shippers, couriers = [party for party, _ in world.shippers], [party for party, _ in world.couriers]
    frame = pl.DataFrame(
        {
            "order_id": ids("ord", index), "shipment_id": ids("shp", index), "parcel_id": ids("pcl", index),
            "number": sscc(index, PARCEL), "party_id": pl.Series(shippers).gather(owners(index)),
            "courier_id": pl.Series(couriers).gather(carriers(index)),
            "from_node": pl.Series(world.nodes).gather(index % len(world.nodes)),
            "to_node": pl.Series(world.nodes).gather((index + 1) % len(world.nodes)),
        }
    ).with_columns(test=pl.lit(False))  # fmt: skip
    put(conn, "orders.orders", frame.select(
        "order_id", "party_id", "test", reference="order_id", state=pl.lit("booked"), from_node="from_node",
        to_country=pl.lit("DE"), to_postal_code=pl.lit("10115"), ready_at=pl.lit(at), weight_g=pl.lit(800.0),
        goods=pl.lit("general"), pieces=pl.lit(1), content_sha256=pl.lit("\\x00"), created_at=pl.lit(at),
        updated_at=pl.lit(at),
    ))  # fmt: skip
    put(conn, "orders.shipments", frame.select(
        "shipment_id", "order_id", "party_id", "test", state=pl.lit("handed_over"), promised_at=pl.lit(due),
        confidence=pl.lit(0.95), on_time_probability=pl.lit(0.97), expected_at=pl.lit(due), cost=pl.lit(5.0),
        currency=pl.lit("EUR"), feed_id=pl.lit(feed_id), booked_at=pl.lit(at), updated_at=pl.lit(at),
    ))  # fmt: skip
    put(conn, "orders.parcels", frame.select(
        "parcel_id", "shipment_id", "order_id", "party_id", "test", "number", piece=pl.lit(1), pieces=pl.lit(1),
        weight_g=pl.lit(800.0), state=pl.lit("handed_over"), created_at=pl.lit(at),
    ))  # fmt: skip
    put(conn, "orders.parcel_party", frame.select(
        "parcel_id", "test", party_id="courier_id", role=pl.lit("courier"), owner_id="party_id", granted_at=pl.lit(at),
    ))  # fmt: skip
    for seq in (1, 2):
        depart = at + timedelta(days=seq)
        put(conn, "planning.legs", frame.select(
            "shipment_id", "party_id", "courier_id", "test", "from_node", "to_node", route=pl.lit(1), seq=pl.lit(seq),
            departure_id=pl.lit(f"D{seq}"), lane_id=pl.lit(f"L{seq}"), mode=pl.lit("truck"), cutoff_at=pl.lit(depart),
            depart_at=pl.lit(depart), arrive_at=pl.lit(depart + timedelta(hours=20)), cost=pl.lit(2.5),
        ))  # fmt: skip
    conn.commit()
