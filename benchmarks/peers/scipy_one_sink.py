"""scipy.sparse.csgraph.dijkstra on a CSR matrix, each asked sink in a call of its own, `indices` one number."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra

from benchmarks.peers.graph import Graph
from benchmarks.peers.serve import Costs, Solve, serve


def prepare(graph: Graph) -> tuple[Solve, Costs]:
    """The matrix keeps the zeros of waiting: csgraph takes stored zeros as edges."""
    matrix = csr_matrix((graph.weight, (graph.tail, graph.head)), shape=(graph.vertices, graph.vertices))
    matrix.sort_indices()
    sinks = range(graph.departures, graph.vertices)
    return lambda: [dijkstra(matrix, directed=True, indices=sink) for sink in sinks], np.array


if __name__ == "__main__":
    serve(prepare)
