"""Ways of finding shadow prices of seats: each steps from prices, their bound and their loads to the next prices.

All of them raise the same bound, concave in the prices: the cost of the demand under prices, less prices x capacities.
Load - capacity is a direction in which it rises. `root` scales prices by the square root of capacity: there a step
along the gradient moves a price along the *relative* overload, as the simple methods do.
"""

# highspy declares its arrays by exact shapes
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rookery.planning.capacity.ascent import MOST, Ascent
from rookery.planning.capacity.resources import Prices, Resources
from rookery.planning.capacity.solve import Problem

Vector = NDArray[np.float64]


def dot(one: NDArray[np.float64], other: Vector) -> Any:
    """Products summed along the last axis, on this thread alone: threads of BLAS would keep those of sweeps waiting."""
    return np.einsum("...i,i->...", one, other)


class Method(Protocol):
    """One way of finding prices."""

    def step(self, prices: Vector, bound: float, loads: Vector) -> Vector:
        """Prices (N, money a parcel) to sweep under next, from the last ones, their bound (money) and loads (N)."""
        ...


@dataclass(frozen=True)
class Day:
    """The day to be priced: its problem, what departures hold, and what they carry at no price."""

    problem: Problem
    resources: Resources
    free_bound: float
    free_loads: Vector
    pieces: float

    @property
    def seats(self) -> Vector:
        return self.resources.seats

    @property
    def unit(self) -> float:
        """Mean cost of a parcel at no price."""
        return max(self.free_bound / self.pieces, 1e-6)

    def full_prices(self, prices: Vector) -> Prices:
        return replace(Prices.none(self.resources), seat=prices)

    def sweep(self, prices: Vector) -> tuple[float, Vector]:
        """The bound of prices, and the loads under them."""
        full = self.full_prices(prices)
        swept = self.problem.sweeper.sweep(self.problem.coarse, full)
        return self.problem.bound(swept.cost, full), swept.loads[:, 0]

    def over(self, prices: Vector, loads: Vector) -> Vector:
        """Relative overloads; 0 where a price of 0 would have to fall."""
        over = np.clip(loads / self.seats - 1.0, -1.0, MOST)
        over[(prices <= 0) & (over < 0)] = 0.0
        return over


@dataclass
class Subgradient:
    """Steps along the relative overload, ever shorter."""

    day: Day
    first: float = 0.12  # money
    steady: float = 12.0
    steps: int = 0

    def step(self, prices: Vector, bound: float, loads: Vector) -> Vector:
        size = self.first / (1 + self.steps / self.steady)
        self.steps += 1
        return np.maximum(0.0, prices + size * self.over(prices, loads))

    def over(self, prices: Vector, loads: Vector) -> Vector:
        return self.day.over(prices, loads)


@dataclass
class HeavyBall(Subgradient):
    """The same along a running mean of overloads."""

    first: float = 0.2
    steady: float = 10.0
    momentum: float = 0.85
    mean: Vector | float = 0.0

    def over(self, prices: Vector, loads: Vector) -> Vector:
        self.mean = self.momentum * self.mean + (1 - self.momentum) * self.day.over(prices, loads)
        return self.mean


@dataclass
class Signs:
    """Rprop (Riedmiller and Braun, 1993): steps by sign alone, longer while it stays, shorter when it turns."""

    day: Day
    first: float = 0.1  # money
    longer: float = 1.2
    shorter: float = 0.5
    least: float = 1e-3
    most: float = 1.0
    size: Vector | float = 0.0
    last: Vector | float = 0.0

    def step(self, prices: Vector, bound: float, loads: Vector) -> Vector:
        sign = np.sign(self.day.over(prices, loads))
        turned = sign * self.last
        size = self.size if np.ndim(self.size) else np.full(len(prices), self.first)
        change = np.where(turned > 0, self.longer, np.where(turned < 0, self.shorter, 1.0))
        self.size, self.last = np.clip(size * change, self.least, self.most), sign
        return np.maximum(0.0, prices + self.size * sign)


