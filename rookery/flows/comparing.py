"""Two plans side by side: parcels by kind, promises, loads, hours and lanes, `_before` and `_after`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from rookery.flows.planning import Plan
from rookery.terms.frames import Feed

SIDES = ("before", "after")
FULL = 0.999
"""The share of its capacity from which a departure, or an hour, is called full."""
RUN = ("departure_id", "depart_at", "lane_id")
HOUR = ("node_id", "hour_at")
NO_SERVICE, NO_COUNTRY = "(none)", "(unknown)"


def parcels_of(made: Plan, orders: pl.DataFrame, feed: Feed) -> pl.DataFrame:
    """The plan's parcels with service and country of destination (never null), pieces and whether they are planned."""
    home = feed.nodes.select(to_node="node_id", home="country")
    wishes = orders.select("order_id", "pieces", "to_node", "to_country").join(home, on="to_node", how="left")
    return made.parcels.join(wishes, on="order_id", how="left", maintain_order="left").with_columns(
        service=pl.col("service_id").fill_null(NO_SERVICE),
        country=pl.when(pl.col("to_node").is_null()).then("to_country").otherwise("home").fill_null(NO_COUNTRY),
        planned=pl.col("status") == "planned",
    )


def kinds(key: str, before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    """One row a service or country, the largest first: pieces, those left behind, those expected late, and cost.

    Nothing counts as 0, and a share of nothing is null.
    """
    both = _beside(_by(key, before), _by(key, after), (key,))
    return both.with_columns(
        pl.col(f"{name}_{side}").fill_null(0) for name in ("parcels", "unassigned", "late", "cost") for side in SIDES
    ).sort("parcels_after", "parcels_before", key, descending=[True, True, False])


def _by(key: str, parcels: pl.DataFrame) -> pl.DataFrame:
    pieces, planned, chance = pl.col("pieces"), pl.col("planned"), pl.col("on_time_probability")
    return parcels.group_by(key).agg(
        parcels=pieces.sum(),
        unassigned=pieces.filter(~planned).sum(),
        late=((1 - chance) * pieces).filter(planned).sum(),
        on_time=(chance * pieces).filter(planned).sum() / pieces.sum(),
        cost=pl.col("cost").sum(),
    )


def promises(before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    """What was promised for each order that both plans have, and what is now."""
    shown = ("status", "promised_at", "expected_at")
    earlier = before.select(
        "order_id", "service_id", "pieces", *(pl.col(name).alias(f"{name}_before") for name in shown)
    )
    later = after.select("order_id", *(pl.col(name).alias(f"{name}_after") for name in shown))
    # promises are ends of local days: an hour more or less is a change of clocks between them
    hours = (pl.col("promised_at_after") - pl.col("promised_at_before")).dt.total_hours()
    return earlier.join(later, on="order_id", how="inner", maintain_order="left").with_columns(
        days_later=(hours / 24).round().cast(pl.Int32)
    )


def promise_figures(told: pl.DataFrame) -> dict[str, Any]:
    """How many pieces (of `promises`) are promised later or earlier, and by how many days."""
    pieces, days = pl.col("pieces"), pl.col("days_later")
    was, now = (pl.col(f"status_{side}") == "planned" for side in SIDES)
    kept = told.filter(was & now)
    by_days = kept.group_by("days_later").agg(pieces.sum()).sort("days_later")
    hours = (pl.col("expected_at_after") - pl.col("expected_at_before")).dt.total_minutes() / 60
    compared = int(kept["pieces"].sum())
    return {
        "later": int(kept.filter(days > 0)["pieces"].sum()),
        "same": int(kept.filter(days == 0)["pieces"].sum()),
        "earlier": int(kept.filter(days < 0)["pieces"].sum()),
        "no_longer_planned": int(told.filter(was & ~now)["pieces"].sum()),
        "newly_planned": int(told.filter(~was & now)["pieces"].sum()),
        "by_days_later": dict(by_days.iter_rows()),
        "mean_hours_later": kept.select((hours * pieces).sum()).item() / compared if compared else 0.0,
    }


def loads_of(made: Plan, feed: Feed) -> pl.DataFrame:
    """What each dated departure carries, on which lane, how full it is and what more room would be worth."""
    of_parcels, of_grams = pl.col("parcels") / pl.col("capacity_parcels"), pl.col("grams") / pl.col("capacity_g")
    lane = feed.departures.select("departure_id", "lane_id")
    return made.loads.join(lane, on="departure_id", how="left").select(
        *RUN, "parcels", "grams", "shadow_price", "shadow_price_per_kg", share=pl.max_horizontal(of_parcels, of_grams)
    )


def departures(before: pl.DataFrame, after: pl.DataFrame, lanes: pl.DataFrame) -> pl.DataFrame:
    """Loads (`loads_of`) side by side, the fullest first; of full ones those whose room is worth the most."""
    worth = (
        pl.col(f"shadow_price_{side}") * pl.col(f"parcels_{side}")
        + pl.col(f"shadow_price_per_kg_{side}") * pl.col(f"grams_{side}") / 1000
        for side in SIDES
    )
    both = _filled(_beside(before, after, RUN), RUN).sort(
        *_fullest(pl.max_horizontal(worth)), *RUN, descending=[True] * 3 + [False] * 3
    )
    ends = lanes.select("lane_id", "mode", "from_node", "to_node")
    told = both.join(ends, on="lane_id", how="left", maintain_order="left")
    return told.select(*RUN, *ends.columns[1:], pl.exclude(*RUN, *ends.columns))


def hours(before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    """Clock hours of nodes with a limit (PLAN_HOURS) side by side, the fullest first, as for departures."""
    share = (pl.col("parcels") / pl.col("capacity_parcels")).alias("share")
    one, two = (frame.select(*HOUR, "parcels", "shadow_price", share) for frame in (before, after))
    worth = pl.max_horizontal(pl.col(f"shadow_price_{side}") * pl.col(f"parcels_{side}") for side in SIDES)
    return _filled(_beside(one, two, HOUR), HOUR).sort(*_fullest(worth), *HOUR, descending=[True] * 3 + [False] * 2)


def lanes(told: pl.DataFrame) -> pl.DataFrame:
    """Expected parcels (of `departures`) on each lane used in either plan, the largest change first."""
    return (
        told.group_by("lane_id", "mode", "from_node", "to_node")
        .agg(pl.col("parcels_before", "parcels_after").sum())
        .with_columns(change=pl.col("parcels_after") - pl.col("parcels_before"))
        .sort(pl.col("change").abs(), "lane_id", descending=[True, False])
    )


def _beside(before: pl.DataFrame, after: pl.DataFrame, key: Sequence[str]) -> pl.DataFrame:
    """The rows of both by `key`, each other column twice."""
    names = [name for name in before.columns if name not in key]
    one, two = (frame.rename({name: f"{name}_{side}" for name in names}) for side, frame in zip(SIDES, (before, after)))
    both = one.join(two, on=list(key), how="full", coalesce=True)
    return both.select(*key, *(f"{name}_{side}" for name in names for side in SIDES))


def _filled(both: pl.DataFrame, key: Sequence[str]) -> pl.DataFrame:
    """Loads with 0 where one plan has no row; shares are null only where there is no limit."""
    loads = [name for name in both.columns if name not in key and not name.startswith("share_")]
    told = both.with_columns(pl.col(loads).fill_null(0.0), pl.col("share_before", "share_after").fill_nan(None))
    # a departure without parcels has no row, and so no share, though the other plan knows that it has a limit
    return told.with_columns(
        pl.when(pl.col(f"parcels_{side}") == 0, pl.col(f"share_{other}").is_not_null())
        .then(pl.col(f"share_{side}").fill_null(0.0))
        .otherwise(f"share_{side}")
        .alias(f"share_{side}")
        for side, other in zip(SIDES, reversed(SIDES))
    )


def _fullest(worth: pl.Expr) -> tuple[pl.Expr, pl.Expr, pl.Expr]:
    """What the fullest stand first by: those that are full by what their room is worth."""
    share = pl.max_horizontal("share_before", "share_after").fill_null(0.0)
    return share.clip(upper_bound=FULL), worth, share
