"""HiGHS on the arc-flow linear program: one commodity a destination, all departures' capacities shared.

Exact, but for parts of parcels: no plan of whole parcels costs less (a refusal counts as that of the parcel at its
place which was ready first). Columns are rides, waits and refusals of every destination, rows the balance of each at
each departure, and the capacities.
"""

# highspy declares its arrays by exact shapes
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import highspy
import numpy as np
from scipy.sparse import csc_matrix

from benchmarks.peers.arcs import Arcs, arcs_of
from benchmarks.peers.problem import Answer, Problem, reply, tiny

SOLVER = "ipm"
"""Interior point with crossover, the fastest of HiGHS's methods here: on 396,000 columns 39 s, dual simplex 66 s."""


def solve(problem: Problem) -> Answer:
    """The optimum of the linear program."""
    rows = problem.rows
    begin = problem.begin(rows)
    commodities = []
    for destination in np.unique(problem.destination).tolist():
        groups = np.flatnonzero(problem.destination == destination)
        commodities.append(arcs_of(problem, rows, begin, destination, groups))
    model, rides = _model(problem, commodities)
    solver = highspy.Highs()
    solver.silent()
    solver.setOptionValue("solver", SOLVER)
    solver.passModel(model)
    solver.run()
    if solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        raise RuntimeError(f"HiGHS: {solver.modelStatusToString(solver.getModelStatus())}")
    flows = np.array(solver.getSolution().col_value)
    ridden = np.flatnonzero(rides >= 0)
    loads = np.bincount(rides[ridden], flows[ridden], len(problem.capacity)).astype(np.float64)
    refused = float(flows[rides == REFUSAL].sum()) + sum(arcs.stranded for arcs in commodities)
    stranded = sum(arcs.stranded_cost for arcs in commodities)
    return Answer(float(flows @ np.array(model.col_cost_)) + stranded - problem.waited, loads, refused)


WAIT, REFUSAL = -1, -2


def _model(problem: Problem, commodities: list[Arcs]) -> tuple[highspy.HighsLp, np.ndarray]:
    """The program, and what each column is: the row that is ridden, WAIT or REFUSAL."""
    capacities = len(problem.capacity)
    entries: list[tuple[np.ndarray, np.ndarray, float]] = []  # rows, columns, share
    costs, uppers, kinds, supplies = [], [], [], []
    first_column, first_row = 0, capacities
    for arcs in commodities:
        places = np.unique(np.concatenate([arcs.ride, arcs.wait]))
        row_of = np.full(capacities, -1)
        row_of[places] = first_row + np.arange(len(places))
        rides, waits, refusals = len(arcs.ride), len(arcs.wait), len(arcs.at)
        ride = first_column + np.arange(rides)
        wait = first_column + rides + np.arange(waits)
        refuse = first_column + rides + waits + np.arange(refusals)
        onward = arcs.ride_to >= 0
        entries += [
            (arcs.ride, ride, 1.0),
            (row_of[arcs.ride], ride, 1.0),
            (row_of[arcs.ride_to[onward]], ride[onward], -1.0),
            (row_of[arcs.wait], wait, 1.0),
            (row_of[arcs.wait_to], wait, -1.0),
            (row_of[arcs.at], refuse, 1.0),
        ]
        costs += [arcs.ride_cost, np.zeros(waits), arcs.refusal]
        uppers += [np.full(rides + waits, np.inf), arcs.count]
        kinds += [arcs.ride, np.full(waits, WAIT), np.full(refusals, REFUSAL)]
        supplies.append(np.bincount(row_of[arcs.at] - first_row, arcs.count, len(places)))
        first_column, first_row = first_column + rides + waits + refusals, first_row + len(places)
    row, column = (np.concatenate([entry[place] for entry in entries]) for place in (0, 1))
    share = np.concatenate([np.full(len(entry[0]), entry[2]) for entry in entries])
    matrix = csc_matrix((share, (row, column)), shape=(first_row, first_column))
    supply = np.concatenate(supplies)
    model = highspy.HighsLp()
    model.num_col_, model.num_row_ = first_column, first_row
    model.col_cost_ = np.concatenate(costs)
    model.col_lower_, model.col_upper_ = np.zeros(first_column), np.concatenate(uppers)
    model.row_lower_ = np.concatenate([np.full(capacities, -np.inf), supply])
    model.row_upper_ = np.concatenate([problem.capacity, supply])
    model.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    model.a_matrix_.start_, model.a_matrix_.index_ = matrix.indptr, matrix.indices
    model.a_matrix_.value_ = matrix.data
    return model, np.concatenate(kinds)


if __name__ == "__main__":
    reply(solve, lambda: solve(tiny()))
