"""rustworkx.digraph_dijkstra_shortest_path_lengths on weights that are Python floats, read by `float`."""

from __future__ import annotations

import numpy as np
import rustworkx

from benchmarks.peers.graph import Graph
from benchmarks.peers.serve import Costs, Solve, by_vertex, serve


def prepare(graph: Graph) -> tuple[Solve, Costs]:
    """A directed graph without parallel edges."""
    net = rustworkx.PyDiGraph(multigraph=False)
    net.add_nodes_from(range(graph.vertices))
    net.add_edges_from(list(zip(graph.tail.tolist(), graph.head.tolist(), graph.weight.tolist())))
    sinks = range(graph.departures, graph.vertices)
    return (
        lambda: [rustworkx.digraph_dijkstra_shortest_path_lengths(net, sink, float) for sink in sinks],
        lambda found: np.array([by_vertex(graph, one) for one in found]),
    )


if __name__ == "__main__":
    serve(prepare)
