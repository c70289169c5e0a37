"""The best policy for one parcel, found again from the dated departures by one plain backward pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rookery.planning.check.days import FOREVER, Minutes, day_end
from rookery.planning.check.reasons import Lanes
from rookery.planning.check.runs import Runs
from rookery.planning.check.wishes import Wish

_EVEN = 1e-12  # relative difference that rounding can make of two equal costs: the earlier delivery decides
_SURE = 1e-9  # a chance may fall short of the confidence by this much through rounding


class Best(NamedTuple):
    """What the best policy of a parcel does; cost per piece, infinite when it cannot be brought."""

    cost: float
    expected: float  # UTC minutes
    on_time: float
    promised: int
    unique: bool  # no other choice on the way costs (nearly) the same
    ridden: list[tuple[int, float]]  # runs and the chance of riding them
    median: list[int] | None  # the runs ridden when every transit takes its median; None = not unique there


class Tariff(NamedTuple):
    """What one piece pays for every run: by the piece, by the kg of chargeable and by the kg of actual weight."""

    piece: NDArray[np.float64]
    chargeable_kg: NDArray[np.float64]
    actual_kg: NDArray[np.float64]

    def prices(self, wish: Wish) -> NDArray[np.float64]:
        """What one piece of a parcel pays for each run."""
        return self.piece + self.chargeable_kg * (wish.chargeable / 1000) + self.actual_kg * (wish.weight / 1000)

    def price(self, run: int, wish: Wish) -> float:
        """What one piece of a parcel pays for a run."""
        by_weight = self.chargeable_kg[run] * (wish.chargeable / 1000) + self.actual_kg[run] * (wish.weight / 1000)
        return float(self.piece[run] + by_weight)


@dataclass
class Passes:
    """Solves parcels over one expansion; parcels with the same terms share a pass when solved one after another."""

    runs: Runs
    run_lane: NDArray[np.int64]
    tariff: Tariff
    origin_minute: int  # times are counted from here inside, to keep float64 exact

    def __post_init__(self) -> None:
        n = len(self.runs.cutoff)
        self._hold, self._arrive = np.empty(n + 1), np.empty(n + 1)
        self._margin, self._ride = np.empty(n), np.zeros(n, np.bool_)
        self._mass = np.zeros(n + 1)
        self._solved: tuple[tuple[object, ...], int] | None = None

    def best(self, wish: Wish, lanes: Lanes, slack: float) -> Best:
        """The best policy of a parcel; choices whose costs differ by at most `slack` count as equal for `unique`."""
        if not wish.missing and wish.origin == wish.destination:
            return self._summary(wish, np.array([wish.start]), np.ones(1), [], True, [])
        runs, first = self.runs, self._first(wish, lanes)
        if first is None:
            return _NEVER
        last, gap = _follow(
            first, runs.next, runs.to, runs.catch, self._ride, self._margin, wish.destination, self._mass
        )
        visited = first + np.flatnonzero(self._mass[first : last + 1])
        ridden = visited[self._ride[visited]]
        chance = self._mass[ridden].copy()
        self._mass[first : last + 1] = 0.0
        final = runs.to[ridden] == wish.destination
        ready = runs.outcome[ridden[final]]
        weight = np.repeat(chance[final] / ready.shape[1], ready.shape[1])
        at = list(zip(ridden.tolist(), chance.tolist(), strict=True))
        return self._summary(wish, ready.ravel(), weight, at, gap > slack, self._median(wish, first, slack))

    def cost(self, wish: Wish, lanes: Lanes) -> float:
        """What the best policy of a parcel costs a piece, infinite when it cannot be brought."""
        if not wish.missing and wish.origin == wish.destination:
            return self.best(wish, lanes, 0.0).cost
        first = self._first(wish, lanes)
        if first is None:
            return np.inf
        before = wish.time_cost_per_day * (self.origin_minute - wish.ready) / 1440
        return float(self._hold[first]) + wish.fixed_cost + before

    def _first(self, wish: Wish, lanes: Lanes) -> int | None:
        """The first run that a parcel can still take, its pass done; None when nothing brings it."""
        first = len(self.runs.cutoff) if wish.missing else self.runs.first(wish.origin, wish.start)
        if first == len(self.runs.cutoff):
            return None
        if self._solved is None or self._solved[0] != wish.alike() or self._solved[1] > first:
            self._solve(wish, lanes.allowed(wish), first)
            self._solved = (wish.alike(), first)
        return first if np.isfinite(self._hold[first]) else None

    def _solve(self, wish: Wish, allowed: NDArray[np.bool_], first: int) -> None:
        runs = self.runs
        _backward(
            first, runs.next, runs.to, runs.catch, runs.outcome,
            np.where(allowed[self.run_lane], self.tariff.prices(wish), np.inf), wish.destination,
            np.array(wish.delivery, np.int64), FOREVER if wish.due is None else wish.due,
            wish.late_cost, wish.late_cost_per_day, wish.time_cost_per_day / 1440, self.origin_minute, FOREVER, _EVEN,
            self._hold, self._arrive, self._margin, self._ride,
        )  # fmt: skip

    def _median(self, wish: Wish, first: int, slack: float) -> list[int] | None:
        """The runs the policy rides when every transit takes its median."""
        path, run = [], first
        while True:
            if self._margin[run] <= slack:
                return None
            if not self._ride[run]:
                run = int(self.runs.next[run])
                continue
            path.append(run)
            if self.runs.to[run] == wish.destination:
                return path
            run = int(self.runs.catch_median[run])

    def _summary(
        self,
        wish: Wish,
        ready: Minutes,
        weight: NDArray[np.float64],
        ridden: list[tuple[int, float]],
        unique: bool,
        median: list[int] | None,
    ) -> Best:
        """Adds the zone's delivery to the times at which the parcel is ready at its last node, and sums up."""
        delivery = np.array(wish.delivery, np.int64)
        delivered = (ready[:, None] + delivery).ravel()
        chance = np.repeat(weight / len(delivery), len(delivery))
        times, place = np.unique(delivered, return_inverse=True)
        chance = np.bincount(place, chance)
        late = sum(p * wish.lateness(t) for t, p in zip(times.tolist(), chance.tolist(), strict=True))
        expected = self.origin_minute + float(chance @ (times - self.origin_minute))
        legs = sum(p * self.tariff.price(run, wish) for run, p in ridden)
        held = wish.time_cost_per_day * (expected - wish.ready) / 1440
        reached = np.cumsum(chance) >= wish.confidence - _SURE
        return Best(
            cost=legs + wish.fixed_cost + late + held,
            expected=expected,
            on_time=1.0 if wish.due is None else float(chance[times <= wish.due].sum()),
            promised=day_end(wish.timezone, int(times[int(np.argmax(reached)) if reached.any() else -1])),
            unique=unique,
            ridden=ridden,
            median=median,
        )


