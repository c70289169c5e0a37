"""Deterministic tables for every departure and destination, against shortest-path libraries doing the same work."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from benchmarks.form import Result, Say, Show, Table
from benchmarks.peers.graph import graph_of
from benchmarks.peers.process import Peer
from benchmarks.planning.instance import PLAIN, Instance, Pass, certain, dated_departures
from benchmarks.planning.sizes import Size
from rookery.terms.time import DAY

NAMES = {"scipy": "scipy csgraph", "rustworkx": "rustworkx", "networkx": "networkx"}
SAME = 1e-5
"""Largest relative difference between costs that counts as equal: ours are 4-byte numbers, rounded down."""


def run(size: Size, say: Say) -> Result:
    """Time our pass over all destinations, and peers on a few; repeats are interleaved and the best of each counts."""
    instance = Instance(size)
    net = instance.certain.net
    blocks = instance.blocks(instance.certain, PLAIN)
    ours = Pass(instance.certain, blocks, certain, size.threads)
    destinations = np.linspace(0, size.nodes - 1, max(size.sampled.values()) + 2).astype(int)[1:-1].tolist()
    dated = dated_departures(instance)
    best = float("inf")
    with TemporaryDirectory() as folder, ExitStack() as running:
        say(f"{len(net.frm):,} departures x {size.nodes} destinations; building the peers' graphs")
        peers: dict[str, Peer] = {}
        for name, count in size.sampled.items():
            graph = graph_of(dated, destinations[:count], PLAIN[0].time_cost_per_day / DAY)
            peers[name] = running.enter_context(Peer(name, graph, Path(folder)))
        for peer in peers.values():
            peer.wait_until_ready()
        for number in range(2 * size.rounds):
            best = min(best, *(ours.seconds() for _ in range(3)))
            for name, peer in peers.items():
                if name != "networkx" or number < 2:  # slow enough to be steady
                    peer.repeat()
            say(f"round {number + 1} of {2 * size.rounds}: ours {best:.3f} s at best")
        found = {name: peer.costs() for name, peer in peers.items()}
    mine = np.array([ours.destination(destination) for destination in destinations], np.float64)
    seconds = {name: peer.best * size.nodes for name, peer in peers.items()}
    difference = {name: largest_difference(mine[: len(costs)], costs) for name, costs in found.items()}
    target = {"scipy": ">= 600"}
    return Result(
        shows=[
            *(Show(f"deterministic scan against {NAMES[n]}", seconds[n] / best, "times", target.get(n)) for n in peers),
            Show("deterministic tables, all departures x all destinations", best, "s"),
            Show("relaxations a second", len(net.frm) * size.nodes / best / 1e6, "million/s"),
            *(
                Show(f"largest relative difference from the costs of {NAMES[n]}", difference[n], "", f"<= {SAME}")
                for n in peers
            ),
        ],
        tables=[
            Table(
                f"deterministic tables: {len(net.frm):,} departures x {size.nodes} destinations",
                ("", "s a destination", "s for all", "times ours", "destinations solved", "largest difference"),
                [
                    (f"rookery, {size.threads} threads", best / size.nodes, best, 1.0, size.nodes, 0.0),
                    *(
                        (NAMES[n], p.best, seconds[n], seconds[n] / best, size.sampled[n], difference[n])
                        for n, p in peers.items()
                    ),
                ],
                "peers solve one destination after the other on one core, their graphs built beforehand",
            )
        ],
    )


def largest_difference(mine: NDArray[np.float64], theirs: NDArray[np.float64]) -> float:
    """The largest relative difference of costs over all departures; infinite where only one of them finds a way."""
    reached = np.isfinite(theirs)
    if not np.array_equal(reached, np.isfinite(mine)):
        return float("inf")
    return float(np.max(np.abs(mine[reached] - theirs[reached]) / theirs[reached], initial=0.0))
