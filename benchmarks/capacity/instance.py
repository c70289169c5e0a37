"""The peak day as the planner sees it: a compiled network and parcels placed in it."""

from __future__ import annotations

import numpy as np
import polars as pl

from benchmarks import peak_day
from benchmarks.capacity.case import Case
from rookery.network import expand, place
from rookery.planning.ops import Model, compile_model
from rookery.terms.time import DAY


def laid_out(case: Case, room: dict[str, np.ndarray]) -> tuple[Model, pl.DataFrame]:
    """The compiled network of a case, and its parcels placed in it."""
    day = case.day
    feed = peak_day.feed(day.network, case.form, **room)
    parcels, _ = place(feed, peak_day.order_rows(peak_day.orders(day.parcels, day.nodes, case.form)))
    span = expand(feed, peak_day.START, peak_day.START + day.days * DAY)
    return compile_model(feed, span, case.outcomes), parcels
