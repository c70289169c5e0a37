"""Outlooks of parcels on a small network made by hand: what is booked, late, full, or not known."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rookery.planning.outlook as outlooks
from rookery.flows.living.ground import Ground
from rookery.flows.planning import model_of
from rookery.network import place, read_feed, sample_network
from rookery.orders import check_orders, sample_orders
from rookery.planning.capacity.resources import Prices
from rookery.planning.outlook import CLOSED, LOOK, Outlook, make_outlook
from rookery.planning.outlook_classes import CLASSES, COLUMN, COSTS, KIND, Kinds, columns_for, columns_of
from rookery.terms.time import DAY, NEVER, from_minute

START = 29_592_000 // DAY * DAY
"""Midnight, UTC, of a day in April 2026."""
A, B, C = 0, 1, 2
CHEAP, DEAR, EVENING, LAST = "cheap", "dear", "evening", "last"
GENERAL = {"goods": 0, "modes": 255, "weight_g": 1000.0, "side_mm": 0.0, "chargeable_g": 1000.0}


@pytest.fixture(scope="module")
def world(make_feed):
    """A to B by a cheap departure at 10:00, a dear one at 11:00 and one at 20:00; B to C at 14:00, each day for a
    week. Rides take an hour, to C two hours in one of two outcomes; handling half an hour; the last mile half a day or
    a day.
    """
    feed = make_feed(
        nodes=[{"node_id": name, "handling_minutes": 30} for name in "ABC"],
        lanes=[
            {"lane_id": "ab", "from_node": "A", "to_node": "B", "carrier_id": "x"},
            {"lane_id": "bc", "from_node": "B", "to_node": "C", "accepts": ["general", "battery"]},
        ],
        departures=[
            {"departure_id": CHEAP, "lane_id": "ab", "depart_minute": 600, "cost_per_parcel": 1.0, "cost_per_kg": 0.5},
            {"departure_id": DEAR, "lane_id": "ab", "depart_minute": 660, "cost_per_parcel": 5.0},
            {"departure_id": EVENING, "lane_id": "ab", "depart_minute": 1200, "cost_per_parcel": 1.2},
            {"departure_id": LAST, "lane_id": "bc", "depart_minute": 840, "transit_id": "ride", "cost_per_parcel": 3.0},
        ],
        transit=[
            {"transit_id": name, "quantile": quantile, "factor": factor}
            for name in ("ride", "mile")
            for quantile, factor in ((0.25, 1.0), (0.5, 1.0), (0.75, 2.0))
        ],
        zones=[{"zone_id": "z", "node_id": "C", "delivery_minutes": 720, "delivery_id": "mile"}],
    )
    return model_of(feed, START, 7, 2)


def _class(**given) -> dict:
    usual = {"destination": C, "zone": -1, "due_at": START + 2 * DAY, "late_cost": 20.0, "late_cost_per_day": 1.0}
    return {**GENERAL, **usual, "time_cost_per_day": 5.0, **given}


def _classes(*rows: dict) -> pl.DataFrame:
    return pl.DataFrame([{name: row[name] for name in CLASSES} for row in rows], schema=CLASSES)


def _make(model, *rows: dict, full=(), **more) -> Outlook:
    return make_outlook(
        model, Prices.none(model.resources), np.array(full, int), _classes(*(rows or (_class(),))), threads=1, **more
    )


def _look(outlook: Outlook, **state) -> dict:
    """What is told of one parcel, by default one that is at A from the start."""
    usual = {
        "parcel": 7, "confidence": 0.9, "node": A, "ready_at": START, "riding": -1, "late": 0, "booked": [],
        "last_mile_at": None,
    }  # fmt: skip
    row = {**_class(), **usual, **state}
    return outlook.look(pl.DataFrame([{name: row[name] for name in LOOK}], schema=LOOK)).row(0, named=True)


def _row(outlook: Outlook, departure: str, day: int = 0) -> int:
    minute = {CHEAP: 600, DEAR: 660, EVENING: 1200, LAST: 840}[departure]
    return int(Ground(outlook).scheduled(pl.Series([departure]), pl.Series([START + day * DAY + minute]))[0])


def test_the_policy_is_followed_where_nothing_is_booked(world):
    """It takes the cheap departure and the ride onwards; both outcomes of that count; costs are those of its weight."""
    outlook = _make(world, version="v")
    told = _look(outlook, chargeable_g=3000.0, due_at=START + 840 + 60 + 30)
    assert outlook.version == "v" and told["parcel"] == 7
    assert told["legs"] == [_row(outlook, CHEAP), _row(outlook, LAST)]
    assert told["chance"] == 0.5
    assert (told["expected_at"], told["by_at"]) == (START + 960, START + 990)
    assert told["cost"] == pytest.approx(1.0 + 3 * 0.5 + 3.0)
    assert told["policy"] is True and told["why"] is None


def test_booked_legs_are_ridden_while_they_can_be_caught(world):
    """Booked on the dear departure it takes that; ready too late for it, it goes by the policy: the evening's."""
    outlook = _make(world)
    dear, last = _row(outlook, DEAR), _row(outlook, LAST)
    told = _look(outlook, booked=[dear, last])
    assert told["legs"] == [dear, last] and told["policy"] is False and told["cost"] == pytest.approx(8.0)
    missed = _look(outlook, booked=[dear, last], ready_at=START + 661)
    assert missed["legs"] == [_row(outlook, EVENING), _row(outlook, LAST, 1)]
    assert missed["policy"] is True
    cancelled = _look(outlook, booked=[-1, last])
    assert cancelled["legs"] == [_row(outlook, CHEAP), last] and cancelled["policy"] is True


