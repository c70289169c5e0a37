"""The live twin: booked parcels follow their legs, none is lost from sight, and scans arrive muddled but complete."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace as with_trouble

from rookery.flows.planning import plan
from rookery.network import expand, place, read_feed, sample_network
from rookery.orders import read_orders, sample_orders, write_orders
from rookery.terms.frames import FEED, Feed
from rookery.terms.time import DAY, to_minute
from rookery.tracking.codes.tables import builtin
from rookery.twin.live import BOOKINGS, CODES, SCANS, Live
from rookery.twin.model import CALM, ROUGH, Trouble
from rookery.twin.rolling import SPAN_DAYS, Rolling
from rookery.twin.sending import STRANGE_CODES, Muddle, muddle

BEGIN = to_minute(datetime(2026, 9, 15, tzinfo=UTC))
LONG = BEGIN + 60 * DAY
SEED = 3


@pytest.fixture(scope="module")
def feed(tmp_path_factory) -> Feed:
    """A network of twelve nodes whose departures take as long as they should."""
    return read_feed(sample_network("tiny", 7, tmp_path_factory.mktemp("live") / "feed"))


@pytest.fixture(scope="module")
def booked(feed: Feed, tmp_path_factory) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Parcels and their bookings, as a plan of sample orders has them; a parcel's number is its order's."""
    path = write_orders(sample_orders(feed, 200, SEED), tmp_path_factory.mktemp("live") / "orders.parquet")
    orders = read_orders(path)
    made = plan(feed, orders, outcomes=4, horizon_days=21, threads=1, seconds=1.0)
    placed, _ = place(feed, orders.frame)
    on_way = made.parcels.filter(pl.col("status") == "planned")
    zones = feed.zones.select(minutes=pl.col("delivery_minutes").cast(pl.Int64)).with_row_index("zone")
    parcels = (
        placed.join(on_way, on="order_id", how="semi")
        .join(zones.cast({"zone": pl.Int32}), on="zone", how="left", maintain_order="left")
        .select(number="order_id", node="origin", start_at="start_at", minutes=pl.col("minutes").fill_null(0))
    )  # fmt: skip
    bookings = made.legs.select(
        pl.col("order_id").alias("number"), "seq", "departure_id", depart_at=pl.col("depart_at").dt.epoch("s") // 60
    )
    return parcels, bookings.cast(pl.Schema(BOOKINGS))


def live(feed: Feed, booked: tuple[pl.DataFrame, pl.DataFrame], trouble: Trouble, seed: int = SEED) -> Live:
    """The twin with everyone booked."""
    made = Live(Rolling(feed, BEGIN, trouble, seed, expand), trouble, seed)
    made.add(booked[0].reverse())
    made.tell(booked[1])
    return made


def closed(feed: Feed, **what: object) -> Feed:
    """The feed with one closure more."""
    row = dict.fromkeys(FEED["closures"]) | {"capacity_factor": 0.0, "delay_minutes": 0, "line": 0} | what
    return replace(feed, closures=pl.concat([feed.closures, pl.DataFrame([row], schema=FEED["closures"])]))


def timetable(feed: Feed) -> Feed:
    """The feed without its spreads: every ride takes its median."""
    nothing = pl.lit(None, pl.String)
    return replace(
        feed,
        departures=feed.departures.with_columns(transit_id=nothing), zones=feed.zones.with_columns(delivery_id=nothing),
    )  # fmt: skip


def test_codes_are_ours():
    """Every code that the twin scans with means something in the table of our own."""
    table = builtin("rookery")
    assert all(table.find(code) is not None for code in CODES)
    assert all(table.find(code) is None for code in STRANGE_CODES)


def test_in_a_calm_world_everyone_rides_what_was_booked(feed: Feed, booked):
    """Where everything takes its median, each parcel departs with its booked legs, one after another, is delivered, and
    misses nothing.
    """
    twin = live(timetable(feed), booked, CALM)
    scans = twin.advance(LONG)
    left = scans.filter(pl.col("code") == "departed").select("number", "departure", "at")
    ridden = left.group_by("number", maintain_order=True).agg("departure").sort("number")
    told = booked[1].sort("seq").group_by("number", maintain_order=True).agg(departure="departure_id").sort("number")
    assert ridden.equals(told)
    truth = twin.truth()
    assert (truth["state"] == "delivered").all() and truth["missed"].sum() == 0 and not twin.astray()
    brought = scans.filter(pl.col("code") == "delivered").select("number", delivered_at="at")
    assert brought.sort("number").equals(truth.select("number", "delivered_at").sort("number"))
    assert scans["at"].is_sorted() and dict(scans.schema) == SCANS


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(BEGIN, LONG), max_size=8), st.integers(0, 1000))
def test_how_time_is_cut_makes_no_difference(feed: Feed, booked, stops: list[int], seed: int):
    """The same seed gives the same scans, in however many steps time passes."""
    twin, other = live(feed, booked, ROUGH, seed), live(feed, booked, ROUGH, seed)
    once = twin.advance(LONG)
    parts = pl.concat([other.advance(stop) for stop in [*sorted(stops), LONG]])
    assert parts.equals(once) and twin.truth().equals(other.truth())


