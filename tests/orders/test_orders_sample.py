"""Sample orders: an invented day of parcels that a network can carry."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, date, datetime

import polars as pl
import pytest

from rookery.network import find_zones
from rookery.network.reader import read_feed
from rookery.network.sample import sample_network
from rookery.orders.reader import read_orders
from rookery.orders.sample import A_TUESDAY, sample_orders, write_orders
from rookery.terms.errors import InvalidInput
from rookery.terms.frames import Feed


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Feed:
    return read_feed(sample_network("world", 1, tmp_path_factory.mktemp("world") / "feed"))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Feed:
    return read_feed(sample_network("tiny", 1, tmp_path_factory.mktemp("tiny") / "feed"))


@pytest.fixture(scope="module")
def orders(world) -> pl.DataFrame:
    return sample_orders(world, 20_000, 1)


def test_the_same_seed_gives_the_same_orders_and_another_seed_others(world, orders):
    """A sample can be made again from the feed, count and seed alone."""
    assert orders.equals(sample_orders(world, 20_000, 1))
    assert not orders.equals(sample_orders(world, 20_000, 2))


def test_weights_goods_services_and_addresses_follow_their_shares(orders):
    """Median 400 g up to 30 kg, 8% batteries, every service, a fifth of the deliveries by postal code."""
    assert orders["weight_g"].median() == pytest.approx(400, rel=0.05)
    assert orders["weight_g"].max() <= 30_000
    assert orders["weight_g"].min() > 0
    assert (orders["goods"] == "battery").mean() == pytest.approx(0.08, abs=0.01)
    assert (orders["goods"] == "liquid").mean() > 0.02
    assert set(orders["service_id"]) == {"express", "standard", "saver"}
    assert orders["to_postal_code"].is_not_null().mean() == pytest.approx(0.2, abs=0.02)


def test_every_end_is_either_a_node_or_an_address(orders):
    """An order names a place once."""
    for end in ("from", "to"):
        node = orders[f"{end}_node"].is_not_null()
        for column in (f"{end}_country", f"{end}_postal_code"):
            assert (orders[column].is_null() == node).all()


def test_addresses_belong_to_a_zone(world, orders):
    """Every postal code is served."""
    addressed = orders.filter(pl.col("to_node").is_null())
    assert (find_zones(world.zones, addressed["to_country"], addressed["to_postal_code"]) >= 0).all()


def test_orders_are_ready_in_the_local_working_day_and_most_about_18(world, orders):
    """Ready times are local to the origin, on the asked day, with the evening's peak."""
    by_node = orders.join(world.nodes.select("node_id", "timezone"), left_on="from_node", right_on="node_id")
    local = pl.concat(
        part["ready_at"].dt.convert_time_zone(timezone).dt.replace_time_zone(None)
        for (timezone,), part in by_node.group_by("timezone")
    )
    assert local.dt.date().unique().to_list() == [A_TUESDAY]
    assert local.dt.hour().is_between(7, 22).all()
    assert local.dt.hour().is_in([17, 18]).mean() > 0.35


def test_the_day_can_be_chosen(tiny):
    """`ready_on` moves the whole day."""
    ready = sample_orders(tiny, 50, 1, date(2027, 3, 1))["ready_at"]
    assert ready.is_between(datetime(2027, 2, 28, 20, tzinfo=UTC), datetime(2027, 3, 1, 23, tzinfo=UTC)).all()


def test_nearly_all_world_orders_can_be_carried(world, orders):
    """At least 98% have a chain of lanes that takes their goods, weight and size by the modes of their service."""
    modes = dict(world.services.select("service_id", "modes").iter_rows())
    onward = {
        (goods, service): _onward(world, goods, set(allowed))
        for goods in orders["goods"].unique()
        for service, allowed in modes.items()
    }
    some = orders.filter(pl.col("from_node").is_not_null()).head(1500)
    zone = find_zones(world.zones, some["to_country"], some["to_postal_code"])
    served = [None if row < 0 else world.zones["node_id"][row] for row in zone]
    carried = [
        (order["to_node"] or node) in _reached(onward[order["goods"], order["service_id"]], order["from_node"])
        for order, node in zip(some.iter_rows(named=True), served)
    ]
    assert sum(carried) / len(carried) >= 0.98


def _onward(feed: Feed, goods: str, modes: set[str]) -> dict[str, set[str]]:
    """Where lanes that take the heaviest and longest sampled parcel lead from each node."""
    onward = defaultdict(set)
    for lane in feed.lanes.iter_rows(named=True):
        fits = (lane["max_weight_g"] or 1e9) >= 30_000 and (lane["max_side_mm"] or 1e9) >= 700
        if fits and goods in lane["accepts"] and (not modes or lane["mode"] in modes):
            onward[lane["from_node"]].add(lane["to_node"])
    return onward


def _reached(onward: dict[str, set[str]], start: str) -> set[str]:
    seen, frontier = {start}, [start]
    while frontier:
        new = onward[frontier.pop()] - seen
        seen |= new
        frontier += new
    return seen


def test_goods_that_no_lane_takes_are_not_sampled(tiny):
    """On a network without battery lanes nobody ships batteries."""
    general = tiny.lanes.with_columns(pl.lit(["general"]).alias("accepts"))
    orders = sample_orders(_with_lanes(tiny, general), 200, 1)
    assert orders["goods"].unique().to_list() == ["general"]


def test_orders_stay_within_what_is_connected(tiny):
    """No order is sampled between places that no chain of lanes joins."""
    domestic = tiny.lanes.filter(pl.col("from_node") != "CAN-HUB")
    orders = sample_orders(_with_lanes(tiny, domestic), 200, 1)
    assert "CN-SHENZHEN-W1" not in set(orders["from_node"])


def test_a_network_without_connections_and_wrong_arguments_are_refused(tiny):
    """What cannot be sampled ends in a sentence."""
    with pytest.raises(InvalidInput, match="connected"):
        sample_orders(_with_lanes(tiny, tiny.lanes.head(0)), 10, 1)
    with pytest.raises(InvalidInput, match="one order or more"):
        sample_orders(tiny, 0, 1)
    with pytest.raises(InvalidInput, match="negative"):
        sample_orders(tiny, 10, -1)


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".jsonl"])
def test_written_orders_read_back_as_sampled(tiny, tmp_path, suffix):
    """The reader takes each file form without a notice and finds the same orders."""
    sampled = sample_orders(tiny, 300, 1)
    read = read_orders(write_orders(sampled, tmp_path / f"orders{suffix}"))
    assert read.notices == ()
    for column in ("order_id", "from_node", "to_node", "to_postal_code", "goods", "service_id", "value"):
        assert read.frame[column].to_list() == sampled[column].to_list()
    assert (read.frame["ready_at"] * 60_000_000).to_list() == sampled["ready_at"].cast(pl.Int64).to_list()
    assert [path.name for path in tmp_path.iterdir()] == [f"orders{suffix}"]


def test_an_unknown_file_form_is_refused(tiny, tmp_path):
    """Orders are written as .csv, .parquet or .jsonl, and nothing is left behind otherwise."""
    with pytest.raises(InvalidInput, match="parquet"):
        write_orders(sample_orders(tiny, 5, 1), tmp_path / "orders.xlsx")
    assert not any(tmp_path.iterdir())


def _with_lanes(feed: Feed, lanes: pl.DataFrame) -> Feed:
    """The feed with other lanes."""
    kept = {name: getattr(feed, name) for name in Feed.__dataclass_fields__}
    return Feed(**kept | {"lanes": lanes})
