"""The process of a peer: builds its graph, then solves whenever a line comes in and answers with the seconds.

Called as `python -m benchmarks.peers.NAME GRAPH.npz COSTS.npy`. The first answer is {"ready": true, ...}; each line
"go" is answered by {"seconds": per destination}. When the input ends, the costs found are written: (destinations,
departures).
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.graph import Graph

Solve = Callable[[], Any]
Costs = Callable[[Any], NDArray[np.float64]]
"""From what solve() gave to costs (destinations, vertices), infinite where there is no path; not timed."""


def serve(prepare: Callable[[Graph], tuple[Solve, Costs]]) -> None:
    """Answer on stdout until the input ends."""
    graph = Graph.load(sys.argv[1])
    begin = time.perf_counter()
    solve, costs = prepare(graph)
    _say({"ready": True, "build": time.perf_counter() - begin})
    gc.collect()
    gc.freeze()  # the graph is not looked through again at every collection
    answer: Any = None
    for _ in sys.stdin:
        begin = time.perf_counter()
        answer = solve()
        _say({"seconds": (time.perf_counter() - begin) / graph.sinks})
    if answer is not None:
        np.save(sys.argv[2], costs(answer)[:, : graph.departures])


def by_vertex(graph: Graph, found: Any) -> NDArray[np.float64]:
    """Costs (vertices) from a mapping vertex -> cost."""
    costs = np.full(graph.vertices, np.inf)
    costs[np.fromiter(found.keys(), np.int64, len(found))] = np.fromiter(found.values(), np.float64, len(found))
    return costs


def _say(message: dict[str, Any]) -> None:
    print(json.dumps(message), flush=True)
