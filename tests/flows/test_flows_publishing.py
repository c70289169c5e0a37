"""Publishing a network: refused with everything that is wrong, kept once, active or not, and back again."""

from __future__ import annotations

import pytest
from wave_world import TRUCK, World, feed_zip, plain

from rookery.base.db import Database
from rookery.base.operations import OPERATIONS
from rookery.flows import publishing
from rookery.flows.publishing import Back, NewFeed, OneFeed, SomeFeeds
from rookery.network.store import active_feed
from rookery.terms.errors import Conflict, InvalidInput, NotFound


@pytest.fixture
def world(fresh_database: Database) -> World:
    return World(fresh_database)


def publish(world: World, content: bytes, activate: bool = False, test: bool = False) -> publishing.Published:
    with world.operator(test) as ctx:
        return publishing.publish(ctx, NewFeed(content, activate=activate))


def active(world: World, test: bool = False) -> str:
    with world.operator(test) as ctx:
        return active_feed(ctx.conn, test).feed_id


def test_the_same_feed_twice_is_one_record(world: World) -> None:
    """Published again, in whatever packing, a feed keeps its id, and that is told; the trail has one line."""
    first = publish(world, feed_zip())
    second = publish(world, feed_zip(README_md="another packing, the same feed"))
    assert (first.again, second.again) == (False, True)
    assert second.feed == first.feed
    assert world.rows("select act, subject from base.audit") == [("networks.publish", first.feed.feed_id)]


def test_errors_refuse_with_all_notices_and_nothing_is_kept(world: World) -> None:
    """Two bad rows in two files: both are told, with file and line, and no record is made."""
    bad = feed_zip(
        departures=[TRUCK.format(seats=2), "bad,NOWHERE,daily,10:00,30,60,,,1,0"],
        zones_csv="zone_id,country,postal_prefix,node_id,delivery_minutes,delivery_cost\nz,BE,,NOWHERE,60,1\n",
    )
    with pytest.raises(InvalidInput) as refused:
        publish(world, bad, activate=True)
    assert {(n.file, n.line) for n in refused.value.notices if n.severity == "error"} == {
        ("departures.csv", 3), ("zones.csv", 2),
    }  # fmt: skip
    assert world.rows("select count(*) from network.feeds") == [(0,)]
    with pytest.raises(NotFound, match="rookery network publish"):
        active(world)


def test_warnings_are_kept_with_the_feed(world: World) -> None:
    """What is doubtful but usable is published, and what was found stays readable."""
    lonely = feed_zip(
        nodes_csv="node_id,name,kind,lat,lon,country,timezone,handling_minutes\nA,Place A,origin,50.0,4.0,BE,UTC,0\n"
        "B,Place B,depot,51.0,4.5,BE,UTC,0\nC,Place C,hub,50.2,4.1,BE,UTC,0\n"
    )
    made = publish(world, lonely)
    codes = {notice.code for notice in made.feed.notices}
    assert codes and {notice.severity for notice in made.feed.notices} <= {"warning", "info"}
    with world.operator() as ctx:
        assert {notice.code for notice in publishing.get_network(ctx, OneFeed(made.feed.feed_id)).notices} == codes


def test_activate_and_roll_back(world: World) -> None:
    """Each activation counts at once; a rollback goes to the one before, twice further back, at most to the first."""
    feeds = []
    for version in "123":
        feeds.append(publish(world, feed_zip(version), activate=True).feed.feed_id)
        world.later(minutes=1)
    assert active(world) == feeds[2]
    for back_to in (feeds[1], feeds[0]):
        with world.operator() as ctx:
            change = publishing.rollback(ctx, Back())
        assert change.feed.feed_id == active(world) == back_to and change.feed.active
    with world.operator() as ctx, pytest.raises(Conflict):
        publishing.rollback(ctx, Back())
    assert active(world) == feeds[0]
    acts = [row[0] for row in world.rows("select act from base.audit order by audit_id")]
    assert acts == ["networks.publish", "networks.activate"] * 3 + ["networks.rollback"] * 2


def test_activating_what_is_active_changes_nothing(world: World) -> None:
    """Done twice it is done once, so that a rollback still leads to another feed."""
    first = publish(world, feed_zip("1"), activate=True).feed.feed_id
    second = publish(world, feed_zip("2"), activate=True).feed.feed_id
    with world.operator() as ctx:
        change = publishing.activate(ctx, OneFeed(second))
    assert change.before is not None and change.before.feed_id == second
    with world.operator() as ctx:
        assert publishing.rollback(ctx, Back()).feed.feed_id == first


def test_live_and_test_have_their_own_active_network(world: World) -> None:
    """What is activated for test is not active for live."""
    live = publish(world, feed_zip("1"), activate=True).feed.feed_id
    tried = publish(world, feed_zip("2"), activate=True, test=True).feed.feed_id
    assert (active(world), active(world, test=True)) == (live, tried)


def test_an_unknown_feed_is_not_found(world: World) -> None:
    """By get and by activate."""
    for act in (publishing.get_network, publishing.activate):
        with world.operator() as ctx, pytest.raises(NotFound):
            act(ctx, OneFeed("fed_none"))


def test_feeds_are_listed_newest_first_page_by_page(world: World) -> None:
    """Every feed once, for a courier too."""
    feeds = []
    for version in "123":
        feeds.append(publish(world, feed_zip(version)).feed.feed_id)
        world.later(minutes=1)
    listed, after = [], ""
    for _ in range(2):
        with world.as_party("pty_vans", "courier") as ctx:
            found = publishing.list_networks(ctx, SomeFeeds(limit=2, after=after))
        listed += [feed.feed_id for feed in found.data]
        after = found.next or ""
    assert listed == feeds[::-1]


def test_a_shipper_publishes_nothing(world: World) -> None:
    """Neither the table of acts nor the database lets one."""
    assert OPERATIONS["networks.publish"].scopes == {"operator", "admin"}
    with pytest.raises(Exception, match="row-level security"), world.as_party("pty_shop", "merchant") as ctx:
        publishing.publish(ctx, NewFeed(feed_zip()))


def test_a_record_is_plain_json(world: World) -> None:
    """What is answered can be written as JSON, notices and times included."""
    assert plain(publish(world, feed_zip(), activate=True).feed)
