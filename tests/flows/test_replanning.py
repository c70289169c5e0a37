"""Changing a plan around closures: what is written, what is told, what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

import rookery as rk
from rookery.terms.errors import Conflict, InvalidInput, NotFound
from rookery.terms.frames import PLAN_CHANGES

START = datetime(2026, 3, 2, tzinfo=UTC)
AT = START + timedelta(hours=9)
NOON = START + timedelta(hours=12)

FEED = {
    "feed.json": '{"name": "corridor", "version": "1", "currency": "EUR"}',
    "nodes.csv": """node_id,name,kind,lat,lon,country,timezone,handling_minutes
A,A,hub,0,0,BE,UTC,0
M,M,hub,0,1,BE,UTC,30
B,B,hub,0,2,BE,UTC,0
""",
    "lanes.csv": """lane_id,from_node,to_node,mode
AM,A,M,truck
MB,M,B,truck
AB,A,B,air
""",
    "departures.csv": "departure_id,lane_id,calendar_id,depart_time,cutoff_minutes,transit_minutes,"
    """capacity_parcels,cost_per_parcel
am08,AM,daily,08:00,0,90,,1
am10,AM,daily,10:00,0,90,,1
mb12,MB,daily,12:00,30,60,2,1
mb18,MB,daily,18:00,0,60,,1
ab20,AB,daily,20:00,0,60,,10
""",
    "calendars.csv": """calendar_id,monday,tuesday,wednesday,thursday,friday,saturday,sunday,start_on,end_on
