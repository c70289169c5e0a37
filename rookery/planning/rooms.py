"""Room on departures, taken and given back: what a plan left is booked until it is full."""

from __future__ import annotations

from datetime import datetime
from typing import LiteralString

import polars as pl
import psycopg
from psycopg import sql

from rookery.base import sets
from rookery.planning.store import LOADS_LOCK_SHARED

CLAIMS: dict[str, str] = {
    "departure_id": "text",
    "depart_at": "timestamptz",
    "parcels": "double precision",
    "grams": "double precision",
    "capacity_parcels": "double precision",  # null = unlimited
    "capacity_g": "double precision",
}
_KEY = ("departure_id", "depart_at")
_LOADS = {"departure_id": pl.String, "depart_at": pl.Datetime("us", "UTC")} | dict.fromkeys(
    ("parcels", "grams", "capacity_parcels", "capacity_g"), pl.Float64
)
SLACK = 1e-9
"""Share of a capacity by which loads, which are sums of expectations, may be above it by rounding."""


def take_room(conn: psycopg.Connection, test: bool, claims: pl.DataFrame) -> set[int]:
    """Book claims on departures; returns those that do not fit, of which nothing is booked.

    claims: `claim` (int), one row a leg, with the columns CLAIMS. A claim is booked on all of its departures or none;
    of claims that want the same seat the first gets it. A departure holds from now on what the claim says it does:
    another version of the network may have changed it. Until the transaction ends nobody else books on these.
    """
    limited = claims.filter(pl.col("capacity_parcels").is_not_null() | pl.col("capacity_g").is_not_null())
    if limited.is_empty():
        return set()
    conn.execute(LOADS_LOCK_SHARED)
    known = _entered(conn, test, limited)
    room: dict[tuple[str, datetime], list[float]] = {
        (row[0], row[1]): [_left(row[2], row[4]), _left(row[3], row[5])] for row in known.iter_rows()
    }
    wanted: dict[int, list[tuple[tuple[str, datetime], float, float]]] = {}
    for claim, departure_id, depart_at, parcels, grams in limited.select(
        "claim", *_KEY, "parcels", "grams"
    ).iter_rows():
        wanted.setdefault(claim, []).append(((departure_id, depart_at), parcels, grams))
    refused: set[int] = set()
    for claim, wants in wanted.items():
        if all(parcels <= room[key][0] and grams <= room[key][1] for key, parcels, grams in wants):
            for key, parcels, grams in wants:
                room[key][0] -= parcels
                room[key][1] -= grams
        else:
            refused.add(claim)
    _add(conn, test, limited.filter(~pl.col("claim").is_in(list(refused))), 1)
    return refused


def hold_room(conn: psycopg.Connection, test: bool, claims: pl.DataFrame, freed: pl.DataFrame) -> None:
    """Until the transaction ends nobody else books on the departures of claims, nor on those of what is to be freed.

    For whoever exchanges seats: with all of them held in one order, nobody waits in a circle. claims: columns CLAIMS;
    freed: departure_id, depart_at.
    """
    conn.execute(LOADS_LOCK_SHARED)
    limited = claims.filter(pl.col("capacity_parcels").is_not_null() | pl.col("capacity_g").is_not_null())
    others = freed.select(_KEY).join(limited, on=_KEY, how="anti")
    known = _loads(conn, test, others) if others.height else pl.DataFrame(schema=_LOADS)
    columns = [*_KEY, "capacity_parcels", "capacity_g"]
    _entered(conn, test, pl.concat([limited.select(columns), known.select(columns)]))


def give_back(conn: psycopg.Connection, test: bool, claims: pl.DataFrame) -> None:
    """Free what was booked (columns CLAIMS); never below nothing."""
    conn.execute(LOADS_LOCK_SHARED)
    _add(conn, test, claims, -1)


def _left(load: float, capacity: float | None) -> float:
    return float("inf") if capacity is None else capacity * (1 + SLACK) - load


def _entered(conn: psycopg.Connection, test: bool, claims: pl.DataFrame) -> pl.DataFrame:
    """The loads of all departures claimed, a row for each, with the capacities claimed, locked."""
    rows = claims.unique(_KEY).sort(_KEY).with_columns(test=pl.lit(test))
    types = {"test": "boolean"} | {name: CLAIMS[name] for name in (*_KEY, "capacity_parcels", "capacity_g")}
    sets.insert(
        conn, "planning.loads", rows, types,
        "on conflict (test, departure_id, depart_at) do update"
        " set capacity_parcels = excluded.capacity_parcels, capacity_g = excluded.capacity_g"
        " where (loads.capacity_parcels, loads.capacity_g)"
        "   is distinct from (excluded.capacity_parcels, excluded.capacity_g)",
    )  # fmt: skip
    return _locked(conn, test, rows)


def _locked(conn: psycopg.Connection, test: bool, departures: pl.DataFrame) -> pl.DataFrame:
    """The loads of departures (columns _KEY) that have a row, locked in one order so that nobody waits in a circle."""
    return _loads(conn, test, departures, " for update of l")


def _loads(conn: psycopg.Connection, test: bool, departures: pl.DataFrame, hold: LiteralString = "") -> pl.DataFrame:
    rows, values = sets.source(departures.unique(_KEY), {name: CLAIMS[name] for name in _KEY})
    found = conn.execute(
        sql.SQL(
            "select l.departure_id, l.depart_at, l.parcels, l.grams, l.capacity_parcels, l.capacity_g"
            " from planning.loads l join {} using (departure_id, depart_at)"
            " where l.test = %(test)s order by l.departure_id, l.depart_at" + hold
        ).format(rows),
        {**values, "test": test},
    ).fetchall()
    return pl.DataFrame(found, schema=_LOADS, orient="row")


def _add(conn: psycopg.Connection, test: bool, claims: pl.DataFrame, sign: int) -> None:
    total = claims.group_by(_KEY).agg(pl.col("parcels", "grams").sum() * sign)
    if total.is_empty():
        return
    _locked(conn, test, total)
    rows, values = sets.source(total, {name: CLAIMS[name] for name in (*_KEY, "parcels", "grams")})
    conn.execute(
        sql.SQL(
            "update planning.loads l set parcels = greatest(0, l.parcels + given.parcels),"
            " grams = greatest(0, l.grams + given.grams) from {}"
            " where l.test = %(test)s"
            " and l.departure_id = given.departure_id and l.depart_at = given.depart_at"
        ).format(rows),
        {**values, "test": test},
    )
