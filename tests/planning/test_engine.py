"""The kernels against plain NumPy: the same numbers, whatever the floating type."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.planning.blocks import make_block
from rookery.planning.classes import weigh
from rookery.planning.engine.arrays import Net
from rookery.planning.engine.catch import catches, first_row, work
from rookery.planning.engine.scan import (
    TIE,
    buffers,
    rounding_down,
    scan_certain,
    scan_chance,
    scan_cost,
    scan_exact,
    with_chance,
    with_when,
)
from rookery.planning.engine.vector import LANES
from rookery.planning.engine.walk import push, ride_from
from rookery.planning.timetable import factors, scaled_up, slices
from rookery.terms.time import NEVER


def random_net(seed: int, outcomes: int, nodes: int = 5, count: int = 60) -> tuple[Net, np.ndarray]:
    """A small timetable whose prices no binary number holds exactly, and its cut-offs."""
    r = np.random.default_rng(seed)
    cutoff = np.sort(r.integers(0, 600, count)).astype(np.int32)
    frm = r.integers(0, nodes, count).astype(np.int32)
    to = ((frm + r.integers(1, nodes, count)) % nodes).astype(np.int32)
    ready = (cutoff[:, None] + np.sort(r.integers(1, 200, (count, outcomes)), axis=1)).astype(np.int32)
    ready[r.random((count, outcomes)) < 0.02] = NEVER
    ready.sort(axis=1)
    node_rows = np.argsort(frm, kind="stable").astype(np.int32)
    node_from = np.searchsorted(frm[node_rows], np.arange(nodes + 1)).astype(np.int64)
    place = np.empty(count, np.int32)
    place[node_rows] = np.arange(count)
    catch_from, catch_row, share = catches(to, ready, node_from, node_rows, cutoff, int(NEVER))
    median = catches(to, ready[:, :1], node_from, node_rows, cutoff, int(NEVER))[1]
    net = Net(
        frm, to, r.integers(0, 3, count).astype(np.int32), r.integers(0, 9, count) / 10, r.integers(0, 5, count) / 10,
        ready, catch_from, catch_row, share, ready[:, 0].copy(), median, node_from, node_rows, place, 0,
    )  # fmt: skip
    return net, cutoff


def random_block(seed: int, outcomes: int, nodes: int = 5, dtype: type = np.float64):
    """A block of eleven columns to two destinations with every kind of wish."""
    r = np.random.default_rng(seed)
    count = 11
    return make_block(
        dtype, nodes, np.arange(count), kilograms=r.integers(1, 90, count) / 10,
        barred=np.where(r.random((count, 3)) < 0.85, 0.0, np.inf), destination=np.repeat([1, 3], [5, 6]),
        due=r.integers(100, 900, count), late=r.integers(0, 30, count) / 10,
        late_day=r.integers(0, 3, count) / 10, rate=r.integers(0, 3, count) / 1440,
        delivery=r.integers(0, 50, (count, outcomes)).astype(np.int32),
    )  # fmt: skip


def true_values(net: Net, cutoff: np.ndarray, block, column: int) -> list[Fraction | None]:
    """The value of every row by the text of the recurrence, in exact fractions; None = no way on.

    The feed's numbers are taken as the 8-byte numbers they are, so that nothing but the tables' own sums is judged.
    """
    count, outcomes = net.ready.shape
    value: list[Fraction | None] = [None] * (count + 1)
    held: dict[int, Fraction] = {}
    kilograms = Fraction(float(KILOGRAMS[id(block)][column]))
    for row in range(count - 1, -1, -1):
        going: Fraction | None = None
        if block.barred[net.limits[row], column] == 0:
            going = Fraction(float(net.fixed[row])) + Fraction(float(net.per_kg[row])) * kilograms
        for ready in net.ready[row].tolist():
            after = None
            if ready != NEVER and block.first[net.to[row]] <= column < block.last[net.to[row]]:
                after = true_delivery(block, column, ready)
            elif ready != NEVER:
                after = value[first_row(net.to[row], ready, net.node_from, net.node_rows, cutoff, count)]
            going = None if going is None or after is None else going + after / outcomes
        node = int(net.frm[row])
        if going is not None and (node not in held or going < held[node]):
            held[node] = going
        value[row] = held.get(node)
    return value


KILOGRAMS: dict[int, np.ndarray] = {}


def true_delivery(block, column: int, at: int) -> Fraction:
    """Cost of lateness and time, exactly."""
    total = Fraction(0)
    for minutes in block.delivery[column].tolist():
        delivered, due = at + minutes, int(block.due[column])
        total += Fraction(float(block.rate[column])) * delivered
        if delivered > due:
            days = -(-(delivered - due) // 1440)
            total += Fraction(float(block.late[column])) + Fraction(float(block.late_day[column])) * days
    return total / block.delivery.shape[1]


def scanned(scan, net: Net, block, dtype: type) -> dict[str, np.ndarray]:
    """The tables that a kernel fills, from prices cast to `dtype`."""
    outcomes = net.ready.shape[1]
    cast = net._replace(**{name: getattr(net, name).astype(dtype) for name in ("fixed", "per_kg", "catch_share")})
    memory = with_when(net, with_chance(net, buffers(net, dtype), np.float64 if scan is scan_exact else np.uint16))
    arguments = [memory[name] for name in ("value", "held", "spare", "ride")]
    if scan in (scan_chance, scan_exact):
        arguments += [memory["chance"], memory["held_chance"]]
    if scan is scan_exact:
        arguments += [memory["when"], memory["held_when"]]
    if scan is scan_chance:
        arguments += [dtype(65535), dtype(0.5)]
    scan(cast, block, 0, rounding_down(dtype, outcomes), int(NEVER), *arguments)
    return memory


KERNELS = [
    (scan_certain, np.float32, 1),
    (scan_cost, np.float32, 1),
    (scan_cost, np.float32, 3),
    (scan_cost, np.float32, 8),
    (scan_chance, np.float32, 8),
    (scan_chance, np.float32, 20),
    (scan_exact, np.float64, 1),
    (scan_exact, np.float64, 7),
    (scan_exact, np.float64, 8),
]


@pytest.mark.parametrize(("scan", "dtype", "outcomes"), KERNELS)
@pytest.mark.parametrize("seed", range(3))
def test_tables_come_close_to_the_true_value_and_never_lie_above_it(seed, scan, dtype, outcomes):
    """Every value is at most the recurrence in exact fractions, by no more than roundings can explain."""
    net, cutoff = random_net(seed, outcomes)
    block = random_block(seed, outcomes, dtype=dtype)
    exact_block = random_block(seed, outcomes)
    KILOGRAMS[id(exact_block)] = exact_block.kilograms[0]
    value = scanned(scan, net, block, dtype)["value"]
    for column in range(11):
        for row, true in enumerate(true_values(net, cutoff, exact_block, column)[:-1]):
            if true is None:
                assert np.isinf(value[row, column])
            else:
                found = Fraction(float(value[row, column]))
                assert found <= true
                assert found >= true * (1 - Fraction(float(np.finfo(dtype).eps)) * 60 * (2 * outcomes + 8))


@pytest.mark.parametrize("seed", range(4))
def test_a_scan_that_does_not_round_down_would_be_caught(seed):
    """With the lowering taken away, some value of these very cases lies above the true one: the test above can fail."""
    above = 0
    for outcomes in (3, 7):
        net, cutoff = random_net(seed, outcomes)
        block = random_block(seed, outcomes, dtype=np.float32)
        exact_block = random_block(seed, outcomes)
        KILOGRAMS[id(exact_block)] = exact_block.kilograms[0]
        memory = buffers(net, np.float32)
        cast = net._replace(**{n: getattr(net, n).astype(np.float32) for n in ("fixed", "per_kg", "catch_share")})
        tables = [memory[name] for name in ("value", "held", "spare", "ride")]
        scan_cost(cast, block, 0, np.float32(1), int(NEVER), *tables)
        for column in range(11):
            for row, true in enumerate(true_values(net, cutoff, exact_block, column)[:-1]):
                above += true is not None and Fraction(float(memory["value"][row, column])) > true
    assert above > 0


@pytest.mark.parametrize(("scan", "dtype", "outcomes"), KERNELS)
@pytest.mark.parametrize("seed", range(3))
def test_waiting_never_gains_value_and_rides_stand_where_waiting_would_cost(seed, scan, dtype, outcomes):
    """Along a node's rows the value never falls, and every row of finite value leads to a ride of the same value."""
    net, _ = random_net(seed, outcomes)
    memory = scanned(scan, net, random_block(seed, outcomes, dtype=dtype), dtype)
    for node in range(5):
        mine = net.node_rows[net.node_from[node] : net.node_from[node + 1]]
        value = memory["value"][mine, :11]
        assert (value[1:] >= value[:-1]).all()
        for column in range(11):
            for place, row in enumerate(mine):
                if np.isfinite(value[place, column]):
                    ride = ride_from(net, memory["ride"], column, row)
                    worth = memory["value"][ride, column]
                    assert worth == pytest.approx(value[place, column], abs=2 * TIE if dtype is np.float64 else 0)
                    assert net.frm[ride] == node and ride >= row


@pytest.mark.parametrize("seed", range(3))
def test_chances_are_those_of_the_policy(seed):
    """Chance and expected minute of the tables equal what following the policy through every outcome gives."""
    net, _ = random_net(seed, 4)
    block = random_block(seed, 4)
    memory = scanned(scan_exact, net, block, np.float64)
    rides, chances = np.empty(64, np.int32), np.empty(64)
    for column in range(11):
        for row in range(len(net.frm)):
            if np.isfinite(memory["value"][row, column]):
                found = push(net, block, memory["ride"], column, row, 0.9, rides, chances, 0)
                assert found[6] == pytest.approx(memory["chance"][row, column])
                assert found[7] == pytest.approx(memory["when"][row, column])
                price = found[3] + found[4] * block.kilograms[0, column]
                assert price + found[5] == pytest.approx(memory["value"][row, column], abs=1e-7)


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
