"""Why a parcel cannot be brought, as far as the lanes alone tell: chains of lanes under each limit."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Hashable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from rookery.planning.check.wishes import Wish
from rookery.terms.frames import Feed

LASTING = frozenset(
    ["unknown_node", "unknown_zone", "no_lane", "goods_not_accepted", "over_weight", "over_size"]
    + ["mode_not_allowed", "limits_combined"]
)
"""Reasons that no other day or horizon would cure."""
NO_CAPACITY = "no_capacity"


class Lanes:
    """Which lanes a parcel may use, and where chains of them lead."""

    def __init__(self, feed: Feed):
        number = {node_id: i for i, node_id in enumerate(feed.nodes["node_id"].to_list())}
        lanes = feed.lanes.to_dicts()
        served = set(feed.departures["lane_id"].to_list())
        self._from = [number[lane["from_node"]] for lane in lanes]
        self._to = [number[lane["to_node"]] for lane in lanes]
        self._served = np.array([lane["lane_id"] in served for lane in lanes], bool)
        self._accepts = [frozenset(lane["accepts"]) for lane in lanes]
        self._mode = [lane["mode"] for lane in lanes]
        self._weight = np.array([_or_inf(lane["max_weight_g"]) for lane in lanes])
        self._side = np.array([_or_inf(lane["max_side_mm"]) for lane in lanes])
        self._weights, self._sides = np.unique(self._weight).tolist(), np.unique(self._side).tolist()

    def limits(self, wish: Wish) -> dict[str, NDArray[np.bool_]]:
        """For each limit by itself, the lanes that have departures and let the parcel through; by reason."""
        return {
            "goods_not_accepted": self._served & self._goods(wish.goods),
            "over_weight": self._served & (wish.weight <= self._weight),
            "over_size": self._served & (wish.side <= self._side),
            "mode_not_allowed": self._served & self._modes(wish.modes),
        }

    def kind(self, wish: Wish) -> Hashable:
        """What the lanes' limits see of a parcel: its goods class and modes, and which limits its size keeps."""
        return wish.goods, wish.modes, bisect_left(self._weights, wish.weight), bisect_left(self._sides, wish.side)

    def allowed(self, wish: Wish) -> NDArray[np.bool_]:
        """The lanes that have departures and let the parcel through under all limits."""
        return np.logical_and.reduce(list(self.limits(wish).values()))

    def lasting_reasons(self, wish: Wish) -> frozenset[str]:
        """Every lasting reason that applies; none when a permitted chain of lanes exists."""
        if wish.missing:
            return wish.missing
        if wish.origin == wish.destination:
            return frozenset()
        if not self._leads(wish, self._served):
            return frozenset(["no_lane"])
        single = frozenset(reason for reason, lanes in self.limits(wish).items() if not self._leads(wish, lanes))
        if single:
            return single
        return frozenset() if self._leads(wish, self.allowed(wish)) else frozenset(["limits_combined"])

    def _leads(self, wish: Wish, lanes: NDArray[np.bool_]) -> bool:
        return wish.destination in self._reach(wish.origin, lanes.tobytes())

    @lru_cache(maxsize=1 << 12)  # noqa: B019 one instance per check
    def _reach(self, origin: int, lanes: bytes) -> frozenset[int]:
        onward: dict[int, list[int]] = defaultdict(list)
        for lane in np.flatnonzero(np.frombuffer(lanes, np.bool_)).tolist():
            onward[self._from[lane]].append(self._to[lane])
        seen, todo = {origin}, [origin]
        while todo:
            fresh = [node for node in onward[todo.pop()] if node not in seen]
            seen.update(fresh)
            todo.extend(fresh)
        return frozenset(seen)

    @lru_cache(maxsize=64)  # noqa: B019
    def _goods(self, goods: str) -> NDArray[np.bool_]:
        return np.array([goods in accepts for accepts in self._accepts], bool)

    @lru_cache(maxsize=1 << 10)  # noqa: B019
    def _modes(self, modes: frozenset[str]) -> NDArray[np.bool_]:
        return np.array([not modes or mode in modes for mode in self._mode], bool)


def _or_inf(limit: float | None) -> float:
    return np.inf if limit is None else limit
