"""Parties say where they want to be told, see how it goes there, and have it told once more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import polars as pl
import pytest
from receiving import Answer, Receiver, receiving
from record_cases import NOW, RIVAL, SHOP, Record

import rookery.app
from rookery.base import outbox
from rookery.base.clock import Clock
from rookery.base.db import Database, Urls
from rookery.base.jobs import Desk
from rookery.base.operations import Who
from rookery.base.webhooks.delivering import Deliverer
from rookery.base.webhooks.endpoints import MOST
from rookery.base.webhooks.sending import Sender
from rookery.base.webhooks.targets import VARIABLE, Targets
from rookery.terms.errors import Conflict, InvalidInput, NotAllowed, NotFound

HOUSE = Who("pty_house", "key_house", frozenset({"operator"}))
LESSER = Who("pty_house", "key_lesser", frozenset({"merchant"}))
URL = "https://shop.example.com/rookery"


@pytest.fixture(scope="module")
def record(make_urls: Callable[[], Urls], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Record]:
    with Database.open(make_urls(), size=4, wait_s=60.0) as database:
        rookery.app.make_ready(database)
        yield Record(database, rookery.app.wire(tmp_path_factory.mktemp("webhooks"), database))


@pytest.fixture(autouse=True)
def nothing_there(record: Record) -> None:
    record.now = NOW
    with record.database.owner() as conn:
        conn.execute("truncate base.outbox, base.endpoints, base.messages, base.deliveries, base.audit")


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setenv(VARIABLE, "1")
    with receiving() as started:
        yield started


def deliver(record: Record) -> None:
    """All that can be told now is told."""

    async def all_of_it() -> None:
        desk = Desk(record.database, Clock(lambda: record.now), record.parts)
        async with Sender(Targets(private=True), total_s=5) as sender:
            await Deliverer(desk, sender).until_idle()

    asyncio.run(all_of_it())


def tell(record: Record, *keys: str, party: str = SHOP.party_id) -> None:
    rows = [(False, "parcel.milestone", key, [party], record.now, f'{{"number":"{key}"}}') for key in keys]
    with record.context() as ctx:
        outbox.add(ctx.conn, pl.DataFrame(rows, schema=outbox.NEWS, orient="row"))


def make(record: Record, who: Who = SHOP, url: str = URL, **more: Any) -> tuple[str, str]:
    """A new endpoint: (id, secret)."""
    made = record.do("webhooks.create", who, url=url, **more)
    return made["endpoint"]["endpoint_id"], made["secret"]


def test_an_endpoint_s_secret_is_shown_once_and_signs_what_it_hears(record: Record, receiver: Receiver) -> None:
    """At create and rotate, nowhere else; for a day both secrets count."""
    endpoint, secret = make(record, url=receiver.url, description="orders", kinds=["parcel.milestone"])
    shown = record.do("webhooks.get", endpoint_id=endpoint)
    assert secret.startswith("whsec_") and secret not in str(shown) and shown["kinds"] == ["parcel.milestone"]
    record.now += timedelta(hours=1)
    rotated = record.do("webhooks.rotate", endpoint_id=endpoint)
    assert rotated["secret"] != secret and rotated["endpoint"]["rotation"] == 2
    tell(record, "a")
    deliver(record)
    assert receiver.heard[0].signed_with(secret) and receiver.heard[0].signed_with(rotated["secret"])
    assert secret not in str(record.do("webhooks.list"))


@pytest.mark.parametrize(
    "url", ["http://shop.example.com/", "https://10.0.0.1/", "https://169.254.169.254/", "https://localhost:8080/", "x"]
)
def test_a_target_that_is_private_or_plain_is_refused_with_all_that_is_wrong(record: Record, url: str) -> None:
    """At create and at update; an unknown kind is told in the same answer."""
    with pytest.raises(InvalidInput) as refused:
        record.do("webhooks.create", url=url, kinds=["parcel.lost"])
    assert {fault.at for fault in refused.value.faults} == {"$.url", "$.kinds[0]"}
    endpoint, _ = make(record)
    with pytest.raises(InvalidInput):
        record.do("webhooks.update", endpoint_id=endpoint, url=url)
    assert record.do("webhooks.get", endpoint_id=endpoint)["url"] == URL


def test_nobody_else_gets_at_an_endpoint(record: Record) -> None:
    """For another party it is not there, by whatever act; an operator sees it, and cannot have its secret."""
    endpoint, _ = make(record)
    acts: dict[str, dict[str, Any]] = {
        "webhooks.get": {}, "webhooks.update": {"enabled": False}, "webhooks.delete": {}, "webhooks.rotate": {},
        "webhooks.test": {}, "webhooks.deliveries": {}, "webhooks.replay": {},
    }  # fmt: skip
    for act, ask in acts.items():
        with pytest.raises(NotFound):
            record.do(act, RIVAL, endpoint_id=endpoint, **ask)
    assert record.do("webhooks.list", RIVAL)["data"] == []
    assert record.do("webhooks.get", HOUSE, endpoint_id=endpoint)["enabled"]
    with pytest.raises(NotAllowed):
        record.do("webhooks.rotate", HOUSE, endpoint_id=endpoint)


def test_what_hears_of_everything_is_an_operator_s_alone(record: Record, receiver: Receiver) -> None:
    """A merchant's key of the same party neither sees nor changes it, and its own endpoint hears its own things."""
    everything, _ = make(record, HOUSE, receiver.url)
    own, _ = make(record, LESSER, receiver.url)
    with pytest.raises(NotFound):
        record.do("webhooks.deliveries", LESSER, endpoint_id=everything)
    with pytest.raises(NotFound):
        record.do("webhooks.update", LESSER, endpoint_id=everything, url="https://elsewhere.example.com/")
    tell(record, "a")
    deliver(record)
    assert [one["key"] for one in record.do("webhooks.deliveries", HOUSE, endpoint_id=everything)["data"]] == ["a"]
    assert record.do("webhooks.deliveries", LESSER, endpoint_id=own)["data"] == []


