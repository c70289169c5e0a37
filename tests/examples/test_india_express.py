"""The India example: its builder on a made-up extract of five centres, and the whole on the real one where it lies."""

import gzip
import re
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from examples.india_express import build, evaluate, run, trips
from examples.india_express.extract import FILES, Extract, NoExtract, folder, read_extract
from examples.india_express.places import positions
from examples.india_express.spread import IDEAS, LEVELS, choose, compare, described, fit, learn, pinball
from rookery.flows.planning import plan
from rookery.network.reader import read_feed
from rookery.orders import read_orders

A, B, C, D, ADRIFT = "IND110001AAA", "IND122001AAA", "IND302001AAA", "IND400001AAA", "IND000000AAA"
CORRIDORS = [(A, B, 60.0, 20.0, 30.0, "Carting"), (B, C, 240.0, 200.0, 250.0, "FTL"),
             (C, D, 900.0, 800.0, 1100.0, "FTL"),
             (C, ADRIFT, 30.0, 15.0, 12.0, "Carting")]  # fmt: skip
FIRST = datetime(2018, 9, 27, 20, 0, 40, tzinfo=UTC)  # 01:30 the next day in India


def write_extract(into: Path, days: int = 4) -> Path:
    """Two corridors driven daily, a little later and slower each day; the others never."""
    corridors = pl.DataFrame(
        [(a, b, 5, m / o, m, o, km, kind, m / o) for a, b, m, o, km, kind in CORRIDORS],
        schema=["source_center", "destination_center", "n_legs", "median_ratio", "median_actual_min", "median_osrm_min",
                "median_osrm_km", "major_route_type", "shrunk_ratio"],
        orient="row",
    )  # fmt: skip
    centres = pl.DataFrame(
        {
            "center": [A, B, C, D, ADRIFT],
            "out_degree": [1, 1, 2, 0, 0],
            "dwell_gap_median_min": [20.0, 40.0, 60.0, None, None],
        }
    )
    legs = []
    for day in range(days):
        start = FIRST + timedelta(days=day, minutes=5 * day)
        legs.append((f"trip-{day}", A, B, "Carting", start, 20.0, 60.0 * 1.1**day))
        legs.append((f"trip-{day}", B, C, "FTL", start + timedelta(hours=2), 200.0, 240.0 * 1.1**day))
        legs.append((f"tour-{day}", A, B, "Carting", start, 20.0, 60.0))
        legs.append((f"tour-{day}", B, A, "Carting", start + timedelta(hours=2), 20.0, 70.0))
    recorded = pl.DataFrame(
        legs,
        schema=[
            "trip_uuid",
            "source_center",
            "destination_center",
            "route_type",
            "od_start_time",
            "osrm_time",
            "actual_time",
        ],
        orient="row",
    ).with_columns(pl.col("od_start_time").dt.strftime("%Y-%m-%d %H:%M:%S%.6f"))
    corridors.write_csv(into / FILES[0])
    centres.write_csv(into / FILES[1])
    (into / FILES[2]).write_bytes(gzip.compress(recorded.write_csv().encode()))
    return into


@pytest.fixture
def extract(tmp_path) -> Extract:
    return read_extract(write_extract(tmp_path))


def departures_of(extract: Extract, lane: str) -> pl.DataFrame:
    made = build.tables(extract, learn(extract)[0])["departures"]
    return made.filter(pl.col("lane_id").str.starts_with(lane))


def test_the_feed_of_a_small_extract_reads_without_a_notice_and_carries_a_trip_to_its_end(extract, tmp_path):
    """Everything the builder writes is in the feed format, and a trip over two corridors is planned on both."""
    feed = read_feed(build.write(build.tables(extract, learn(extract)[0]), tmp_path / "feed"))
    assert feed.notices == ()
    assert (feed.nodes.height, feed.lanes.height) == (5, 4)
    ordered = trips.trips(extract.legs, extract.last_day)
    trips.orders(ordered, extract).write_csv(tmp_path / "orders.csv")
    made = plan(feed, read_orders(tmp_path / "orders.csv"), outcomes=4, horizon_days=5)
    assert dict(made.parcels.select("order_id", "legs").iter_rows()) == {"trip-3": 2, "tour-3": 1}


