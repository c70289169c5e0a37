"""What a plan comes to, by service and by mode, and the parcels that show it best."""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

from rookery.flows.comparing import FULL, NO_SERVICE
from rookery.flows.planning import Plan
from rookery.terms.frames import Feed, Orders


class Itinerary(NamedTuple):
    """One parcel with its ride: a row of the parcels' table and the rows of its legs."""

    parcel: dict
    legs: list[dict]


def planned_parcels(plan: Plan, orders: Orders) -> pl.DataFrame:
    """The planned parcels with service (never null), pieces, cost_each (a piece), days (ready to expected)."""
    wishes = orders.frame.select("order_id", "pieces", pl.from_epoch(pl.col("ready_at") * 60).alias("wanted_at"))
    return (
        plan.parcels.filter(pl.col("status") == "planned")
        .join(wishes, on="order_id", how="left", maintain_order="left")
        .with_columns(
            service=pl.col("service_id").fill_null(NO_SERVICE),
            cost_each=pl.col("cost") / pl.col("pieces"),
            ready_at=pl.col("wanted_at").dt.replace_time_zone("UTC"),
        )
        .with_columns(days=(pl.col("expected_at") - pl.col("ready_at")).dt.total_minutes() / 1440)
    )


def by_service(parcels: pl.DataFrame) -> pl.DataFrame:
    """One row a service: service, parcels, cost_each, days (usual), slow_days (95% within), on_time; all a piece."""
    pieces = pl.col("pieces")
    return (
        parcels.group_by("service")
        .agg(
            parcels=pieces.sum(),
            cost_each=pl.col("cost").sum() / pieces.sum(),
            days=least_of("days", 0.5),
            slow_days=least_of("days", 0.95),
            on_time=(pl.col("on_time_probability") * pieces).sum() / pieces.sum(),
        )
        .sort("days", "service")
    )


def least_of(column: str, share: float) -> pl.Expr:
    """The least value of a column that this share of the pieces does not exceed: days within which half arrive."""
    pieces = pl.col("pieces").sort_by(column)
    return pl.col(column).sort().filter(pieces.cum_sum() >= share * pieces.sum()).first()


def by_mode(parcels: pl.DataFrame, legs: pl.DataFrame) -> pl.DataFrame:
    """One row a mode: mode, legs, parcels (share that ride it at least once), cost (share of all legs' cost)."""
    rides = legs.join(parcels.select("order_id", "pieces"), on="order_id")
    everyone, paid = max(1, int(parcels["pieces"].sum())), max(1e-9, float(legs["cost"].sum()))
    riders = rides.unique(["order_id", "mode"]).group_by("mode").agg(riders=pl.col("pieces").sum())
    return (
        rides.group_by("mode")
        .agg(legs=pl.len(), cost=pl.col("cost").sum() / paid)
        .join(riders, on="mode")
        .select("mode", "legs", (pl.col("riders") / everyone).alias("parcels"), "cost")
        .sort("parcels", descending=True)
    )


def fullest(plan: Plan, feed: Feed) -> pl.DataFrame:
    """The loads with lane, mode, ends and share (of the fuller limit), the fullest first; full ones by what more would
    save."""
    share = pl.max_horizontal(pl.col("parcels") / pl.col("capacity_parcels"), pl.col("grams") / pl.col("capacity_g"))
    lanes = feed.departures.select("departure_id", "lane_id").join(
        feed.lanes.select("lane_id", "mode", "from_node", "to_node"), on="lane_id", how="left"
    )
    return (
        plan.loads.join(lanes, on="departure_id", how="left")
        .with_columns(share=share.fill_nan(None))
        .sort(
            pl.col("share").clip(upper_bound=FULL), pl.col("shadow_price") + pl.col("shadow_price_per_kg"), "depart_at",
            "departure_id", descending=[True, True, False, False], nulls_last=True,
        )
    )  # fmt: skip


def examples(parcels: pl.DataFrame, legs: pl.DataFrame) -> list[Itinerary]:
    """One telling itinerary a service: the commonest mix of modes, as many legs as is usual, a cost near the middle."""
    mixes = legs.group_by("order_id").agg(mix=pl.col("mode").unique().sort().str.join("+"))
    mixed = pl.col("mix").str.contains("+", literal=True)
    typical = (
        parcels.join(mixes, on="order_id")
        .with_columns(common=pl.len().over("service", "mix"))
        .with_columns(
            unusual=(pl.col("legs") - pl.col("legs").median().over("service", "mix")).abs(),
            dear=(pl.col("cost_each") - pl.col("cost_each").median().over("service", "mix")).abs(),
        )
        .sort(mixed, "common", "unusual", "dear", "order_id", descending=[True, True, False, False, False])
        .unique("service", keep="first", maintain_order=True)
    )
    order = {service: place for place, service in enumerate(by_service(parcels)["service"])}
    chosen = sorted(typical.iter_rows(named=True), key=lambda row: order[row["service"]])
    return [Itinerary(row, legs.filter(pl.col("order_id") == row["order_id"]).sort("seq").to_dicts()) for row in chosen]
