"""The networks and plans that the parts of this benchmark share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl

from rookery.flows.planning import Plan, plan
from rookery.flows.rehearsals.rehearsing import Setting, setting_of
from rookery.network import read_feed, sample_network
from rookery.network.sample import Size as Sample
from rookery.orders import check_orders, sample_orders
from rookery.terms.frames import Feed, Orders

SEED = 7
LIMITS = ("capacity_parcels", "capacity_g")


def sampled(size: Sample, count: int, change: Callable[[Feed], Feed] = lambda feed: feed) -> tuple[Feed, Orders]:
    """A sample network, changed, and a day of orders on it."""
    with TemporaryDirectory() as folder:
        feed = read_feed(sample_network(size, SEED, Path(folder) / "feed"))
    return change(feed), check_orders(sample_orders(feed, count, SEED))


def roomy(feed: Feed) -> Feed:
    """The feed with room for everyone."""
    without = pl.lit(None, pl.Float64)
    return replace(
        feed,
        departures=feed.departures.with_columns(**dict.fromkeys(LIMITS, without)),
        nodes=feed.nodes.with_columns(capacity_per_hour=without),
    )


def crowded(feed: Feed, share: float, hands: float | None = None) -> Feed:
    """The feed with so small a share of the room on departures, and of the hands in nodes (default: the same)."""
    return replace(
        feed,
        departures=feed.departures.with_columns(
            (pl.col("capacity_parcels") * share).floor().clip(1), (pl.col("capacity_g") * share).ceil()
        ),
        nodes=feed.nodes.with_columns((pl.col("capacity_per_hour") * (hands or share)).ceil()),
    )


def set_up(feed: Feed, orders: Orders, outcomes: int, threads: int, **options: Any) -> tuple[Plan, Setting]:
    """A plan, and what rehearsals of it need."""
    made = plan(feed, orders, outcomes=outcomes, threads=threads, **options)
    return made, setting_of(feed, orders, made, threads=threads)


def alike(orders: Orders) -> Orders:
    """The orders as parcels of one kilogram of general goods: few columns, so that planning anew takes little."""
    same = {"weight_g": pl.lit(1000.0), "goods": pl.lit("general"), "pieces": pl.lit(1, pl.Int64)}
    sides = dict.fromkeys(("length_mm", "width_mm", "height_mm"), pl.lit(None, pl.Float64))
    return replace(orders, frame=orders.frame.with_columns(**same, **sides))