def test_a_late_ride_misses_what_is_booked_by_a_minute(world):
    """Ready at the minute of the booked cut-off it goes as booked; ready a minute later, by the policy."""
    outlook = _make(world)
    cheap, last = _row(outlook, CHEAP), _row(outlook, LAST)
    told = _look(outlook, node=-1, riding=cheap, late=150, booked=[last])  # 10:00 + 1 h + 0.5 h + 2.5 h = 14:00
    assert told["legs"] == [cheap, last] and told["policy"] is False and told["cost"] == pytest.approx(3.0)
    told = _look(outlook, node=-1, riding=cheap, late=151, booked=[last])
    assert told["legs"] == [cheap, _row(outlook, LAST, 1)] and told["policy"] is True


def test_what_may_have_left_is_half_aboard(world):
    """At B, or on the ride home that left B an hour late: half of what is said of either, and the next move from B."""
    outlook = _make(world)
    last, next_day = _row(outlook, LAST), _row(outlook, LAST, 1)
    left = START + 840 + 60
    told = _look(outlook, node=B, ready_at=left, riding=last, late=60, booked=[last], due_at=left + 90)
    assert told["legs"] == [next_day] and told["policy"] is True and told["why"] is None
    assert told["chance"] == 0.25  # of two outcomes aboard one is in time, of standing none
    assert told["expected_at"] == (left + 120 + left + DAY - 60 + 120) / 2
    assert told["cost"] == pytest.approx(1.5)
    told = _look(outlook, node=C, ready_at=left, riding=last, late=60, due_at=left)
    assert (told["chance"], told["legs"], told["expected_at"]) == (0.5, [], left + 60)


def test_a_late_ride_shifts_what_it_brings_home(world):
    """On the ride into its destination, every outcome is as late as the ride left."""
    outlook = _make(world)
    last = _row(outlook, LAST)
    for late in (0, 1, 200):
        told = _look(outlook, node=-1, riding=last, late=late, due_at=START + 930 + 100)
        assert told["expected_at"] == START + 960 + late
        assert told["chance"] == (1.0, 1.0, 0.0)[(0, 1, 200).index(late)]
        assert told["legs"] == [last] and told["cost"] == 0.0 and told["policy"] is False


def test_the_last_mile_counts_from_when_it_began(world):
    """At its destination, or out for delivery, only the zone's minutes are ahead."""
    outlook = _make(world, _class(zone=0))
    at = START + 500
    for state in ({"node": C, "ready_at": at}, {"node": C, "ready_at": 0, "last_mile_at": at},
                  {"node": -1, "riding": 0, "ready_at": 0, "last_mile_at": at}):  # fmt: skip
        told = _look(outlook, zone=0, due_at=at + 800, **state)
        assert (told["expected_at"], told["by_at"]) == (at + 1080, at + 1440)
        assert (told["chance"], told["legs"], told["cost"], told["why"]) == (0.5, [], 0.0, None)


