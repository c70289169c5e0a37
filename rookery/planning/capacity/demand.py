"""Parcels as the tables see them: columns in blocks, entries of demand, and the queue for seats.

Blocks hold columns of one density (actual weight as a share of the chargeable one), so that a price a kilogram of
actual weight becomes a price a kilogram of chargeable weight: the kernels know only that. Densities are exact while
there are few; otherwise each parcel takes the density of its bracket's lightest member, which can only lower a bound.
Blocks come in order of the cost of lateness, highest first: in each instalment these parcels choose their seats first.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rookery.planning.blocks import LastMiles, make_block
from rookery.planning.classes import Grid, classes_of, limit_classes, weigh
from rookery.planning.engine.arrays import Block
from rookery.planning.engine.catch import first_rows
from rookery.planning.engine.seat import Queue
from rookery.planning.engine.spread import Demand
from rookery.planning.engine.vector import LANES
from rookery.planning.timetable import Timetable
from rookery.terms.time import NEVER

MOST_DENSITIES = 12


@dataclass(frozen=True)
class Parcels:
    """n parcels of a batch as arrays, sorted by density, class and first departure, with their classes."""

    count: int
    number: NDArray[np.int64]  # where each stands in the frame
    row: NDArray[np.int32]
    pieces: NDArray[np.float64]
    chargeable: NDArray[np.float64]  # kilograms
    actual: NDArray[np.float64]  # kilograms
    credit: NDArray[np.float64]  # cost of a piece that no choice changes, less the time before it is ready
    refusal: NDArray[np.float64]  # value in the tables from which refusing a piece is cheaper
    class_of: NDArray[np.int64]
    density_of: NDArray[np.int64]  # (n) number of the density
    densities: NDArray[np.float64]
    own_density: bool  # every density has columns of its own
    classes: dict[str, NDArray]
    barred: NDArray[np.float64]  # (kinds, limit sets)


def parcels_of(timetable: Timetable, frame: pl.DataFrame, miles: LastMiles, *, weighed: bool) -> Parcels:
    """Parcels (schema PARCELS, origin and destination known and different); weighed: some departure limits weight."""
    net = timetable.net
    column = {name: frame[name].to_numpy() for name in frame.columns if frame[name].dtype.is_numeric()}
    allowed, kind = limit_classes(timetable.limit_sets, frame)
    classes, class_of = classes_of(
        frame.with_columns(limit_class=pl.Series(kind), confidence=pl.lit(0.0)), timetable.beside
    )
    # lateness first, then what lies together
    order = np.argsort(-classes["late_cost"].to_numpy(), kind="stable")
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    chargeable, actual = column["chargeable_g"] / 1000.0, column["weight_g"] / 1000.0
    ratio = np.divide(actual, chargeable, out=np.ones(len(actual)), where=chargeable > 0) if weighed else None
    density_of, densities = _densities(ratio, len(actual))
    credit = (
        column["pickup_cost"]
        + miles.cost[column["zone"]]
        - column["time_cost_per_day"] / 1440 * (column["ready_at"] - timetable.start)
    )
    row = first_rows(column["origin"], column["start_at"], net.node_from, net.node_rows, timetable.cutoff, len(net.frm))
    class_of = rank[class_of]
    # one sortable whole number is several times faster to sort by than four keys
    keys = (density_of, class_of, row, column["ready_at"] - column["ready_at"].min(initial=int(NEVER)))
    spans = [int(key.max(initial=0)) + 1 for key in keys]
    number = (
        np.argsort(np.ravel_multi_index(keys, spans), kind="stable") if prod(spans) < 2**62 else np.lexsort(keys[::-1])
    )
    return Parcels(
        count=len(frame),
        number=number,
        row=row[number],
        pieces=column["pieces"][number].astype(np.float64),
        chargeable=chargeable[number],
        actual=actual[number],
        credit=credit[number],
        refusal=(column["unassigned_cost"] - credit)[number],
        class_of=class_of[number],
        density_of=density_of[number],
        densities=densities,
        own_density=ratio is None or bool((densities[density_of] == ratio).all()),
        classes={name: classes[name].to_numpy()[order] for name in classes.columns},
        barred=np.where(allowed, 0.0, np.inf),
    )


def _densities(ratio: NDArray[np.float64] | None, count: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The bracket of each parcel and the least density in each bracket."""
    if ratio is None:
        return np.zeros(count, np.int64), np.ones(1)
    distinct, number = np.unique(ratio, return_inverse=True)
    if len(distinct) <= MOST_DENSITIES:
        return number, distinct
    edges = np.unique(np.quantile(ratio, np.arange(MOST_DENSITIES) / MOST_DENSITIES, method="lower"))
    return np.searchsorted(edges, ratio, side="right") - 1, edges


@dataclass(frozen=True)
class Columns:
    """The columns of a batch: blocks, what each has to carry, and how its prices a kilogram count."""

    blocks: list[Block]
    densities: list[float]  # of each block
    demand: list[Demand]
    near: NDArray[np.int64]  # (n) place of the column whose policy a parcel follows: lane near % 16 of block near // 16
    count: int  # columns
    complete: bool  # every weight has a column of its own


