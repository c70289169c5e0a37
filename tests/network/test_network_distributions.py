"""Distributions of transit times: nonsense is left out with what hangs on it, a shifted median is told exactly."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.network.distributions import median_factor
from rookery.network.reader import read_feed

HEADS = {
    "nodes": "node_id,kind,lat,lon,country,timezone",
    "lanes": "lane_id,from_node,to_node,mode",
    "departures": "departure_id,lane_id,calendar_id,depart_time,transit_minutes,transit_id",
    "calendars": "calendar_id,monday,start_on,end_on",
    "zones": "zone_id,country,postal_prefix,node_id,delivery_id",
    "transit": "transit_id,quantile,factor",
}
ROWS = {
    "nodes": ["A,hub,1,1,BE,UTC", "B,hub,2,2,BE,UTC"],
    "lanes": ["AB,A,B,truck"],
    "departures": ["D1,AB,daily,10:00,60,", "D2,AB,daily,11:00,60,t"],
    "calendars": ["daily,1,2026-01-01,2026-12-31"],
    "zones": ["Z1,BE,1,B,t", "Z2,BE,2,B,"],
}


@pytest.fixture
def feed_with(tmp_path):
    """The feed read from files in which distribution t has these rows (with its own lines, from 2 on)."""

    def read(*transit: str):
        (tmp_path / "feed.json").write_text('{"name": "n", "version": "1", "currency": "EUR"}')
        for name, rows in {**ROWS, "transit": list(transit)}.items():
            (tmp_path / f"{name}.csv").write_text("\n".join([HEADS[name], *rows]) + "\n")
        return read_feed(tmp_path)

    return read


def test_factors_that_fall_leave_the_distribution_out_and_what_hangs_on_it(feed_with):
    """The row where the factor falls is an error; the distribution, its departures and its zones are left out."""
    feed = feed_with("u,0.5,1", "t,0.9,0.8", "t,0.1,0.9", "t,0.5,1")
    assert feed.transit["transit_id"].to_list() == ["u"]
    assert feed.departures["departure_id"].to_list() == ["D1"]
    assert feed.zones["zone_id"].to_list() == ["Z2"]
    told = [(n.severity, n.code, n.file, n.line, n.column, n.value) for n in feed.notices]
    assert told == [
        ("error", "transit_not_rising", "transit.csv", 3, "factor", "0.8"),
        ("error", "unknown_transit_id", "departures.csv", 3, "transit_id", "t"),
        ("error", "unknown_transit_id", "zones.csv", 2, "delivery_id", "t"),
    ]


def test_factors_that_stay_the_same_are_kept(feed_with):
    """Equal factors are no fall."""
    feed = feed_with("t,0.1,1", "t,0.5,1", "t,0.9,1")
    assert feed.transit.height == 3 and feed.notices == ()


@pytest.mark.parametrize(
    ("rows", "line", "value"),
    [
        (["t,0.1,0.9", "t,0.5,1.001", "t,0.9,1.3"], 3, "t 1.001"),
        (["t,0.9,1.3", "t,0.1,0.9"], 2, "t 1.1"),
        (["t,0.6,1.2"], 2, "t 1.2"),
    ],
)
def test_a_median_that_is_not_one_is_told_at_reading(feed_with, rows, line, value):
    """However little it is off, the warning stands at the row of quantile 0.5, or else at the distribution's first."""
    feed = feed_with(*rows)
    assert feed.transit.height == len(rows)
    (notice,) = feed.notices
    assert (notice.severity, notice.code) == ("warning", "transit_median")
    assert (notice.file, notice.line, notice.column, notice.value) == ("transit.csv", line, "factor", value)


def test_a_median_between_points_is_found_exactly(feed_with):
    """Where no point stands at 0.5 the line between its neighbours is judged as written, with no rounding."""
    assert feed_with("t,0.4,0.9", "t,0.6,1.1").notices == ()
    assert feed_with("t,0.2,0.7", "t,0.6,1.1").notices == ()


@given(
    st.lists(st.integers(0, 1000), min_size=1, max_size=6, unique=True).map(sorted),
    st.lists(st.integers(1, 3000), min_size=6, max_size=6).map(sorted),
)
def test_the_median_is_linear_between_points_and_constant_beyond(quantiles, factors):
    """Thousandths written as decimals give the same fraction as whole-number arithmetic."""
    factors = factors[: len(quantiles)]
    found = median_factor([q / 1000 for q in quantiles], [f / 1000 for f in factors])
    at = sum(q <= 500 for q in quantiles)
    if at == 0:
        expected = Fraction(factors[0])
    elif at == len(quantiles):
        expected = Fraction(factors[-1])
    else:
        (q0, q1), (f0, f1) = quantiles[at - 1 : at + 1], factors[at - 1 : at + 1]
        expected = f0 + Fraction((f1 - f0) * (500 - q0), q1 - q0)
    assert found == expected / 1000
