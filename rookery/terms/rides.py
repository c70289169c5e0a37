"""Ride tables: where a policy rides, for every parcel of a batch, without costs and chances.

*Places* number the dated departures node by node, by cut-off; a *column* is a destination with one class of parcel.
Column c rides the departure at place p when bit c % 16 of rides[c // 16, p] is set; a parcel that is ready at a node
rides the first such departure whose cut-off is not before that. No bit is set where nothing leads on.
"""

from __future__ import annotations

from dataclasses import dataclass

from numpy.typing import NDArray


@dataclass(frozen=True)
class RideTables:
    """A policy as bits: P departures, M nodes, B blocks of sixteen columns, n parcels."""

    first: NDArray  # int64 (M + 1): places first[u] .. first[u + 1] - 1 leave node u
    cutoff: NDArray  # int32 (P): UTC minute
    departure: NDArray  # int32 (P): row of the feed's departures
    scheduled_at: NDArray  # int32 (P): with `departure` it names the run, whatever delays it
    rides: NDArray  # uint16 (B, P)
    column: NDArray  # int32 (n): each parcel's column; -1 = it has none, being nowhere or there already
