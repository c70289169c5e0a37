"""The frame LOOKED: parcels as they were just looked at, one row each: what every rule about cases reads.

Whoever looks fills it (`looked_frame` adds what is left out, as null or empty); rules only read it. Instants are UTC.
"""

from __future__ import annotations

from typing import Any

import polars as pl

AT = pl.Datetime("us", "UTC")
TEXTS = pl.List(pl.String)

LOOKED: dict[str, Any] = {
    # which parcel
    "epc": pl.String,  # canonical identifier; one row each
    "parcel_id": pl.String,
    "shipment_id": pl.String,  # null = never booked
    "owner_id": pl.String,  # its shipper
    "number": pl.String,  # as printed on its label
    # where it is, by what was observed
    "status": pl.String,  # milestone (tracking.status); null = nothing was observed
    "detail": pl.String,
    "at": AT,  # event time of the event it goes by; null = none
    "event_no": pl.Int64,
    "node_id": pl.String,  # where it stands (before pick-up: its origin); null = riding, out for delivery, unknown
    "riding_departure_id": pl.String,  # the dated departure it rides; null = none
    "riding_depart_at": AT,  # when that was to depart
    # what is expected
    "chance": pl.Float64,  # of being on time, 0..1; null = not known (`why`)
    "chance_before": pl.Float64,  # at the look before; null = none, or not known
    "expected_at": AT,
    "by_at": AT,  # first instant by which it is delivered with `confidence`
    "promised_at": AT,  # equal is on time; null = nothing was promised
    "confidence": pl.Float64,  # that was promised with it
    "below": pl.Boolean,  # its promise is in doubt, as was last told: from a margin below it, until it is as promised
    "promised_chance": pl.Float64,  # of being on time when it was booked, whatever way it has now; null = not told
    "next_departure_id": pl.String,  # its next move as it looks now
    "next_cutoff_at": AT,
    "legs": pl.String,  # legs from here in words, JSON: a list of objects; "[]" = none
    "off_plan": pl.Boolean,  # these leave the booked ones
    "cost": pl.Float64,  # of these legs, for this parcel
    "why": pl.String,  # null, or why the chance is not known: no_way, no_policy, unknown_place, not_planned, ended,
    # given_up: nothing was heard of it for so long that this was the last look
    # what is awaited
    "due_scan": pl.String,  # accepted, departed, arrived, out_for_delivery, delivered; null = nothing
    "look_again_at": AT,  # when that should have been seen by, at the latest
    "overdue": pl.Boolean,  # looked at because that time came and nothing was seen
    # the booked leg that it is to ride next, also when that has left without it; null = none
    "booked_departure_id": pl.String,
    "booked_from": pl.String,  # node it leaves from
    "booked_cutoff_at": AT,  # as it runs now: closures may put it off
    "booked_depart_at": AT,  # as scheduled, which is what the dated departure is called by
    # what is at stake
    "value": pl.Float64,  # of what is in it; null = not told
    "currency": pl.String,
    # its ways
    "legs_departures": TEXTS,  # booked legs still ahead, the one it rides first: "departure_id@2026-03-02T10:00Z"
    "legs_nodes": TEXTS,  # nodes of its booked route: every leg's both ends, of ridden legs too; [] = never planned
    "nodes_before": TEXTS,  # nodes of the legs that were likely at the look before; [] = not known. While it rides what
    # it is not booked on they stay as they were: a ride makes nothing likely
    "closures": TEXTS,  # ids of closures in force that touch a booked leg still ahead (flows/casing.touched)
    "closures_thin": TEXTS,  # those of them that neither shut nor delay, but leave less room
    "closures_stood": TEXTS,  # those of them that touch none of its legs: it merely stands at the node that is shut
    "stale": pl.Boolean,  # it was looked up under other closures than there are now: it is looked at again soon
    "closed_departures": TEXTS,  # ids of the departures of the booked legs that they touch
}

# What a rule finds: one row for each parcel that someone must act on.
FOUND: dict[str, Any] = {
    "epc": pl.String,
    "cause": pl.String,  # parcels with the same cause are one case: "departure:<id>@<depart_at>", "parcel:<epc>" ...
    "reason": pl.String,  # one sentence for people, without any about people
    "since": AT,  # from when it holds
}


def looked_frame(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows with LOOKED's columns in order; those left out are null, lists empty, flags false."""
    flags = dict.fromkeys(("off_plan", "overdue", "below", "stale"), pl.lit(False))
    fill = {**flags, "legs": pl.lit("[]")}

    def column(name: str, dtype: Any) -> pl.Expr:
        if name in rows.columns:
            return pl.col(name).cast(dtype)
        if dtype == TEXTS:
            return pl.lit([], dtype=dtype).alias(name)
        return fill.get(name, pl.lit(None)).cast(dtype).alias(name)

    return rows.select(column(name, dtype) for name, dtype in LOOKED.items())


def dated(departure_id: str, depart_at: str) -> pl.Expr:
    """A dated departure in one word, of two columns: "departure_id@2026-03-02T10:00Z"; null where either is."""
    return pl.col(departure_id) + "@" + pl.col(depart_at).dt.strftime("%Y-%m-%dT%H:%MZ")
