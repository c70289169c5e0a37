"""The timetable: dated departures compiled into the arrays the kernels read."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rookery.planning.engine.arrays import Net
from rookery.planning.engine.catch import catches, ready_times
from rookery.terms.goods import GOODS, MODES
from rookery.terms.time import NEVER


@dataclass(frozen=True)
class Timetable:
    """A compiled network. `net` has 8-byte prices; `net_as` gives it with the floating type of the tables."""

    net: Net
    departure: NDArray[np.int32]  # row of the feed's departures, by row
    lane: NDArray[np.int32]
    depart: NDArray[np.int32]
    cutoff: NDArray[np.int32]
    median_arrive: NDArray[np.int32]
    capacity_g: NDArray[np.float64]
    capacity_parcels: NDArray[np.float64]
    limit_sets: pl.DataFrame  # accepts (bit set), max_weight_g, max_side_mm (inf = none), mode (place in MODES)
    start: int
    end: int
    outcomes: int
    beside: NDArray[np.int32]  # (M) rank of each node in an order that keeps neighbours together

    def net_as(self, dtype) -> Net:
        """The arrays with prices and chances in the floating type of the tables."""
        net = self.net
        cast = {name: getattr(net, name).astype(dtype) for name in ("fixed", "per_kg", "catch_share")}
        return net._replace(**cast)


def factors(distribution: list[tuple[float, float]], quantiles: list[Fraction]) -> list[Fraction]:
    """A distribution's factor at each quantile: linear between its points, constant beyond the ends, exact.

    Numbers are taken as the decimals that were written (the shortest that give the same double).
    """
    points = sorted((Fraction(str(q)), Fraction(str(f))) for q, f in distribution)
    return [_factor(points, quantile) for quantile in quantiles]


def _factor(points: list[tuple[Fraction, Fraction]], quantile: Fraction) -> Fraction:
    if quantile <= points[0][0]:
        return points[0][1]
    for (q0, f0), (q1, f1) in pairwise(points):
        if quantile <= q1:
            return f1 if q1 == q0 else f0 + (f1 - f0) * (quantile - q0) / (q1 - q0)
    return points[-1][1]


def slices(outcomes: int) -> list[Fraction]:
    """The mid-quantiles of K equal slices."""
    return [Fraction(2 * k + 1, 2 * outcomes) for k in range(outcomes)]


def scaled_up(minutes: NDArray[np.int64], factor: Fraction) -> NDArray[np.int64]:
    """ceil(minutes x factor) in exact arithmetic."""
    above, below = factor.numerator, factor.denominator
    if above * (int(minutes.max(initial=0)) + 1) < 2**62:
        return -(-minutes * above // below)
    return np.array([-(-int(m) * above // below) for m in minutes], np.int64)


def durations(
    minutes: NDArray, distribution: NDArray, tables: list[list[tuple[float, float]]], quantiles: list[Fraction]
) -> NDArray[np.int64]:
    """How long each of n rides takes in each outcome: (n, K) minutes. distribution -1 = always `minutes`."""
    minutes = np.asarray(minutes, np.int64)
    result = np.repeat(minutes[:, None], len(quantiles), axis=1)
    for number, table in enumerate(tables):
        rides = np.flatnonzero(np.asarray(distribution) == number)
        if len(rides):
            unique, place = np.unique(minutes[rides], return_inverse=True)
            for k, factor in enumerate(factors(table, quantiles)):
                result[rides, k] = scaled_up(unique, factor)[place]
    return result


def distributions(transit: pl.DataFrame, ids: tuple[str, ...]) -> list[list[tuple[float, float]]]:
    """The (quantile, factor) points of each distribution in `ids`."""
    points = {
        key[0]: list(part.select("quantile", "factor").iter_rows()) for key, part in transit.group_by("transit_id")
    }
    return [points[name] for name in ids]


def compile_timetable(
    runs: pl.DataFrame,
    lanes: pl.DataFrame,
    handling: NDArray,
    openings: pl.DataFrame,
    always_open: NDArray,
    tables: list[list[tuple[float, float]]],
    *,
    beside: NDArray[np.int32],
    start: int,
    end: int,
    outcomes: int,
) -> Timetable:
    """Compile dated departures (schema RUNS, by cut-off) for K `outcomes`.

    lanes: the feed's lanes; handling: minutes per node (M); openings: schema OPENINGS; always_open: bool (M);
    tables: the distributions that runs["transit"] numbers; beside: rank of each node, neighbours close.
    """
    nodes = len(handling)
    column = {name: np.ascontiguousarray(runs[name].to_numpy()) for name in runs.columns}
    frm, to, cutoff, depart = (
        column[name].astype(np.int32) for name in ("from_node", "to_node", "cutoff_at", "depart_at")
    )
    count = len(frm)

    hours = _Hours(handling, openings, always_open, nodes)
    ride = durations(column["transit_minutes"], column["transit"], tables, slices(outcomes))
    ready = hours.ready(to, depart[:, None].astype(np.int64) + ride)
    median = durations(column["transit_minutes"], column["transit"], tables, [Fraction(1, 2)])
    median_arrive = depart[:, None].astype(np.int64) + median
    median_ready = hours.ready(to, median_arrive)

    node_rows = np.argsort(frm, kind="stable").astype(np.int32)
    node_from = np.searchsorted(frm[node_rows], np.arange(nodes + 1)).astype(np.int64)
    place = np.empty(count, np.int32)
    place[node_rows] = np.arange(count, dtype=np.int32)
    catch_from, catch_row, catch_share = catches(to, ready, node_from, node_rows, cutoff, int(NEVER))
    _, median_catch, _ = catches(to, median_ready, node_from, node_rows, cutoff, int(NEVER))

    limit_sets, limits_of_lane = limit_sets_of(lanes)
    net = Net(
        frm=frm,
        to=to,
        limits=limits_of_lane[column["lane"]],
        fixed=column["cost_per_parcel"].astype(np.float64),
        per_kg=column["cost_per_kg"].astype(np.float64),
        ready=ready,
        catch_from=catch_from,
        catch_row=catch_row,
        catch_share=catch_share,
        median_ready=median_ready[:, 0].copy(),
        median_catch=median_catch,
        node_from=node_from,
        node_rows=node_rows,
        place=place,
        start=start,
    )
    return Timetable(
        net=net,
        departure=column["departure"],
        lane=column["lane"],
        depart=depart,
        cutoff=cutoff,
        median_arrive=median_arrive[:, 0].astype(np.int32),
        capacity_g=column["capacity_g"],
        capacity_parcels=column["capacity_parcels"],
        limit_sets=limit_sets,
        start=start,
        end=end,
        outcomes=outcomes,
        beside=beside,
    )


def neighbours(lat: NDArray[np.float64], lon: NDArray[np.float64]) -> NDArray[np.int32]:
    """Rank of each place along a curve through the map that keeps neighbours together (Morton, 1966).

    Destinations that share a block of columns also share most of the departures that lead nowhere near them.
    """
    code = np.zeros(len(lat), np.int64)
    x = ((np.nan_to_num(lon) + 180) / 360 * 65535).astype(np.int64).clip(0, 65535)
    y = ((np.nan_to_num(lat) + 90) / 180 * 65535).astype(np.int64).clip(0, 65535)
    for bit in range(16):
        code |= ((x >> bit) & 1) << (2 * bit) | ((y >> bit) & 1) << (2 * bit + 1)
    rank = np.empty(len(lat), np.int32)
    rank[np.argsort(code, kind="stable")] = np.arange(len(lat), dtype=np.int32)
    return rank


class _Hours:
    """Opening hours of all nodes, laid out for the kernel."""

    def __init__(self, handling: NDArray, openings: pl.DataFrame, always_open: NDArray, nodes: int):
        self.handling = np.asarray(handling, np.int64)
        self.always = np.asarray(always_open, np.bool_)
        node = openings["node"].to_numpy()
        self.opens = openings["open_at"].to_numpy().astype(np.int64)
        self.closes = openings["close_at"].to_numpy().astype(np.int64)
        self.open_from = np.searchsorted(node, np.arange(nodes + 1)).astype(np.int64)
        total = np.concatenate([[0], np.cumsum(self.closes - self.opens)]).astype(np.int64)
        self.worked = total[:-1]

    def ready(self, to: NDArray, arrive: NDArray[np.int64]) -> NDArray[np.int32]:
        return ready_times(
            to, arrive, self.handling, self.open_from, self.opens, self.closes, self.worked, self.always, int(NEVER)
        )


def limit_sets_of(lanes: pl.DataFrame) -> tuple[pl.DataFrame, NDArray[np.int32]]:
    """The distinct combinations of what lanes accept, and the number of each lane's combination (L)."""
    bits = {name: 1 << place for place, name in enumerate(GOODS)}
    each = lanes.select(
        accepts=pl.col("accepts")
        .list.unique()
        .list.eval(pl.element().replace_strict(bits, return_dtype=pl.Int32))
        .list.sum(),
        max_weight_g=pl.col("max_weight_g").fill_null(np.inf),
        max_side_mm=pl.col("max_side_mm").fill_null(np.inf),
        mode=pl.col("mode").replace_strict({name: i for i, name in enumerate(MODES)}, return_dtype=pl.Int32),
    )
    sets = each.unique(maintain_order=True).with_row_index("limit_set")
    numbers = each.join(sets, on=each.columns, how="left", maintain_order="left")["limit_set"]
    return sets.drop("limit_set"), numbers.to_numpy().astype(np.int32)
