"""Pieces of one shipment that are apart: where each of them stands, since when, and the way suggested to it.

A route is a shipment's, so they are not booked on; this is what somebody goes by who sees to each of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
import polars as pl
import psycopg
from msgspec import Struct

from rookery.flows.chances import Ride
from rookery.flows.quotes.asks import Leg

APART = "pieces_apart"
PLACE = ["node_id", "riding_departure_id", "riding_depart_at"]
_TOLD = (
    "select shipment_id, pieces::text from planning.replan_shipments"
    " where replan_id = %s and shipment_id = any(%s) and pieces is not null"
)


class Standing(Struct, frozen=True):
    """Pieces of a shipment that are together and are to go on together. node: where they stand, or riding: what they
    ride (both null on the last mile); since: when the last of them was seen so; legs: the way suggested to them, with
    chance and expected_at; why: of a chance that is not known.
    """

    numbers: list[str]
    status: str
    node: str | None
    riding: Ride | None
    since: datetime | None
    chance: float | None
    expected_at: datetime | None
    why: str | None
    legs: list[Leg]


def standings(parcels: pl.DataFrame) -> pl.DataFrame:
    """Shipments with `pieces`: their standings as JSON, those first that are expected last.

    parcels: rebooking.ways.PARCELS and `way`, which names the runs suggested; undelivered ones alone.
    """
    groups = parcels.group_by("shipment_id", *PLACE, "way", maintain_order=True).agg(
        pl.col("number").alias("numbers"),
        pl.col("status").fill_null("pre_transit").first(),
        pl.col("at").max().alias("since"),
        pl.col("chance").min(),
        pl.col("expected_at").max(),
        pl.col("legs", "why").first(),
    )
    groups = groups.sort("shipment_id", "expected_at", descending=[False, True], nulls_last=False, maintain_order=True)
    rows = {"shipment_id": groups["shipment_id"], "pieces": [_standing(one) for one in groups.iter_rows(named=True)]}
    told = pl.DataFrame(rows, schema={"shipment_id": pl.String, "pieces": pl.String})
    return told.group_by("shipment_id", maintain_order=True).agg(pieces="[" + pl.col("pieces").str.join(",") + "]")


def _standing(group: Mapping[str, Any]) -> str:
    departure, depart_at = group["riding_departure_id"], group["riding_depart_at"]
    told = Standing(
        numbers=group["numbers"],
        status=group["status"],
        node=group["node_id"],
        riding=Ride(departure, depart_at) if departure and depart_at else None,
        since=group["since"],
        chance=group["chance"],
        expected_at=group["expected_at"],
        why=group["why"],
        legs=msgspec.json.decode(group["legs"] or "[]", type=list[Leg]),
    )
    return msgspec.json.encode(told).decode()


def list_standings(conn: psycopg.Connection, replan_id: str, shipment_ids: Sequence[str]) -> dict[str, list[Standing]]:
    """By shipment the standings that a replan found of those whose pieces were apart."""
    rows = conn.execute(_TOLD, (replan_id, list(shipment_ids))).fetchall()
    return {one: msgspec.json.decode(pieces, type=list[Standing]) for one, pieces in rows}
