"""The kernels against plain NumPy: the same numbers, whatever the floating type."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.planning.blocks import make_block
from rookery.planning.classes import weigh
from rookery.planning.engine.arrays import Net
from rookery.planning.engine.catch import catches, first_row, work
from rookery.planning.engine.scan import buffers, delivery_cost, rounding_down, scan_certain, scan_chance, scan_cost
from rookery.planning.engine.vector import LANES, rows
from rookery.planning.engine.walk import ride_from
from rookery.planning.timetable import factors, scaled_up, slices
from rookery.terms.time import NEVER


def random_net(seed: int, outcomes: int, nodes: int = 5, count: int = 60) -> tuple[Net, np.ndarray]:
    """A small timetable of whole numbers, and its cut-offs."""
    r = np.random.default_rng(seed)
    cutoff = np.sort(r.integers(0, 600, count)).astype(np.int32)
    frm = r.integers(0, nodes, count).astype(np.int32)
    to = ((frm + r.integers(1, nodes, count)) % nodes).astype(np.int32)
    ready = (cutoff[:, None] + np.sort(r.integers(1, 200, (count, outcomes)), axis=1)).astype(np.int32)
    ready[r.random((count, outcomes)) < 0.02] = NEVER
    node_rows = np.argsort(frm, kind="stable").astype(np.int32)
    node_from = np.searchsorted(frm[node_rows], np.arange(nodes + 1)).astype(np.int64)
    place = np.empty(count, np.int32)
    place[node_rows] = np.arange(count)
    catch_from, catch_row, share = catches(to, ready, node_from, node_rows, cutoff, int(NEVER))
    median = catches(to, ready[:, :1], node_from, node_rows, cutoff, int(NEVER))[1]
    net = Net(
        frm, to, r.integers(0, 3, count).astype(np.int32), r.integers(0, 9, count).astype(float),
        r.integers(0, 5, count).astype(float), ready, catch_from, catch_row, share, ready[:, 0].copy(), median,
        node_from, node_rows, place, 0,
    )  # fmt: skip
    return net, cutoff


def random_block(seed: int, outcomes: int, nodes: int = 5, dtype: type = np.float64):
    """A block of eleven columns to two destinations with every kind of wish."""
    r = np.random.default_rng(seed)
    count = 11
    return make_block(
        dtype, nodes, np.arange(count), kilograms=r.integers(1, 9, count) / 2,
        barred=np.where(r.random((count, 3)) < 0.85, 0.0, np.inf), destination=np.repeat([1, 3], [5, 6]),
        due=r.integers(100, 900, count), late=r.integers(0, 30, count).astype(float),
        late_day=r.integers(0, 3, count).astype(float), rate=r.integers(0, 3, count) / 64, tie=0.0,
        delivery=r.integers(0, 50, (count, outcomes)).astype(np.int32),
    )  # fmt: skip


def plain(net: Net, cutoff: np.ndarray, block, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Value and chance of every row by the text of the recurrence, one number at a time."""
    count = len(net.frm)
    value, chance = np.full((count + 1, columns), np.inf), np.zeros((count + 1, columns))
    for column in range(columns):
        held, held_chance = {}, {}
        for row in range(count - 1, -1, -1):
            price = (
                net.fixed[row] + net.per_kg[row] * block.kilograms[0, column] + block.barred[net.limits[row], column]
            )
            after, likely = [], []
            for ready in net.ready[row]:
                if block.first[net.to[row]] <= column < block.last[net.to[row]]:
                    cost, on_time = (np.inf, 0.0) if ready == NEVER else delivery_cost(block, column, int(ready), 0)
                else:
                    caught = first_row(net.to[row], int(ready), net.node_from, net.node_rows, cutoff, count)
                    caught = count if ready == NEVER else caught
                    cost, on_time = value[caught, column], chance[caught, column]
                after.append(cost)
                likely.append(on_time)
            ride, node = price + np.mean(after), int(net.frm[row])
            if ride < held.get(node, np.inf):
                held[node], held_chance[node] = ride, np.mean(likely)
            value[row, column], chance[row, column] = held.get(node, np.inf), held_chance.get(node, 0.0)
    return value, chance


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("outcomes", [1, 2, 8])
@pytest.mark.parametrize("seed", range(4))
def test_the_scan_fills_the_tables_of_the_recurrence(seed, outcomes, dtype):
    """Value and chance equal the plain recurrence at every row and column, and never exceed it by rounding."""
    net, cutoff = random_net(seed, outcomes)
    block = random_block(seed, outcomes, dtype=dtype)
    expected, chances = plain(net, cutoff, block, 11)
    small = net._replace(**{n: getattr(net, n).astype(dtype) for n in ("fixed", "per_kg", "catch_share")})
    down = rounding_down(dtype, outcomes)
    memory = buffers(net, dtype, chance=True)
    chance, held_chance = rows(len(net.frm) + 1, dtype), rows(5, dtype)
    chance[len(net.frm)] = 0
    scan_chance(
        small, block, 0, down, int(NEVER), memory["value"], memory["held"], memory["spare"], chance, held_chance,
        dtype(1), dtype(0),
    )  # fmt: skip
    precise = 1e-5 if dtype is np.float32 else 1e-12
    np.testing.assert_allclose(memory["value"][:, :11], expected, rtol=precise)
    assert (memory["value"][:, :11] <= expected * (1 + 1e-15)).all()
    near_tie = dtype is np.float32  # a tie may fall either way there
    assert np.mean(np.abs(chance[:, :11] - chances) < 1e-4) > (0.9 if near_tie else 0.999)
    scans = (scan_cost, scan_certain) if outcomes == 1 else (scan_cost,)
    for scan in scans:
        other = buffers(net, dtype)
        scan(small, block, 0, down, int(NEVER), other["value"], other["held"], other["spare"])
        np.testing.assert_allclose(other["value"][:, :11], expected, rtol=precise)