def test_in_a_rough_world_none_is_lost_from_sight(feed: Feed, booked):
    """At any time every accepted parcel is on its way, delivered or lost; a scan a parcel cannot have is never made."""
    twin = live(feed, booked, ROUGH)
    scans = pl.DataFrame(schema=SCANS)
    for day in range(30):
        scans = pl.concat([scans, twin.advance(BEGIN + day * DAY)])
        assert scans["at"].max() is None or scans["at"].max() < BEGIN + day * DAY  # type: ignore[operator]
        truth = twin.truth()
        accepted = set(scans.filter(pl.col("code") == "accepted")["number"])
        assert accepted == set(truth.filter(pl.col("state") != "coming")["number"])
        delivered = set(scans.filter(pl.col("code") == "delivered")["number"])
        assert delivered == set(truth.filter(pl.col("state") == "delivered")["number"])
    counts = scans.group_by("number").agg(
        left=(pl.col("code") == "departed").sum(), came=(pl.col("code") == "arrived").sum(),
        accepted=(pl.col("code") == "accepted").sum(), brought=(pl.col("code") == "delivered").sum(),
    )  # fmt: skip
    assert counts.filter((pl.col("accepted") != 1) | (pl.col("brought") > 1)).is_empty()
    assert counts.filter(~(pl.col("left") - pl.col("came")).is_between(0, 1)).is_empty()
    assert twin.truth()["missed"].sum() > 0
    by = scans.filter(pl.col("code").is_in(["departed", "arrived"]))
    assert by["carrier"].null_count() == 0 and by["departure"].null_count() == 0


def test_who_misses_takes_the_next_of_the_lane(feed: Feed, booked):
    """A parcel whose departure does not run goes with the lane's next, and then on by its other legs."""
    calm = timetable(feed)
    first = booked[1].filter(pl.col("seq") == 1).row(0, named=True)
    one = booked[0].filter(pl.col("number") == first["number"]), booked[1].filter(pl.col("number") == first["number"])
    at = first["depart_at"]
    shut = closed(calm, departure_id=first["departure_id"], from_at=at - 30, until_at=at + 30)
    twin = live(calm, one, CALM)
    twin.close(shut, BEGIN)
    assert twin.astray() == []  # it is not there yet
    scans = twin.advance(LONG)
    assert scans["at"].filter(scans["code"] == "departed")[0] > at
    truth = twin.truth().row(0, named=True)
    assert truth["state"] == "delivered" and truth["missed"] >= 1


def test_a_new_booking_moves_it(feed: Feed, booked):
    """Told other legs while it waits, a parcel rides these; told while it rides, it goes on by them afterwards."""
    calm = timetable(feed)
    later = booked[1].with_columns(depart_at=pl.col("depart_at") + 7 * DAY)  # the same departures, a week later
    twin = live(calm, booked, CALM)
    before = twin.advance(int(booked[1]["depart_at"].median()))  # type: ignore[arg-type]
    ridden = before.filter(pl.col("code") == "departed").select("number", departure_id="departure")
    assert 0 < ridden.height < later.height
    loaded = twin.truth().filter(pl.col("state") == "loaded")  # nobody gets off again
    twin.tell(later)
    scans = twin.advance(LONG).join(loaded, on="number", how="anti")
    gone = scans.filter(pl.col("code") == "departed").select("number", departure_id="departure", depart_at="at")
    asked = later.join(ridden, on=["number", "departure_id"], how="anti").select(gone.columns)
    asked = asked.join(loaded, on="number", how="anti")
    assert gone.sort("number", "depart_at").equals(asked.sort("number", "depart_at"))
    assert (twin.truth()["state"] == "delivered").all()


