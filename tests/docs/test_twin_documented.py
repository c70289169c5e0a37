"""The page of formats and the twin say the same: keys of experiments with their defaults, columns, kinds of scan."""

from __future__ import annotations

import re
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest
from msgspec.structs import fields

from rookery.flows.rehearsals.experimenting import run_experiment
from rookery.flows.rehearsals.rehearsed import TABLES
from rookery.network import read_feed, sample_network
from rookery.orders import read_orders, sample_orders, write_orders
from rookery.terms.frames import SCANS
from rookery.twin.model import CALM, POLICIES, ROUGH, Experiment, Incident
from rookery.twin.scans import KINDS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "reference" / "formats.md").read_text()
TWIN = PAGE[PAGE.index("\n## The twin\n") :]
TRIALS = TWIN[TWIN.index("`twin.json` (") :]
DAY = datetime(2026, 9, 15, tzinfo=UTC)


def table(heading: str, text: str = TWIN) -> list[list[str]]:
    """The rows of the first table of a text whose heading begins so, cell by cell."""
    lines = text[text.index(f"| {heading} |") :].splitlines()
    rows = lines[2 : next(place for place, line in enumerate(lines) if not line.startswith("|"))]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def meant(cell: str) -> Any:
    """A default as TOML says it; None for an empty cell."""
    return tomllib.loads(f"x = {cell.strip('`')}")["x"] if cell else None


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    """What a rehearsal writes."""
    folder = tmp_path_factory.mktemp("twin")
    feed = read_feed(sample_network("tiny", 7, folder / "feed"))
    write_orders(sample_orders(feed, 10, 7), folder / "orders.csv")
    tried = Experiment(name="x", outcomes=1, runs=1)
    return run_experiment(feed, read_orders(folder / "orders.csv"), tried, log=True, threads=1).write(folder / "out")


def _default(field: Any) -> Any:
    """What a field is when nothing is said, as JSON has it."""
    made = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    return msgspec.json.decode(msgspec.json.encode(made))


@pytest.mark.parametrize(
    ("heading", "made"),
    [("key", Experiment), ("key of `[[incidents]]`", Incident)],
)
def test_every_key_stands_on_the_page_with_its_default(heading, made):
    """Keys of experiments and incidents, what is required and every default are those of the program."""
    told = {row[0].strip("`*"): (row[0].endswith("*"), meant(row[1])) for row in table(heading)}
    known = {field.name: (field.required, None if field.required else _default(field)) for field in fields(made)}
    assert told == known


def test_every_trouble_stands_on_the_page_with_its_figures():
    """Each figure of trouble is on the page as it is in the calm and in the rough world."""
    told = {row[0].strip("`"): (meant(row[1]), meant(row[2])) for row in table("key of `[trouble]`")}
    calm, rough = msgspec.to_builtins(CALM), msgspec.to_builtins(ROUGH)
    assert told == {name: (calm[name], rough[name]) for name in calm}


def test_every_column_stands_on_the_page(written):
    """The files of a policy's folder and the columns of each, in their order, are those that are written."""
    told = {row[0].strip("`"): re.findall(r"`(\w+)`", row[2]) for row in table("file")}
    kept = {file.name: list(pl.read_parquet_schema(file)) for file in (written / "follow").glob("*.parquet")}
    assert told == kept
    assert sorted(kept) == sorted(f"{name}.parquet" for name in TABLES)
    assert told["scans.parquet"] == list(SCANS)


def test_every_figure_stands_on_the_page(written):
    """The keys of a trial in twin.json, and those around them, are on the page."""
    told = msgspec.json.decode((written / "twin.json").read_bytes())
    assert set(re.findall(r"`(\w+)`", " ".join(row[0] for row in table("key", TRIALS)))) == set(told["trials"][0])
    assert all(f"`{name}`" in TRIALS.split("\n\n")[0] for name in told)


def test_every_kind_of_scan_and_every_policy_stands_on_the_page():
    """Kinds of scan are told in the formats, policies there and on the page about the twin."""
    scans = TWIN[TWIN.index("*Scans*") : TWIN.index("`run` is 0")]
    assert set(re.findall(r"`(\w+)`", scans)) == set(KINDS)
    concept = (ROOT / "docs" / "concepts" / "twin.md").read_text()
    assert [row[0].strip("`") for row in table("policy", concept)] == list(POLICIES)