def test_what_lies_beyond_the_timetable_is_no_way(world):
    """After the last departure nothing leads on: too late for what is due by then, unknown for what is due later."""
    outlook = _make(world)
    late = _look(outlook, ready_at=START + 20 * DAY)
    assert (late["why"], late["chance"], late["expected_at"], late["legs"]) == ("no_way", 0.0, None, [])
    later = _look(outlook, ready_at=START + 20 * DAY, due_at=START + 30 * DAY)
    assert (later["why"], later["chance"]) == ("no_way", None)
    back = _look(_make(world, _class(destination=A)), destination=A, node=B)  # nothing leads there
    assert (back["why"], back["chance"]) == ("no_way", 0.0)
    never = _look(outlook, ready_at=START + 20 * DAY, due_at=int(NEVER))
    assert (never["why"], never["chance"]) == ("no_way", None)


def test_an_outcome_that_is_never_handled_does_not_deliver(make_feed):
    """Where the last opening of the destination ends, outcomes that come later deliver nothing: on what is ridden or
    booked they count as late, and policies do without.
    """
    day = from_minute(START).date()
    feed = make_feed(
        nodes=[
            {"node_id": "B"},
            {"node_id": "C", "handling_minutes": 30, "calendar_id": "today", "open_from": 0, "open_until": 960},
        ],
        lanes=[{"lane_id": "bc", "from_node": "B", "to_node": "C"}],
        departures=[{"departure_id": LAST, "lane_id": "bc", "depart_minute": 840, "transit_id": "ride"}],
        calendars=[{"calendar_id": "daily"}, {"calendar_id": "today", "start_on": day, "end_on": day}],
        transit=[{"transit_id": "ride", "quantile": q, "factor": f} for q, f in ((0.25, 1.0), (0.75, 2.0))],
    )
    outlook = _make(model_of(feed, START, 7, 2), _class(destination=1))
    today, tomorrow = _row(outlook, LAST), _row(outlook, LAST, 1)
    riding = {"destination": 1, "node": -1, "riding": today}
    booked = {"destination": 1, "node": 0, "booked": [today]}
    for state in (riding, booked):
        told = _look(outlook, **state)
        assert (told["chance"], told["expected_at"], told["by_at"], told["why"]) == (0.5, START + 930, None, None)
        assert _look(outlook, **state, confidence=0.5)["by_at"] == START + 930
    for state in ({**riding, "riding": tomorrow}, {**booked, "booked": [tomorrow], "ready_at": START + DAY}):
        told = _look(outlook, **state)
        assert (told["chance"], told["expected_at"], told["why"]) == (0.0, None, "no_way")
    assert _look(outlook, **{**booked, "booked": []})["why"] == "no_way"


def test_what_no_policy_was_made_for_is_said(world):
    """A kind of parcel that is not known has no chance told, unless its bookings alone bring it home."""
    outlook = _make(world)
    battery = _class(goods=1)
    assert outlook.knows(_classes(_class(), battery, _class(destination=B), _class(zone=0))).tolist() == [
        True, False, False, False,
    ]  # fmt: skip
    told = _look(outlook, **{**battery, "booked": []})
    assert (told["why"], told["chance"], told["expected_at"], told["cost"]) == ("no_policy", None, None, None)
    last = _row(outlook, LAST)
    booked = _look(outlook, **battery, node=B, booked=[last])
    assert (booked["why"], booked["legs"], booked["expected_at"]) == (None, [last], START + 960)
    nowhere = _look(outlook, node=-1, riding=-1)
    assert (nowhere["why"], nowhere["chance"], nowhere["legs"]) == ("no_place", None, [])


