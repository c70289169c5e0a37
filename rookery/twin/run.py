"""One run of the twin: orders laid out in a world, moved to a minute, asked where they are, told anew what to do."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rookery.terms.rides import RideTables
from rookery.terms.time import NEVER
from rookery.twin.engine.arrays import (
    FOLLOW,
    GREEDY,
    ITINERARY,
    MOVING,
    WAITING,
    Booked,
    Cargo,
    Log,
    State,
    Tables,
    World,
)
from rookery.twin.engine.move import advance, laid_out, set_out
from rookery.twin.model import Policy, Trouble
from rookery.twin.world import Network, luck, world

MODES: dict[Policy, int] = {"follow": FOLLOW, "itinerary": ITINERARY, "greedy": GREEDY, "reoptimise": FOLLOW}


def cargo_of(parcels: pl.DataFrame) -> Cargo:
    """Orders (schema PARCELS) as the kernels take them. A higher cost of lateness boards first, ties by ready time."""
    # whatever a frame lends is copied: kernels are compiled anew for arrays that cannot be written to
    pieces = parcels["pieces"].to_numpy().astype(np.float64)
    _, dearness = np.unique(-parcels["late_cost"].to_numpy(), return_inverse=True)
    return Cargo(
        origin=np.array(parcels["origin"].to_numpy()),
        destination=np.array(parcels["destination"].to_numpy()),
        pieces=pieces,
        actual=pieces * parcels["weight_g"].to_numpy() / 1000.0,
        chargeable=pieces * parcels["chargeable_g"].to_numpy() / 1000.0,
        rank=dearness.astype(np.int64),
    )


def nothing_booked(count: int) -> Booked:
    """No seats for any of so many orders."""
    none = np.zeros(count, np.int64)
    return Booked(none, none, np.zeros(0, np.int32), none[:0])


def rows_of(net: Network, departure: NDArray, scheduled_at: NDArray) -> NDArray[np.int32]:
    """The row of each run, named by departure and schedule (n); -1 where the network has none."""
    runs = net.runs.select("departure", "scheduled_at").with_row_index("row")
    asked = pl.DataFrame({"departure": departure, "scheduled_at": scheduled_at}).cast(
        {"departure": pl.Int32, "scheduled_at": pl.Int32}
    )
    found = asked.join(runs, on=["departure", "scheduled_at"], how="left", maintain_order="left")["row"]
    return found.cast(pl.Int32).fill_null(-1).to_numpy()


def tables_of(net: Network, rides: RideTables) -> Tables:
    """A policy joined to the rows of a network."""
    row = np.array(rows_of(net, rides.departure, rides.scheduled_at))
    place = np.full(len(net.runs), -1, np.int32)
    known = np.flatnonzero(row >= 0)
    place[row[known]] = known
    return Tables(rides.first, rides.cutoff, row, place, rides.rides)


class Run:
    """Orders on their way through one world. Everyone is sent whom the policy has a column or a booking for."""

    def __init__(
        self,
        net: Network,
        parcels: pl.DataFrame,
        policy: Policy,
        rides: RideTables,
        tables: Tables,
        booked: Booked | None,
        sent: NDArray[np.bool_],
        trouble: Trouble,
        seed: int,
        *,
        cargo: Cargo | None = None,
        log: bool = False,
    ):
        """rides, tables: the same policy, as it came and joined to `net`; booked: seats that a plan holds (None = no
        plan's); sent (bool, n): who is given to the network; cargo: of `parcels`, where it is known already.
        """
        self.net, self.mode = net, MODES[policy]
        self.cargo = cargo or cargo_of(parcels)
        self.world: World = world(net, trouble, seed)
        self.luck = luck(net, trouble, seed)
        count, rows = len(parcels), len(net.runs)
        self.columns, self.tables = rides.column, tables
        self.booked = booked or nothing_booked(count)
        arrive = self.world.arrive
        until = int(arrive[arrive < NEVER].max(initial=net.start)) + 1
        hours = self.world.hourly.shape
        start = np.minimum(parcels["start_at"].to_numpy(), int(NEVER)).astype(np.int32)
        self.state = State(
            status=np.zeros(count, np.int8),
            node=self.cargo.origin.copy(),
            ready=start,
            target=np.full(count, -1, np.int32),
            held=np.zeros(count, np.int8),
            spare=np.full(count, -1, np.int32),
            on_plan=np.zeros(count, np.bool_),
            leg=self.booked.begin.copy(),
            spent=np.zeros(count),
            legs=np.zeros(count, np.int16),
            missed=np.zeros(count, np.int16),
            damaged=np.zeros(count, np.bool_),
            next=np.full(count, -1, np.int32),
            log_at=np.full(count, -1, np.int64),
            waiting=np.full(rows, -1, np.int32),
            aboard=np.full(rows, -1, np.int32),
            arriving=np.full(until - self.world.begin, -1, np.int32),
            arrives_next=np.full(rows, -1, np.int32),
            taken=np.zeros((rows, 2)),
            carried=np.zeros((rows, 2)),
            used=np.zeros(hours),
            queued=np.zeros((len(net.feed.nodes), 3)),
            at=np.array([min(self.world.begin, int(self.world.cutoff.min(initial=self.world.begin))), 0]),
        )
        self.log = _log(2 * count if log else 0)
        self.memory = np.empty(count, np.int32), np.empty(count, np.int64)
        # whoever boards first chooses first, and of these whoever is ready first
        self.turn = np.lexsort((start, self.cargo.rank)).astype(np.int32)
        self.end = until
        laid_out(self.world, self.cargo, self.booked, self.state, sent)
        self._choose(self.minute)

    @property
    def minute(self) -> int:
        """The minute that comes next."""
        return int(self.state.at[0])

    def advance(self, until: int) -> None:
        """Let time pass up to a minute."""
        until = min(until, self.end)
        while not advance(
            self.world, self.net.hours, self.tables, self.cargo, self.booked, self.state, self.columns, self.luck,
            self.log, self.mode, until, *self.memory,
        ):  # fmt: skip
            self.log = _log(2 * len(self.log.order) + len(self.cargo.pieces), self.log)

    @property
    def under_way(self) -> bool:
        """Whether anything moves, or waits for something that may take it along."""
        state = self.state
        return bool(((state.status == MOVING) | ((state.status == WAITING) & (state.target >= 0))).any())

    def finish(self) -> None:
        """Let time pass until nothing moves any more."""
        self.advance(self.end)

    def tell(self, rides: RideTables, tables: Tables, booked: Booked | None = None) -> None:
        """From this minute on another policy is looked up, and other seats are held (None = those held so far)."""
        self.columns, self.tables = rides.column, tables
        state = self.state
        if booked is not None:
            self.booked = booked
            state.held[state.held == 1] = 0
            state.spare[:] = -1
            state.leg[:] = booked.begin
            travelling = (state.status == WAITING) | (state.status == MOVING)
            mine, legs = _spans(booked, travelling)
            rows = booked.rows[legs]
            known = rows >= 0
            for place, load in enumerate((self.cargo.pieces, self.cargo.actual)):
                state.taken[:, place] = np.bincount(rows[known], load[mine[known]], len(state.taken))
        self._choose(self.minute)

    def _choose(self, now: int) -> None:
        set_out(self.world, self.tables, self.cargo, self.booked, self.state, self.columns, self.mode, now, self.turn)

    def standing(self) -> tuple[NDArray[np.bool_], NDArray[np.int32], NDArray[np.int32]]:
        """Who is still on the way (bool, n), the node it is at or on its way to, and the row it is on (-1 = none)."""
        state = self.state
        moving = state.status == MOVING
        row = np.where(moving, state.target, -1)
        node = np.where(moving, self.world.to[np.maximum(row, 0)], state.node)
        travelling = moving | ((state.status == WAITING) & (state.held != 2))
        return travelling, node, row


def _spans(booked: Booked, which: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Orders `which`, once for each seat, and the places of these in booked.rows."""
    size = np.where(which, booked.end - booked.begin, 0)
    place = np.arange(size.sum()) + np.repeat(booked.begin - np.cumsum(size) + size, size)
    return np.repeat(np.arange(len(size)), size), place


def _log(size: int, before: Log | None = None) -> Log:
    """A log with room for so many legs, beginning with those that stand in another."""
    log = Log(
        order=np.empty(size, np.int32),
        row=np.empty(size, np.int32),
        ready=np.empty(size, np.int32),
        luck=np.empty(size, np.uint8),
        size=np.zeros(1, np.int64),
    )
    if before is not None:
        for old, new in zip(before[:-1], log[:-1]):
            new[: len(old)] = old
        log.size[:] = before.size
    return log
