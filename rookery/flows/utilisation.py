"""What room is worth, and what is flown empty: a plan held against everything that runs while it moves parcels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl

from rookery.flows.checking import refuse_another_feed
from rookery.flows.comparing import FULL
from rookery.flows.planning import Plan
from rookery.network import expand
from rookery.planning.ops import instants
from rookery.terms.frames import Feed
from rookery.terms.time import DAY, to_minute

TONNE = 1000.0
LANE = ("lane_id", "mode", "from_node", "to_node")
UNITS = ("parcels", "kg")
NEARLY = 0.9
"""Share of a limit from which more of it may save something though not all is taken: parcels come whole."""


@dataclass(frozen=True)
class Utilisation:
    """What each departure, node hour and lane has left, and what one more unit of it would save.

    departures: every dated departure that runs between the first and the last that carries anything: departure_id,
    depart_at, lane (LANE), parcels, kg (expected loads, actual weight), capacity_parcels, capacity_kg, share (of the
    fuller limit), unused_parcels, unused_kg (all null where unlimited), empty_cost (what the unused share of its limits
    costs at its own tariff), seat, tonne (what one more parcel, one more tonne would save; 0 where that limit has room
    left, whatever is left there of a price). hours: clock hours of nodes with a limit in which anything is handled or
    that have a price: node_id, hour_at, parcels, capacity_parcels, share, price (what handling one more would save).
    lanes: sums of each lane's departures, how many there are, are full and carry nothing; `seat` and `tonne` are one
    more on every departure. summary: what all of it comes to. Money in the feed's currency.
    """

    departures: pl.DataFrame
    hours: pl.DataFrame
    lanes: pl.DataFrame
    summary: dict[str, Any]

    def dearest(self, what: str, top: int) -> pl.DataFrame:
        """The departures, or hours (`price`), on which one more unit (`seat`, `tonne`, `price`) would save the most."""
        frame = self.hours if what == "price" else self.departures
        return frame.filter(pl.col(what) > 0).sort(what, "share", descending=True, maintain_order=True).head(top)

    def dearest_lanes(self, top: int) -> pl.DataFrame:
        """The lanes on which one more seat and one more tonne on every departure would save the most."""
        worth = pl.col("seat") + pl.col("tonne") / TONNE
        return self.lanes.filter(worth > 0).sort(worth, "lane_id", descending=[True, False]).head(top)

    def emptiest_lanes(self, top: int) -> pl.DataFrame:
        """The lanes whose unused room costs the most at their own tariff; then by share."""
        limited = self.lanes.filter(pl.col("share") < FULL)
        return limited.sort("empty_cost", "share", "lane_id", descending=[True, False, False]).head(top)


def utilisation(feed: Feed, plan: Plan) -> Utilisation:
    """What a plan leaves unused, and what one more seat, tonne or piece an hour would save.

    Raises InvalidInput when the plan was made from another feed, or another version of it.
    """
    refuse_another_feed(feed, plan)
    departures = _departures(feed, plan)
    hours = plan.hours.select(
        "node_id",
        "hour_at",
        "parcels",
        "capacity_parcels",
        share=pl.col("parcels") / pl.col("capacity_parcels"),
        price=_where_full(pl.col("shadow_price"), pl.col("parcels"), pl.col("capacity_parcels"), pl.lit(1.0)),
    ).sort("price", "share", "hour_at", "node_id", descending=[True, True, False, False])
    lanes = _lanes(departures)
    return Utilisation(departures, hours, lanes, _summary(feed, plan, departures, hours))


def _departures(feed: Feed, plan: Plan) -> pl.DataFrame:
    """All that runs while the plan moves parcels, with loads and prices."""
    start = to_minute(datetime.fromisoformat(plan.manifest["start"]))
    expansion = expand(feed, start, start + int(plan.manifest["horizon_days"]) * DAY)
    told = feed.departures.select("departure_id", "lane_id").with_row_index("departure")
    ends = feed.lanes.select(*LANE)
    runs = (
        expansion.runs.select(
            pl.col("departure").cast(pl.UInt32),
            instants(expansion.runs["depart_at"].to_numpy()).alias("depart_at"),
            _limit("capacity_parcels").alias("capacity_parcels"),
            (_limit("capacity_g") / 1000).alias("capacity_kg"),
            "cost_per_parcel",
            "cost_per_kg",
        )
        .join(told, on="departure", how="left", maintain_order="left")
        .join(ends, on="lane_id", how="left", maintain_order="left")
    )
    loads = plan.loads.select(
        "departure_id",
        "depart_at",
        "parcels",
        kg=pl.col("grams") / 1000,
        seat="shadow_price",
        tonne=pl.col("shadow_price_per_kg") * TONNE,
    )
    carrying = loads.filter(pl.col("parcels") > 0)["depart_at"]
    both = runs.join(loads, on=["departure_id", "depart_at"], how="left", maintain_order="left").with_columns(
        pl.col("parcels", "kg", "seat", "tonne").fill_null(0.0)
    )
    mean = pl.col("kg") / pl.col("parcels")  # no number where nothing is carried
    return (
        both.filter(pl.col("depart_at").is_between(carrying.min(), carrying.max()))
        .with_columns(*_left())
        .with_columns(
            empty_cost=_empty_cost(),
            seat=_where_full(pl.col("seat"), pl.col("parcels"), pl.col("capacity_parcels"), pl.lit(1.0)),
            tonne=_where_full(pl.col("tonne"), pl.col("kg"), pl.col("capacity_kg"), mean.fill_nan(0.0)),
        )
        .select(
            "departure_id",
            "depart_at",
            *LANE,
            *UNITS,
            *(f"capacity_{unit}" for unit in UNITS),
            "share",
            *(f"unused_{unit}" for unit in UNITS),
            "empty_cost",
            "seat",
            "tonne",
        )
        .sort(
            pl.col("seat") + pl.col("tonne") / TONNE, "share", "depart_at", "departure_id",
            descending=[True, True, False, False], nulls_last=True,
        )
    )  # fmt: skip


def _limit(name: str) -> pl.Expr:
    """A capacity, null where there is none."""
    return pl.when(pl.col(name).is_finite()).then(pl.col(name))


def _left() -> Sequence[pl.Expr]:
    """How full the fuller limit is, and what each has left."""
    of = [pl.when(pl.col(f"capacity_{u}") > 0).then(pl.col(u) / pl.col(f"capacity_{u}")).otherwise(None) for u in UNITS]
    unused = [(pl.col(f"capacity_{u}") - pl.col(u)).clip(lower_bound=0.0).alias(f"unused_{u}") for u in UNITS]
    return [pl.max_horizontal(of).alias("share"), *unused]


def _where_full(price: pl.Expr, load: pl.Expr, limit: pl.Expr, one: pl.Expr) -> pl.Expr:
    """A price, 0 where its limit still has room for `one` more: there the method has only not brought it down yet."""
    return pl.when((load >= NEARLY * limit) | (load + one > limit)).then(price).otherwise(0.0)


def _empty_cost() -> pl.Expr:
    """The unused share x what a departure full of both would be charged, as far as it has limits and prices."""
    full = sum(
        pl.col(f"capacity_{unit}").fill_null(0.0) * pl.col(price)
        for unit, price in zip(UNITS, ("cost_per_parcel", "cost_per_kg"))
    )
    return (1 - pl.col("share").fill_null(1.0)).clip(lower_bound=0.0) * full


def _lanes(departures: pl.DataFrame) -> pl.DataFrame:
    """The departures of each lane together, in the order of their worth."""
    summed = [f"{kind}{unit}" for kind in ("", "capacity_", "unused_") for unit in UNITS]
    share = pl.max_horizontal(
        pl.col(unit).filter(_limited(unit)).sum() / pl.col(f"capacity_{unit}").sum() for unit in UNITS
    )
    return (
        departures.group_by(LANE)
        .agg(
            departures=pl.len(),
            full=(pl.col("share") >= FULL).sum(),
            empty=(pl.col("parcels") == 0).sum(),
            share=share.fill_nan(None),
            **{name: pl.col(name).sum() for name in (*summed, "empty_cost", "seat", "tonne")},
        )
        .sort("seat", "tonne", "share", "lane_id", descending=[True, True, True, False], nulls_last=True)
    )


def _limited(unit: str) -> pl.Expr:
    return pl.col(f"capacity_{unit}").is_not_null()


def _summary(feed: Feed, plan: Plan, departures: pl.DataFrame, hours: pl.DataFrame) -> dict[str, Any]:
    used = {unit: departures.filter(_limited(unit)) for unit in UNITS}
    return {
        "currency": feed.info.currency,
        "prices": plan.manifest.get("prices", "none"),
        "from": departures["depart_at"].min(),
        "until": departures["depart_at"].max(),
        "departures": departures.height,
        "limited": int(departures["share"].is_not_null().sum()),
        "full": int((departures["share"] >= FULL).sum()),
        "priced": int(((departures["seat"] > 0) | (departures["tonne"] > 0)).sum()),
        "carrying_nothing": int((departures["parcels"] == 0).sum()),
        **{f"share_of_{unit}": _share(used[unit], unit) for unit in UNITS},
        **{f"unused_{unit}": float(departures[f"unused_{unit}"].sum()) for unit in UNITS},
        "empty_cost": float(departures["empty_cost"].sum()),
        "hours": hours.height,
        "full_hours": int((hours["share"] >= FULL).sum()),
    }


def _share(limited: pl.DataFrame, unit: str) -> float | None:
    """How much of the room of one kind is used; null without any."""
    room = float(limited[f"capacity_{unit}"].sum())
    return float(limited[unit].sum()) / room if room else None