_NEVER = Best(np.inf, np.inf, 0.0, FOREVER, False, [], None)


@njit(cache=True)
def _backward(
    first, following, to, catch, outcome, price, destination, delivery, due, late_cost, late_cost_per_day,
    per_minute, origin_minute, never, even, hold, arrive, margin, ride,
):  # fmt: skip
    """Fills, for every run e from the last down to `first`: hold[e] (cost of standing at e's node with e or any later
    run still to take), arrive[e] (expected delivery), ride[e] (take e) and margin[e] (by how much the choice wins)."""
    n, outcomes = outcome.shape
    share = 1.0 / len(delivery)
    hold[n] = np.inf
    arrive[n] = np.inf
    for e in range(n - 1, first - 1, -1):
        wait = following[e]
        cost, at = 0.0, 0.0  # after the ride, summed over its outcomes
        if price[e] == np.inf:
            cost = np.inf
        elif to[e] != destination:
            for k in range(outcomes):
                onward = catch[e, k]
                cost += hold[onward]
                if cost == np.inf:
                    break
                at += arrive[onward]
        else:
            for k in range(outcomes):
                if outcome[e, k] == never:
                    cost = np.inf
                    break
                for last_mile in delivery:
                    delivered = outcome[e, k] + last_mile
                    cost += share * per_minute * (delivered - origin_minute)
                    at += share * (delivered - origin_minute)
                    if delivered > due:
                        cost += share * (late_cost + late_cost_per_day * -((due - delivered) // 1440))
        cost, at = price[e] + cost / outcomes, at / outcomes
        same = even * max(1.0, abs(cost))
        rides = cost < hold[wait] - same or (cost <= hold[wait] + same and cost < np.inf and at < arrive[wait])
        ride[e] = rides
        margin[e] = np.inf if cost == np.inf or hold[wait] == np.inf else abs(cost - hold[wait])
        hold[e] = cost if rides else hold[wait]
        arrive[e] = at if rides else arrive[wait]


@njit(cache=True)
def _follow(first, following, to, catch, ride, margin, destination, mass):
    """Spreads one parcel forward from `first`; mass[e] becomes the chance of standing at run e, before choosing.

    Gives the last run reached and the smallest margin of a choice on the way.
    """
    outcomes = catch.shape[1]
    mass[first] = 1.0
    last, gap = first, np.inf
    e = first
    while e <= last:
        here = mass[e]
        if here > 0.0:
            gap = min(gap, margin[e])
            if not ride[e]:
                mass[following[e]] += here
                last = max(last, following[e])
            elif to[e] != destination:
                for k in range(outcomes):
                    mass[catch[e, k]] += here / outcomes
                    last = max(last, catch[e, k])
        e += 1
    return last, gap
