"""OR-Tools' SimpleMinCostFlow, which knows one commodity: destination after destination through what is left.

The destination with most parcels goes first. Each destination's flow is optimal given those before it; costs are
whole ten-thousandths. A refusal counts as that of the parcel at its place which was ready last.
"""

# OR-Tools declares its arrays by number type alone
# pyright: reportArgumentType=false, reportOperatorIssue=false, reportIndexIssue=false

from __future__ import annotations

import numpy as np
from ortools.graph.python import min_cost_flow

from benchmarks.peers.arcs import arcs_of
from benchmarks.peers.problem import Answer, Problem, reply, tiny

SCALE = 10_000


def solve(problem: Problem) -> Answer:
    """A feasible plan of whole parcels."""
    rows = problem.rows
    begin = problem.begin(rows)
    left = problem.capacity.astype(np.int64)
    sink = len(left)
    cost, refused = -problem.waited, 0
    volume = np.bincount(problem.destination, problem.count)
    for destination in np.argsort(-volume, kind="stable")[: np.count_nonzero(volume)].tolist():
        arcs = arcs_of(problem, rows, begin, destination, np.flatnonzero(problem.destination == destination))
        parcels = int(arcs.count.sum())
        places = np.concatenate([np.unique(np.concatenate([arcs.ride, arcs.wait])), [sink]])
        number = np.empty(sink + 1, np.int64)
        number[places] = np.arange(len(places))
        tail = np.concatenate([arcs.ride, arcs.wait, arcs.at])
        delivered = np.where(arcs.ride_to < 0, sink, arcs.ride_to)
        head = np.concatenate([delivered, arcs.wait_to, np.full(len(arcs.at), sink)])
        room = np.concatenate([left[arcs.ride], np.full(len(arcs.wait), parcels), arcs.count])
        each = np.concatenate([arcs.ride_cost, np.zeros(len(arcs.wait)), arcs.refusal_most])
        whole = np.round(each * SCALE).astype(np.int64)
        flow = min_cost_flow.SimpleMinCostFlow()
        flow.add_arcs_with_capacity_and_unit_cost(number[tail], number[head], room, whole)
        supply = np.bincount(number[arcs.at], arcs.count, len(places)).astype(np.int64)
        supply[number[sink]] = -parcels
        flow.set_nodes_supplies(np.arange(len(places)), supply)
        status = flow.solve()
        if status != flow.OPTIMAL:
            raise RuntimeError(f"OR-Tools: {status}")
        flows = flow.flows(np.arange(len(tail)))
        cost += float(flows @ each) + arcs.stranded_cost
        left[arcs.ride] -= flows[: len(arcs.ride)]
        refused += int(flows[len(arcs.ride) + len(arcs.wait) :].sum()) + arcs.stranded
    return Answer(cost, (problem.capacity - left).astype(np.float64), refused)


if __name__ == "__main__":
    reply(solve, lambda: solve(tiny()))