@dataclass
class Volume:
    """The volume algorithm (Barahona and Anbil, 2000): from the best prices, along the overload of mean loads."""

    day: Day
    share: float = 0.5  # of the newest loads in the mean, at most; with 0.1, as published, sixty sweeps are too few
    factor: float = 0.1  # of the Polyak step
    patience: int = 1  # steps without a rise before the factor falls; published for longer runs: 20
    goal: float = field(init=False)
    best: float = -np.inf
    centre: Vector = field(init=False)
    mean: Vector | None = None  # loads
    red: int = 0

    def __post_init__(self) -> None:
        self.root = np.sqrt(self.day.seats)
        self.goal = 1.05 * self.day.free_bound

    def step(self, prices: Vector, bound: float, loads: Vector) -> Vector:
        new = (loads - self.day.seats) / self.root
        if self.mean is None:
            self.mean = new
        along = np.where((prices <= 0) & (self.mean < 0), 0.0, self.mean)  # the direction that led here
        apart = new - self.mean
        nearest = -dot(self.mean, apart) / max(dot(apart, apart), 1e-12)
        self.mean = self.mean + (min(self.share, nearest) if nearest > 0 else self.share / 10) * apart
        if bound > self.best:  # green where the new loads still point the same way, else yellow
            self.best, self.centre, self.red = bound, prices, 0
            self.factor = min(2.0, 1.1 * self.factor) if dot(along, new) >= 0 else self.factor
        else:
            self.red += 1
            if self.red % self.patience == 0:
                self.factor *= 0.66
        if self.best >= 0.95 * self.goal:
            self.goal = 1.05 * self.best
        uphill = np.where((self.centre <= 0) & (self.mean < 0), 0.0, self.mean)
        size = self.factor * (self.goal - self.best) / max(dot(uphill, uphill), 1e-12)
        return np.maximum(0.0, self.centre + size * uphill / self.root)


@dataclass
class Bundle:
    """A proximal bundle: the model is the least of the cuts held, less the squared distance from the best prices.

    Its dual has one share for each cut, adding to 1 (HiGHS solves that), and one multiplier for each price that has to
    stay >= 0. These are known in closed form once the shares are: shares are found with the last step's multipliers, as
    in Helmberg and Kiwiel (2002), once a step (more turns came no further), and then the multipliers, so that no price
    is negative. When all places are taken, the two cuts of the least shares become one.
    """

    day: Day
    reach: float = 0.12  # money: how far a price moves by a relative overload of 1, all cuts being alike
    further: float = 1.2
    nearer: float = 0.8
    most: int = 10  # cuts; forty came no further
    held: int = 0

    def __post_init__(self) -> None:
        self.root, self.best = np.sqrt(self.day.seats), self.day.free_bound
        count = len(self.root)
        self.cuts, self.height = np.zeros((self.most, count)), np.zeros(self.most)  # gradients; values at no price
        self.gram, self.shares = np.zeros((self.most, self.most)), np.zeros(self.most)
        self.centre, self.lift = np.zeros(count), np.zeros(count)

    def step(self, prices: Vector, bound: float, loads: Vector) -> Vector:
        at, gradient = prices * self.root, (loads - self.day.seats) / self.root
        self._hold(gradient, bound - dot(gradient, at))
        if bound > self.best:
            self.centre, self.best, self.reach = at, bound, self.further * self.reach
        elif bound < self.best:
            self.reach *= self.nearer
        held, cuts = slice(self.held), self.cuts[: self.held]
        level = self.height[held] + dot(cuts, self.centre)
        shares = shares_of(self.reach * self.gram[held, held], level + self.reach * dot(cuts, self.lift))
        ahead = self.centre / self.reach + dot(cuts.T, shares)
        self.lift, self.shares[held] = np.maximum(0.0, -ahead), shares
        return self.reach * np.maximum(0.0, ahead) / self.root

    def _hold(self, gradient: Vector, height: float) -> None:
        if self.held == self.most:
            one, two = np.argsort(self.shares)[:2]
            share = self.shares[two] / max(self.shares[one] + self.shares[two], 1e-12)
            kept = (1 - share) * self.cuts[one] + share * self.cuts[two]
            self._put(one, kept, float((1 - share) * self.height[one] + share * self.height[two]))
        else:
            two, self.held = self.held, self.held + 1
        self._put(two, gradient, height)

    def _put(self, place: int, gradient: Vector, height: float) -> None:
        self.cuts[place], self.height[place] = gradient, height
        self.gram[place, : self.held] = self.gram[: self.held, place] = dot(self.cuts[: self.held], gradient)