def test_a_closed_node_holds_up_what_leaves_it(feed: Feed, booked):
    """While a node is closed nothing departs from it; what left before goes on, and afterwards all is delivered."""
    twin = live(feed, booked, CALM)
    node = booked[1].join(feed.departures, on="departure_id").join(feed.lanes, on="lane_id")["from_node"].mode()[0]
    at, until = BEGIN + DAY, BEGIN + 3 * DAY
    before = twin.advance(at)
    twin.close(closed(feed, node_id=node, from_at=at, until_at=until), at)
    scans = twin.advance(LONG)
    gone = scans.filter((pl.col("code") == "departed") & (pl.col("node") == node))
    assert gone.filter(pl.col("at").is_between(at + 2 * DAY // 24, until, closed="left")).is_empty()
    assert gone.filter(pl.col("at") >= until).height > 0
    every = pl.concat([before, scans])
    assert every.filter(pl.col("code") == "delivered").height == booked[0].height


def test_spans_follow_each_other(feed: Feed):
    """Rows of later spans come behind those there are, which stay as they are, and each stands there once."""
    rolling = Rolling(feed, BEGIN, ROUGH, SEED, expand)
    before = rolling.rows
    rolling.reach(BEGIN + 2 * SPAN_DAYS * DAY)
    after = rolling.rows
    assert len(after) > 1.9 * len(before) and (after.depart[: len(before)] == before.depart).all()
    keys = pl.DataFrame({"departure": after.departure, "scheduled": after.scheduled})
    assert keys.is_unique().all()
    some = slice(None, None, 97)
    found = rolling.find(after.departure[some], after.scheduled[some])
    assert (after.scheduled[found] == after.scheduled[some]).all()


def test_what_was_saved_goes_on_as_if_nothing_had_been(feed: Feed, booked, tmp_path: Path):
    """A twin taken up from its file gives the scans that the first would have given."""
    twin = live(feed, booked, ROUGH)
    twin.advance(BEGIN + 2 * DAY)
    twin.save(tmp_path / "twin.npz")
    again = Live(Rolling(feed, BEGIN, ROUGH, SEED, expand), ROUGH, SEED)
    again.load(tmp_path / "twin.npz")
    assert again.advance(LONG).equals(twin.advance(LONG)) and again.truth().equals(twin.truth())


def test_scans_are_muddled_but_all_come(feed: Feed, booked):
    """All scans are sent, none before it was made, and what is strange beside them; batches make no difference."""
    scans = live(feed, booked, ROUGH).advance(LONG)
    rates = Muddle(duplicate=0.1, out_of_order=0.2, late=0.1, unknown_code=0.02, unknown_number=0.02)
    sent = muddle(scans, rates, SEED)
    assert sent["sent_at"].is_sorted() and (sent["sent_at"] >= sent["at"]).all()
    assert scans.join(sent, on=["number", "at", "code"], how="anti").is_empty()
    repeated = sent.height - sent.unique(["number", "at", "code"]).height
    strange = sent.filter(pl.col("code").is_in(STRANGE_CODES)).height
    strays = sent.join(scans, on="number", how="anti").height
    assert 0.05 < repeated / scans.height < 0.2 and 0 < strange < repeated and 0 < strays < repeated
    key = ["number", "at", "code", "sent_at"]
    half = scans.height // 2
    parts = pl.concat([muddle(scans[:half], rates, SEED), muddle(scans[half:], rates, SEED)])
    assert parts.sort(key).equals(sent.sort(key))
    neat = Muddle(duplicate=0.0, out_of_order=0.0, late=0.0, unknown_code=0.0, unknown_number=0.0)
    assert muddle(scans, neat, SEED).drop("sent_at").equals(scans)


def ways(feed: Feed) -> pl.DataFrame:
    """Where each departure leaves from and leads to: departure, lane, frm, to."""
    lanes = feed.lanes.select("lane_id", frm="from_node", to="to_node")
    return feed.departures.join(lanes, on="lane_id").select("lane_id", "frm", "to", departure="departure_id")


def strays(feed: Feed, scans: pl.DataFrame, bookings: pl.DataFrame) -> pl.DataFrame:
    """Departures of parcels on a lane that none of their own legs has, in the order of time, with the lane's ends."""
    way = ways(feed)
    own = bookings.join(way, left_on="departure_id", right_on="departure").select("number", "lane_id")
    left = scans.filter(pl.col("code") == "departed").join(way, on="departure", maintain_order="left")
    return left.join(own, on=["number", "lane_id"], how="anti")


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 1000))
def test_only_what_goes_astray_is_moved_otherwise(feed: Feed, booked, seed: int):
    """Without a share of them nothing rides a lane that is not its own; with one, whatever does not stray gives the
    very scans that it gives without.
    """
    scans = {share: live(feed, booked, with_trouble(ROUGH, misrouted_share=share), seed).advance(LONG)
             for share in (0.0, 0.1)}  # fmt: skip
    assert strays(feed, scans[0.0], booked[1]).is_empty()
    astray = strays(feed, scans[0.1], booked[1])["number"].unique()
    assert 0 < len(astray) < booked[0].height
    calm, wild = (some.filter(~pl.col("number").is_in(astray.implode())) for some in scans.values())
    assert wild.equals(calm)


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([0.02, 0.2, 0.6]))
def test_what_goes_astray_is_where_its_scans_say(feed: Feed, booked, seed: int, share: float):
    """Every parcel departs from where it came to, and comes to where that leads, whatever way it is taken; none is
    doubled, and each is delivered, lost, or still there.
    """
    twin = live(feed, booked, with_trouble(ROUGH, misrouted_share=share), seed)
    scans = twin.advance(LONG)
    moves = scans.filter(pl.col("code").is_in(["accepted", "departed", "arrived"]))
    moves = moves.join(ways(feed), on="departure", how="left", maintain_order="left").with_columns(
        before=pl.col("node").shift().over("number"), code_before=pl.col("code").shift().over("number")
    )
    left, came = moves.filter(pl.col("code") == "departed"), moves.filter(pl.col("code") == "arrived")
    assert left.height and (left["node"] == left["frm"]).all() and (left["before"] == left["node"]).all()
    assert (left["code_before"] != "departed").all() and (came["code_before"] == "departed").all()
    assert (came["node"] == came["to"]).all() and (came["before"] == came["frm"]).all()
    ends = scans.filter(pl.col("code") == "delivered")
    assert ends["number"].is_unique().all()
    last = moves.group_by("number").agg(pl.col("node").last())
    home = booked[1].sort("seq").group_by("number").agg(pl.col("departure_id").last())
    home = home.join(ways(feed), left_on="departure_id", right_on="departure").select("number", "to")
    brought = ends.join(last, on="number", suffix="_last").join(home, on="number")
    assert brought.height > 0 and (brought["node_last"] == brought["to"]).all()
    counts = twin.counts()
    assert sum(counts.values()) == booked[0].height and counts["delivered"] == ends.height


