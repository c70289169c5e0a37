"""Each piece of news is told once in effect, in the order of its key, whatever endpoints and machines do."""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from receiving import Answer, Heard, Receiver, receiving
from webhook_world import NOW, World, emptied

from rookery.base.db import Database
from rookery.base.webhooks import deliveries, delivering, endpoints
from rookery.base.webhooks.delivering import Deliverer, alone


@pytest.fixture(scope="module")
def own_database(make_database: Callable[..., Database]) -> Database:
    return make_database()


@pytest.fixture
def world(own_database: Database) -> World:
    return emptied(own_database)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as started:
        yield started


def keys_of(receiver: Receiver) -> list[str]:
    return [one.json["data"]["number"] for one in receiver.heard]


def in_order(heard: list[Heard]) -> bool:
    """Whether of each key the first time that a message came is in the order of happening."""
    last: dict[str, int] = defaultdict(lambda: -1)
    seen: set[str] = set()
    for one in heard:
        told = one.json["data"]
        if one.id not in seen:
            if told["n"] < last[told["number"]]:
                return False
            seen.add(one.id)
            last[told["number"]] = told["n"]
    return True


def test_what_happened_is_told_once_and_signed(world: World, receiver: Receiver) -> None:
    """The id is the event's; a second look tells nothing again."""
    endpoint = world.endpoint(receiver.url)
    world.news("a", "b")
    for _ in range(2):
        world.deliver()
    assert receiver.ids == world.rows("select event_id from base.deliveries order by seq")
    assert all(one.signed_with(world.secret(endpoint)) for one in receiver.heard)
    assert world.states(endpoint) == ["delivered", "delivered"]
    assert receiver.heard[0].json["type"] == "parcel.milestone"
    health = world.health(endpoint)
    assert (health.failures, health.last_success_at, health.pending) == (0, NOW, 0)


def test_of_one_key_the_next_waits_and_others_go_on(world: World, receiver: Receiver) -> None:
    """While `a` fails, what came of `a` later is not told; `b` is. Every attempt is the same message."""
    endpoint = world.endpoint(receiver.url)
    world.news("a", "a", "b", "a", "b")
    receiver.answer = lambda heard: Answer(500 if heard.json["data"]["number"] == "a" else 200)
    world.deliver()
    assert Counter(keys_of(receiver)) == {"a": 1, "b": 2}
    assert world.states(endpoint) == ["next", "behind", "delivered", "behind", "delivered"]
    receiver.answer = lambda heard: Answer(200)
    world.later(seconds=7)
    world.deliver()
    told = [one.json["data"]["n"] for one in receiver.heard if one.json["data"]["number"] == "a"]
    assert told == [0, 0, 1, 3]
    again = [one for one in receiver.heard if one.json["data"]["n"] == 0]
    assert len({one.id for one in again}) == len({one.body for one in again}) == 1
    assert again[0].headers["webhook-timestamp"] != again[1].headers["webhook-timestamp"]


def test_a_message_nobody_takes_for_three_days_is_dead_and_the_next_comes_up(world: World, receiver: Receiver) -> None:
    """Thirteen attempts or so at one message, while the endpoint takes others."""
    endpoint = world.endpoint(receiver.url)
    world.news("a", "a")
    receiver.answer = lambda heard: Answer(400 if heard.json["data"] == {"number": "a", "n": 0} else 200)
    for _ in range(40):
        world.news(f"other {world.now}")  # delivered, so that the endpoint does not fail as such
        world.deliver()
        world.later(hours=2)
        if world.states(endpoint)[0] == "dead":
            break
    attempts = [one for one in receiver.heard if one.json["data"] == {"number": "a", "n": 0}]
    assert 10 <= len(attempts) <= 16 and len({one.id for one in attempts}) == 1
    assert world.states(endpoint)[1] == "delivered"
    [(tried, status, error)] = world.rows("select attempts, status, error from base.deliveries where state = 'dead'")
    assert (tried, status, error) == (len(attempts), 400, "answered 400")
    assert world.now - NOW >= timedelta(hours=72)


def test_an_endpoint_that_is_gone_is_disabled_at_once(world: World, receiver: Receiver) -> None:
    """410: nothing more is sent; what waits and what comes is dead, and can be replayed."""
    endpoint = world.endpoint(receiver.url)
    receiver.answer = lambda heard: Answer(410)
    world.news("a", "a")
    world.deliver()
    world.news("b")
    world.later(days=1)
    world.deliver()
    assert len(receiver.heard) == 1 and world.states(endpoint) == ["dead"] * 3
    health = world.health(endpoint)
    assert (health.enabled, health.disabled_why, health.last_error) == (False, "gone", "answered 410")
    assert world.rows("select act from base.audit") == ["webhooks.disabled"]


