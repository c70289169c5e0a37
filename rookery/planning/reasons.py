"""Why a parcel has no itinerary: every reason that applies, none guessed."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rookery.planning.classes import LIMITS, limit_classes
from rookery.planning.engine.reach import reaches
from rookery.planning.timetable import limit_sets_of

OF_LIMIT = {"goods": "goods_not_accepted", "weight": "over_weight", "side": "over_size", "mode": "mode_not_allowed"}


class Roads:
    """The lanes that have departures, as a graph without times."""

    def __init__(self, nodes: pl.DataFrame, lanes: pl.DataFrame, departures: pl.DataFrame):
        used = lanes.filter(pl.col("lane_id").is_in(departures["lane_id"].unique().implode()))
        number = {name: place for place, name in enumerate(nodes["node_id"])}
        self.frm = np.array([number[name] for name in used["from_node"]], np.int64)
        self.to = np.array([number[name] for name in used["to_node"]], np.int64)
        self.limit_sets, self.set_of_lane = limit_sets_of(used)
        self.into_lanes = np.argsort(self.to, kind="stable")
        self.into_from = np.searchsorted(self.to[self.into_lanes], np.arange(len(nodes) + 1))

    def joined(self, parcels: pl.DataFrame, limits: tuple[str, ...]) -> NDArray[np.bool_]:
        """Whether a chain of lanes takes each parcel (schema PARCELS) to its destination, `limits` alone heeded."""
        allowed, kind = limit_classes(self.limit_sets, parcels, limits)
        origin = parcels["origin"].to_numpy().astype(np.int64)
        destination = parcels["destination"].to_numpy().astype(np.int64)
        answer = np.zeros(len(parcels), np.bool_)
        for number in range(len(allowed)):
            mine = np.flatnonzero(kind == number)
            mine = mine[np.argsort(destination[mine], kind="stable")]
            answer[mine] = reaches(
                origin[mine],
                destination[mine],
                self.frm,
                self.to,
                self.into_from,
                self.into_lanes,
                allowed[number][self.set_of_lane],
            )
        return answer


def why_unassigned(roads: Roads, parcels: pl.DataFrame, reached_later: NDArray[np.bool_]) -> pl.Series:
    """The reasons of each unassigned parcel (schema PARCELS), a list a parcel.

    reached_later: whether it could be brought if the horizon were doubled.
    """
    known = parcels["origin"].to_numpy() >= 0
    known &= parcels["destination"].to_numpy() >= 0
    apply: dict[str, NDArray[np.bool_]] = {
        "unknown_node": parcels["unknown_node"].to_numpy(),
        "unknown_zone": parcels["unknown_zone"].to_numpy(),
    }
    where = np.flatnonzero(known)
    placed = parcels[where]

    def of_placed(values: NDArray[np.bool_]) -> NDArray[np.bool_]:
        every = np.zeros(len(parcels), np.bool_)
        every[where] = values
        return every

    chain = roads.joined(placed, ())
    apply["no_lane"] = of_placed(~chain)
    alone = {limit: roads.joined(placed, (limit,)) for limit in LIMITS}
    for limit, reason in OF_LIMIT.items():
        apply[reason] = of_placed(chain & ~alone[limit])
    together = roads.joined(placed, LIMITS)
    apply["limits_combined"] = of_placed(chain & ~together & np.all(list(alone.values()), axis=0))
    apply["beyond_horizon"] = of_placed(together & reached_later[where])
    apply["after_last_departure"] = of_placed(together & ~reached_later[where])
    return pl.DataFrame(apply).select(
        pl.concat_list(pl.when(pl.col(name)).then(pl.lit(name)) for name in apply).list.drop_nulls().alias("reasons")
    )["reasons"]