def test_where_there_is_no_room_policies_go_another_way(world):
    """A full departure is left to those who are booked on it, and ridden where nothing else leads home."""
    cheap = _row(_make(world), CHEAP)
    outlook = _make(world, full=[cheap])
    assert _look(outlook)["legs"][0] == _row(outlook, DEAR)
    assert _look(outlook, booked=[cheap])["legs"][0] == cheap
    every = [_row(outlook, LAST, day) for day in range(7)]
    told = _look(_make(world, full=every))
    assert told["legs"][-1] in every and told["cost"] < CLOSED


def test_what_is_dear_now_is_avoided_and_not_charged(world):
    """Shadow prices steer the policy; what a parcel pays is the fare."""
    prices = Prices.none(world.resources)
    prices.seat[_row(_make(world), CHEAP)] = 100.0
    outlook = make_outlook(world, prices, np.zeros(0, int), _classes(_class()), threads=1)
    told = _look(outlook)
    assert told["legs"][0] == _row(outlook, DEAR) and told["cost"] == pytest.approx(8.0)
    assert prices.seat.max() == 100.0


def test_legs_are_told_in_words(world):
    """Each leg names its departure, lane, ends and minutes, and costs what the weight asks."""
    outlook = _make(world)
    leg = outlook.told([_row(outlook, CHEAP)], 2000.0)
    assert leg == [
        {
            "departure_id": CHEAP, "lane_id": "ab", "carrier_id": "x", "mode": "truck", "from_node": "A",
            "to_node": "B", "cutoff_at": START + 600, "depart_at": START + 600, "arrive_at": START + 660, "cost": 2.0,
        }
    ]  # fmt: skip
    ids = pl.Series(["none", CHEAP, CHEAP, None], dtype=pl.String)
    found = Ground(outlook).scheduled(ids, pl.Series([START + 600, START + 6 * DAY + 601, START + DAY + 600, None]))
    assert found.tolist() == [-1, -1, _row(outlook, CHEAP, 1), -1]


def test_rows_of_another_timetable_are_refused(world):
    """A row that this timetable does not have is refused, whatever it was to be."""
    outlook = _make(world)
    for strange in ({"booked": [1000]}, {"riding": 1000, "node": -1}, {"node": 3}, {"zone": 2}):
        with pytest.raises(ValueError, match=next(iter(strange))):
            _look(outlook, **strange)


def test_making_is_told_and_can_be_stopped(world):
    """How far it is is told block by block; whoever raises there stops it, and nothing else."""
    due = [_class(due_at=START + 60 * hour) for hour in range(40)]
    seen = []
    outlook = _make(world, *due, progress=lambda *told: seen.append(told))
    assert seen == [("outlook", done, 3) for done in (1, 2, 3)] and outlook.columns.height == 40

    class Stop(Exception):
        pass

    def stop(stage: str, done: int, total: int) -> None:
        raise Stop

    with pytest.raises(Stop):
        _make(world, *due, progress=stop)
    assert _look(outlook)["legs"] == _look(_make(world))["legs"]


def test_nothing_known_and_nothing_asked(world):
    """An outlook for nobody is one, and a look at nobody finds nobody."""
    outlook = make_outlook(
        world, Prices.none(world.resources), np.zeros(0, int), pl.DataFrame(schema=CLASSES), threads=2
    )
    assert outlook.look(pl.DataFrame(schema=LOOK)).schema == outlooks.OUTLOOK
    assert _look(outlook)["why"] == "no_policy"
    assert _look(_make(world))["why"] is None
    assert len(outlooks.look.signatures) == 1  # compiled once, whoever asked: a second time would hold up everybody
    none = pl.Series([], dtype=pl.Int64)
    assert Ground(outlook).scheduled(pl.Series([], dtype=pl.String), none).tolist() == []
    assert outlook.told([], 1.0) == []


_hours = st.integers(0, 6).map(lambda hour: START + 60 * hour)
_rows = st.builds(
    _class,
    destination=st.sampled_from([B, C]),
    due_at=st.tuples(_hours, st.integers(0, 59)).map(sum),
    late_cost=st.sampled_from([1.0, 2.0]),
    time_cost_per_day=st.sampled_from([0.0, 1.0]),
    goods=st.sampled_from([0, 1]),
    chargeable_g=st.sampled_from([90.0, 300.0, 1000.0, 1400.0, 2000.0, 9000.0]),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(_rows, min_size=1, max_size=12), st.lists(_rows, min_size=1, max_size=6), st.integers(1, 14))