@pytest.mark.parametrize("seed", range(6))
def test_waiting_never_gains_value_and_rides_stand_where_it_would_lose(seed):
    """Along a node's rows the value never falls, and the ride from a row is the last one of equal value."""
    (net, _), block = random_net(seed, 4), random_block(seed, 4)
    memory = buffers(net, np.float64)
    down = rounding_down(np.float64, 4)
    scan_cost(net, block, 0, down, int(NEVER), memory["value"], memory["held"], memory["spare"])
    for node in range(5):
        mine = net.node_rows[net.node_from[node] : net.node_from[node + 1]]
        value = memory["value"][mine, :11]
        assert (value[1:] >= value[:-1]).all()
        for column in range(11):
            for place, row in enumerate(mine):
                if np.isfinite(value[place, column]):
                    same = np.flatnonzero(value[:, column] == value[place, column])
                    assert ride_from(net, memory["value"], column, row) == mine[same[-1]]


@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(1, 40)), min_size=1, max_size=6),
    st.integers(0, 300),
    st.integers(0, 90),
)
def test_handling_counts_open_minutes_only(gaps, arrive, handling):
    """The end of handling equals counting minute by minute while open."""
    opens, closes, at = [], [], 0
    for gap, length in gaps:
        opens.append(at + gap + 1)
        at = opens[-1] + length
        closes.append(at)
    opened, closed = np.array(opens), np.array(closes)
    worked = np.concatenate([[0], np.cumsum(closed - opened)])[:-1]

    def is_open(minute):
        return any(o <= minute < c for o, c in zip(opens, closes, strict=True))

    minute, left = arrive, handling
    while minute <= closes[-1] and (left > 0 or not is_open(minute)):
        left -= is_open(minute)
        minute += 1
        if handling > 0 and left == 0:
            break
    expected = minute if left == 0 and (handling > 0 or is_open(minute)) else int(NEVER)
    assert work(arrive, handling, opened, closed, worked, int(NEVER)) == expected


def test_outcomes_are_exact_decimals():
    """60 minutes x 1.1 is 66 minutes, not 67: factors are the decimals that were written."""
    (factor,) = factors([(0.5, 1.1)], slices(1))
    assert scaled_up(np.array([60, 61]), factor).tolist() == [66, 68]


def test_factors_are_linear_between_quantiles_and_constant_beyond():
    """The mid-quantiles of four slices, read off a distribution of three points."""
    points = [(0.25, 0.9), (0.5, 1.0), (0.75, 1.2)]
    assert [float(f) for f in factors(points, slices(4))] == [0.9, 0.95, 1.1, 1.2]


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(1, 40)), min_size=1, max_size=60),
    st.sampled_from([0, 2, 3, 8, 16]),
)
def test_every_weight_lies_between_its_columns(parcels, most):
    """Near and far columns are of the parcel's class, enclose its weight, and share a block when both count."""
    class_of = np.array([c for c, _ in parcels], np.int64)
    grams = np.array([g for _, g in parcels], float)
    grid = weigh(class_of, grams, most)
    assert (grid.class_of[grid.near] == class_of).all()
    mixed = (1 - grid.share_far) * grid.grams[grid.near] + grid.share_far * grid.grams[grid.far]
    np.testing.assert_allclose(mixed, grams)
    between = grid.share_far > 0
    assert (grid.class_of[grid.far] == class_of)[between].all()
    assert (grid.place[grid.near] // LANES == grid.place[grid.far] // LANES)[between].all()
    assert len(np.unique(grid.place)) == len(grid.place)
    if most:
        assert np.unique(grid.class_of, return_counts=True)[1].max() <= most
    else:
        assert not between.any()