def shares_of(square: NDArray[np.float64], linear: Vector) -> Vector:
    """Shares >= 0 that add to 1 and have the least linear @ shares + shares @ square @ shares / 2."""
    import highspy

    count = len(linear)
    scale = max(float(np.diag(square).max()), 1e-12)
    model, lower = highspy.HighsModel(), np.tril_indices(count)
    by_column = np.lexsort(lower)
    model.lp_.num_col_, model.lp_.num_row_ = count, 1
    model.lp_.col_cost_ = (linear - linear.min()) / scale
    model.lp_.col_lower_, model.lp_.col_upper_ = np.zeros(count), np.full(count, np.inf)
    model.lp_.row_lower_ = model.lp_.row_upper_ = np.ones(1)
    model.lp_.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    model.lp_.a_matrix_.start_ = np.arange(count + 1, dtype=np.int32)
    model.lp_.a_matrix_.index_, model.lp_.a_matrix_.value_ = np.zeros(count, np.int32), np.ones(count)
    model.hessian_.dim_, model.hessian_.format_ = count, highspy.HessianFormat.kTriangular
    model.hessian_.start_ = np.concatenate([[0], np.cumsum(np.arange(count, 0, -1))]).astype(np.int32)
    model.hessian_.index_ = lower[0][by_column].astype(np.int32)
    model.hessian_.value_ = square[lower][by_column] / scale
    solver = highspy.Highs()
    solver.silent()
    solver.setOptionValue("time_limit", 1.0)  # rarely it walks in circles; shares found by then are good, not best
    solver.passModel(model)
    solver.run()
    shares = np.maximum(0.0, np.array(solver.getSolution().col_value))
    return shares / shares.sum()


@dataclass
class Ours:
    """What the planner does."""

    day: Day
    ascent: Ascent = field(init=False)

    def __post_init__(self) -> None:
        self.ascent = Ascent(self.day.resources, self.day.unit, 1.0)

    def step(self, prices: Vector, bound: float, loads: Vector) -> Vector:
        both = np.column_stack([loads, loads])
        return self.ascent.step(self.day.full_prices(prices), both).seat


@dataclass
class Frozen(Ours):
    """The same; departures with room and no price for some sweeps are left out of the step until they fill up."""

    slack: float = 0.5  # of what they hold
    sweeps: int = 5
    still: NDArray[np.int64] | int = 0

    def step(self, prices: Vector, bound: float, loads: Vector) -> Vector:
        idle = (prices == 0) & (loads < self.slack * self.day.seats)
        self.still = np.where(idle, self.still + 1, 0)
        awake = np.flatnonzero(self.still < self.sweeps)
        part = copy(self.ascent)
        part.where = [awake, *self.ascent.where[1:]]
        kept = ("mean", "square", "gain")
        for name in (*kept, "limit", "scale"):
            setattr(part, name, getattr(self.ascent, name)[awake])
        found = part.step(self.day.full_prices(prices), np.column_stack([loads, loads])).seat
        for name in kept:
            getattr(self.ascent, name)[awake] = getattr(part, name)
        self.ascent.steps = part.steps
        return found


METHODS: dict[str, Callable[[Day], Method]] = {
    "subgradient": Subgradient,
    "heavy ball": HeavyBall,
    "volume": Volume,
    "bundle, HiGHS": Bundle,
    "signs (Rprop)": Signs,
    "ours": Ours,
    "ours, slack prices frozen": Frozen,
}