def test_a_test_message_reaches_this_endpoint_alone(record: Record, receiver: Receiver) -> None:
    """Whatever kinds it hears of; the reply names the id it comes under."""
    endpoint, secret = make(record, url=receiver.url, kinds=["case.opened"])
    make(record, url=receiver.url)
    said = record.do("webhooks.test", endpoint_id=endpoint)
    deliver(record)
    [heard] = receiver.heard
    assert heard.id == said["event_id"] and heard.signed_with(secret)
    assert heard.json["type"] == "webhook.test" and heard.json["data"] == {"endpoint_id": endpoint}
    assert heard.json["timestamp"] == "2026-03-02T08:00:00.000000Z"


def test_what_came_of_each_message_is_listed_page_by_page(record: Record, receiver: Receiver) -> None:
    """State, attempts, last status, error, and when it is tried again; the newest first."""
    endpoint, _ = make(record, url=receiver.url)
    receiver.answer = lambda heard: Answer(500 if heard.json["data"]["number"] == "b" else 200)
    tell(record, "a", "b", "b")
    deliver(record)
    behind, failed, told = record.do("webhooks.deliveries", endpoint_id=endpoint)["data"]
    assert (told["state"], told["attempts"], told["status"], told["error"]) == ("delivered", 1, 200, None)
    assert (failed["state"], failed["attempts"], failed["status"], failed["error"]) == (
        "pending",
        1,
        500,
        "answered 500",
    )
    assert failed["next_at"] > told["ended_at"]
    assert (behind["state"], behind["attempts"], behind["next_at"]) == ("pending", 0, None)
    first = record.do("webhooks.deliveries", endpoint_id=endpoint, limit=2)
    rest = record.do("webhooks.deliveries", endpoint_id=endpoint, limit=2, after=first["next"])
    assert first["data"] == [behind, failed] and rest == {"data": [told], "next": None}
    assert record.do("webhooks.deliveries", endpoint_id=endpoint, state="pending")["data"] == [behind, failed]
    health = record.do("webhooks.get", endpoint_id=endpoint)
    assert (health["pending"], health["failures"] <= 1, health["last_error"]) == (2, True, "answered 500")


def test_a_disabled_endpoint_s_news_are_dead_until_they_are_replayed(record: Record, receiver: Receiver) -> None:
    """What waited and what came; under the same ids, in order; nothing by itself."""
    endpoint, _ = make(record, url=receiver.url)
    tell(record, "a")
    deliver(record)
    record.now += timedelta(minutes=1)
    record.do("webhooks.update", endpoint_id=endpoint, enabled=False)
    tell(record, "a", "b")
    deliver(record)
    for act in ("webhooks.replay", "webhooks.test"):
        with pytest.raises(Conflict):
            record.do(act, endpoint_id=endpoint)
    disabled = record.do("webhooks.get", endpoint_id=endpoint)
    assert (disabled["enabled"], disabled["disabled_why"]) == (False, "by_owner")
    record.do("webhooks.update", endpoint_id=endpoint, enabled=True)
    deliver(record)
    assert len(receiver.heard) == 1
    missed = [one["event_id"] for one in record.do("webhooks.deliveries", endpoint_id=endpoint, state="dead")["data"]]
    assert record.do("webhooks.replay", endpoint_id=endpoint) == {"replayed": 2, "more": False}
    deliver(record)
    assert sorted(receiver.ids[1:]) == sorted(missed)

    record.now += timedelta(minutes=1)
    since = (record.now - timedelta(minutes=1)).isoformat()
    assert record.do("webhooks.replay", endpoint_id=endpoint, since=since)["replayed"] == 2
    assert record.do("webhooks.replay", endpoint_id=endpoint, events=[receiver.ids[0], "evt_unknown"])["replayed"] == 1
    deliver(record)
    assert sorted(receiver.ids[3:]) == sorted(receiver.ids[:3])
    with pytest.raises(InvalidInput):
        record.do("webhooks.replay", endpoint_id=endpoint, since=since, events=["evt_x"])


def test_a_deleted_endpoint_hears_nothing_more(record: Record, receiver: Receiver) -> None:
    """It and all that waited for it are gone."""
    endpoint, _ = make(record, url=receiver.url)
    tell(record, "a")
    record.do("webhooks.delete", endpoint_id=endpoint)
    tell(record, "b")
    deliver(record)
    assert receiver.heard == []
    with pytest.raises(NotFound):
        record.do("webhooks.get", endpoint_id=endpoint)


def test_a_party_has_no_more_endpoints_than_are_kept(record: Record) -> None:
    """Live and test apart; each change is in the audit trail."""
    for _ in range(MOST):
        make(record)
    with pytest.raises(Conflict):
        make(record)
    make(record, Who(SHOP.party_id, SHOP.key_id, SHOP.scopes, test=True))
    assert len(record.do("webhooks.list", limit=15)["data"]) == 15
    with record.database.owner() as conn:
        row = conn.execute("select count(*) from base.audit where act = 'webhooks.create'").fetchone()
    assert row == (MOST + 1,)
