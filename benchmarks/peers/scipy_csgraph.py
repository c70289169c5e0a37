"""scipy.sparse.csgraph.dijkstra on a CSR matrix, all asked sinks in one call (its copying is shared between them)."""

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
    sinks = np.arange(graph.departures, graph.vertices)
    return lambda: dijkstra(matrix, directed=True, indices=sinks), lambda found: found


if __name__ == "__main__":
    serve(prepare)