def test_a_stamp_is_utc_and_a_corridor_departs_at_its_latest_start_plus_the_dwell(extract):
    """Starts at 20:00 to 20:15 UTC are 01:30 to 01:45 in India, one departure, which leaves the dwell later."""
    assert extract.legs["start_minute"][0] == 90
    (departure,) = departures_of(extract, f"{A}-{B}").iter_rows(named=True)
    assert departure["departure_id"].endswith("@0145")
    assert departure["depart_time"] == "02:05"


def test_starts_far_apart_are_departures_of_their_own(extract):
    """A start more than half an hour from the next one is not merged with it."""
    later = extract.legs.head(1).with_columns(pl.col("start_minute") + 600)
    seen = build.starts(pl.concat([extract.legs, later]), extract.corridors)
    assert seen.filter(source_center=A)["start_minute"].to_list() == [105, 690]


def test_a_corridor_never_seen_borrows_its_centres_hours_or_everyones(extract):
    """An unseen corridor from B, which is seen, leaves at B's hours; C is never seen, so its two take everyone's."""
    usual = {90 + 7, 210 + 7}
    assert set(build.starts(extract.legs, extract.corridors).filter(source_center=C)["start_minute"]) == usual
    added = pl.concat(
        [
            extract.corridors,
            extract.corridors.head(1).with_columns(source_center=pl.lit(B), destination_center=pl.lit(D)),
        ]
    )
    borrowed = build.starts(extract.legs, added).filter(source_center=B, destination_center=D)
    assert borrowed["start_minute"].to_list() == [217]


def test_a_centre_without_a_known_dwell_takes_the_median(extract):
    """Dwell is the metric where there is one, cut at its 95 % quantile, and the median elsewhere."""
    dwell = dict(build.dwell_minutes(extract.centres).iter_rows())
    assert (dwell[A], dwell[D]) == (20.0, 40.0)


def test_the_feeds_transit_times_are_the_fitted_quantiles(extract):
    """transit_minutes times the factor of a quantile is the fitted minutes there, and the factor of one half is 1."""
    spread, _ = learn(extract)
    made = build.tables(extract, spread)
    assert (made["transit"].filter(quantile=0.5)["factor"] == 1.0).all()
    rows = described(build.starts(extract.legs, extract.corridors), extract.corridors)
    fitted = spread.minutes(rows, LEVELS)
    for row, minutes in zip(made["departures"].iter_rows(named=True), fitted):
        factors = made["transit"].filter(transit_id=row["transit_id"])["factor"].to_numpy()
        assert row["transit_minutes"] * factors == pytest.approx(minutes, rel=0.02)


def test_no_fit_looks_at_the_last_day(extract):
    """Whatever the last day's legs took, the spread is the same."""
    slow = extract.legs.with_columns(
        pl.when(pl.col("day") == extract.last_day).then(9999.0).otherwise("actual_time").alias("actual_time")
    )
    fitted, disturbed = learn(extract), learn(Extract(extract.corridors, extract.centres, slow))
    assert fitted[1].equals(disturbed[1])
    assert (fitted[0].level, fitted[0].shift) == (disturbed[0].level, disturbed[0].shift)


def test_a_tour_ends_at_its_last_stop_that_is_not_its_start(extract):
    """A trip that comes home is an order for the place before, and its way home is no leg of it."""
    (tour,) = trips.trips(extract.legs, date(2018, 9, 27)).filter(trip_uuid="tour-0").iter_rows(named=True)
    assert (tour["origin"], tour["destination"], tour["legs"], tour["whole"]) == (A, B, 1, True)


def test_the_recorded_time_of_a_trip_runs_to_its_last_arrival(extract):
    """From the first scan: the start of the last leg, the usual dwell there, and the drive."""
    ordered = trips.trips(extract.legs, date(2018, 9, 27))
    recorded = trips.recorded(extract.legs, ordered, build.dwell_minutes(extract.centres))
    assert dict(recorded.iter_rows())["trip-0"] == pytest.approx(120 + 40 + 240)


def test_services_go_by_the_shortest_road_through_the_network(extract):
    """Kilometres add up along corridors and are infinite where no chain leads."""
    assert trips.road_km([A, A, D], [B, D, A], extract).tolist() == [30.0, 1380.0, np.inf]


