"""Closures as news: read from a file of their own, laid over the feed, and told where they are odd."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings

from rookery.base.kinds import minute_text
from rookery.network import closures_outside, read_closures
from rookery.network.closures import contradictions
from rookery.terms.errors import InvalidInput
from rookery.terms.frames import FEED

DAY = 29_600_640  # a midnight of 2026
HEADER = "node_id,lane_id,departure_id,from_at,until_at,capacity_factor,delay_minutes,reason\n"
TARGETS = ("node_id", "lane_id", "departure_id")


def span(first: int, last: int) -> str:
    """The window from one minute of the day to another, as a file writes it."""
    return f"{minute_text(DAY + first)},{minute_text(DAY + last)}"


@pytest.fixture
def feed(make_feed):
    """Two nodes, a lane, a departure, and one closure: half of hub A from 01:00 to 02:00."""
    return make_feed(
        nodes=[{"node_id": "A"}, {"node_id": "B"}],
        lanes=[{"lane_id": "AB", "from_node": "A", "to_node": "B"}],
        departures=[{"departure_id": "D", "lane_id": "AB"}],
        closures=[{"node_id": "A", "from_at": DAY + 60, "until_at": DAY + 120, "capacity_factor": 0.5}],
    )


def test_closures_of_a_file_come_after_those_of_the_feed(tmp_path, feed):
    """Good rows are appended with the defaults of the format, and the rest of the feed is as it was."""
    file = tmp_path / "storm.csv"
    file.write_text(HEADER + f",,D,{span(0, 60)},,,storm\n,AB,,{span(0, 60)},,30,\nB,,,{span(0, 60)},0.25,,\n")
    grown = read_closures(file, feed)
    assert grown.notices == ()
    assert grown.closures[:1].equals(feed.closures)
    assert grown.closures[1:].select(*TARGETS, "capacity_factor", "delay_minutes", "reason", "line").rows() == [
        (None, None, "D", 0.0, 0, "storm", 2),
        (None, "AB", None, 1.0, 30, None, 3),
        ("B", None, None, 0.25, 0, None, 4),
    ]
    assert dict(grown.closures.schema) == FEED["closures"]
    assert (grown.sha256, grown.nodes is feed.nodes) == (feed.sha256, True)


def test_parquet_says_the_same(tmp_path, feed):
    """The form of the file does not change what it says."""
    text, packed = tmp_path / "news.csv", tmp_path / "news.parquet"
    text.write_text(HEADER + f"B,,,{span(0, 60)},0.25,,\n")
    pl.read_csv(text, try_parse_dates=True).write_parquet(packed)
    assert read_closures(packed, feed).closures.equals(read_closures(text, feed).closures)


def test_every_bad_closure_is_told_and_the_others_are_kept(tmp_path, feed):
    """Ids the feed lacks, no or two targets, spans that end before they begin, numbers out of bounds."""
    file = tmp_path / "news.csv"
    file.write_text(
        HEADER
        + f"X,,,{span(0, 60)},,,\n,,,{span(0, 60)},,,\nA,AB,,{span(0, 60)},,,\nB,,,{span(60, 60)},,,\n"
        + f"B,,,{span(0, 60)},-0.5,,\nB,,,{span(0, 60)},,,\n"
    )
    grown = read_closures(file, feed)
    assert {(n.severity, n.code, n.file, n.line) for n in grown.notices} == {
        ("error", "unknown_node_id", "news.csv", 2),
        ("error", "closure_target", "news.csv", 3),
        ("error", "closure_target", "news.csv", 4),
        ("error", "closure_span", "news.csv", 5),
        ("error", "out_of_range", "news.csv", 6),
    }
    assert grown.closures["line"].to_list()[1:] == [7]


def test_news_that_contradicts_the_feed_is_told_with_both_places(tmp_path, feed):
    """The notice stands in the new file and names the feed's line; what adds capacity is told too."""
    file = tmp_path / "news.csv"
    file.write_text(HEADER + f"A,,,{span(0, 61)},0,,\nB,,,{span(0, 60)},1.5,,\nA,,,{span(120, 180)},0,,\n")
    grown = read_closures(file, feed)
    assert [(n.severity, n.code, n.line, n.value) for n in grown.notices] == [
        ("warning", "closures_contradict", 2, "0"),
        ("warning", "capacity_factor_above_one", 3, "1.5"),
    ]
    assert "line 2 of closures.csv" in grown.notices[0].message
    assert grown.closures.height == 4


