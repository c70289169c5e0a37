"""The yardstick: how long scipy's csgraph takes for one destination of the network that is planned, here and now."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.peers.graph import event_graph_of, graph_of
from benchmarks.peers.problem import Problem
from benchmarks.peers.process import Peer

ONE_CALL, BATCHED = "scipy, one call a destination", "scipy"


@dataclass(frozen=True)
class Yardstick:
    """Seconds of one destination, the best of some rounds; `costs` (destinations, departures) are what all found.

    one_call, batched: on the leanest graph, one vertex a departure and time paid at the end, in a call of its own and
    as its share of one call for all. events: in a call of its own on the graph that textbooks draw, two vertices a
    departure and time paid on every arc.
    """

    one_call: float
    batched: float
    events: float
    costs: NDArray[np.float64]


def yardstick(problem: Problem, destinations: list[int], folder: Path, rounds: int = 5) -> Yardstick:
    """Measure all three, in turns. Raises AssertionError when they do not find the same."""
    columns = {name: getattr(problem, name) for name in ("frm", "to", "depart", "arrive")} | {"price": problem.cost}
    dated, rate = pl.DataFrame(columns), problem.cost_per_minute
    lean, events = graph_of(dated, destinations, rate), event_graph_of(dated, destinations, rate)
    folders = [folder / name for name in ("one_call", "batched", "events")]
    for place in folders:
        place.mkdir(exist_ok=True)
    with (
        Peer(ONE_CALL, lean, folders[0]) as one_call,
        Peer(BATCHED, lean, folders[1]) as batched,
        Peer(ONE_CALL, events, folders[2]) as textbook,
    ):
        peers = (one_call, batched, textbook)
        for peer in peers:
            peer.wait_until_ready()
        for _ in range(rounds):
            for peer in peers:
                peer.repeat()
        costs = batched.costs()
        np.testing.assert_array_equal(one_call.costs(), costs)
        from_departing = textbook.costs()[:, : len(problem.frm)]
        np.testing.assert_allclose(from_departing + rate * problem.depart, costs, rtol=1e-9)
    return Yardstick(one_call.best, batched.best, textbook.best, costs)
