"""Plans read back from disk: whole or refused, with every fault named."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

import rookery as rk
from rookery.flows.checking import TABLES
from rookery.terms.errors import InvalidInput

MANIFEST = {
    "start": "2026-03-02T00:00:00Z",
    "horizon_end": "2026-03-23T00:00:00Z",
    "horizon_days": 21,
    "outcomes": 8,
    "prices": "none",
}
SUMMARY = {"parcels": 0, "cost": 0.0, "congestion_gap": None, "seconds": {"plan": 0.1}, "orders": 0}


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """An empty plan on disk."""
    for name, schema in TABLES.items():
        pl.DataFrame(schema=schema).write_parquet(tmp_path / f"{name}.parquet")
    (tmp_path / "manifest.json").write_text(json.dumps(MANIFEST))
    (tmp_path / "summary.json").write_text(json.dumps(SUMMARY))
    return tmp_path


def test_a_whole_plan_is_read(written: Path) -> None:
    """What a plan tells beyond what is needed is kept, and a missing figure is for the check to name."""
    plan = rk.read_plan(written)
    assert (plan.manifest, plan.summary) == (MANIFEST, SUMMARY)
    assert {name: dict(getattr(plan, name).schema) for name in TABLES} == TABLES


@pytest.mark.parametrize(
    ("file", "change", "told"),
    [
        ("manifest", {"outcomes": "x"}, "outcomes"),
        ("manifest", {"outcomes": 0}, "outcomes"),
        ("manifest", {"outcomes": None}, "outcomes"),
        ("manifest", {"start": "soon"}, "start"),
        ("manifest", {"horizon_end": "2026-03-23T00:00:00"}, "horizon_end"),
        ("manifest", {"horizon_end": "2026-03-24T00:00:00Z"}, "horizon_end is not start"),
        ("manifest", {"horizon_days": 0}, "horizon_days"),
        ("manifest", {"feed": "f"}, "feed"),
        ("summary", {"cost": "dear"}, "cost"),
        ("summary", {"unassigned": 3}, "unassigned"),
        ("summary", {"grouped_weights": 1}, "grouped_weights"),
    ],
)
def test_a_wrong_value_is_named(written: Path, file: str, change: dict, told: str) -> None:
    """A manifest or summary whose values make no sense is refused, and the field is named."""
    whole = {"manifest": MANIFEST, "summary": SUMMARY}[file]
    (written / f"{file}.json").write_text(json.dumps(whole | change))
    with pytest.raises(InvalidInput, match=f"{file}.json: {told}"):
        rk.read_plan(written)


@pytest.mark.parametrize("content", [b"", b"[1]", b"\xff\xfe{", b'{"start": '])
@pytest.mark.parametrize("file", ["manifest", "summary"])
def test_a_broken_record_is_named(written: Path, file: str, content: bytes) -> None:
    """What is no JSON object is refused."""
    (written / f"{file}.json").write_bytes(content)
    with pytest.raises(InvalidInput, match=rf"{file}\.json"):
        rk.read_plan(written)


@pytest.mark.parametrize("at", [*range(0, 400, 7), -1, -5, -60])
def test_a_corrupt_table_is_named(written: Path, at: int) -> None:
    """Bytes changed or cut off anywhere in a Parquet file end in a plan that is read, or in one error that names it."""
    file = written / "legs.parquet"
    whole = file.read_bytes()
    at %= len(whole)
    for content in (whole[:at] + b"\xff" + whole[at + 1 :], whole[:at]):
        file.write_bytes(content)
        try:
            plan = rk.read_plan(written)
        except InvalidInput as fault:
            assert fault.code == "plan.damaged" and "legs.parquet" in str(fault)
        else:
            assert dict(plan.legs.schema) == TABLES["legs"]


def test_every_fault_is_told(written: Path) -> None:
    """One error names all that is wrong: lost files, columns and fields, and instants far out of time."""
    (written / "summary.json").unlink()
    (written / "manifest.json").write_text(json.dumps({**MANIFEST, "start": "soon", "outcomes": "x"}))
    (written / "legs.parquet").write_bytes(b"PAR1 and nothing else PAR1")
    pl.DataFrame(schema={"departure_id": pl.String}).write_parquet(written / "loads.parquet")
    row = {"promised_at": datetime(9999, 12, 31, 23, 59, tzinfo=UTC)}
    pl.DataFrame([row], schema=TABLES["parcels"]).write_parquet(written / "parcels.parquet")
    with pytest.raises(InvalidInput) as caught:
        rk.read_plan(written)
    for word in ("summary.json", "start", "outcomes", "legs.parquet", "depart_at", "promised_at is not always"):
        assert word in str(caught.value)


def test_a_sample_below_nothing_is_refused(make_feed, make_orders, written: Path) -> None:
    """No parcels can be drawn less than none."""
    with pytest.raises(InvalidInput, match="sample"):
        rk.check(make_feed(nodes=[{"node_id": "A"}]), make_orders(), written, sample=-1)