@pytest.mark.parametrize(
    ("name", "text", "codes"),
    [
        ("none.csv", None, []),
        ("news.txt", HEADER, ["unreadable_file"]),
        ("news.csv", HEADER, ["no_rows"]),
        ("news.csv", "", ["empty_file"]),
        ("news.csv", "node_id,from_at\nA,2026-01-01T00:00Z\n", ["missing_column"]),
        ("news.csv", HEADER + f"X,,,{span(0, 60)},,,\n", ["unknown_node_id"]),
        ("news.parquet", "PAR1", ["unreadable_file"]),
    ],
)
def test_without_a_usable_closure_reading_fails_and_says_why(tmp_path, feed, name, text, codes):
    """InvalidInput carries every notice and the next action."""
    file = tmp_path / name
    if text is not None:
        file.write_text(text)
    with pytest.raises(InvalidInput, match="Next:") as told:
        read_closures(file, feed)
    assert [notice.code for notice in told.value.notices] == codes


def contradicts(a: dict, b: dict) -> bool:
    """Whether two closures cannot both be meant, read as the format is written."""
    same = any(a.get(target) is not None and a.get(target) == b.get(target) for target in TARGETS)
    overlap = a["from_at"] < b["until_at"] and b["from_at"] < a["until_at"]
    merely_delays = any(row["capacity_factor"] == 1 and row["delay_minutes"] for row in (a, b))
    closes = 0 in (a["capacity_factor"], b["capacity_factor"])
    return same and overlap and a["capacity_factor"] != b["capacity_factor"] and (closes or not merely_delays)


closures = st.builds(
    lambda target, name, from_at, length, factor, delay: {
        target: name,
        "from_at": from_at,
        "until_at": from_at + length,
        "capacity_factor": factor,
        "delay_minutes": delay,
    },
    st.sampled_from(TARGETS),
    st.sampled_from("xy"),
    st.integers(0, 12),
    st.integers(1, 8),
    st.sampled_from([0.0, 0.5, 0.7, 1.0]),
    st.sampled_from([0, 30]),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(closures, max_size=8))
def test_contradictions_are_those_of_a_plain_reading(rows):
    """Each row that an earlier one contradicts is found with one that does, and no other row is."""
    found = contradictions(
        pl.DataFrame([{name: row.get(name) for name in FEED["closures"]} for row in rows], schema=FEED["closures"])
    )
    for at, row in enumerate(rows):
        others = [earlier for earlier in range(at) if contradicts(rows[earlier], row)]
        assert found[at] in others if others else found[at] == -1


@pytest.mark.parametrize(
    ("from_at", "until_at", "delay", "touches"),
    [
        (0, 100, 0, False),
        (0, 101, 0, True),
        (199, 300, 0, True),
        (200, 300, 0, False),
        (0, 1000, 0, True),
        (0, 60, 40, False),
        (0, 60, 41, True),
    ],
)
def test_a_closure_touches_the_planned_days_by_its_window_or_what_it_delays(
    make_feed, from_at, until_at, delay, touches
):
    """The window is half open, like the planned time [100, 200); a delay reaches past its window."""
    row = {"node_id": "A", "from_at": from_at, "until_at": until_at, "delay_minutes": delay}
    told = closures_outside(make_feed(closures=[row]).closures, 100, 200)
    assert (told is None) == touches


def test_closures_outside_are_counted_in_one_warning(make_feed):
    """It tells how many of how many, where the first stands and what was planned; without closures there is nothing."""
    rows = [{"node_id": "A", "from_at": DAY + at, "until_at": DAY + at + 60} for at in (0, 1440, 2880)]
    frame = make_feed(closures=rows).closures
    told = closures_outside(frame, DAY, DAY + 60, "news.csv")
    assert told is not None
    assert (told.severity, told.code, told.count) == ("warning", "closures_outside_horizon", 2)
    assert (told.file, told.line, told.column, told.value) == ("news.csv", 3, "from_at", minute_text(DAY + 1440))
    assert "2 of 3 closures" in told.message and minute_text(DAY) in told.message
    assert closures_outside(frame.clear(), DAY, DAY + 60) is None


def test_thousands_of_closures_of_one_thing_are_held_against_each_other():
    """A long list of news about one hub is no reason to wait."""
    count = 3000
    frame = pl.DataFrame(
        {"node_id": ["A"] * count, "from_at": range(count), "capacity_factor": np.arange(count) / count}
    )
    frame = frame.with_columns(
        until_at=pl.lit(10**6), delay_minutes=0, lane_id=pl.lit(None, pl.String), departure_id=pl.lit(None, pl.String)
    )
    assert (contradictions(frame)[1:] >= 0).all()
