"""The policy table as a file format: what does not fit together is refused, and nothing is read out of bounds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from rookery.terms.errors import InvalidInput
from rookery.terms.policy import FORMAT, NO_WAY, PolicyTable
from rookery.terms.time import to_minute

BEGIN = datetime(2026, 9, 14, tzinfo=UTC)
START = to_minute(BEGIN)
COUNT = 20  # departures, one an hour: twelve from A, the others from B


def write(folder: Path, **change) -> Path:
    """A table of two columns, written by hand; change: arrays or frames to put instead of the right ones."""
    folder.mkdir()
    names = [f"d{i}" for i in range(COUNT)]
    cutoff = (START + 60 * np.concatenate([np.arange(12), np.arange(8)])).astype(np.int32)
    ride = np.zeros((2, COUNT // 8 + 1), np.uint8)
    ride[:, 1] = 0b1000  # place 11, the last of A
    ride[:, 2] = 0b1000  # place 19, the last of B
    right = {
        "index.json": f'{{"format": {FORMAT}, "start": {START}, "currency": "EUR"}}',
        "nodes": pl.DataFrame({"node_id": ["A", "B"], "first": [0, 12]}),
        "departures": pl.DataFrame(
            {"departure_id": names, "lane_id": names, "mode": ["van"] * COUNT, "to_node": ["B"] * COUNT}
        ).with_columns(cutoff_at=pl.Series(cutoff), depart_at=pl.Series(cutoff)),
        "columns": pl.DataFrame(
            {
                "destination": ["B", "B"],
                "goods": ["general", "general"],
                "due_minute": [START + 600, START + 1200],
                "heaviest_g": [1000.0, 1000.0],
                "service_id": [None, None],
                "time_cost_per_day": [0.0, 0.0],
                "cost_step": [0.5, 0.5],
            }
        ),
        "cutoff": cutoff,
        "ride": ride,
        "cost": np.full((2, COUNT), 4, np.uint16),
        "chance": np.full((2, COUNT), 255, np.uint8),
    }
    for name, value in (right | change).items():
        if isinstance(value, np.ndarray):
            np.save(folder / f"{name}.npy", value)
        elif isinstance(value, pl.DataFrame):
            value.write_parquet(folder / f"{name}.parquet")
        else:
            (folder / name).write_text(value)
    return folder


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return PolicyTable.open(write(tmp_path_factory.mktemp("policy") / "policy"))


def test_a_table_made_by_hand_is_read(table):
    """From A the parcel waits for the last departure; after it there is no way on."""
    move = table.move(table.column("B", BEGIN + timedelta(hours=15)), "A", BEGIN)
    assert (move.departure_id, move.cost, move.chance) == ("d11", 2.0, 1.0)
    assert table.move(0, "A", BEGIN + timedelta(hours=13)) is None
    assert table.columns_to("B") == range(2) and table.promise(range(2), 0, START, 0.9) == (0, 2.0, 1.0)


@pytest.mark.parametrize(
    "change",
    [
        {"cutoff": np.zeros(COUNT, np.int64)},
        {"cutoff": np.zeros(COUNT - 1, np.int32)},
        {"ride": np.zeros((2, COUNT // 8), np.uint8)},
        {"ride": np.zeros((1, COUNT // 8 + 1), np.uint8)},
        {"cost": np.zeros((2, COUNT), np.float32)},
        {"cost": np.zeros((1, COUNT), np.uint16)},
        {"chance": np.zeros((2, COUNT + 1), np.uint8)},
        {"chance": np.zeros(COUNT, np.uint8)},
        {"nodes": pl.DataFrame({"node_id": ["A", "B"], "first": [0, 40]})},
        {"nodes": pl.DataFrame({"node_id": ["A", "B"], "first": [12, 0]})},
        {"nodes": pl.DataFrame({"node_id": ["A", "B"], "first": [-4, 12]})},
        {"nodes": pl.DataFrame({"node_id": ["A", "B"], "first": [0, None]})},
        {"nodes": pl.DataFrame({"node_id": ["A"], "last": [0]})},
        {"departures": pl.DataFrame({"departure_id": ["d"] * COUNT})},
        {"columns": pl.DataFrame({"destination": ["B", "B"], "goods": [1, 2]})},
        {"index.json": "[1]"},
        {"index.json": "{"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_files_that_do_not_fit_together_are_refused(tmp_path, change):
    """A wrong type, a wrong shape or a missing column is an error that says so and what to do."""
    with pytest.raises(InvalidInput, match="Next: plan again") as told:
        PolicyTable.open(write(tmp_path / "policy", **change))
    assert told.value.code == "policy.damaged"


def test_a_file_cut_short_is_refused(tmp_path):
    """Half an array is not mapped."""
    folder = write(tmp_path / "policy")
    whole = (folder / "cost.npy").read_bytes()
    (folder / "cost.npy").write_bytes(whole[:-20])
    with pytest.raises(InvalidInput, match="cannot be read"):
        PolicyTable.open(folder)


@pytest.mark.parametrize(("column", "node"), [(2, 0), (-1, 0), (0, 2), (0, -1), (10**12, 0), (0, 10**12)])
def test_numbers_of_no_column_or_node_are_refused(table, column, node):
    """A number out of range is an error in every look-up, not a read beyond the table."""
    columns, nodes, at = np.array([0, column]), np.array([0, node]), np.array([START, START])
    for ask in (table.moves, table.worths):
        with pytest.raises(InvalidInput, match="no column, or no node") as told:
            ask(columns, nodes, at)
        assert told.value.code == "policy.out_of_range"
    with pytest.raises(InvalidInput, match="no column, or no node"):
        table.promise(range(column, column + 1), node, START, 0.9)


def test_arrays_that_do_not_match_are_refused(table):
    """Arrays of other lengths, shapes or kinds are an error; none at all is none."""
    zero = np.zeros(2, np.int64)
    for asked in ((zero, zero[:1], zero), (zero, zero, zero[:1]), (zero.astype(float), zero, zero), (zero[None],) * 3):
        with pytest.raises(InvalidInput, match="integer arrays of one length"):
            table.moves(*asked)
    assert [len(answer) for answer in table.moves(zero[:0], zero[:0], zero[:0])] == [0, 0, 0]


def test_a_table_that_never_rides_ends_at_its_node(tmp_path):
    """Where damage has wiped the ride bits the search ends with the node: no way on, not another node's departure."""
    ride = np.zeros((2, COUNT // 8 + 1), np.uint8)
    ride[:, 2] = 0b1000  # of B alone
    damaged = PolicyTable.open(write(tmp_path / "policy", ride=ride))
    place, cost, chance = damaged.moves(np.array([0, 0]), np.array([0, 1]), np.array([START, START]))
    assert place.tolist() == [-1, 19] and cost[0] == np.inf and chance[0] == 0
    ride[:, 2] = 0
    (tmp_path / "second").mkdir()
    none = PolicyTable.open(write(tmp_path / "second" / "policy", ride=ride))
    assert none.moves(np.array([1]), np.array([1]), np.array([START]))[0].tolist() == [-1]


def test_no_way_on_is_said(tmp_path):
    """A cost of 65535 steps is no way on."""
    table = PolicyTable.open(write(tmp_path / "policy", cost=np.full((2, COUNT), NO_WAY, np.uint16)))
    assert table.worths(np.array([0]), np.array([0]), np.array([START]))[0][0] == np.inf
    assert table.promise(range(2), 0, START, 0.1)[0] == -1
