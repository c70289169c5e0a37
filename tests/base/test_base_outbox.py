"""News are there exactly when what they tell of is, and go to whoever wants to hear them."""

from __future__ import annotations

import json
from collections.abc import Callable

import polars as pl
import psycopg
import pytest
from webhook_world import NOW, RIVAL, SHOP, World, emptied

from rookery.base import outbox
from rookery.base.db import Database
from rookery.base.operations import Context, Who


@pytest.fixture(scope="module")
def own_database(make_database: Callable[..., Database]) -> Database:
    return make_database()


@pytest.fixture
def world(own_database: Database) -> World:
    return emptied(own_database)


def spread(world: World) -> list[tuple[str, str, str]]:
    """Who is to hear what now: (endpoint, key, state), by news."""
    world.deliver(act=lambda deliverer: deliverer.turn())
    return world.rows("select endpoint_id, key, state from base.deliveries order by seq, endpoint_id")


def test_news_of_an_act_that_failed_are_none(world: World) -> None:
    """What is rolled back was never written."""
    frame = pl.DataFrame([(False, "case.opened", "k", [SHOP], NOW, "{}")], schema=outbox.NEWS, orient="row")
    with pytest.raises(RuntimeError), world.desk.context() as ctx:
        outbox.add(ctx.conn, frame)
        raise RuntimeError("planted")
    assert world.rows("select count(*) from base.outbox") == [0]
    assert outbox.add(None, frame.clear()) == 0  # type: ignore[arg-type]  # nothing is asked for nothing


def test_only_the_system_writes_news(world: World) -> None:
    """A party cannot have others told what it likes."""
    frame = pl.DataFrame([(False, "case.opened", "k", [RIVAL], NOW, "{}")], schema=outbox.NEWS, orient="row")
    merchant = Who(SHOP, "key_x", frozenset({"merchant"}))
    with (
        pytest.raises(psycopg.errors.InsufficientPrivilege),
        Context(world.database, world.desk.clock, merchant) as ctx,
    ):
        outbox.add(ctx.conn, frame)


def test_news_reach_the_parties_concerned_by_kind_and_mode(world: World) -> None:
    """An endpoint hears of its own party's things, of the kinds it asked for, live or test; an operator's of all."""
    url = "http://127.0.0.1:9/"  # nobody listens
    all_kinds, chances = world.endpoint(url), world.endpoint(url, kinds=("parcel.chance",))
    rival, in_test = world.endpoint(url, RIVAL), world.endpoint(url, test=True)
    house = world.endpoint(url, "pty_house", hears_all=True)
    world.news("a")
    world.news("b", kind="parcel.chance", parties=(SHOP, RIVAL))
    world.news("c", kind="case.opened", parties=())
    world.news("d", test=True)
    heard = {(endpoint, key) for endpoint, key, _ in spread(world)}
    assert heard == {
        (all_kinds, "a"), (house, "a"), (all_kinds, "b"), (chances, "b"), (rival, "b"), (house, "b"), (house, "c"),
        (in_test, "d"),
    }  # fmt: skip
    assert world.rows("select count(*) from base.outbox") == [0]


def test_what_other_news_tell_is_not_for_those_who_hear_all(world: World) -> None:
    """News that are not to all reach the parties concerned alone."""
    mine, _ = world.endpoint("http://127.0.0.1:9/"), world.endpoint("http://127.0.0.1:9/", "pty_house", hears_all=True)
    rows = [(False, "parcel.rerouted", "a", [SHOP, "pty_house"], NOW, "{}", False)]
    frame = pl.DataFrame(rows, schema={**outbox.NEWS, "to_all": pl.Boolean}, orient="row")
    with world.desk.context() as ctx:
        outbox.add(ctx.conn, frame)
    assert spread(world) == [(mine, "a", "next")]


def test_what_nobody_wants_to_hear_is_not_kept(world: World) -> None:
    """Neither as a message nor as a delivery."""
    world.news("a", "b")
    assert spread(world) == [] and world.rows("select count(*) from base.messages") == [0]


def test_of_each_key_one_is_next(world: World) -> None:
    """The first; all that came later, in this batch or the next, is behind it."""
    endpoint = world.endpoint("http://127.0.0.1:9/")
    world.news("a", "b", "a")
    first = spread(world)
    assert first == [(endpoint, "a", "next"), (endpoint, "b", "next"), (endpoint, "a", "behind")]
    world.news("b", "c")
    assert spread(world)[3:] == [(endpoint, "b", "behind"), (endpoint, "c", "next")]


def test_a_transaction_that_ends_late_is_not_passed_over(world: World) -> None:
    """News with a lower number than those that were taken before are taken when they are committed."""
    world.endpoint("http://127.0.0.1:9/")
    with world.desk.context() as ctx:
        frame = pl.DataFrame([(False, "case.opened", "slow", [SHOP], NOW, "{}")], schema=outbox.NEWS, orient="row")
        outbox.add(ctx.conn, frame)
        world.news("quick")
        assert [key for _, key, _ in spread(world)] == ["quick"]
    assert [key for _, key, _ in spread(world)] == ["slow", "quick"]


def test_it_is_known_whom_news_would_reach(world: World) -> None:
    """So that nobody makes news that nobody hears; who is disabled is still to have them among its dead letters."""
    url = "http://127.0.0.1:9/"

    def wanted(*kinds: str, test: bool = False) -> frozenset[str]:
        with world.desk.context(test) as ctx:
            return outbox.wanted(ctx.conn, test, kinds)

    assert not wanted(*outbox.KINDS)
    world.endpoint(url, kinds=("case.opened", "case.closed"))
    assert wanted("parcel.milestone", "case.closed") == {SHOP} and not wanted("parcel.milestone")
    world.endpoint(url, "pty_house", hears_all=True)
    assert wanted("parcel.milestone") == {outbox.EVERYONE} and not wanted("parcel.milestone", test=True)


def test_a_message_is_the_standard_s_payload_with_the_data_as_written(world: World) -> None:
    """type, timestamp in UTC, data; quotes, other scripts and numbers as they were."""
    data = '{"text":"é \\"quoted\\" 数 \\\\ ","n":1.50,"list":[1,2]}'
    world.endpoint("http://127.0.0.1:9/")
    frame = pl.DataFrame([(False, "case.opened", "k", [SHOP], NOW, data)], schema=outbox.NEWS, orient="row")
    with world.desk.context() as ctx:
        outbox.add(ctx.conn, frame)
    spread(world)
    [body] = world.rows("select body from base.messages")
    assert body == '{"type":"case.opened","timestamp":"2026-03-02T08:00:00.000000Z","data":' + data + "}"
    assert json.loads(body)["data"]["text"] == 'é "quoted" 数 \\ '
