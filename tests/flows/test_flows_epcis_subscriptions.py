"""Subscribers are told what their named queries find, each event once and in order, whatever is killed in between."""

from __future__ import annotations

import asyncio
import hmac
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from receiving import Answer, Receiver, receiving
from record_cases import NOW, Record
from tracking_cases import CONTEXT, HOUSE, RIVAL, SHOP, World, make_world, scan

from rookery.base.clock import Clock
from rookery.base.db import Urls
from rookery.base.jobs import Desk
from rookery.base.operations import Context, Who
from rookery.base.webhooks.delivering import Deliverer
from rookery.base.webhooks.sending import Sender
from rookery.base.webhooks.targets import VARIABLE, Targets
from rookery.doors.worker import delivering, living
from rookery.flows.capturing import take
from rookery.flows.epcis import telling
from rookery.flows.epcis.queries import NewQuery, OneQuery, create_query, delete_query
from rookery.flows.epcis.subscriptions import OneSubscription, delete_subscription
from rookery.terms.errors import Conflict, NotAcceptable, NotFound, Unavailable, Unreadable
from rookery.tracking.epcis.documents import Sent
from rookery.tracking.epcis.schema import document_faults

DEST = "https://shop.example.com/epcis"
LESSER = Who(HOUSE.party_id, "key_lesser", frozenset({"merchant"}))
TOKEN = "13df38d8275b13f05704629e5f1cf3d45d6132d5"


