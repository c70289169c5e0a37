"""What-ifs: two plans of the same days, and what a change is said to do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rookery as rk
from rookery.flows.changes import apply_changes
from rookery.flows.whatif import COMPARISON_FOLDER
from rookery.terms.frames import ORDERS
from rookery.terms.time import from_minute

BUSIEST = "LEJ-HUB"
NOON = datetime(2026, 9, 15, 12, tzinfo=UTC)
READY = 29_600_000  # the default of made-up orders; the next departure is 1,240 minutes later
HEADER = "departure_id,lane_id,calendar_id,depart_time,transit_minutes,cost_per_parcel"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """The tiny sample network and 150 orders as read."""
    folder = tmp_path_factory.mktemp("tiny") / "feed"
    rk.sample_network("tiny", 1, folder)
    feed = rk.read_feed(folder)
    return feed, rk.check_orders(rk.sample_orders(feed, 150, 1))


@pytest.fixture
def pair(make_feed):
    """Two lanes from A to B, the express one dearer; B lies in the Netherlands."""
    return make_feed(
        nodes=[{"node_id": "A"}, {"node_id": "B", "country": "NL", "name": "Breda hub"}],
        lanes=[{"lane_id": name, "from_node": "A", "to_node": "B"} for name in ("slow", "express")],
        departures=[
            {"departure_id": "slow", "lane_id": "slow", "transit_minutes": 600, "cost_per_parcel": 1.0},
            {"departure_id": "express", "lane_id": "express", "cost_per_parcel": 3.0, "capacity_parcels": 10.0},
        ],
        services=[{"service_id": "days", "due_days": 1}],
    )


def to_b(make_orders, count: int, **more):
    return make_orders(*({"from_node": "A", "to_node": "B", "service_id": "days", **more} for _ in range(count)))


@pytest.mark.parametrize("days", [None, 1, 3])
def test_closing_the_busiest_hub_never_lowers_the_free_flow_bound(tiny, days):
    """With fewer ways to go, no plan can cost less, whether the hub closes for good or for some days."""
    until = None if days is None else NOON + timedelta(days=days)
    made = rk.what_if(*tiny, [rk.CloseNode(BUSIEST, NOON, until)], outcomes=2)
    before, after = (
        plan.summary.get("free_flow_bound", plan.summary["lower_bound"]) for plan in (made.before, made.after)
    )
    assert after >= before > 0
    assert made.summary["cost_change"] > 0, "every parcel of the sample passes this hub, or it shows nothing"
    low, high = made.summary["optimal_cost_change"]
    assert low <= made.summary["cost_change"] <= high


def test_a_volume_of_one_changes_nothing(tiny):
    """The same orders on the same network: every figure, promise, load and lane is as it was."""
    made = rk.what_if(*tiny, [rk.ScaleVolume(1.0)], outcomes=2)
    assert made.summary["before"] == made.summary["after"] and made.summary["cost_change"] == 0
    assert made.before.parcels.equals(made.after.parcels)
    assert (made.lanes["change"] == 0).all()
    assert made.summary["promises"]["same"] == made.before.summary["planned"]


@settings(deadline=None, max_examples=40)
@given(factor=st.floats(0.02, 5), seed=st.integers(0, 9))
def test_volume_is_scaled_by_copies_and_a_drawn_share(make_feed, make_orders, factor, seed):
    """So many times the orders, to the nearest one; every id once; one seed draws one share, and more holds less."""
    feed = make_feed(nodes=[{"node_id": "A"}])
    orders = rk.Orders(make_orders(*({"order_id": f"o#{i}" if i % 2 else f"o{i}"} for i in range(60))))

    def scaled(times: float) -> pl.DataFrame:
        return apply_changes(feed, orders, [rk.ScaleVolume(times, seed)], 0, 1).orders.frame

    frame = scaled(factor)
    assert dict(frame.schema) == ORDERS and abs(frame.height - 60 * factor) <= 0.5 + 1e-9
    assert frame["order_id"].is_unique().all()
    assert frame.equals(scaled(factor))
    assert set(scaled(0.9 * factor + 0.01)["order_id"]) <= set(scaled(factor + 0.02)["order_id"])
    if factor >= 1:
        assert set(orders.frame["order_id"]) <= set(frame["order_id"])


def test_changes_combine_and_share_the_days(tiny, tmp_path):
    """All changes of a call are made at once, over the days of the plan as is, and the changed plan is a right one."""
    feed, orders = tiny
    lane = feed.lanes.row(0, named=True)
    gone = feed.lanes["lane_id"][1]
    row = feed.departures.filter(pl.col("lane_id") == lane["lane_id"]).row(0, named=True)
    extra = tmp_path / "extra.csv"
    extra.write_text(f"{HEADER}\nmore,{lane['lane_id']},{row['calendar_id']},26:10,30,0\n")
    changes = [
        rk.CloseNode("DE-BERLIN", NOON, NOON + timedelta(days=2)),
        rk.DropLane(gone),
        rk.AddDepartures(extra),
        rk.ScaleVolume(2),
    ]
    made = rk.what_if(feed, orders, changes, outcomes=1)
    assert len(made.changes) == 4
    assert {made.before.manifest[key] for key in ("start", "horizon_end")} == {
        made.after.manifest[key] for key in ("start", "horizon_end")
    }
    assert made.after.manifest["feed"]["sha256"] != made.before.manifest["feed"]["sha256"]
    assert made.after.summary["parcels"] == 2 * made.before.summary["parcels"]
    assert gone not in made.after.legs["lane_id"]
    begin, end = (
        int(datetime.fromisoformat(made.before.manifest[key]).timestamp()) // 60 for key in ("start", "horizon_end")
    )
    changed = apply_changes(feed, orders, changes, begin, end)
    assert changed.feed.departures["departure_id"].to_list().count("more") == 1
    assert rk.check(changed.feed, changed.orders, made.after).violations == []


def test_a_dropped_lane_takes_its_departures_and_closures_along(pair, make_orders):
    """What hung on the lane is gone with it, so that every id of the changed network still resolves."""
    closures = [
        {"lane_id": "express", "from_at": 0, "until_at": 9, "capacity_factor": 0.0, "delay_minutes": 0},
        {"departure_id": "express", "from_at": 0, "until_at": 9, "capacity_factor": 0.0, "delay_minutes": 0},
        {"departure_id": "slow", "from_at": 0, "until_at": 9, "capacity_factor": 0.0, "delay_minutes": 0},
    ]
    frame = pl.DataFrame(
        [{name: row.get(name) for name in pair.closures.columns} for row in closures], pair.closures.schema
    )
    feed = type(pair)(**{**vars(pair), "closures": frame})
    changed = apply_changes(feed, rk.Orders(to_b(make_orders, 1)), [rk.DropLane("express")], 0, 1).feed
    assert changed.lanes["lane_id"].to_list() == changed.departures["lane_id"].to_list() == ["slow"]
    assert changed.closures["departure_id"].to_list() == ["slow"]


def test_what_is_lost_is_told_by_service_country_promise_and_lane(pair, make_orders):
    """When the quicker lane goes, what it carried goes with the other and comes later; the tables say so in pieces."""
    orders = to_b(make_orders, 3, pieces=2, due_at=READY + 1500)
    made = rk.what_if(pair, orders, [rk.DropLane("express"), rk.CloseNode("A", None, from_minute(READY + 1440))])
    country = made.countries.row(0, named=True)
    assert (country["country"], country["parcels_before"], country["parcels_after"]) == ("NL", 6, 6)
    assert country["on_time_before"] == 1 and country["on_time_after"] == 0 and country["late_after"] == 6
    assert made.services["service"].to_list() == ["days"]
    assert made.summary["after"]["late_expected"] == 6 and made.summary["before"]["late_expected"] == 0
    assert made.summary["promises"]["later"] == 6 and made.summary["promises"]["mean_hours_later"] > 0
    lanes = {row["lane_id"]: row["change"] for row in made.lanes.iter_rows(named=True)}
    assert sum(lanes.values()) == 0


def test_left_behind_counts_as_not_on_time(pair, make_orders):
    """A parcel that no way is left for is unassigned, costs its refusal and lowers the share that is on time."""
    made = rk.what_if(pair, to_b(make_orders, 4), [rk.DropLane("slow"), rk.DropLane("express")])
    service = made.services.row(0, named=True)
    assert (service["unassigned_before"], service["unassigned_after"], service["on_time_after"]) == (0, 4, 0)
    assert made.summary["after"]["unassigned"] == {"no_lane": 4}
    assert made.summary["promises"]["no_longer_planned"] == 4 and made.summary["promises"]["later"] == 0
    assert made.summary["promises"]["mean_hours_later"] == 0.0, "nothing is planned both times"
    assert made.summary["cost_change"] > 0


def test_full_departures_are_told_before_and_after(pair, make_orders):
    """A departure that fills up is counted as full; one that is empty in one plan has a share of 0 there, not none."""
    quick = {"due_at": READY + 1400}
    made = rk.what_if(pair, to_b(make_orders, 5, **quick), [rk.ScaleVolume(2)], outcomes=1)
    fullest = made.departures.row(0, named=True)
    assert (fullest["departure_id"], fullest["share_before"], fullest["share_after"]) == ("express", 0.5, 1.0)
    assert (made.summary["before"]["full_departures"], made.summary["after"]["full_departures"]) == (0, 1)
    made = rk.what_if(pair, to_b(make_orders, 5, **quick), [rk.DropLane("express")], outcomes=1)
    shares = {row["departure_id"]: row for row in made.departures.iter_rows(named=True)}
    assert shares["express"]["share_after"] == 0 and shares["slow"]["share_before"] is None


def test_added_departures_are_ridden(pair, make_orders, tmp_path):
    """A cheaper departure on a lane of the feed takes the parcels and lowers the cost."""
    extra = tmp_path / "extra.csv"
    extra.write_text(f"{HEADER}\nnight,slow,daily,23:00,30,0.25\n")
    made = rk.what_if(pair, to_b(make_orders, 4), [rk.AddDepartures(extra)])
    assert set(made.after.legs["departure_id"]) == {"night"} and made.summary["after"]["cost"] == pytest.approx(1.0)
    assert made.changes == ("1 departure added on 1 lane",)


def test_a_comparison_is_written_whole(pair, make_orders, tmp_path):
    """Summary, tables and both plans are in the folder; somebody's folder is left alone."""
    made = rk.what_if(pair, to_b(make_orders, 4), [rk.ScaleVolume(0.5)])
    out = made.write(tmp_path / "out")
    assert {file.name for file in out.iterdir()} == COMPARISON_FOLDER.holds - {"whatif.png"}
    assert rk.read_plan(out / "after").parcels.equals(made.after.parcels)
    assert made.write(out) == out, "an earlier comparison is replaced"
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(rk.Conflict, match="left alone"):
        made.write(tmp_path / "mine")


