"""networkx.single_source_dijkstra_path_length on a DiGraph with a weight attribute."""

from __future__ import annotations

import networkx
import numpy as np

from benchmarks.peers.graph import Graph
from benchmarks.peers.serve import Costs, Solve, by_vertex, serve


def prepare(graph: Graph) -> tuple[Solve, Costs]:
    """A directed graph of Python numbers."""
    net = networkx.DiGraph()
    net.add_nodes_from(range(graph.vertices))
    net.add_weighted_edges_from(zip(graph.tail.tolist(), graph.head.tolist(), graph.weight.tolist()))
    sinks = range(graph.departures, graph.vertices)
    return (
        lambda: [networkx.single_source_dijkstra_path_length(net, sink) for sink in sinks],
        lambda found: np.array([by_vertex(graph, one) for one in found]),
    )


if __name__ == "__main__":
    serve(prepare)
