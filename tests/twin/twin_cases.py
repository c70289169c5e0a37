"""Plans, rehearsals and networks for the twin's tests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import polars as pl
import random_feeds

from rookery.flows.planning import Plan, plan
from rookery.flows.rehearsals.rehearsing import Rehearsal, Setting, rehearse, setting_of
from rookery.terms.frames import Feed, Orders


def certain(case: random_feeds.Case) -> random_feeds.Case:
    """The case with every transit at its median: the world holds no surprise."""
    nothing = pl.lit(None, pl.String)
    feed = replace(
        case.feed,
        departures=case.feed.departures.with_columns(transit_id=nothing),
        zones=case.feed.zones.with_columns(delivery_id=nothing),
    )
    return replace(case, feed=feed, outcomes=1)


def planned(case: random_feeds.Case, **options: Any) -> Plan:
    """A plan of a case on one thread."""
    given = {"start": case.start, "horizon_days": case.horizon_days, "outcomes": case.outcomes, "threads": 1}
    return plan(case.feed, Orders(case.orders), **{**given, "gap": 0.01, "seconds": 0.1, **options})


def setting(case: random_feeds.Case, made: Plan | None = None, **options: Any) -> Setting:
    """What rehearsals of a case need."""
    return setting_of(case.feed, Orders(case.orders), made or planned(case), threads=1, **options)


def rehearsed(feed: Feed, orders: pl.DataFrame, policy: Any = "follow", *, closed: Feed | None = None, known_at=None,
              made: Plan | None = None, outcomes: int = 1, **options: Any) -> tuple[Setting, Rehearsal]:  # fmt: skip
    """A plan of some orders, and rehearsals of it."""
    made = made or plan(feed, Orders(orders), outcomes=outcomes, horizon_days=6, threads=1, seconds=1.0)
    where = setting_of(feed, Orders(orders), made, closed=closed, known_at=known_at, threads=1)
    return where, rehearse(where, policy, **options)