def test_what_went_astray_comes_back_on_its_way(feed: Feed, booked):
    """From a wrong node a parcel rides straight back to where it was taken from, or on by a leg of its own; where
    there is a way back from everywhere, everyone is delivered, and missed what it was to ride.
    """
    twin = live(feed, booked, Trouble(misrouted_share=0.2))
    scans = twin.advance(LONG)
    rides = scans.filter(pl.col("code") == "departed").join(ways(feed), on="departure", maintain_order="left")
    rides = rides.with_columns(next_to=pl.col("to").shift(-1).over("number"))
    wrong = rides.join(strays(feed, scans, booked[1]).select("number", "at"), on=["number", "at"])
    starts = booked[1].join(ways(feed), left_on="departure_id", right_on="departure").select("number", to="frm")
    lost = wrong.join(starts, on=["number", "to"], how="anti").drop_nulls("next_to")
    assert lost.height > 0 and (lost["next_to"] == lost["frm"]).all()
    truth = twin.truth().filter(pl.col("number").is_in(wrong["number"].implode()))
    stuck = set(truth.filter(pl.col("state") != "delivered")["number"])
    no_way = set(twin.astray())  # there is no departure back from where they are: they wait to be booked anew
    assert stuck == no_way and len(stuck) < truth.height
    assert truth["missed"].sum() > 0


def test_who_is_booked_anew_from_a_wrong_place_goes_on_from_there(feed: Feed, booked):
    """A parcel that stands where it has no business, told legs from there, rides these instead of going back."""
    calm = timetable(feed)
    twin = live(calm, booked, Trouble(misrouted_share=0.2))
    seen = there = pl.DataFrame(schema=SCANS)
    while there.is_empty():
        seen = pl.concat([seen, twin.advance(twin.minute + 60 if twin.minute else BEGIN + 60)])
        last = seen.group_by("number", maintain_order=True).last()
        there = last.filter(pl.col("code") == "arrived", pl.col("number").is_in(twin.astray()))
    number, node = there.select("number", "node").row(0)
    rows, out = twin.rolling.rows, ways(feed).filter(pl.col("frm") == node)["departure"]
    leaves = pl.Series(calm.departures["departure_id"]).gather(rows.departure).is_in(out.implode()).to_numpy()
    leaves &= rows.runs & (rows.cutoff > twin.minute + 2 * DAY)
    row = int(np.flatnonzero(leaves)[rows.cutoff[leaves].argmin()])
    leg = (number, 1, calm.departures["departure_id"][int(rows.departure[row])], int(rows.scheduled[row]))
    twin.tell(pl.DataFrame([leg], schema=BOOKINGS, orient="row"))
    assert number not in twin.astray()
    gone = twin.advance(LONG).filter(pl.col("number") == number, pl.col("code") == "departed")
    assert gone.select("departure", "at").row(0) == (leg[2], rows.depart[row])


