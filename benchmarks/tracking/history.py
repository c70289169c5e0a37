"""Rows of history by the column: events, what they name, what lay in what, and where that leaves every parcel."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from benchmarks.tracking.life import LIFE, bags_of, events_of
from benchmarks.tracking.numbers import BAG, PARCEL, sscc
from benchmarks.tracking.parcels import GROUP, World, carriers, ids, owners
from rookery.tracking.milestones import CHILD, PARENT, meaning

PER_GROUP = events_of(LIFE, GROUP)
ACTIONS = {"each": "OBSERVE", "bag": "OBSERVE", "in": "ADD", "out": "DELETE"}


def chunk(world: World, first: int, many: int, since: datetime, span: timedelta) -> dict[str, pl.DataFrame]:
    """Rows by table of `many` groups from number `first` on, whose lives begin evenly over `span` from `since`."""
    rows = pl.concat(list(_scans(world, first, many, since, span))).sort("event_at", "group", "row", "member")
    base = first * PER_GROUP + 1
    rows = rows.with_columns(event_no=pl.int_range(base, base + pl.len(), dtype=pl.Int64), test=pl.lit(False))
    named = _named(world, rows)
    return {
        "tracking.events": _events(rows, first),
        "tracking.event_epcs": named.select(
            "event_no", "role", "place", "event_at", "epc", "action", "status", "detail", "party_id", "parcel_id",
            "owner_id", "test", standing=pl.lit(1),
            # of what holds others only those events know it that say it was emptied
            parent=pl.when(pl.col("role") == CHILD).then(pl.col("parent")),
        ),
        "tracking.containment": _containment(named),
        "tracking.parcels": _states(named),
    }  # fmt: skip


def _scans(world: World, first: int, many: int, since: datetime, span: timedelta) -> Iterator[pl.DataFrame]:
    """For each step of a life the events of all groups: who scanned what, where and when."""
    draw = np.random.default_rng(first)
    groups = np.arange(first, first + many)
    begins = np.datetime64(since.astimezone(UTC).replace(tzinfo=None), "us") + (
        np.arange(many) * (span / many / timedelta(microseconds=1))
    ).astype("timedelta64[us]")
    parties = pl.Series([party for party, _ in world.couriers])
    nodes = pl.Series([f"urn:rookery:node:{node}" for node in world.nodes])
    for row, step in enumerate(LIFE):
        each = GROUP if step.who == "each" else 1
        group, member = np.repeat(groups, each), np.tile(np.arange(each), many)
        serial = group * GROUP + member if step.who == "each" else group * bags_of(LIFE) + step.bag
        wait = int(step.hours * 3.6e9) + draw.integers(0, 3_600_000_000, group.size)  # late by up to an hour
        yield pl.DataFrame(
            {
                "group": group, "member": member,
                "event_at": np.repeat(begins, each) + wait.astype("timedelta64[us]"),
                "epc": "https://id.gs1.org/00/" + sscc(serial, PARCEL if step.who == "each" else BAG),
                "party_id": parties.gather(carriers(group * GROUP)),
                "node": nodes.gather((group * 7 + step.node) % len(nodes)),
            }
        ).with_columns(
            row=pl.lit(row), who=pl.lit(step.who), bag=pl.lit(step.bag), biz_step=pl.lit(step.step),
            disposition=pl.lit(step.disposition), action=pl.lit(ACTIONS[step.who]),
        )  # fmt: skip


def _events(rows: pl.DataFrame, first: int) -> pl.DataFrame:
    blob = np.random.default_rng([first, 1]).bytes(48 * rows.height)
    parts = pl.Series([blob[at : at + 48] for at in range(0, len(blob), 48)], dtype=pl.Binary)
    grouped = pl.col("who").is_in(["in", "out"])
    kind = pl.when(grouped).then(pl.lit("AggregationEvent")).otherwise(pl.lit("ObjectEvent"))
    empty = pl.when(grouped).then(pl.lit('"parentID":null,"childEPCs":[]}')).otherwise(pl.lit('"epcList":[]}'))
    body = pl.concat_str(
        pl.lit('{"type":"'), kind, pl.lit('","eventTime":"'), pl.col("event_at").dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ"),
        pl.lit('","eventTimeZoneOffset":"+00:00","action":"'), "action", pl.lit('","bizStep":"'), "biz_step",
        pl.lit('","disposition":"'), "disposition", pl.lit('","readPoint":{"id":"'), "node",
        pl.lit('"},"bizLocation":{"id":"'), "node", pl.lit('"},'), empty,
    )  # fmt: skip
    return rows.with_columns(hex=parts.bin.encode("hex")).select(
        "event_no", "event_at", "party_id", "test", "action", "biz_step", "disposition",
        record_at=pl.col("event_at") + timedelta(minutes=5), mark="\\x" + pl.col("hex").str.slice(0, 32),
        declared_at=pl.lit("-infinity"), hash="\\x" + pl.col("hex").str.slice(32), type=kind, read_point="node",
        biz_location="node", epcs=pl.when(grouped).then(pl.lit(GROUP + 1)).otherwise(pl.lit(1)), body=body,
    )  # fmt: skip


def _named(world: World, rows: pl.DataFrame) -> pl.DataFrame:
    """The parcel or bag of each object event, the bag and the parcels of each aggregation event."""
    grouped = pl.col("who").is_in(["in", "out"])
    parent = pl.when(grouped).then(pl.col("epc"))
    heads = rows.with_columns(
        role=pl.when(grouped).then(pl.lit(PARENT)).otherwise(pl.lit(0)), place=pl.lit(0), parent=parent,
    )  # fmt: skip
    children = rows.filter(grouped).drop("member").with_columns(role=pl.lit(CHILD), parent="epc")
    children = children.join(pl.DataFrame({"place": pl.Series(range(GROUP), dtype=pl.Int32)}), how="cross")
    children = children.with_columns(member=pl.col("place").cast(pl.Int64))
    serial = (children["group"] * GROUP + children["member"]).to_numpy()
    children = children.with_columns(epc="https://id.gs1.org/00/" + sscc(serial, PARCEL))
    named = pl.concat([heads, children.select(heads.columns)]).sort("event_no", "role", "place")
    serial = (named["group"] * GROUP + named["member"]).to_numpy()
    shippers = pl.Series([party for party, _ in world.shippers]).gather(owners(serial))
    parcel = (pl.col("who") == "each") | (pl.col("role") == CHILD)
    meanings = {
        (row, role): meaning({"bizStep": step.step, "disposition": step.disposition}, role)
        for row, step in enumerate(LIFE) for role in (0, PARENT, CHILD)
    }  # fmt: skip
    means = pl.DataFrame(
        [(row, role, *said) for (row, role), said in meanings.items()],
        schema={"row": pl.Int32, "role": pl.Int32, "status": pl.String, "detail": pl.String}, orient="row",
    )  # fmt: skip
    return named.join(means, on=["row", "role"], how="left", maintain_order="left").with_columns(
        parcel_id=pl.when(parcel).then(ids("pcl", serial)), owner_id=pl.when(parcel).then(shippers), parcel=parcel
    )


def _containment(named: pl.DataFrame) -> pl.DataFrame:
    inside = named.filter(pl.col("role") == CHILD)
    put = inside.filter(pl.col("who") == "in").select(
        "epc", "bag", "parent", "test", from_at="event_at", from_event="event_no"
    )
    out = inside.filter(pl.col("who") == "out").select("epc", "bag", until_at="event_at", until_event="event_no")
    return put.join(out, on=["epc", "bag"]).select(
        "parent", "from_at", "until_at", "test", "from_event", "until_event", child="epc"
    )


def _states(named: pl.DataFrame) -> pl.DataFrame:
    """All were delivered by what happened to them last."""
    last = named.filter((pl.col("row") == len(LIFE) - 1) & pl.col("parcel"))
    return last.select(
        "epc", "test", "parcel_id", "owner_id", "status", "detail", "event_no", status_at="event_at", place="node",
        latest_at="event_at", latest_no="event_no", updated_at="event_at",
    )  # fmt: skip