def test_no_two_centres_share_a_position_and_one_without_a_pin_lies_by_its_neighbour(extract):
    """Positions are distinct, the same at every call, and near what a centre trades with."""
    codes = extract.centres["center"].to_list()
    placed = positions(codes, extract.corridors)
    assert placed.select("lat", "lon").n_unique() == len(codes)
    assert placed.equals(positions(codes, extract.corridors))
    jaipur, adrift = (placed.filter(code=code).row(0)[1:] for code in (C, ADRIFT))
    assert np.hypot(*np.subtract(jaipur, adrift)) < 0.2


def made_up_legs(count: int = 1500, seed: int = 3) -> pl.DataFrame:
    """Legs over three days on 150 corridors, each with a slowness of its own; Carting strays three times as far."""
    random = np.random.default_rng(seed)
    corridor = random.integers(0, 150, count)
    ftl = corridor % 2 == 0
    slowness = random.normal(0, 0.3, 150)
    stray = slowness[corridor] + random.normal(0, np.where(ftl, 0.1, 0.3))
    return pl.DataFrame(
        {
            "day": pl.Series([date(2018, 9, 27 + d) for d in range(3)]).gather(random.integers(0, 3, count)),
            "corridor": corridor.astype(str),
            "type": np.where(ftl, "FTL", "Carting"),
            "length": "short",
            "hour": "night",
            "median_actual_min": 100.0,
            "actual_time": 100.0 * np.exp(stray),
        }
    )


def test_the_chosen_idea_finds_corridors_that_are_slow_and_types_that_stray():
    """Where corridors and route types really differ, an idea that knows both wins, and its quantiles hold."""
    comparison = compare(made_up_legs())
    assert choose(comparison).name.startswith("corridor")
    chosen = comparison.filter(idea=choose(comparison).name).row(0, named=True)
    assert chosen["loss"] < 0.9 * comparison.filter(idea="pooled")["loss"].item()
    assert chosen["worst_gap"] < 0.04


def test_quantiles_of_a_fit_rise():
    """Foretold minutes never fall from one quantile to the next, whatever the idea."""
    legs = made_up_legs(300)
    for idea in IDEAS:
        assert (np.diff(fit(idea, legs).minutes(legs, LEVELS), axis=1) >= 0).all(), idea.name


def test_pinball_is_least_at_the_true_quantile():
    """Over many draws, the true 0.9 quantile loses less than its neighbours."""
    drawn = np.random.default_rng(1).random(20_000)
    loss = pinball(drawn, np.tile([0.85, 0.9, 0.95], (len(drawn), 1)), np.array([0.9, 0.9, 0.9])).mean(axis=0)
    assert loss.argmin() == 1


def test_an_absent_extract_is_told_in_one_sentence(tmp_path, monkeypatch, capsys):
    """No data: what is missing, what to set, exit code 1, nothing written."""
    with pytest.raises(NoExtract, match="ROOKERY_DATA"):
        read_extract(tmp_path)
    monkeypatch.setenv("ROOKERY_DATA", str(tmp_path))
    assert run.main(["--out", str(tmp_path / "out")]) == 1
    assert "delhivery_legs.csv.gz" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


needs_data = pytest.mark.skipif(
    not all((folder() / name).is_file() for name in FILES),
    reason="ROOKERY_DATA (default ../shared/data) holds no promise/ folder with the Delhivery extract",
)


@needs_data
def test_the_real_network_has_its_centres_corridors_and_seen_starts():
    """1,590 centres, 2,508 corridors, of which 1,353 were seen to start."""
    real = read_extract()
    made = build.tables(real, learn(real)[0])
    assert (made["nodes"].height, made["lanes"].height) == (1590, 2508)
    assert made["departures"]["lane_id"].n_unique() == 2508
    assert real.legs.join(real.corridors, on=["source_center", "destination_center"]).select(
        "source_center", "destination_center"
    ).n_unique() == 1353  # fmt: skip


@needs_data
def test_the_whole_example_plans_a_real_day_and_is_calibrated(tmp_path, capsys):
    """One command: a plan without violations, most trips planned, and quantiles that hold within ten points."""
    assert run.main(["--out", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    ((planned, parcels), *_) = re.findall(r"(\d+) of (\d+) planned", told)
    assert int(planned) / int(parcels) > 0.95
    assert (tmp_path / "plan" / "summary.json").is_file()
    real = read_extract()
    legs = described(real.legs, real.corridors).filter(pl.col("day") == real.last_day)
    judged = evaluate.judge_legs(learn(real)[0], legs)
    assert np.abs(judged.shares - evaluate.DECILES).max() < 0.1