STRAYS = Trouble(misrouted_share=0.5)


def at_a_wrong_door(feed: Feed, booked) -> tuple[str, int, str, int, str]:
    """A parcel that is loaded the wrong way long before that leaves: number, minute, departure, when and whence."""
    twin, scans, loaded = live(feed, booked, STRAYS), [], []
    for minute in range(BEGIN + 60, BEGIN + 2 * DAY, 60):
        scans.append(twin.advance(minute))
        loaded.append(twin.truth().filter(pl.col("state") == "loaded").select("number", since=pl.lit(minute)))
    left = pl.concat(scans).filter(pl.col("code") == "departed").select("number", "at", "node", "departure")
    lies = pl.concat(loaded).join_asof(
        left, left_on="since", right_on="at", by="number", strategy="forward", check_sortedness=False
    )
    return lies.filter(pl.col("at") > pl.col("since") + 180).select("number", "since", "departure", "at", "node").row(0)


def test_what_lies_at_a_wrong_door_is_not_taken_along_by_what_does_not_run(feed: Feed, booked):
    """Loaded the wrong way long before that leaves, a parcel stays where the node closes, and leaves later."""
    number, at, _, leaves, node = at_a_wrong_door(feed, booked)
    twin = live(feed, booked, STRAYS)
    twin.advance(at)
    twin.close(closed(feed, node_id=node, from_at=at, until_at=leaves + 60), at)
    gone = twin.advance(LONG).filter((pl.col("code") == "departed") & (pl.col("number") == number))
    assert gone["node"][0] == node and gone["at"][0] >= leaves + 60


def test_what_was_booked_on_while_at_a_wrong_door_rides_that_when_the_door_closes(feed: Feed, booked):
    """Told new legs from where it stands, as nobody knows that it is loaded, a parcel that is taken out of what does
    not run waits for the first of them, and leaves once its cut-off has come.
    """
    number, at, wrong, leaves, node = at_a_wrong_door(feed, booked)
    twin = live(feed, booked, STRAYS)
    twin.advance(at)
    rows, names = twin.rolling.rows, pl.Series(feed.departures["departure_id"])
    others = ways(feed).filter(pl.col("frm") == node, pl.col("departure") != wrong)["departure"]
    fits = names.gather(rows.departure).is_in(others.implode()).to_numpy() & rows.runs & (rows.cutoff > leaves + DAY)
    row = int(np.flatnonzero(fits)[rows.cutoff[fits].argmin()])
    leg = (number, 0, names[int(rows.departure[row])], int(rows.scheduled[row]))
    twin.tell(pl.DataFrame([leg], schema=BOOKINGS, orient="row"))
    assert twin.truth().filter(pl.col("number") == number)["state"].item() == "loaded"
    twin.close(closed(feed, departure_id=wrong, from_at=at, until_at=leaves + 60), at)
    assert number not in twin.astray()
    gone = twin.advance(LONG).filter((pl.col("code") == "departed") & (pl.col("number") == number))
    assert gone["node"][0] == node and gone["at"][0] >= rows.cutoff[row]


def test_what_was_saved_before_anything_went_astray_is_taken_up(feed: Feed, booked, tmp_path: Path):
    """A file that tells of no wrong way is one of parcels that are all on theirs."""
    twin = live(feed, booked, ROUGH)
    twin.advance(BEGIN + DAY // 2)
    twin.save(tmp_path / "twin.npz")
    with np.load(tmp_path / "twin.npz") as kept:
        np.savez(tmp_path / "older.npz", **{name: kept[name] for name in kept if name != "back"})
    again = Live(Rolling(feed, BEGIN, ROUGH, SEED, expand), ROUGH, SEED)
    again.load(tmp_path / "older.npz")
    assert again.advance(LONG).equals(twin.advance(LONG))
