"""The policy table: for every node, minute and class of parcel, the next move, what is still to pay and the chance.

A folder of memory-mapped arrays, written once by the planner and only read afterwards; opening one reads almost nothing
and many processes share the same pages. *Places* number the dated departures node by node, by cut-off; a *column* is a
destination with one class of parcel.

    index.json         format, start (UTC minute), currency
    nodes.parquet      node_id and `first`, its first place (its last is the next node's first)
    departures.parquet what stands at each place: departure_id, lane_id, mode, to_node, cutoff_at, depart_at
    columns.parquet    what each column is for, sorted by destination, goods, due_at
    cutoff.npy         int32 (N) UTC minutes
    ride.npy           uint8 (C, N / 8): bit of place p = ride it (set) or wait (clear); first place in the lowest bit
    cost.npy           uint16 (C, N): cost from the cut-off on, in steps of columns.cost_step; 65535 = no way on
    chance.npy         uint8 (C, N): chance of being on time, in 255ths
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
from msgspec import Struct
from numba import njit
from numpy.typing import NDArray

from rookery.terms.errors import InvalidInput, NotFound
from rookery.terms.ids import DepartureId, LaneId, NodeId
from rookery.terms.time import NEVER, from_minute, to_minute

FORMAT = 1
NO_WAY = 65535
CHANCE_STEPS = 255
ARRAYS = ("cutoff", "ride", "cost", "chance")
_NODES = {"node_id": pl.String, "first": pl.Int64}
_DEPARTURES = {
    "departure_id": pl.String,
    "lane_id": pl.String,
    "mode": pl.String,
    "to_node": pl.String,
    "cutoff_at": pl.Int32,
    "depart_at": pl.Int32,
}
_COLUMNS = {
    "destination": pl.String,
    "goods": pl.String,
    "due_minute": pl.Int64,
    "heaviest_g": pl.Float64,
    "time_cost_per_day": pl.Float64,
    "cost_step": pl.Float64,
}


class Move(Struct, frozen=True):
    """The next move of a parcel: the departure to take, what is still to pay a piece, the chance of being on time."""

    departure_id: DepartureId
    lane_id: LaneId
    mode: str
    to_node: NodeId
    cutoff_at: datetime
    depart_at: datetime
    cost: float
    chance: float


@dataclass(frozen=True)
class PolicyTable:
    """A frozen table of next moves; look-ups are pure and safe from any number of threads."""

    nodes: dict[str, int]
    first: NDArray[np.int64]  # (M + 1)
    departures: pl.DataFrame
    columns: pl.DataFrame
    cutoff: NDArray[np.int32]
    ride: NDArray[np.uint8]
    cost: NDArray[np.uint16]
    chance: NDArray[np.uint8]
    step: NDArray[np.float64]  # (C) feed currency a step of `cost`
    rate: NDArray[np.float64]  # (C) feed currency a minute in the network
    due: NDArray[np.int64]  # (C) UTC minute
    to: dict[tuple[str, str], range]  # columns of each destination and class of goods, by due time
    services: list[str | None]  # (C)
    heaviest: NDArray[np.float64]  # (C) grams of the heaviest parcel a column stands for
    start: int  # UTC minute from which departures are in the table

    @classmethod
    def open(cls, folder: str | Path) -> PolicyTable:
        """Map a table into memory. Raises NotFound when there is none, InvalidInput when it is not of this format."""
        folder = Path(folder)
        if (folder / "policy" / "index.json").is_file():  # the plan's folder does as well
            folder = folder / "policy"
        if not (folder / "index.json").is_file():
            raise NotFound("policy.none_here", f"{folder} holds no policy table.", "plan again with --policy")
        try:
            index = msgspec.json.decode((folder / "index.json").read_bytes(), type=dict)
            nodes = pl.read_parquet(folder / "nodes.parquet")
            departures = pl.read_parquet(folder / "departures.parquet")
            columns = pl.read_parquet(folder / "columns.parquet")
            arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in ARRAYS}
        except (OSError, ValueError, msgspec.DecodeError, pl.exceptions.PolarsError) as fault:
            raise InvalidInput(
                "policy.damaged", f"The table in {folder} cannot be read: {fault}.", "plan again"
            ) from fault
        if index.get("format") != FORMAT:
            raise InvalidInput(
                "policy.format", f"{folder} has another format than {FORMAT}.", "plan again with --policy"
            )
        first = np.append(_fitting(nodes, departures, columns, arrays, folder), departures.height)
        kinds = columns.with_row_index("row").group_by("destination", "goods").agg(pl.col("row").min(), pl.len())
        return cls(
            nodes={name: place for place, name in enumerate(nodes["node_id"])},
            first=first.astype(np.int64),
            departures=departures,
            columns=columns,
            step=columns["cost_step"].to_numpy().copy(),
            rate=columns["time_cost_per_day"].to_numpy() / 1440,
            due=columns["due_minute"].to_numpy().copy(),
            services=columns["service_id"].to_list(),
            heaviest=columns["heaviest_g"].to_numpy().copy(),
            start=int(index.get("start", 0)),
            to={(place, goods): range(row, row + count) for place, goods, row, count in kinds.iter_rows()},
            **arrays,
        )

    def columns_to(self, destination: str, goods: str = "general") -> range:
        """The columns of a destination and class of goods, by due time. Empty when none was planned."""
        return self.to.get((destination, goods), range(0))

    def column(
        self,
        destination: str,
        due_at: datetime | None = None,
        goods: str = "general",
        *,
        service_id: str | None = None,
        weight_g: float = 0.0,
    ) -> int:
        """The column for a parcel: the latest due time not after its own (or the earliest there is). Raises NotFound.

        Only columns that stand for parcels of this destination, goods, service (when given) and at least this weight
        are looked at; of those with the same due time, the one for the lightest parcels, whose lanes bar least.
        """
        refuse_naive(due_at)
        every = [
            column
            for column in self.columns_to(destination, goods)
            if self.heaviest[column] >= weight_g and service_id in (None, self.services[column])
        ]
        if not every:
            service = "" if service_id is None else f" of service {service_id}"
            raise NotFound(
                "policy.no_column",
                f"The table has no column for {goods} goods{service} of {weight_g:g} g to {destination}.",
                "plan with orders like it, or look the parcel up with explain",
            )
        due = int(NEVER) if due_at is None else to_minute(due_at)
        within = [int(self.due[column]) for column in every if self.due[column] <= due]
        wanted = max(within) if within else min(int(self.due[column]) for column in every)
        return min((column for column in every if self.due[column] == wanted), key=lambda column: self.heaviest[column])

    def move(self, column: int, node: str, at: datetime) -> Move | None:
        """The next move of a parcel of `column` that is ready at `node` now; None = no way on (or already there).

        Raises NotFound for an unknown node, InvalidInput for an instant without offset or before the table begins.
        """
        refuse_naive(at)
        if to_minute(at) < self.start:
            raise InvalidInput(
                "policy.too_early",
                f"{at} is before the table begins ({from_minute(self.start)}).",
                "plan again with an earlier --start",
            )
        if node not in self.nodes:
            raise NotFound("policy.unknown_node", f"The table has no node {node!r}.", "take a node_id of the feed")
        places, cost, chance = self.moves(np.array([column]), np.array([self.nodes[node]]), np.array([to_minute(at)]))
        if places[0] < 0:
            return None
        row = self.departures.row(int(places[0]), named=True)
        row |= {name: from_minute(row[name]) for name in ("cutoff_at", "depart_at")}
        return Move(**row, cost=float(cost[0]), chance=float(chance[0]))

    def moves(
        self, columns: NDArray, nodes: NDArray, at: NDArray
    ) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
        """Next moves of n parcels: (place to ride, -1 = no way on; cost still to pay; chance of being on time).

        columns, nodes (numbers), at (UTC minutes): (n) integers. Raises InvalidInput when lengths differ or a number is
        none of the table's.
        """
        columns, nodes, at = self._asked(columns, nodes, at)
        place = np.empty(len(columns), np.int64)
        cost, chance = np.empty(len(columns)), np.empty(len(columns))
        _moves(
            columns, nodes, at, self.first, self.cutoff, self.ride, self.cost, self.chance, self.step, self.rate,
            place, cost, chance,
        )  # fmt: skip
        return place, cost, chance

    def worths(self, columns: NDArray, nodes: NDArray, at: NDArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """What n parcels still have to pay, and their chance of being on time, without asking for the move.

        Arguments and errors as for `moves`. Infinite and 0 where there is no way on.
        """
        columns, nodes, at = self._asked(columns, nodes, at)
        cost, chance = np.empty(len(columns)), np.empty(len(columns))
        _worths(
            columns, nodes, at, self.first, self.cutoff, self.cost, self.chance, self.step, self.rate, cost, chance
        )  # fmt: skip
        return cost, chance

    def promise(self, columns: range, node: int, at: int, confidence: float) -> tuple[int, float, float]:
        """The first of `columns` (by due time) that is kept with `confidence`: (column, cost, chance); -1 = none.

        Raises InvalidInput when a number is none of the table's.
        """
        if not (columns.start >= 0 and columns.stop <= len(self.step) and 0 <= node < len(self.first) - 1):
            raise _out_of_range()
        return _promise(
            columns.start, columns.stop, node, at, confidence,
            self.first, self.cutoff, self.cost, self.chance, self.step, self.rate,
        )  # fmt: skip

    def _asked(self, *arrays: NDArray) -> tuple[NDArray, ...]:
        """Columns, nodes and minutes as arrays that the kernels can trust: they look nothing up twice."""
        columns, nodes, at = (np.asarray(array) for array in arrays)
        alike = columns.ndim == 1 and columns.shape == nodes.shape == at.shape
        if not alike or any(array.dtype.kind not in "iu" for array in (columns, nodes, at)):
            raise InvalidInput(
                "policy.arguments", "Columns, nodes and minutes are not integer arrays of one length.", "pass such"
            )
        if len(columns) and not (
            columns.min() >= 0
            and columns.max() < len(self.step)
            and nodes.min() >= 0
            and nodes.max() < len(self.first) - 1
        ):
            raise _out_of_range()
        return columns, nodes, at


def _out_of_range() -> InvalidInput:
    return InvalidInput(
        "policy.out_of_range", "The table has no column, or no node, of this number.", "use `column` and `nodes`"
    )


def refuse_naive(at: datetime | None) -> None:
    """Raises InvalidInput for an instant that does not say where on Earth it is meant."""
    if at is not None and at.tzinfo is None:
        raise InvalidInput("time.naive", f"{at} has no time zone.", "give an aware datetime, e.g. tzinfo=timezone.utc")


def _fitting(
    nodes: pl.DataFrame, departures: pl.DataFrame, columns: pl.DataFrame, arrays: dict[str, NDArray], folder: Path
) -> NDArray[np.int64]:
    """The first place of each node. Raises InvalidInput when the files of a table do not belong together."""
    faults = []
    for name, frame, schema in (
        ("nodes", nodes, _NODES),
        ("departures", departures, _DEPARTURES),
        ("columns", columns, _COLUMNS),
    ):
        faults += [
            f"{name}.parquet lacks {column} as {kind}, all filled in"
            for column, kind in schema.items()
            if column not in frame.columns or frame[column].dtype != kind or frame[column].null_count()
        ]
    if "service_id" not in columns.columns:
        faults.append("columns.parquet lacks service_id")
    count, places = columns.height, departures.height
    for name, kind, shape in (
        ("cutoff", np.int32, (places,)),
        ("ride", np.uint8, (count, places // 8 + 1)),
        ("cost", np.uint16, (count, places)),
        ("chance", np.uint8, (count, places)),
    ):
        if arrays[name].dtype != kind or arrays[name].shape != shape:
            faults.append(f"{name}.npy is no {np.dtype(kind)} array of shape {shape}")
    if not faults:
        first = nodes["first"].to_numpy()
        ordered = len(first) > 0 and first[0] == 0 and first[-1] <= places and bool((np.diff(first) >= 0).all())
        if ordered:
            return first
        faults = ["the first places in nodes.parquet do not rise from 0 to the number of departures"]
    raise InvalidInput(
        "policy.damaged", f"The table in {folder} does not fit together: {'; '.join(faults)}.", "plan again"
    )


@njit(nogil=True, cache=True)
def _next(node, at, first, cutoff):
    """The first place of `node` whose cut-off is not before minute `at`."""
    low, high = first[node], first[node + 1]
    while low < high:
        middle = (low + high) // 2
        if cutoff[middle] >= at:
            high = middle
        else:
            low = middle + 1
    return low


@njit(nogil=True, cache=True)
def _worth(column, place, at, cutoff, cost, chance, step, rate):
    """Cost from minute `at` on and chance of holding `place`."""
    pay = cost[column, place] * step[column] + rate[column] * (cutoff[place] - at)
    return pay, chance[column, place] / CHANCE_STEPS


@njit(nogil=True, cache=True)
def _worths(columns, nodes, at, first, cutoff, cost, chance, step, rate, out_cost, out_chance):
    for i in range(len(columns)):
        column, node = columns[i], nodes[i]
        place = _next(node, at[i], first, cutoff)
        if place == first[node + 1] or cost[column, place] == NO_WAY:
            out_cost[i], out_chance[i] = np.inf, 0.0
        else:
            out_cost[i], out_chance[i] = _worth(column, place, at[i], cutoff, cost, chance, step, rate)


@njit(nogil=True, cache=True)
def _moves(columns, nodes, at, first, cutoff, ride, cost, chance, step, rate, out_place, out_cost, out_chance):
    for i in range(len(columns)):
        column, node = columns[i], nodes[i]
        place = _next(node, at[i], first, cutoff)
        end = first[node + 1]
        if place == end or cost[column, place] == NO_WAY:
            out_place[i], out_cost[i], out_chance[i] = -1, np.inf, 0.0
            continue
        out_cost[i], out_chance[i] = _worth(column, place, at[i], cutoff, cost, chance, step, rate)
        while place < end and not (ride[column, place >> 3] >> (place & 7)) & 1:
            place += 1
            if place & 7 == 0:
                while place < end and ride[column, place >> 3] == 0:
                    place += 8
        if place < end:
            out_place[i] = place
        else:  # only in a damaged table: a node's last place that leads on is always ridden
            out_place[i], out_cost[i], out_chance[i] = -1, np.inf, 0.0


@njit(nogil=True, cache=True)
def _promise(begin, stop, node, at, confidence, first, cutoff, cost, chance, step, rate):
    place = _next(node, at, first, cutoff)
    if place < first[node + 1]:
        for column in range(begin, stop):
            if cost[column, place] != NO_WAY:
                pay, sure = _worth(column, place, at, cutoff, cost, chance, step, rate)
                if sure >= confidence:
                    return column, pay, sure
    return -1, np.inf, 0.0