def test_each_parcel_goes_by_the_nearest_column(world, known, asked, most):
    """Same kind, same costs first, then the latest due not after its hour, else the first, then the nearest weight."""
    kinds = Kinds(world.timetable.limit_sets)
    columns = columns_of(kinds, _classes(*known), most)
    kinds_of = kinds.keyed(_classes(*known), enter=False).select(KIND).n_unique()
    assert columns.height <= max(most, kinds_of) and columns.equals(columns.sort(COLUMN))
    keys = kinds.keyed(_classes(*asked), enter=False)
    found = columns_for(columns, keys)
    every = columns.to_dicts()
    for key, place_ in zip(keys.to_dicts(), found.tolist()):
        same = [row for row in every if all(row[name] == key[name] for name in KIND)]
        assert (place_ < 0) == (not same)
        if place_ < 0:
            continue
        got = every[place_]

        def other(row: dict, key: dict = key) -> int:
            return sum(row[name] != key[name] for name in COSTS)

        assert other(got) == min(map(other, same))
        alike = [row for row in same if all(row[name] == got[name] for name in COSTS)]
        before = [row["hour"] for row in alike if row["hour"] <= key["hour"]]
        assert got["hour"] == (max(before) if before else min(row["hour"] for row in alike))
        weights = [abs(row["bucket"] - key["bucket"]) for row in alike if row["hour"] == got["hour"]]
        assert abs(got["bucket"] - key["bucket"]) == min(weights)


@settings(max_examples=60, deadline=None)
@given(st.lists(_rows, min_size=1, max_size=14))
def test_columns_are_made_for_those_due_first_and_every_kind_keeps_one(world, known):
    """With room for all, each class finds its own hour and weight, made for the earliest due in it; with room for fewer
    than there are kinds, each kind has one all the same.
    """
    kinds = Kinds(world.timetable.limit_sets)
    classes = _classes(*known)
    keys = kinds.keyed(classes, enter=True)
    columns = columns_of(kinds, classes, 4096)
    of = columns[columns_for(columns, keys)]
    assert of.select(COLUMN).equals(keys.select(COLUMN))
    assert (of["due_at"] <= classes["due_at"]).all() and set(columns["due_at"]) <= set(classes["due_at"])
    assert columns["parcels"].sum() == classes.height
    few = columns_of(kinds, classes, 1)
    assert few.select(KIND).n_unique() == few.height
    assert (columns_for(few, keys) >= 0).all()


def test_in_small_numbers_it_is_told_alike(tmp_path, monkeypatch):
    """Made in 4-byte numbers, an outlook tells what one in 8-byte numbers tells, but where two ways are as good."""
    feed = read_feed(sample_network("tiny", 3, tmp_path / "feed"))
    parcels, _ = place(feed, check_orders(sample_orders(feed, 300, 5)).frame)
    model = model_of(feed, int(parcels["ready_at"].min()), 21, 8)  # type: ignore[arg-type]
    state = [pl.lit(value).alias(name) for name, value in (("riding", -1), ("late", 0), ("last_mile_at", None))]
    asked = parcels.with_row_index("parcel").with_columns(
        *state, booked=pl.lit([], pl.List(pl.Int64)), node="origin", ready_at="start_at"
    )
    asked = asked.select(LOOK.keys()).cast(LOOK)  # type: ignore[arg-type]
    told = []
    for work in (1e18, 0.0):
        monkeypatch.setattr(outlooks, "EXACT_WORK", work)
        outlook = make_outlook(model, Prices.none(model.resources), np.zeros(0, int), parcels, threads=2)
        told.append(outlook.look(asked))
    exact, close = told
    assert exact["why"].is_null().all() and close["why"].is_null().all()
    assert (exact["legs"] == close["legs"]).mean() > 0.9  # type: ignore[operator]
    assert (exact["chance"] - close["chance"]).abs().max() < 1e-3  # type: ignore[operator]