def test_unknown_places_are_told_together_with_what_may_be_meant(pair, make_orders):
    """Every unknown node and lane is named, each with ids, or the id of a name, that are near."""
    wrong = [rk.CloseNode("breda HUB"), rk.CloseNode("Q" * 9), rk.DropLane("expres")]
    with pytest.raises(rk.NotFound) as told:
        rk.what_if(pair, to_b(make_orders, 1), wrong)
    assert "'breda HUB'; perhaps B is meant" in told.value.what
    assert "'QQQQQQQQQ'." in told.value.what
    assert "'expres'; perhaps express is meant" in told.value.what


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (rk.ScaleVolume(0), "whatif.volume"),
        (rk.ScaleVolume(-1), "whatif.volume"),
        (rk.ScaleVolume(float("nan")), "whatif.volume"),
        (rk.ScaleVolume(float("inf")), "whatif.volume"),
        (rk.ScaleVolume(2, seed=-1), "whatif.volume"),
        (rk.ScaleVolume(0.001), "whatif.volume"),
        (rk.ScaleVolume(1e8), "whatif.volume"),
        (rk.CloseNode("B", NOON, NOON), "whatif.closure_span"),
        (
            rk.CloseNode("B", datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 1, 2, tzinfo=UTC)),
            "whatif.closure_outside",
        ),
        (rk.CloseNode("B", datetime(2026, 9, 15)), "time.naive"),
        (rk.AddDepartures("nowhere.csv"), "departures.not_found"),
        (rk.AddDepartures(__file__), "departures.suffix"),
    ],
)
def test_changes_that_make_no_sense_are_refused(pair, make_orders, change, code):
    """A change that means nothing, or would change nothing, is an error that says what to do."""
    with pytest.raises(rk.InvalidInput, match="Next: ") as told:
        rk.what_if(pair, to_b(make_orders, 3), [change])
    assert told.value.code == code


