"""Expansion: dated departures equal those of a slow, plain reading of the feed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import holidays
import hypothesis.strategies as st
import polars as pl
import pytest
from hypothesis import given, settings

from rookery.network.calendars import public_holidays, service_days
from rookery.network.expansion import expand
from rookery.terms.frames import HOUR_FACTORS, RUNS
from rookery.terms.time import DAY, day_number, to_minute

EPOCH = datetime(1970, 1, 1)
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
TIMEZONES = [
    *("Europe/Brussels", "America/New_York", "Australia/Lord_Howe"),
    *("Asia/Kolkata", "Africa/Casablanca", "Pacific/Kiritimati"),
]
CHANGES = [
    date(2026, 3, 29),
    date(2026, 10, 25),
    date(2026, 3, 8),
    date(2026, 4, 5),
    date(2026, 10, 4),
    date(2026, 2, 15),
]


def at(text: str) -> int:
    """The UTC minute of an ISO instant; UTC when no offset is given."""
    moment = datetime.fromisoformat(text)
    return to_minute(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def runs_on(feed, calendar_id: str, day: date) -> bool:
    """Whether a calendar runs on a day, read as the format is written."""
    by_hand = feed.calendar_dates.filter(pl.col("calendar_id") == calendar_id, pl.col("date") == day)
    if len(by_hand):
        return by_hand["runs"][-1]
    row = feed.calendars.row(by_predicate=pl.col("calendar_id") == calendar_id, named=True)
    return (
        row[WEEKDAYS[day.weekday()]]
        and row["start_on"] <= day <= row["end_on"]
        and not (row["holidays"] and day in holidays.country_holidays(row["holidays"], years=day.year))
    )


def plain_runs(feed, start: int, end: int) -> list[tuple]:
    """(cutoff_at, departure, depart_at, capacity_g, capacity_parcels) of every dated departure, one at a time."""
    found = []
    nodes = {row["node_id"]: row for row in feed.nodes.iter_rows(named=True)}
    lanes = {row["lane_id"]: row for row in feed.lanes.iter_rows(named=True)}
    for number, run in enumerate(feed.departures.iter_rows(named=True)):
        from_node = lanes[run["lane_id"]]["from_node"]
        zone = ZoneInfo(nodes[from_node]["timezone"])
        for number_of_day in range(start // DAY - 16, end // DAY + 3):
            day = date.fromordinal(number_of_day + 719_163)
            if not runs_on(feed, run["calendar_id"], day):
                continue
            naive = datetime(day.year, day.month, day.day) + timedelta(minutes=run["depart_minute"])
            scheduled = to_minute(naive.replace(tzinfo=zone))
            depart_at = scheduled
            factor = 1.0
            for closure in feed.closures.iter_rows(named=True):
                meant = (
                    closure["departure_id"] == run["departure_id"]
                    or closure["lane_id"] == run["lane_id"]
                    or closure["node_id"] == from_node
                )
                if meant and closure["from_at"] <= scheduled < closure["until_at"]:
                    factor *= 1.0 if closure["capacity_factor"] is None else closure["capacity_factor"]
                    depart_at += closure["delay_minutes"] or 0
            if factor > 0 and start <= depart_at < end:
                room = [run[name] * factor if run[name] is not None else float("inf") for name in CAPACITIES]
                found.append((depart_at - run["cutoff_minutes"], number, depart_at, *room))
    return sorted(found)


CAPACITIES = ("capacity_g", "capacity_parcels")


@st.composite
def feeds(draw, make_feed):
    """A feed of three nodes, a few lanes, departures, calendars and closures around a clock change, and its span."""
    change = draw(st.sampled_from(CHANGES))
    near = st.integers(-9, 9).map(lambda days: change + timedelta(days))
    calendars = [
        {
            "calendar_id": f"c{i}",
            **{name: draw(st.booleans()) for name in WEEKDAYS},
            "start_on": draw(near),
            "end_on": draw(near),
            "holidays": draw(st.sampled_from([None, "BE", "US", "MA"])),
        }
        for i in range(2)
    ]
    dates = draw(st.dictionaries(st.tuples(st.sampled_from(["c0", "c1"]), near), st.booleans(), max_size=3))
    nodes = [{"node_id": f"n{i}", "timezone": draw(st.sampled_from(TIMEZONES))} for i in range(3)]
    lanes = [
        {"lane_id": f"l{i}", "from_node": f"n{draw(st.integers(0, 2))}", "to_node": f"n{draw(st.integers(0, 2))}"}
        for i in range(3)
    ]
    departures = [
        {
            "departure_id": f"d{i}",
            "lane_id": f"l{draw(st.integers(0, 2))}",
            "calendar_id": f"c{draw(st.integers(0, 1))}",
            "depart_minute": draw(st.one_of(st.integers(0, 200), st.integers(0, 5 * DAY))),
            "cutoff_minutes": draw(st.integers(0, 300)),
            "capacity_g": draw(st.sampled_from([None, 1000.0])),
            "capacity_parcels": draw(st.sampled_from([None, 8.0])),
        }
        for i in range(draw(st.integers(1, 5)))
    ]
    begin = day_number(change) * DAY
    closures = []
    for _ in range(draw(st.integers(0, 3))):
        kind, ids = draw(st.sampled_from([("node_id", "n"), ("lane_id", "l"), ("departure_id", "d")]))
        from_at = begin + draw(st.integers(-3 * DAY, 3 * DAY))
        closures.append(
            {
                kind: f"{ids}{draw(st.integers(0, 2))}",
                "from_at": from_at,
                "until_at": from_at + draw(st.integers(1, 3 * DAY)),
                "capacity_factor": draw(st.sampled_from([None, 0.0, 0.5])),
                "delay_minutes": draw(st.sampled_from([None, 0, 45, 2000])),
            }
        )
    feed = make_feed(
        nodes=nodes,
        lanes=lanes,
        departures=departures,
        calendars=calendars,
        calendar_dates=[{"calendar_id": c, "date": day, "runs": runs} for (c, day), runs in dates.items()],
        closures=closures,
    )
    start = begin + draw(st.integers(-3 * DAY, DAY))
    return feed, start, start + draw(st.integers(0, 5 * DAY))


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_expansion_equals_a_plain_reading(make_feed, data):
    """Calendars, holidays, clock changes, late departures and closures give the runs a plain reading gives."""
    feed, start, end = data.draw(feeds(make_feed))
    runs = expand(feed, start, end).runs
    assert dict(runs.schema) == RUNS
    assert runs.select("cutoff_at", "departure", "depart_at", *CAPACITIES).rows() == plain_runs(feed, start, end)


@pytest.fixture(scope="module")
def corridor(make_feed):
    """Makes a feed of one lane b -> n, Brussels to New York, from the departures and other tables given."""

    def make(*departures, **tables):
        return make_feed(
            nodes=[
                {"node_id": "b", "timezone": "Europe/Brussels"},
                {"node_id": "n", "timezone": "America/New_York"},
            ],
            lanes=[{"lane_id": "bn", "from_node": "b", "to_node": "n"}],
            departures=[
                {"departure_id": f"d{i}", "lane_id": "bn", **departure} for i, departure in enumerate(departures)
            ],
            **tables,
        )

    return make


def test_the_naive_sum_is_resolved_not_the_midnight(corridor):
    """26:30 of the day before a spring change is the skipped 02:30, read with the offset before the change."""
    feed = corridor({"depart_minute": 26 * 60 + 30}, {"depart_minute": 27 * 60 + 30})
    runs = expand(feed, at("2026-03-29"), at("2026-03-29T12:00")).runs
    assert runs["depart_at"].to_list() == [at("2026-03-29T01:30"), at("2026-03-29T01:30")]


def test_rows_point_into_the_feed_and_unlimited_is_infinite(corridor):
    """A run names feed rows, its distribution by number, and infinite room where none is given."""
    feed = corridor(
        {"depart_minute": 600, "transit_id": "z", "cost_per_parcel": 1.5, "cost_per_kg": 0.25, "cutoff_minutes": 30},
        {"depart_minute": 540, "capacity_g": 5000.0},
        transit=[{"transit_id": name, "quantile": 0.5, "factor": 1.0} for name in ("z", "a", "z")],
    )
    expansion = expand(feed, at("2026-06-01"), at("2026-06-02"))
    assert expansion.transit_ids == ("a", "z")
    first, second = expansion.runs.rows(named=True)
    assert (first["departure"], first["transit"], first["capacity_g"]) == (1, -1, 5000.0)
    assert second == {
        "departure": 0,
        "lane": 0,
        "from_node": 0,
        "to_node": 1,
        "scheduled_at": at("2026-06-01T08:00"),
        "depart_at": at("2026-06-01T08:00"),
        "cutoff_at": at("2026-06-01T07:30"),
        "transit_minutes": 60,
        "transit": 1,
        "capacity_g": float("inf"),
        "capacity_parcels": float("inf"),
        "cost_per_parcel": 1.5,
        "cost_per_kg": 0.25,
    }


def test_a_feed_without_departures_expands_to_nothing(make_feed):
    """An empty network, and an empty span, give empty frames of the right columns."""
    expansion = expand(make_feed(), 29_600_000, 29_610_000)
    assert dict(expansion.runs.schema) == RUNS
    assert expansion.runs.is_empty()
    assert expansion.openings.is_empty()
    assert expansion.always_open.len() == 0


def test_a_departure_far_beyond_midnight_is_found(corridor):
    """A ship that leaves 20 days after its service day is in the span in which it leaves."""
    feed = corridor(
        {"depart_minute": 20 * DAY, "calendar_id": "once"},
        calendars=[{"calendar_id": "once", "start_on": date(2026, 6, 1), "end_on": date(2026, 6, 1)}],
    )
    assert expand(feed, at("2026-06-20"), at("2026-06-22")).runs["depart_at"].to_list() == [at("2026-06-20T22:00")]


def test_an_added_date_runs_on_a_holiday_and_outside_the_range(make_feed):
    """Dates set by hand override weekday, holiday and range; a calendar may consist of them alone."""
    feed = make_feed(
        calendars=[
            {
                "calendar_id": "work",
                "saturday": False,
                "sunday": False,
                "start_on": date(2026, 4, 30),
                "end_on": date(2026, 5, 5),
                "holidays": "BE",
            }
        ],
        calendar_dates=[
            {"calendar_id": "work", "date": date(2026, 5, 1), "runs": True},  # Labour Day
            {"calendar_id": "work", "date": date(2026, 5, 9), "runs": True},  # a Saturday after its end
            {"calendar_id": "work", "date": date(2026, 5, 4), "runs": False},
            {"calendar_id": "extra", "date": date(2026, 5, 3), "runs": True},
        ],
    )
    days = service_days(
        feed.calendars, feed.calendar_dates, day_number(date(2026, 4, 25)), day_number(date(2026, 5, 10))
    )
    shown = {name: [str(day) for day in found.astype("datetime64[D]")] for name, found in days.items()}
    assert shown == {"work": ["2026-04-30", "2026-05-01", "2026-05-05", "2026-05-09"], "extra": ["2026-05-03"]}


def test_public_holidays_of_an_unknown_country_are_none():
    """A country without a holiday calendar closes nothing; a known one does."""
    assert public_holidays("XX", 2026).tolist() == []
    assert day_number(date(2026, 7, 21)) in public_holidays("BE", 2026)


def test_a_delay_carries_departures_over_the_edges_of_the_span(corridor):
    """The time as moved decides: a run delayed into the span is there, one delayed out of it is not."""
    feed = corridor(
        {"depart_minute": 600},
        closures=[
            {
                "lane_id": "bn",
                "from_at": at("2026-06-01"),
                "until_at": at("2026-06-03"),
                "capacity_factor": 1.0,
                "delay_minutes": 3 * DAY,
            }
        ],
    )
    moved = [at("2026-06-04T08:00"), at("2026-06-05T08:00")]
    assert expand(feed, at("2026-06-01"), at("2026-06-03")).runs.is_empty()
    assert expand(feed, at("2026-06-04"), at("2026-06-06")).runs["depart_at"].to_list() == sorted(moved * 2)


def test_an_absurd_delay_costs_no_time(corridor):
    """A delay of a thousand years looks back no further than the window it stands in."""
    closure = {"lane_id": "bn", "from_at": at("2026-06-01"), "until_at": at("2026-06-02"), "capacity_factor": None}
    feed = corridor({"depart_minute": 600}, closures=[{**closure, "delay_minutes": 525_600_000}])
    runs = expand(feed, at("2026-06-01"), at("2026-06-04")).runs
    assert runs["depart_at"].to_list() == [at("2026-06-02T08:00"), at("2026-06-03T08:00")]


def test_nodes_have_their_hourly_capacity_or_none(make_feed):
    """One number a node, infinite where the feed gives none; without closures no hour is special."""
    feed = make_feed(nodes=[{"node_id": "a"}, {"node_id": "b", "capacity_per_hour": 250.5}])
    expansion = expand(feed, at("2026-06-01"), at("2026-06-02"))
    assert expansion.capacity_per_hour.to_list() == [float("inf"), 250.5]
    assert dict(expansion.hour_factors.schema) == HOUR_FACTORS
    assert expansion.hour_factors.is_empty()


def test_a_closure_takes_its_share_of_every_hour_it_overlaps(corridor):
    """However little of an hour it covers; several multiply, and what closes, delays or names a lane changes none."""
    feed = corridor(
        {"depart_minute": 600},
        closures=[
            {
                "node_id": "n",
                "from_at": at("2026-06-01T10:59"),
                "until_at": at("2026-06-01T13:00"),
                "capacity_factor": 0.5,
            },
            {
                "node_id": "n",
                "from_at": at("2026-06-01T12:30"),
                "until_at": at("2026-06-01T12:31"),
                "capacity_factor": 0.2,
            },
            {
                "node_id": "n",
                "from_at": at("2026-06-01T10:00"),
                "until_at": at("2026-06-01T12:00"),
                "capacity_factor": 0.0,
            },
            {
                "node_id": "n",
                "from_at": at("2026-06-01T10:00"),
                "until_at": at("2026-06-02T12:00"),
                "capacity_factor": 1.0,
                "delay_minutes": 30,
            },
            {"lane_id": "bn", "from_at": at("2026-06-01"), "until_at": at("2026-06-02"), "capacity_factor": 0.5},
            {"node_id": "b", "from_at": at("2026-06-01"), "until_at": at("2026-06-02"), "capacity_factor": 0.5},
        ],
    )
    nodes = feed.nodes.with_columns(capacity_per_hour=pl.Series([None, 100.0]))
    factors = expand(replace(feed, nodes=nodes), at("2026-06-01"), at("2026-06-03")).hour_factors
    assert factors.rows() == [
        (1, at("2026-06-01T10:00"), 0.5),
        (1, at("2026-06-01T11:00"), 0.5),
        (1, at("2026-06-01T12:00"), 0.1),
    ]


@pytest.mark.parametrize("opens", [{}, {"open_from": 480, "open_until": 960}])
def test_an_endless_closure_has_hours_for_as_long_as_anything_can_be_handled(make_feed, opens):
    """A factor for two centuries costs no time; its hours reach from the start to the last possible handling."""
    feed = make_feed(
        nodes=[{"node_id": "a"}, {"node_id": "b", "capacity_per_hour": 9.0, "handling_minutes": 45, **opens}],
        lanes=[{"lane_id": "ab", "from_node": "a", "to_node": "b"}],
        departures=[{"departure_id": "d", "lane_id": "ab", "depart_minute": 1439, "transit_minutes": 3000}],
        closures=[{"node_id": "b", "from_at": 0, "until_at": at("2190-01-01"), "capacity_factor": 0.5}],
    )
    start, end = at("2026-06-01T05:17"), at("2026-06-03")
    factors = expand(feed, start, end).hour_factors
    hours = factors["hour_at"].to_list()
    assert hours == list(range(at("2026-06-01T05:00"), hours[-1] + 60, 60))
    assert hours[-1] + 60 > end - 1 + 3000 + 45
    assert len(hours) < 24 * 100
    assert set(factors["factor"]) == {0.5}