daily,1,1,1,1,1,1,1,2026-01-01,2026-12-31
""",
    "services.csv": "service_id,name,due_hours,late_cost,time_cost_per_day\ns,s,24,20,2.4\n",
}  # fmt: skip
ORDERS = """order_id,from_node,to_node,ready_at,weight_g,service_id,late_cost
early,A,B,2026-03-02T07:00Z,1000,s,20
second,A,B,2026-03-02T07:30Z,1000,s,10
later,A,B,2026-03-02T09:30Z,1000,s,20
"""
CLOSURES = "node_id,lane_id,departure_id,from_at,until_at,capacity_factor,delay_minutes,reason\n"


@pytest.fixture
def made(tmp_path: Path):
    """A corridor A-M-B with a dear flight beside it, three orders, and their plan: (feed, orders, plan's folder)."""
    (tmp_path / "feed").mkdir()
    for name, text in FEED.items():
        (tmp_path / "feed" / name).write_text(text)
    (tmp_path / "orders.csv").write_text(ORDERS)
    feed, orders = rk.read_feed(tmp_path / "feed"), rk.read_orders(tmp_path / "orders.csv")
    rk.plan(feed, orders, start=START, horizon_days=3, outcomes=1).write(tmp_path / "plan")
    return feed, orders, tmp_path / "plan"


@pytest.fixture
def closures(tmp_path: Path, made):
    """Closures from rows of CSV text laid over the corridor."""

    def lay(*rows: str) -> rk.Feed:
        (tmp_path / "storm.csv").write_text(CLOSURES + "\n".join(rows) + "\n")
        return rk.read_closures(tmp_path / "storm.csv", made[0])

    return lay


def ways(plan: rk.Plan) -> dict[str, list[str]]:
    """The departures of each order."""
    return dict(plan.legs.group_by("order_id", maintain_order=True).agg("departure_id").iter_rows())


def test_the_plan_is_the_one_meant(made):
    """Two parcels take the noon truck, which is then full; the third waits for the evening one."""
    plan = rk.read_plan(made[2])
    assert ways(plan) == {"early": ["am08", "mb12"], "second": ["am08", "mb12"], "later": ["am10", "mb18"]}


def test_a_cancelled_truck_is_gone_round(made, closures):
    """Parcels that have left for M go on from there; each change carries the closure's own reason."""
    news = closures(",,mb12,2026-03-02T00:00Z,2026-03-03T00:00Z,0,,engine")
    changed = rk.replan(*made, news, AT)
    assert ways(changed) == {"early": ["am08", "mb18"], "second": ["am08", "mb18"], "later": ["am10", "mb18"]}
    row = changed.changes.row(0, named=True)
    assert dict(changed.changes.schema) == PLAN_CHANGES
    assert changed.changes["order_id"].to_list() == ["early", "second"]
    assert (row["reason"], row["closure"], row["departure_id"], row["depart_at"]) == (
        "cancelled", "engine", "mb12", NOON,
    )  # fmt: skip
    assert (row["old_departures"], row["new_departures"]) == (["mb12"], ["mb18"])
    assert row["new_cost"] - row["old_cost"] == pytest.approx(0.6)  # six hours
    told = changed.summary
    assert (told["affected"], told["changed"], told["kept"], told["newly_late"]) == (2, 2, 1, 0)
    assert told["cost_after"] - told["cost_before"] == pytest.approx(1.2)
    assert told["gap"] == pytest.approx(0.0, abs=1e-6)


def test_half_the_room_goes_to_who_is_dearer_to_keep(made, closures):
    """Where reduced capacity no longer holds its load, the parcel with the lower late cost gives way."""
    news = closures(",,mb12,2026-03-02T00:00Z,2026-03-03T00:00Z,0.5,,half a truck")
    changed = rk.replan(*made, news, AT)
    assert ways(changed)["early"] == ["am08", "mb12"]
    assert ways(changed)["second"] == ["am08", "mb18"]
    assert changed.changes.select("order_id", "reason", "closure").rows() == [("second", "no_room", "half a truck")]


def test_a_late_truck_is_kept_or_left(made, closures):
    """A delay breaks no connection here: who is on the truck stays, and is told when it will arrive."""
    news = closures(",,mb12,2026-03-02T00:00Z,2026-03-03T00:00Z,,120,jam")
    changed = rk.replan(*made, news, AT)
    assert ways(changed) == ways(rk.read_plan(made[2]))
    assert changed.changes.select("reason", "changed").rows() == [("delayed", False)] * 2
    assert (changed.changes["new_expected_at"] - changed.changes["old_expected_at"]).to_list() == [
        timedelta(hours=2)
    ] * 2  # fmt: skip


def test_a_late_way_without_room_for_every_outcome_must_be_left(make_feed, make_orders):
    """With several outcomes a way that is only late is given up where one of them finds no room: no choice, no room."""
    runs = {"am": (840, 1.0), "mb16": (960, 1.0), "mb20": (1200, 0.5), "ab21": (1260, 1.0)}
    feed = make_feed(
        nodes=[{"node_id": node} for node in "AMB"],
        lanes=[{"lane_id": lane, "from_node": lane[0], "to_node": lane[1]} for lane in ("AM", "MB", "AB")],
        departures=[
            {"departure_id": name, "lane_id": name[:2].upper(), "depart_minute": minute, "capacity_parcels": seats,
             "transit_id": "slow" if name == "am" else None, "cost_per_parcel": 9.0 if name == "ab21" else 1.0}
            for name, (minute, seats) in runs.items()
        ],
        transit=[{"transit_id": "slow", "quantile": q, "factor": f} for q, f in ((0.25, 0.9), (0.5, 1.0), (0.75, 4.0))],
    )  # fmt: skip
    orders = rk.Orders(make_orders({"from_node": "A", "to_node": "B"}))
    made = rk.plan(feed, orders, horizon_days=1, outcomes=2)
    assert ways(made) == {"o0": ["am", "mb16"]} and made.loads["parcels"].to_list() == [1.0, 0.5, 0.5]
    start = datetime.fromisoformat(made.manifest["start"])
    jam = {"departure_id": "mb16", "from_at": 29_600_000, "until_at": 29_601_000, "capacity_factor": 1.0}
    jams = make_feed(closures=[{**jam, "delay_minutes": 60, "reason": "jam"}]).closures
    changed = rk.replan(feed, orders, made, replace(feed, closures=jams), start, stability=float("inf"))
    assert ways(changed) == {"o0": ["ab21"]}
    assert changed.changes.select("reason", "changed", "closure").rows() == [("no_room", True, "jam")]


def test_a_shut_node_breaks_connections_and_names_itself(made, closures):
    """What arrives at a shut node waits there, and misses what it meant to catch; another day's closure is no cause."""
    news = closures(
        "M,,,2026-03-03T00:00Z,2026-03-04T00:00Z,0,,feast", "M,,,2026-03-02T09:30Z,2026-03-02T11:45Z,0,,police"
    )
    changed = rk.replan(*made, news, AT)
    assert changed.changes.filter(pl.col("order_id") == "early").select("reason", "closure").row(0) == (
        "missed_connection", "police",
    )  # fmt: skip
    assert ways(changed)["early"] == ["am08", "mb18"]


def test_a_changed_plan_is_a_whole_plan_on_disk(made, closures, tmp_path):
    """It is written and read like any plan, replaces the old one, and can be changed again from its folder."""
    feed, orders, folder = made
    news = closures(",,mb12,2026-03-02T00:00Z,2026-03-03T00:00Z,0,,engine")
    changed = rk.replan(*made, news, AT)
    changed.write(folder)
    read = rk.read_plan(folder)
    assert read.parcels.equals(changed.parcels) and read.legs.equals(changed.legs)
    assert read.manifest["replanned_at"] == "2026-03-02T09:00:00Z"
    assert read.manifest["closures"]["rows"] == 1
    assert pl.read_parquet(folder / "changes.parquet").equals(changed.changes)
    again = rk.replan(feed, orders, folder, news, NOON)
    assert again.changes.is_empty() and again.legs.equals(changed.legs)
    more = rk.replan(feed, orders, folder, closures(",,mb18,2026-03-02T00:00Z,2026-03-03T00:00Z,0,,too"), NOON)
    assert ways(more)["early"] == ["am08", "mb12"]  # tomorrow's
    assert more.changes["reason"].to_list() == ["cancelled"] * 3
    with pytest.raises(InvalidInput, match="folder it lies in"):
        rk.replan(feed, orders, read, news, NOON)
    with pytest.raises(InvalidInput, match="before that"):
        rk.replan(feed, orders, folder, news, START + timedelta(hours=8))


def test_closures_that_do_nothing_are_told(made, closures):
    """Outside what is left of the plan, or against each other: warned of, and nothing else is refused."""
    late = closures(",,mb12,2027-03-02T00:00Z,2027-03-03T00:00Z,0,,engine")
    changed = rk.replan(*made, late, AT)
    assert changed.changes.is_empty()
    assert [(notice.code, notice.file) for notice in changed.notices] == [("closures_outside_horizon", "storm.csv")]
    both = closures(
        ",,mb18,2026-03-02T00:00Z,2026-03-03T00:00Z,0,,shut", ",,mb18,2026-03-02T00:00Z,2026-03-03T00:00Z,0.5,,open"
    )
    assert "closures_contradict" in {notice.code for notice in rk.replan(*made, both, AT).notices}


def test_another_feed_or_other_orders_are_refused(made, closures, tmp_path):
    """A plan of another feed version or other orders is not gone on with; what to do is told."""
    feed, orders, folder = made
    news = closures(",,mb12,2026-03-02T00:00Z,2026-03-03T00:00Z,0,,engine")
    (tmp_path / "orders.csv").write_text(ORDERS.replace("1000", "2000"))
    other = rk.read_orders(tmp_path / "orders.csv")
    with pytest.raises(Conflict, match=r"the orders \(then: .*plan again"):
        rk.replan(feed, other, folder, news, AT)
    (tmp_path / "feed" / "services.csv").write_text(FEED["services.csv"].replace("24", "23"))
    newer = rk.read_feed(tmp_path / "feed")
    with pytest.raises(Conflict, match=r"the feed .* and the orders"):
        rk.replan(newer, other, folder, rk.read_closures(tmp_path / "storm.csv", newer), AT)
    with pytest.raises(Conflict, match="read_closures"):
        rk.replan(feed, orders, folder, rk.read_closures(tmp_path / "storm.csv", newer), AT)


@pytest.mark.parametrize(
    ("at", "options", "told"),
    [
        (START - timedelta(minutes=1), {}, "outside the plan"),
        (START + timedelta(days=3), {}, "outside the plan"),
        (AT.replace(tzinfo=None), {}, "time zone"),
        (AT, {"stability": -1.0}, "not 0 or more"),
        (AT, {"stability": float("nan")}, "not 0 or more"),
        (AT, {"gap": 1.5}, "gap"),
        (AT, {"seconds": 0.0}, "seconds"),
    ],
)
def test_settings_that_make_no_sense_are_refused(made, closures, at, options, told):
    """An instant outside the plan, a negative stability and the like are told before any work."""
    news = closures(",,mb12,2026-03-02T00:00Z,2026-03-03T00:00Z,0,,engine")
    with pytest.raises(InvalidInput, match=told):
        rk.replan(*made, news, at, **options)


@pytest.mark.parametrize(
    ("name", "damage", "told"),
    [
        ("parcels", pl.col("order_id").reverse(), "does not hold these orders"),
        ("parcels", pl.lit(None, pl.Float64).alias("cost"), "no value in cost"),
        ("parcels", pl.lit(7, pl.Int32).alias("legs"), "tells of 21"),
        ("parcels", pl.lit(-1, pl.Int32).alias("legs"), "less than no legs"),
        ("legs", pl.col("order_id").reverse(), "in the order of parcels"),
        ("legs", pl.col("depart_at").reverse(), "leave before"),
        ("legs", pl.lit("xx").alias("departure_id"), "xx"),
        ("legs", pl.col("depart_at") + timedelta(minutes=1), "does not run then"),
    ],
)
def test_a_damaged_plan_is_refused(made, closures, name, damage, told):
    """A plan whose tables do not fit each other, the orders or the feed is told of, not gone on with."""
    feed, orders, folder = made
    file = folder / f"{name}.parquet"
    pl.read_parquet(file).with_columns(damage).write_parquet(file)
    with pytest.raises(InvalidInput, match=told):
        rk.replan(feed, orders, folder, closures(",,mb12,2026-03-02T00:00Z,2026-03-03T00:00Z,0,,engine"), AT)


def test_other_faults_of_a_folder_are_told(made, closures, tmp_path):
    """No plan at all, an instant that is none, and unreadable closures each get their own answer."""
    feed, orders, folder = made
    news = closures(",,mb12,2026-03-02T00:00Z,2026-03-03T00:00Z,0,,engine")
    with pytest.raises(NotFound):
        rk.replan(feed, orders, tmp_path / "nowhere", news, AT)
    (folder / "closures.parquet").write_bytes(b"no parquet")
    with pytest.raises(InvalidInput, match=r"closures\.parquet"):
        rk.replan(feed, orders, folder, news, AT)
    (folder / "closures.parquet").unlink()
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"replanned_at": "soon"}))
    with pytest.raises(InvalidInput, match="replanned_at"):
        rk.replan(feed, orders, folder, news, AT)