def test_no_change_is_refused(pair, make_orders):
    """Two plans of the same are not worth making."""
    with pytest.raises(rk.InvalidInput, match=r"(?i)no change"):
        rk.what_if(pair, to_b(make_orders, 1), [])


def test_every_fault_of_added_departures_is_told(pair, make_orders, tmp_path):
    """Added departures join whole or not at all: unknown ids, ids that stand twice, bad values, no rows."""
    extra = tmp_path / "extra.csv"
    orders = to_b(make_orders, 1)
    extra.write_text(
        f"{HEADER}\nn1,nope,daily,23:00,30,1\nn2,slow,weekly,23:00,30,1\nslow,slow,daily,23:00,30,1\n"
        "n3,slow,daily,23:00,30,1\nn3,slow,daily,23:30,30,1\n"
    )
    with pytest.raises(rk.InvalidInput) as told:
        rk.what_if(pair, orders, [rk.AddDepartures(extra)])
    assert {(notice.code, notice.line) for notice in told.value.notices} == {
        ("unknown_lane_id", 2),
        ("unknown_calendar_id", 3),
        ("duplicate_id", 4),
        ("duplicate_id", 6),
    }
    extra.write_text(f"{HEADER}\nn1,slow,daily,25 o'clock,30,1\n")
    with pytest.raises(rk.InvalidInput) as told:
        rk.what_if(pair, orders, [rk.AddDepartures(extra)])
    assert [notice.code for notice in told.value.notices] == ["bad_clock"]
    extra.write_text(f"{HEADER}\n")
    with pytest.raises(rk.InvalidInput, match="holds no departure"):
        rk.what_if(pair, orders, [rk.AddDepartures(extra)])