@pytest.fixture(scope="module")
def world(make_urls: Callable[[], Urls], tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with make_world(make_urls, tmp_path_factory.mktemp("world")) as made:
        yield made


@pytest.fixture(autouse=True)
def nothing_there(world: World) -> None:
    world.record.now = NOW + timedelta(days=10)
    with world.record.database.owner() as conn:
        conn.execute("truncate tracking.queries, tracking.subscriptions, tracking.arrivals")
        conn.execute("truncate base.outbox, base.endpoints, base.messages, base.deliveries")


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setenv(VARIABLE, "1")
    with receiving() as started:
        yield started


def desk(record: Record) -> Desk:
    return Desk(record.database, Clock(lambda: record.now), record.parts)


def turns(record: Record, test: bool = False) -> dict[str, Exception]:
    """Turns until there is nothing to do; what failed."""
    failed: dict[str, Exception] = {}
    while (turned := telling.turn(desk(record), test)).steps:
        failed |= turned.failed
    return failed | turned.failed


def deliver(record: Record) -> None:
    """All that can be sent now is sent."""

    async def all_of_it() -> None:
        async with Sender(Targets(private=True), total_s=5) as sender:
            await Deliverer(desk(record), sender).until_idle()

    asyncio.run(all_of_it())


def subscribe(world: World, who: Who = SHOP, query: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """Subscribes to a query of this name, made where it is not there: by default as events come."""
    name = more.pop("name", "mine")
    if name not in [one["name"] for one in world.record.do("epcis.queries.list", who)]:
        with world.record.context(who) as ctx:
            create_query(ctx, NewQuery(name, query or {}))
    when = {} if "schedule" in more else {"stream": True}
    return world.record.do("epcis.subscriptions.create", who, query_name=name, **{"dest": DEST, **when, **more})


def said(record: Record, subscription: dict[str, Any]) -> list[dict[str, Any]]:
    """The documents that a subscription was told or is to be told, in their order; each as the schema has it."""
    with record.database.owner() as conn:
        rows = conn.execute(
            "select m.body from base.deliveries d join base.messages m using (seq) where d.endpoint_id = %s"
            " and d.key = %s order by seq",
            (subscription["endpoint_id"], subscription["subscriptionID"]),
        ).fetchall()
    documents = [msgspec.json.decode(body) for (body,) in rows]
    documents = [one for one in documents if not one["type"].startswith("epcisException:")]
    assert [fault for one in documents for fault in document_faults(one)] == []
    return documents


def problems(record: Record, subscription: dict[str, Any]) -> list[dict[str, Any]]:
    """The problem documents that a subscription was told, in their order."""
    with record.database.owner() as conn:
        rows = conn.execute(
            "select m.body from base.deliveries d join base.messages m using (seq) where d.endpoint_id = %s"
            ' and m.body like \'{"type":"epcisException:%%\' order by seq',
            (subscription["endpoint_id"],),
        ).fetchall()
    return [msgspec.json.decode(body) for (body,) in rows]


def events_in(documents: list[dict[str, Any]]) -> list[str]:
    """Ids of the events in documents."""
    results = [one["epcisBody"]["queryResults"]["resultsBody"]["eventList"] for one in documents]
    return [event["eventID"] for events in results for event in events]


def test_what_comes_is_sent_as_a_query_document_and_signed_twice(world: World, receiver: Receiver) -> None:
    """The document names query and subscription; both signatures are of its bytes, and the secret is told nowhere."""
    mine, others = world.parcel(), world.parcel(RIVAL)
    made = subscribe(world, query={"EQ_bizStep": ["departing"]}, dest=receiver.url, signatureToken=TOKEN)
    assert TOKEN not in str(made) and made["stream"] is True and "schedule" not in made and "lastNotifiedAt" not in made
    secret = world.record.do("webhooks.rotate", endpoint_id=made["endpoint_id"], keep_old_hours=0)["secret"]
    for epc, step, name in ((mine, "departing", "a"), (mine, "arriving", "b"), (others, "departing", "c")):
        world.capture(world.blue, scan(step, 1, epc, place="A", eventID=f"urn:x:{name}"))
    assert turns(world.record) == {}
    deliver(world.record)
    (heard,) = receiver.heard
    assert heard.signed_with(secret)
    assert heard.headers["gs1-signature"] == hmac.digest(TOKEN.encode(), heard.body, "sha256").hex()
    results = heard.json["epcisBody"]["queryResults"]
    assert (results["queryName"], results["subscriptionID"]) == ("mine", made["subscriptionID"])
    assert heard.json["type"] == "EPCISQueryDocument" and events_in([heard.json]) == ["urn:x:a"]
    ask = {"query_name": "mine", "subscription_id": made["subscriptionID"]}
    assert "lastNotifiedAt" in world.record.do("epcis.subscriptions.get", **ask)
    with world.record.database.owner() as conn:
        row = conn.execute("select token from base.endpoints").fetchone()
    assert row and TOKEN.encode() not in bytes(row[0])


def test_a_subscriber_sees_its_own_part_of_an_event_and_what_is_let_to_it_later_is_not_sent(world: World) -> None:
    """Two shippers in one event read each its own parcel; the courier of the second leg is told of its parcels, too."""
    mine, others = world.parcel(), world.parcel(RIVAL)
    first, second, third = (subscribe(world, who) for who in (SHOP, RIVAL, world.red))
    world.capture(world.blue, scan("departing", 2, mine, others, eventID="urn:x:both"))
    world.capture(world.blue, scan("storing", 2, "urn:x:later", eventID="urn:x:nobody"))
    turns(world.record)
    for subscription, epc, other in ((first, mine, others), (second, others, mine)):
        documents = said(world.record, subscription)
        assert events_in(documents) == ["urn:x:both"] and epc in str(documents) and other not in str(documents)
    assert events_in(said(world.record, third)) == ["urn:x:both"]


def test_a_large_batch_is_several_documents_in_order(world: World) -> None:
    """A thousand events each, one after the other."""
    made = subscribe(world, world.blue, {"EQ_bizStep": ["storing"]})
    world.capture(
        world.blue, *(scan("storing", 1 + n / 100, f"urn:x:l{n}", eventID=f"urn:x:l{n:04}") for n in range(2100))
    )
    turns(world.record)
    documents = said(world.record, made)
    assert [len(events_in([one])) for one in documents] == [1000, 1000, 100]
    assert sorted(events_in(documents)) == [f"urn:x:l{n:04}" for n in range(2100)]
    with world.record.database.owner() as conn:
        states = conn.execute("select state from base.deliveries order by seq").fetchall()
    assert states == [("next",), ("behind",), ("behind",)]


def test_a_schedule_reports_when_it_is_due_and_says_when_there_was_nothing(world: World) -> None:
    """All since the last report at once; with reportIfEmpty an empty document, without it none."""
    told, silent = (
        subscribe(world, schedule={"hour": "9", "minute": "30"}, reportIfEmpty=empty) for empty in (True, False)
    )
    assert told["schedule"] == {"hour": "9", "minute": "30"} and told["reportIfEmpty"] and "stream" not in told
    epc = world.parcel()
    for hour, name in ((1, "a"), (2, "b")):
        world.capture(world.blue, scan("departing", hour, epc, eventID=f"urn:x:s{name}"))
    turns(world.record)
    assert said(world.record, told) == []
    world.record.now = (NOW + timedelta(days=10)).replace(hour=9, minute=30)
    turns(world.record)
    assert [events_in([one]) for one in said(world.record, told)] == [["urn:x:sa", "urn:x:sb"]]
    world.capture(world.blue, scan("arriving", 3, epc, eventID="urn:x:sc"))
    turns(world.record)
    assert len(said(world.record, told)) == 1
    for _ in range(2):
        world.record.now += timedelta(days=1)
        turns(world.record)
    assert [events_in([one]) for one in said(world.record, told)] == [["urn:x:sa", "urn:x:sb"], ["urn:x:sc"], []]
    assert [events_in([one]) for one in said(world.record, silent)] == [["urn:x:sa", "urn:x:sb"], ["urn:x:sc"]]


def test_what_was_recorded_before_is_told_first_and_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """From initialRecordTime on, in the order of recording, however many steps it takes; what comes meanwhile, and what
    was under way when it began, is not told twice."""
    monkeypatch.setattr(telling, "LOOKED_AT", 2)
    epc, record = world.parcel(), world.record

    def came(name: str, hours: float) -> None:
        world.capture(world.blue, scan("departing", hours, epc, eventID=f"urn:x:i{name}"))

    came("0", 9)
    record.now += timedelta(hours=1)
    since = record.now.isoformat()
    for n, name in enumerate("1234"):
        came(name, 8 - n)
        record.now += timedelta(seconds=1)
    with record.context(world.red) as ctx:
        event = scan("storing", 1, "urn:x:under-way", eventID="urn:x:iw")
        take(ctx, [Sent(event, tuple(CONTEXT[1:]), "$")])
        house = subscribe(world, HOUSE, {"EQ_bizStep": ["departing", "storing"]}, initialRecordTime=since)
        plain = subscribe(world, name="plain")
        came("5", 3)
    came("6", 2)
    turns(record)
    told = [one for one in events_in(said(record, house)) if one.startswith("urn:x:i")]
    assert told[:4] == ["urn:x:i1", "urn:x:i2", "urn:x:i3", "urn:x:i4"]
    assert sorted(told[4:]) == ["urn:x:i5", "urn:x:i6", "urn:x:iw"]
    assert events_in(said(record, plain)) == ["urn:x:i5", "urn:x:i6"]


FAULT = """
create table if not exists public.planted (n int);
create or replace function public.planted() returns trigger language plpgsql security definer as $$
  declare planted int := (select max(n) from public.planted); begin
    if planted = 1 then raise 'planted'; end if;
    if planted = 2 then perform pg_terminate_backend(pg_backend_pid()); end if;
    return new; end $$;
create or replace trigger planted before update of place on tracking.subscriptions for each row
  execute function public.planted();
"""


@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_skipped_or_told_twice_whatever_fails_and_whoever_commits_late(world: World, seed: int) -> None:
    """Captures that commit out of order, steps that fail or are killed at their end, turns at any moment: in the end
    each of several subscribers was told each event that it sees once, in the order of coming."""
    dice, record = random.Random(seed), world.record
    with record.database.owner() as conn:
        conn.execute(FAULT)
        conn.execute("truncate public.planted")
    epcs = {SHOP: world.parcel(), RIVAL: world.parcel(RIVAL)}
    subscribers = {who: subscribe(world, who) for who in (SHOP, RIVAL, HOUSE)}
    subscribers[world.red] = subscribe(world, world.red, {"EQ_bizStep": ["departing"]})
    expected: dict[Who, list[str]] = {who: [] for who in subscribers}
    opened: list[tuple[ExitStack, list[str], str, Who]] = []
    turned: dict[str, int] = {}  # how many turns there had been when a batch was committed
    faults = killed = count = 0

    def end(which: int) -> None:
        stack, names, step, about = opened.pop(which)
        if dice.random() < 0.2:
            with pytest.raises(ZeroDivisionError), stack:
                raise ZeroDivisionError
            return
        stack.close()
        turned.update(dict.fromkeys(names, count))
        for who in [about, HOUSE, *([world.red] if step == "departing" else [])]:
            expected[who] += names

    for number in range(60):
        move = dice.random()
        if move < 0.5 and len(opened) < 3:
            by = (world.blue, world.red)[len(opened) % 2]
            about = SHOP if len(opened) % 2 else RIVAL
            if about in [one[3] for one in opened]:  # one holds the parcel already: the other would wait for it
                continue
            stack = ExitStack()
            ctx: Context = stack.enter_context(record.context(by))
            names = [f"urn:x:p{seed}-{number}-{n}" for n in range(dice.randint(1, 3))]
            step = dice.choice(["storing", "departing"])
            events = [scan(step, n, epcs[about], eventID=name, place=f"N{number}") for n, name in enumerate(names)]
            take(ctx, [Sent(event, tuple(CONTEXT[1:]), "$") for event in events])
            opened.append((stack, names, step, about))
        elif move < 0.8 and opened:
            end(dice.randrange(len(opened)))
        else:
            with record.database.owner() as conn:
                if fault := (0, 1, 0, 2)[count % 4]:
                    conn.execute("insert into public.planted values (%s)", (fault,))
                count += 1
                try:
                    faults += len(telling.turn(desk(record), False).failed)
                except Unavailable:
                    killed += 1
                if fault:
                    conn.execute("truncate public.planted")
            record.now += timedelta(minutes=dice.choice([0, 2]))
    while opened:
        end(0)
    record.now += timedelta(minutes=2)
    assert turns(record) == {} and faults and killed
    for who, subscription in subscribers.items():
        told = events_in(said(record, subscription))
        assert len(told) == len(set(told)) and set(told) == set(expected[who]) and told
        assert [turned[name] for name in told] == sorted(turned[name] for name in told)


def test_a_disabled_endpoint_has_what_comes_among_its_dead_letters(world: World, receiver: Receiver) -> None:
    """One that is gone hears nothing, the subscription goes on, and what it missed can be replayed in order."""
    made, epc = subscribe(world, dest=receiver.url), world.parcel()
    receiver.answer = lambda heard: Answer(410)
    for n in range(3):
        world.capture(world.blue, scan("departing", n, epc, eventID=f"urn:x:d{n}"))
        turns(world.record)
        deliver(world.record)
    assert len(receiver.heard) == 1
    receiver.answer = lambda heard: Answer()
    world.record.do("webhooks.update", endpoint_id=made["endpoint_id"], enabled=True)
    world.record.do("webhooks.replay", endpoint_id=made["endpoint_id"])
    deliver(world.record)
    assert events_in([one.json for one in receiver.heard[1:]]) == ["urn:x:d0", "urn:x:d1", "urn:x:d2"]
    assert receiver.heard[1].id == receiver.heard[0].id


def test_what_is_wrong_with_a_subscription_is_told_all_at_once(world: World) -> None:
    """Where to, when, since when, and of a query that asks for the first only; nothing is kept of it."""
    with pytest.raises(Unreadable) as refused:
        subscribe(
            world, query={"orderBy": "eventTime", "eventCountLimit": 5}, dest="http://10.0.0.1/", stream=True,
            schedule={"hour": "25"}, signatureToken="", initialRecordTime="2030-01-01T00:00:00Z",
        )  # fmt: skip
    assert refused.value.code == "epcis.SubscriptionControlsException"
    assert {fault.at for fault in refused.value.faults} == {
        "$.dest", "$.stream", "$.schedule.hour", "$.signatureToken", "$.initialRecordTime", "path.query_name",
    }  # fmt: skip
    wrongs: tuple[dict[str, Any], ...] = ({"stream": False}, {"reportIfEmpty": True})
    for wrong in wrongs:
        with pytest.raises(Unreadable):
            subscribe(world, name="plain", **wrong)
    with pytest.raises(NotAcceptable):
        subscribe(world, name="plain", epc_format="Always_EPC_URN")
    with pytest.raises(NotFound):
        world.record.do("epcis.subscriptions.create", query_name="none", dest=DEST, stream=True)
    assert world.count("subscriptions") == 0 and world.record.do("webhooks.list")["data"] == []


def test_subscriptions_are_listed_page_by_page_and_ended(world: World) -> None:
    """Each on its own, or all of them with their query; the endpoint goes with its subscription and not otherwise."""
    made = sorted(subscribe(world)["subscriptionID"] for _ in range(3))
    listed = world.record.do("epcis.subscriptions.list", query_name="mine", perPage=2)
    assert [one["subscriptionID"] for one in listed] == made[:2]
    endpoint = listed[0]["endpoint_id"]
    refused: dict[str, dict[str, Any]] = {"webhooks.delete": {}, "webhooks.update": {"kinds": ["parcel.milestone"]}}
    for act, more in refused.items():
        with pytest.raises(Conflict):
            world.record.do(act, endpoint_id=endpoint, **more)
    one = {"query_name": "mine", "subscription_id": made[0]}
    with pytest.raises(NotFound):
        world.record.do("epcis.subscriptions.get", RIVAL, **one)
    with world.record.context(SHOP) as ctx:
        delete_subscription(ctx, OneSubscription(**one))
    with pytest.raises(NotFound):
        world.record.do("epcis.subscriptions.get", **one)
    assert len(world.record.do("webhooks.list")["data"]) == 2
    with world.record.context(SHOP) as ctx:
        delete_query(ctx, OneQuery("mine"))
    assert world.count("subscriptions") == 0 and world.record.do("webhooks.list")["data"] == []
    world.capture(world.blue, scan("departing", 1, world.parcel()))
    turns(world.record)
    assert world.count("arrivals") == 0


def test_what_is_told_everything_is_nothing_for_a_lesser_key(world: World) -> None:
    """An operator's subscription is neither seen nor counted among those of a merchant's key of the same party; in the
    end it goes with the query all the same."""
    made = subscribe(world, HOUSE)
    assert world.record.do("epcis.subscriptions.list", LESSER, query_name="mine") == []
    with pytest.raises(NotFound):
        ask = {"query_name": "mine", "subscription_id": made["subscriptionID"]}
        world.record.do("epcis.subscriptions.get", LESSER, **ask)
    with world.record.context(LESSER) as ctx:
        delete_query(ctx, OneQuery("mine"))
    assert world.count("subscriptions") == 0


def test_live_and_test_events_are_apart(world: World) -> None:
    """A test key's subscription hears of test events alone."""
    trying = Who(world.blue.party_id, "key_test", world.blue.scopes, test=True)
    live, test = subscribe(world, world.blue), subscribe(world, trying)
    for who, name in ((world.blue, "live"), (trying, "test")):
        world.capture(who, scan("storing", 1, "urn:x:thing", eventID=f"urn:x:{name}"))
    for mode in (False, True):
        turns(world.record, mode)
    assert events_in(said(world.record, live)) == ["urn:x:live"]
    assert events_in(said(world.record, test)) == ["urn:x:test"]


def test_one_subscription_that_fails_keeps_no_other_from_being_served(world: World) -> None:
    """It is left alone for a minute, and then told all of what it missed."""
    bad, good, epc = subscribe(world), subscribe(world, name="good"), world.parcel()
    world.capture(world.blue, scan("departing", 1, epc, eventID="urn:x:f"))
    with world.record.database.owner() as conn:
        conn.execute("update tracking.queries set query = '{\"EQ_no\": 1}' where name = 'mine'")
        failed = turns(world.record)
        conn.execute("update tracking.queries set query = '{}' where name = 'mine'")
    assert {*failed} == {bad["subscriptionID"]} and events_in(said(world.record, good)) == ["urn:x:f"]
    assert problems(world.record, good) == []
    turns(world.record)
    assert said(world.record, bad) == []
    world.record.now += timedelta(minutes=1)
    turns(world.record)
    assert events_in(said(world.record, bad)) == ["urn:x:f"]


def test_a_subscriber_is_told_once_that_its_query_cannot_be_looked_at(world: World, receiver: Receiver) -> None:
    """In the form of a problem, with the query's name and the subscription's id: in the standard's words what is the
    query's, without a word of the inside what is the server's; again only after all was well once. Nothing is skipped.
    """
    made, epc, record = subscribe(world, dest=receiver.url), world.parcel(), world.record
    wrong = "update tracking.queries set query = '{\"EQ_no\": 1}' where name = 'mine'"
    right = "update tracking.queries set query = '{}' where name = 'mine'"
    with record.database.owner() as conn:
        conn.execute(FAULT)
        conn.execute("truncate public.planted")
        world.capture(world.blue, scan("departing", 1, epc, eventID="urn:x:q0"))
        conn.execute(wrong)
        for _ in range(3):
            assert {*turns(record)} == {made["subscriptionID"]}
            record.now += timedelta(minutes=1)
        conn.execute(right)
        assert turns(record) == {}
        world.capture(world.blue, scan("departing", 2, epc, eventID="urn:x:q1"))
        conn.execute("insert into public.planted values (1)")
        assert turns(record)
        record.now += timedelta(minutes=1)
        assert turns(record)
        conn.execute("truncate public.planted")
        record.now += timedelta(minutes=1)
        assert turns(record) == {}
    deliver(record)
    heard = [one.json for one in receiver.heard]
    assert [one["type"] for one in heard] == [
        "epcisException:QueryParameterException", "EPCISQueryDocument",
        "epcisException:ImplementationException", "EPCISQueryDocument",
    ]  # fmt: skip
    first, second = heard[0], heard[2]
    named = {"queryName": "mine", "subscriptionID": made["subscriptionID"]}
    assert named.items() <= first.items() and named.items() <= second.items()
    assert (first["status"], first["errors"][0]["at"]) == (400, "$.query.EQ_no") and second["status"] == 500
    assert "errors" not in second and "planted" not in str(second) and first["action"] and second["action"]
    assert events_in([heard[1], heard[3]]) == ["urn:x:q0", "urn:x:q1"]
    assert receiver.heard[0].headers["content-type"] == "application/json"


def come_to(world: World, *made: dict[str, Any]) -> list[datetime]:
    """How far subscriptions say that they have come; listed and looked up they say the same."""
    listed = {one["subscriptionID"]: one for one in world.record.do("epcis.subscriptions.list", query_name="mine")}
    for one in made:
        ask = {"query_name": "mine", "subscription_id": one["subscriptionID"]}
        assert world.record.do("epcis.subscriptions.get", **ask) == listed[one["subscriptionID"]]
    return [datetime.fromisoformat(listed[one["subscriptionID"]]["minRecordTime"]) for one in made]


def test_a_subscription_tells_how_far_it_has_come(world: World) -> None:
    """First initialRecordTime or its beginning, then when the last was recorded that it was told, by schedule at least
    when the last report was due; what waits, also where it was archived, changes nothing."""
    record, epc = world.record, world.parcel()
    since = record.now
    world.capture(world.blue, scan("departing", 9, epc))
    record.now += timedelta(hours=1)
    began = record.now
    daily = subscribe(world, schedule={"hour": "9"}, initialRecordTime=since.isoformat())
    stream = subscribe(world)
    assert come_to(world, daily, stream) == [since, began]
    record.now += timedelta(hours=1)
    came = record.now
    world.capture(world.blue, scan("arriving", 8, epc))
    record.now += timedelta(minutes=1)
    assert come_to(world, daily, stream) == [since, began]
    turns(record)
    assert come_to(world, daily, stream) == [since, came]
    due = (record.now + timedelta(days=1)).replace(hour=9, minute=0)
    record.now = due + timedelta(minutes=7)
    turns(record)
    assert come_to(world, daily, stream) == [due, came]
    world.capture(world.blue, scan("departing", 7, epc))
    with record.database.owner() as conn:
        conn.execute("update tracking.arrivals set event_nos = array[0]")  # as one that the record holds no more
    record.now += timedelta(days=1)
    assert come_to(world, daily, stream) == [due, came]


def test_how_far_a_subscription_has_come_tells_nothing_of_others(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever other parties capture, whether it still waits or was looked at, step by step, when it began or later:
    a subscriber is told the times of its own events and reports."""
    monkeypatch.setattr(telling, "LOOKED_AT", 1)
    record, mine, others = world.record, world.parcel(), world.parcel(RIVAL)

    def others_come() -> None:
        record.now += timedelta(minutes=11, microseconds=1234)
        world.capture(world.blue, scan("storing", 1, others), scan("departing", 2, others))

    record.now += timedelta(days=10)  # behind all that other tests record
    since = record.now
    for _ in range(3):
        others_come()
    record.now = began = record.now + timedelta(minutes=5)
    made = [
        subscribe(world),
        subscribe(world, initialRecordTime=since.isoformat()),
        subscribe(world, schedule={"hour": "5"}, initialRecordTime=since.isoformat()),
    ]
    says = [began, since, since]

    def all_say(says: list[datetime]) -> None:
        while True:
            assert come_to(world, *made) == says
            if not telling.turn(desk(record), False).steps:
                break

    all_say(says)
    for _ in range(3):
        others_come()
        all_say(says)
    record.now += timedelta(minutes=1)
    own = record.now
    world.capture(world.blue, scan("departing", 3, mine))
    others_come()
    turns(record)
    all_say([own, own, since])
    due = (record.now + timedelta(days=1)).replace(hour=5, minute=0, second=0, microsecond=0)
    record.now = due - timedelta(minutes=5)
    others_come()  # when the report is due already
    turns(record)
    all_say([own, own, due])


def test_what_is_captured_while_a_worker_runs_reaches_the_subscriber(world: World, receiver: Receiver) -> None:
    """The live worker looks at what came, and its messages are sent by themselves: event after event, in order."""
    subscribe(world, world.blue, dest=receiver.url)
    stop = threading.Event()
    threads = [*living.start(desk(world.record), stop), *delivering.start(desk(world.record), stop)]
    try:
        for number in range(3):
            world.capture(world.blue, scan("storing", number, "urn:x:worker", eventID=f"urn:x:w{number}"))
            receiver.wait_for(number + 1)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert events_in([one.json for one in receiver.heard]) == ["urn:x:w0", "urn:x:w1", "urn:x:w2"]