def columns_of(
    parcels: Parcels,
    timetable: Timetable,
    miles: LastMiles,
    dtype,
    most: int,
) -> Columns:
    """Columns of at most `most` weights a class and density (0: all), in type `dtype`.

    A parcel between two weights counts with a share of each, so that its weight is kept, and the tables bound its cost
    from below (the optimum is concave in the weight).
    """
    count = len(timetable.net.frm)
    blocks: list[Block] = []
    weights: list[float] = []
    near = np.zeros(parcels.count, np.int64)
    far = np.zeros(parcels.count, np.int64)
    share = np.zeros(parcels.count)
    total = 0
    nodes = len(timetable.net.node_from) - 1
    for number, density in enumerate(parcels.densities.tolist()):
        mine = np.flatnonzero(parcels.density_of == number)
        if len(mine) == 0:
            continue
        grid = weigh(parcels.class_of[mine], parcels.chargeable[mine] * 1000.0, most)
        grid = _side_by_side(grid, parcels.classes["destination"])
        first = len(blocks)
        near[mine] = grid.place[grid.near] + first * LANES
        far[mine] = grid.place[grid.far] + first * LANES
        share[mine] = grid.share_far
        total += len(grid.place)
        blocks += _blocks(grid, parcels, nodes, miles, dtype)
        weights += [density] * (len(blocks) - first)
    exact = dtype is np.float64
    return Columns(
        blocks, weights, _demand(parcels, near, far, share, count, len(blocks), exact), near, total, not share.any()
    )


def _side_by_side(grid: Grid, destination: NDArray) -> Grid:
    """The same columns, each in the block it was in, but a block's columns of one destination side by side."""
    block = grid.place // LANES
    order = np.lexsort((grid.place, destination[grid.class_of], block))
    begin = np.searchsorted(block[order], block[order])
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return Grid(
        grid.class_of[order],
        grid.grams[order],
        block[order] * LANES + np.arange(len(order)) - begin,
        rank[grid.near],
        rank[grid.far],
        grid.share_far,
    )


def _blocks(grid: Grid, parcels: Parcels, nodes: int, miles: LastMiles, dtype) -> list[Block]:
    count = int(grid.place.max()) // LANES + 1
    begin = np.searchsorted(grid.place, np.arange(count + 1) * LANES)
    made = []
    for number in range(count):
        part = slice(begin[number], begin[number + 1])
        of = {name: values[grid.class_of[part]] for name, values in parcels.classes.items()}
        made.append(
            make_block(
                dtype,
                nodes,
                grid.place[part] % LANES,
                kilograms=grid.grams[part] / 1000.0,
                barred=parcels.barred[of["limit_class"]].astype(dtype),
                destination=of["destination"],
                due=of["due_at"],
                late=of["late_cost"],
                late_day=of["late_cost_per_day"],
                rate=of["time_cost_per_day"] / 1440,
                delivery=miles.minutes[of["zone"]],
            )
        )
    return made


def _demand(parcels: Parcels, near, far, share, rows: int, blocks: int, exact: bool) -> list[Demand]:
    """What each block carries: parcels with the same column and row added up.

    exact: only those that are refused from the same value on; else all of them, from the lowest value of any, which
    can only lower a bound.
    """
    between = np.flatnonzero(share > 0)
    place = np.concatenate([near, far[between]])
    who = np.concatenate([np.arange(parcels.count), between])
    pieces = np.concatenate([parcels.pieces * (1 - share), parcels.pieces[between] * share[between]])
    key = place * (rows + 1) + parcels.row[who]
    refusal = parcels.refusal[who]
    order = np.lexsort((refusal, key)) if exact else np.argsort(key, kind="stable")
    key, refusal = key[order], refusal[order]
    starts = np.diff(key, prepend=-1) != 0
    if exact:
        starts |= np.diff(refusal, prepend=np.nan) != 0
    first = np.flatnonzero(starts)
    added = np.add.reduceat(pieces[order], first) if len(first) else np.zeros(0)
    least = np.minimum.reduceat(refusal, first) if len(first) else np.zeros(0)
    place, row = key[first] // (rows + 1), (key[first] % (rows + 1)).astype(np.int32)
    lane = (place % LANES).astype(np.int16)
    begin = np.searchsorted(place, np.arange(blocks + 1) * LANES)
    return [
        Demand(row[a:b], lane[a:b], added[a:b], least[a:b]) for a, b in zip(begin[:-1].tolist(), begin[1:].tolist())
    ]


@dataclass(frozen=True)
class Line:
    """The order in which the parcels of each block are seated: by column, then by the first departure they catch."""

    order: NDArray[np.int64]  # (n): numbers of parcels, block after block
    begin: NDArray[np.int64]  # (blocks + 1): where each block begins in `order`
    queue: Queue


def line_of(parcels: Parcels, columns: Columns) -> Line:
    """The line of all parcels under these columns."""
    order = np.argsort(columns.near, kind="stable")  # parcels are sorted by row already
    return Line(
        order=order,
        begin=np.searchsorted(columns.near[order], np.arange(len(columns.blocks) + 1) * LANES),
        queue=Queue(
            (columns.near % LANES).astype(np.int16), parcels.row, parcels.pieces, parcels.chargeable, parcels.actual
        ),
    )