def test_an_endpoint_that_fails_for_three_days_is_disabled_and_enabling_sends_nothing(
    world: World, receiver: Receiver
) -> None:
    """Its owner finds when and why; replay tells the dead letters once more, under their ids and in their order."""
    endpoint = world.endpoint(receiver.url)
    receiver.answer = lambda heard: Answer(500)
    world.news("a", "a", "b")
    for _ in range(80):
        world.deliver()
        world.later(hours=1)
    health = world.health(endpoint)
    assert (health.enabled, health.disabled_why, health.failing_since) == (False, "failing", NOW)
    assert NOW + timedelta(hours=72) <= (health.disabled_at or NOW) <= NOW + timedelta(hours=80)
    known = set(receiver.ids)

    receiver.answer, receiver.heard = lambda heard: Answer(200), []
    with world.desk.context() as ctx:
        endpoints.enable(ctx.conn, endpoint, world.now)
    world.deliver()
    assert receiver.heard == [] and world.health(endpoint).failing_since is None
    with world.desk.context() as ctx:
        assert deliveries.replay(ctx.conn, endpoint, None, None, world.now) == 3
    world.deliver()
    assert Counter(keys_of(receiver)) == {"a": 2, "b": 1} and in_order(receiver.heard) and known <= set(receiver.ids)


def test_an_endpoint_that_is_down_is_probed_and_not_hammered(world: World, receiver: Receiver) -> None:
    """An hour down with 300 keys waiting: a few dozen attempts, one at a time; then all is told, in order."""
    endpoint = world.endpoint(receiver.url)
    receiver.answer = lambda heard: Answer(503)
    world.news(*(f"k{n % 300}" for n in range(600)))

    async def an_hour(deliverer: Deliverer) -> None:
        await deliverer.until_idle()
        receiver.most_at_once = 0
        for _ in range(720):
            world.later(seconds=5)
            await deliverer.until_idle()
        assert receiver.most_at_once == 1
        assert 50 <= len(receiver.heard) <= 100
        receiver.answer = lambda heard: Answer(200)
        for _ in range(60):
            world.later(seconds=30)
            await deliverer.until_idle()

    world.deliver(act=an_hour)
    assert Counter(world.states(endpoint)) == {"delivered": 600} and in_order(receiver.heard)


def test_who_asks_for_time_gets_it(world: World, receiver: Receiver) -> None:
    """429 with Retry-After: nothing at all is sent to the endpoint before."""
    world.endpoint(receiver.url)
    receiver.answer = lambda heard: Answer(429, {"Retry-After": "120"})
    world.news("a")
    world.deliver()

    async def two_minutes(deliverer: Deliverer) -> None:
        receiver.answer = lambda heard: Answer(429, {"Retry-After": "120"})
        world.news("b")
        await deliverer.until_idle()
        world.news("c")
        for _ in range(11):
            world.later(seconds=10)
            await deliverer.until_idle()
        assert keys_of(receiver) == ["a", "b"]
        receiver.answer = lambda heard: Answer(200)
        world.later(seconds=20)
        await deliverer.until_idle()

    world.deliver(act=two_minutes)
    assert Counter(keys_of(receiver)) == {"a": 2, "b": 2, "c": 1}


def test_eight_at_once_and_one_that_hangs_holds_up_no_other(world: World, receiver: Receiver) -> None:
    """An endpoint that answers nothing has its eight attempts under way; another one hears all there is meanwhile."""
    with receiving() as hanging:
        hanging.answer = lambda heard: Answer(hangs=True)
        world.endpoint(hanging.url)
        world.endpoint(receiver.url)
        world.news(*(f"k{n}" for n in range(100)))

        async def until_one_heard_all(deliverer: Deliverer) -> None:
            while len(receiver.heard) < 100:
                await deliverer.turn()
                await asyncio.sleep(0)
            await deliverer.close(most_s=0)

        world.deliver(total_s=60, act=until_one_heard_all)
        assert hanging.most_at_once == len(hanging.heard) == 8 and receiver.most_at_once <= 8
    assert len(set(receiver.ids)) == 100


def test_the_same_message_under_way_to_one_endpoint_is_tried_again_at_another(world: World, receiver: Receiver) -> None:
    """What one endpoint hangs on, another one that failed at first gets when it is due."""
    with receiving() as hanging:
        hanging.answer = lambda heard: Answer(hangs=True)
        world.endpoint(hanging.url)
        endpoint = world.endpoint(receiver.url)
        receiver.answer = lambda heard: Answer(500)
        world.news("a", "b")

        async def until_heard_twice(deliverer: Deliverer) -> None:
            while len(receiver.heard) < 2 or len(hanging.heard) < 2:
                await deliverer.turn()
                await asyncio.sleep(0)
            receiver.answer = lambda heard: Answer(200)
            while world.states(endpoint) != ["delivered"] * 2:
                world.later(seconds=1)
                await deliverer.turn()
                await asyncio.sleep(0)
                assert world.now < NOW + timedelta(minutes=5)
            assert len(deliverer._under_way) == 2
            await deliverer.close(most_s=0)

        world.deliver(total_s=60, act=until_heard_twice)


