"""The outlook: of any parcel anywhere, its next move, the legs it is likely to take, its chance and its expected day.

Made in the background, once for the kinds of parcels that are under way: of each kind the bits that say where the
policy rides, two bytes a dated departure for sixteen kinds. A look follows them from where a parcel is, at its own
weight and for its own due time, so that what is told is exact for what the parcel is going to do, whatever the policy
was made for. Pure: it knows no clock and no database. See docs/concepts/outlook.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from queue import SimpleQueue
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rookery.base.progress import Progress, silent
from rookery.planning.blocks import make_block
from rookery.planning.capacity.resources import Prices
from rookery.planning.engine.outlook import NOWHERE, Asked, Told, leading, look
from rookery.planning.engine.scan import buffers, rounding_down, scan_cost, scan_exact, with_chance, with_when
from rookery.planning.engine.vector import LANES
from rookery.planning.ops import Model
from rookery.planning.outlook_classes import BUCKETS_A_DOUBLING, CLASSES, Kinds, columns_for, columns_of
from rookery.terms.time import DAY, NEVER

CLOSED = 1e7
"""What a parcel pays for a seat where there is no room: it goes there only where nothing else leads home."""
MOST_COLUMNS = 4096
EXACT_WORK = 1e8
"""Blocks x departures x outcomes up to which policies are made as an exact plan's are, ties broken by what delivers
earlier; beyond, in 4-byte numbers, a third of the time: of ways that differ by a millionth either may be taken.
"""

LOOK: dict[str, Any] = {
    "parcel": pl.Int64,  # the asker's key
    **CLASSES,
    "confidence": pl.Float64,
    "node": pl.Int32,  # row of Feed.nodes where it stands; -1 = it rides
    "ready_at": pl.Int64,  # minute from which it can go on from there, handling included
    "riding": pl.Int32,  # timetable row it rides; -1 = it stands; with a node: it does either, as likely as not
    "late": pl.Int64,  # minutes its ride left after schedule
    "booked": pl.List(pl.Int64),  # timetable rows still to ride, in order; negative ones are left out
    "last_mile_at": pl.Int64,  # minute at which it went out for delivery or lay ready where it is going; null = not yet
}
OUTLOOK: dict[str, Any] = {
    "parcel": pl.Int64,
    "chance": pl.Float64,  # of being delivered by due_at; null = not known
    "expected_at": pl.Int64,  # minute; of the outcomes that deliver within the timetable
    "by_at": pl.Int64,  # first minute by which it is delivered with its confidence
    "legs": pl.List(
        pl.Int64
    ),  # timetable rows along median times, the ride it is on first; from its node if it has one
    "policy": pl.Boolean,  # legs ride what is not booked
    "cost": pl.Float64,  # expected price of the rides to come
    "why": pl.String,  # no_way | no_policy | no_place, where something is not known; else null
}


@dataclass(frozen=True)
class Outlook:
    """Ride bits of the policies of C columns over one compiled model. Safe from any number of threads."""

    model: Model
    version: str
    columns: pl.DataFrame  # see outlook_classes.columns_of; (C)
    kinds: Kinds
    place: NDArray[np.int32]  # (C) block x 16 + lane of each column
    rides: NDArray[np.uint16]  # (blocks, N) by place
    _words: dict[int, dict[str, Any]] = field(default_factory=dict, repr=False)

    def look(self, asked: pl.DataFrame) -> pl.DataFrame:
        """What is ahead of parcels (schema LOOK): schema OUTLOOK, a row for each, in their order.

        Outcomes that lead nowhere within the timetable count as late; where no outcome delivers the reason is `no_way`,
        and the chance 0, or null when the parcel is due only after the timetable's end. Raises ValueError for rows that
        are not of this outlook's timetable.
        """
        column = columns_for(self.columns, self.kinds.keyed(asked, enter=False))
        place = np.where(column < 0, -1, np.append(self.place, -1)[column]).astype(np.int32)
        order = np.argsort(place, kind="stable")  # those of one policy together: its bits stay in the cache
        asked, place = asked[order], place[order]
        table, miles = self.model.timetable, self._minutes
        booked, booked_from = _flat(asked["booked"])
        zone = asked["zone"].to_numpy()
        question = Asked(
            column=place,
            node=_numbers(asked["node"], np.int32),
            ready=_numbers(asked["ready_at"], np.int64),
            riding=_numbers(asked["riding"], np.int32),
            late=_numbers(asked["late"], np.int64),
            out=_numbers(asked["last_mile_at"].fill_null(NOWHERE), np.int64),
            destination=_numbers(asked["destination"], np.int32),
            zone=np.where(zone < 0, len(miles) - 1, zone).astype(np.int32),
            due=_numbers(asked["due_at"], np.int64),
            confidence=_numbers(asked["confidence"], np.float64),
            kilograms=_numbers(asked["chargeable_g"], np.float64) / 1000.0,
            booked=booked,
            booked_from=booked_from,
        )
        count = asked.height
        _refuse_strange(question, len(table.cutoff), len(table.net.node_from) - 1, len(miles))
        told = Told(*(np.zeros(count, kind) for kind in (float, float, float, np.int64, float, np.bool_)))
        legs, leg_from = look(
            table.net, table.cutoff, self.rides, miles, question, int(NEVER), told, np.empty(1024, np.int32)
        )
        back = np.empty(count, np.int64)
        back[order] = np.arange(count)
        return _answer(asked["parcel"], question, told, _lists(legs, leg_from), table.end)[back]

    def knows(self, classes: pl.DataFrame) -> NDArray[np.bool_]:
        """Which classes (schema CLASSES; more columns do not matter) have a policy of their kind here."""
        return columns_for(self.columns, self.kinds.keyed(classes, enter=False)) >= 0

    def told(self, rows: Sequence[int], chargeable_g: float) -> list[dict[str, Any]]:
        """Legs in words users know: one dict a row, instants as UTC minutes, cost a piece of this weight."""
        net, kilograms = self.model.timetable.net, chargeable_g / 1000.0
        return [{**self._word(int(row)), "cost": float(net.fixed[row] + net.per_kg[row] * kilograms)} for row in rows]

    def _word(self, row: int) -> dict[str, Any]:
        if row not in self._words:
            feed, table = self.model.feed, self.model.timetable
            lane = int(table.lane[row])
            self._words[row] = {
                "departure_id": feed.departures["departure_id"][int(table.departure[row])],
                "lane_id": feed.lanes["lane_id"][lane],
                "carrier_id": feed.lanes["carrier_id"][lane],
                "mode": feed.lanes["mode"][lane],
                "from_node": feed.nodes["node_id"][int(table.net.frm[row])],
                "to_node": feed.nodes["node_id"][int(table.net.to[row])],
                "cutoff_at": int(table.cutoff[row]),
                "depart_at": int(table.depart[row]),
                "arrive_at": int(table.median_arrive[row]),
            }
        return self._words[row]

    @cached_property
    def _minutes(self) -> NDArray[np.int32]:
        return np.sort(self.model.miles.minutes, axis=1)


def make_outlook(
    model: Model,
    prices: Prices,
    full: NDArray[np.integer],
    classes: pl.DataFrame,
    *,
    threads: int,
    version: str = "",
    progress: Progress = silent,
    most_columns: int = MOST_COLUMNS,
) -> Outlook:
    """The outlook for these kinds of parcels (schema CLASSES, a row for each or for each parcel).

    prices: what is scarce by now; full: timetable rows without room, which policies avoid at any price but being
    nowhere; most_columns: policies kept, C; they take 2 N bytes for sixteen. Deterministic: the order of classes and
    the number of threads change nothing.
    """
    seat = prices.seat.copy()
    seat[np.asarray(full, np.int64)] = CLOSED
    table = model.priced(replace(prices, seat=seat)).timetable
    kinds = Kinds(table.limit_sets)
    columns = columns_of(kinds, classes, most_columns)
    rank = table.beside[columns["destination"].to_numpy()]  # neighbours share most of what leads nowhere near them
    order = np.argsort(rank, kind="stable")
    place = np.empty(len(order), np.int32)
    place[order] = np.arange(len(order))
    blocks = max(1, -(-len(order) // LANES))
    rides = np.zeros((blocks, len(table.cutoff)), np.uint16)
    exact = float(blocks) * len(table.cutoff) * table.outcomes <= EXACT_WORK
    dtype = np.float64 if exact else np.float32
    net, down = table.net_as(dtype), rounding_down(dtype, table.outcomes)
    of = {name: columns[name].to_numpy()[order] for name in columns.columns}
    barred = np.array([np.where(kinds.allowed(number), 0.0, np.inf) for number in of["allowed"]], dtype)

    def block(number: int) -> None:
        part = slice(number * LANES, min((number + 1) * LANES, len(order)))
        mine = make_block(
            dtype,
            len(net.node_from) - 1,
            np.arange(part.stop - part.start),
            kilograms=2.0 ** (of["bucket"][part] / BUCKETS_A_DOUBLING),
            barred=barred[part],
            destination=of["destination"][part],
            due=of["due_at"][part],
            late=of["late_cost"][part],
            late_day=of["late_cost_per_day"][part],
            rate=of["time_cost_per_day"][part] / DAY,
            delivery=model.miles.minutes[of["zone"][part]],
        )
        memory = memories.get()
        tables = (memory["value"], memory["held"], memory["spare"], memory["ride"])
        if exact:
            finer = (memory["chance"], memory["held_chance"], memory["when"], memory["held_when"])
            scan_exact(net, mine, 0, down, int(NEVER), *tables, *finer)
        else:
            scan_cost(net, mine, 0, down, int(NEVER), *tables)
        leading(net, memory["value"], memory["ride"], rides[number])
        memories.put(memory)

    memories: SimpleQueue = SimpleQueue()
    for _ in range(threads if len(order) else 0):
        memory = buffers(net, dtype)
        memories.put(with_when(net, with_chance(net, memory, np.float64)) if exact else memory)
    with ThreadPoolExecutor(threads) as pool:
        try:
            for done, _ in enumerate(pool.map(block, range(blocks if len(order) else 0)), 1):
                progress("outlook", done, blocks)
        finally:  # whoever stops it does not wait for what has not begun
            pool.shutdown(cancel_futures=True)
    return Outlook(model, version, columns, kinds, place, rides)


def _refuse_strange(asked: Asked, rows: int, nodes: int, zones: int) -> None:
    """The kernel trusts its numbers: a row of another outlook would be read from anywhere."""
    ends = {"booked": rows, "riding": rows, "node": nodes, "destination": nodes, "zone": zones}
    for name, end in ends.items():
        if getattr(asked, name).max(initial=-1) >= end:
            raise ValueError(f"'{name}' is not of this outlook's timetable: look them up in its timetable")


def _answer(parcel: pl.Series, asked: Asked, told: Told, legs: pl.Series, end: int) -> pl.DataFrame:
    """What was found, as a frame; what is not known as null, with the reason."""
    placed = (asked.node >= 0) | (asked.riding >= 0) | (asked.out >= 0)
    delivers = told.sure > 0
    unknown = ~placed | ((asked.column < 0) & (told.sure < 1 - 1e-9))
    known = delivers & ~unknown
    chance_known = ~unknown & (delivers | (asked.due < end))
    why = np.select([~placed, unknown, ~delivers], ["no_place", "no_policy", "no_way"], "")
    mean = np.round(np.where(known, told.mean, 0.0)).astype(np.int64)
    found = {
        "parcel": parcel,
        "chance": _where(chance_known, told.chance),
        "expected_at": _where(known, mean),
        "by_at": _where(known & (told.by >= 0), told.by),
        "legs": legs,
        "policy": pl.Series(told.strays),
        "cost": _where(known, told.cost),
        "why": _where(why != "", why),
    }
    return pl.DataFrame(found, schema=OUTLOOK)


def _where(known: NDArray[np.bool_], values: NDArray) -> pl.Series:
    """The values, null where not known."""
    return pl.select(pl.when(pl.Series(known)).then(pl.Series(values)))[:, 0]


def _numbers(column: pl.Series, dtype) -> NDArray:
    """A copy: what is none may be read-only, for which the kernel would be compiled again, in the middle of a look."""
    return np.array(column.to_numpy(), dtype)


def _flat(lists: pl.Series) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """All numbers of lists that are not negative, list after list, and where each list's begin (n + 1)."""
    length = lists.list.len().fill_null(0).to_numpy().astype(np.int64)
    flat = lists.explode().drop_nulls().to_numpy() if length.any() else np.zeros(0, np.int64)
    owner = np.repeat(np.arange(len(length)), length)[flat >= 0]
    begin = np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=len(length)))]).astype(np.int64)
    return flat[flat >= 0].astype(np.int32), begin


def _lists(flat: NDArray, begin: NDArray[np.int64]) -> pl.Series:
    """The inverse of `_flat`."""
    count = len(begin) - 1
    owner = np.repeat(np.arange(count), np.diff(begin))
    filled = pl.DataFrame({"i": owner, "row": flat.astype(np.int64)}).group_by("i", maintain_order=True).agg("row")
    every = pl.DataFrame({"i": np.arange(count)}).join(filled, on="i", how="left", maintain_order="left")
    return every["row"].fill_null([])