def test_whoever_is_killed_after_sending_tells_it_again_under_the_same_id(world: World, receiver: Receiver) -> None:
    """What was sent and not written is sent again; nothing that was not sent counts as told."""
    endpoint = world.endpoint(receiver.url)
    world.news("a", "a")

    async def begin_and_die(deliverer: Deliverer) -> None:
        await deliverer.turn()
        await asyncio.wait(deliverer._under_way.values())

    world.deliver(act=begin_and_die)
    assert len(receiver.heard) == 1 and world.states(endpoint) == ["next", "behind"]
    world.deliver()
    first, again, second = receiver.ids
    assert first == again != second and world.states(endpoint) == ["delivered", "delivered"]


@pytest.mark.parametrize("seed", range(3))
def test_with_failures_kills_and_news_at_any_moment_each_is_told_and_in_order(
    world: World, receiver: Receiver, seed: int
) -> None:
    """A third of all requests fails, some after the receiver took them; deliverers die at random; nothing is lost, no
    key is out of order, and what came twice had one id.
    """
    draw, taken = random.Random(seed), []
    endpoint = world.endpoint(receiver.url)

    def answer(heard: Heard) -> Answer:
        if draw.random() < 0.2:
            return Answer(500)
        taken.append(heard)
        return Answer(500) if draw.random() < 0.1 else Answer(200)

    async def some_turns(deliverer: Deliverer) -> None:
        for _ in range(draw.randint(1, 6)):
            await deliverer.turn()
            if deliverer._under_way:
                await asyncio.wait(deliverer._under_way.values(), return_when=asyncio.FIRST_COMPLETED)
        if draw.random() < 0.5:
            await deliverer.close()

    receiver.answer, told = answer, 0
    for round_no in range(400):
        if told < 120 and round_no % 2 == 0:
            keys = [f"k{draw.randint(0, 9)}" for _ in range(12)]
            world.news(*keys, first=told)
            told += len(keys)
        world.deliver(act=some_turns)
        world.later(seconds=draw.choice([1, 5, 60, 600]))
        if told == 120 and set(world.states(endpoint)) == {"delivered"}:
            break
    assert world.states(endpoint) == ["delivered"] * 120
    assert len({one.id for one in taken}) == 120 and in_order(taken)


def test_results_that_cannot_be_written_are_written_when_the_database_is_back(
    world: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An attempt's outcome outlives the failure of the transaction that was to write it."""
    endpoint = world.endpoint(receiver.url)
    world.news("a")

    async def with_a_failure(deliverer: Deliverer) -> None:
        await deliverer.turn()
        await asyncio.wait(deliverer._under_way.values())
        with monkeypatch.context() as broken:
            broken.setattr(delivering, "note_results", _planted)
            with pytest.raises(RuntimeError):
                await deliverer.turn()
        await deliverer.turn()

    world.deliver(act=with_a_failure)
    assert world.states(endpoint) == ["delivered"] and len(receiver.heard) == 1


def _planted(*_: Any) -> None:
    raise RuntimeError("planted")


def test_a_rotated_secret_counts_for_a_day_beside_the_new_one(world: World, receiver: Receiver) -> None:
    """Two signatures until then, one after."""
    endpoint = world.endpoint(receiver.url)
    with world.desk.context() as ctx:
        assert endpoints.rotate(ctx.conn, endpoint, world.now + timedelta(hours=24), world.now) == 2
    world.news("a")
    world.deliver()
    world.later(hours=24)
    world.news("b")
    world.deliver()
    signed = [[one.signed_with(world.secret(endpoint, number)) for number in (1, 2)] for one in receiver.heard]
    assert signed == [[True, True], [False, True]]


def test_a_changed_endpoint_is_sent_to_where_it_is_now(world: World, receiver: Receiver) -> None:
    """Also what already waited; and an endpoint that was down is tried at once."""
    endpoint = world.endpoint("http://127.0.0.1:9/")
    world.news(*(f"k{n}" for n in range(20)))

    async def move(deliverer: Deliverer) -> None:
        await deliverer.until_idle()
        with world.desk.context() as ctx:
            world.now += timedelta(milliseconds=10)
            endpoints.change_endpoint(ctx.conn, endpoint, receiver.url, [], "", world.now)
            endpoints.enable(ctx.conn, endpoint, world.now)
        await deliverer.until_idle()
        world.later(seconds=7)
        await deliverer.until_idle()

    world.deliver(act=move)
    assert world.states(endpoint) == ["delivered"] * 20


def test_one_delivers_at_a_time(world: World) -> None:
    """A second one is told so; when the first is gone it may."""
    with alone(world.desk) as first, alone(world.desk) as second:
        assert first is not None and second is None
    with alone(world.desk) as third:
        assert third is not None


def test_what_was_told_is_forgotten_after_a_month(world: World, receiver: Receiver) -> None:
    """What still waits is kept, with its message."""
    endpoint = world.endpoint(receiver.url)
    world.news("a", "b")
    receiver.answer = lambda heard: Answer(200 if heard.json["data"]["number"] == "a" else 500)
    world.deliver()
    world.later(days=31)
    with world.desk.context() as ctx:
        assert deliveries.forget(ctx.conn, world.now, 100) == 2
        assert deliveries.forget(ctx.conn, world.now, 100) == 0
    assert world.states(endpoint) == ["next"] and world.rows("select count(*) from base.messages") == [1]
