"""Pieces of the HTTP door by themselves: limits, bodies, callers, ETags, and waiting for a thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rookery.app
from rookery.base.access.keys import Known
from rookery.base.clock import Clock
from rookery.base.operations import OPERATIONS, Who
from rookery.doors.http.bodies import DISCARDED, Body, TooSlow
from rookery.doors.http.callers import Callers
from rookery.doors.http.etags import seen_already, version_seen
from rookery.doors.http.limits import Buckets
from rookery.doors.http.server import Server
from rookery.terms.errors import (
    Changed,
    InvalidInput,
    NotKnown,
    RookeryError,
    TooLarge,
    TooMany,
    Unavailable,
    Unreadable,
)

assert rookery.app.ACTS
OP = OPERATIONS["parties.create"]
NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)


def parts(*sent: bytes, ends: str = "whole") -> Callable[[], Any]:
    """Receives a body in these parts, which then ends, is cut off, or never comes."""
    waiting = list(sent)

    async def receive() -> dict[str, Any]:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(0), "more_body": bool(waiting) or ends != "whole"}
        if ends == "cut":
            return {"type": "http.disconnect"}
        await asyncio.Event().wait()
        return {}

    return receive


def test_a_body_comes_whole_or_not_at_all():
    """Slow, cut off and too large bodies are told apart."""

    async def read(*sent: bytes, ends: str = "whole") -> bytes:
        return await Body(parts(*sent, ends=ends), {}).read(OP, 0.01)

    assert asyncio.run(read(b"{", b"}")) == b"{}"
    large = b"x" * OP.most_bytes
    for told, ends, big in ((TooSlow, "never", b""), (Unreadable, "cut", b""), (TooLarge, "whole", large)):
        with pytest.raises(told):
            asyncio.run(read(b"{", big, ends=ends))


def test_a_refused_body_is_taken_within_bounds():
    """What is still coming is thrown away until its end, and not waited for when the sender waits for us."""

    async def taken(headers: dict[str, str], ends: str, *sent: bytes, after_read: bool = False) -> int:
        """How many messages were received."""
        receive, received = parts(*sent, ends=ends), 0

        async def counting() -> Any:
            nonlocal received
            received += 1
            return await receive()

        body = Body(counting, headers)
        if after_read:
            await body.read(OP, 1.0)
        await body.discard()
        return received

    assert asyncio.run(taken({}, "whole", b"x", b"y")) == 2
    assert asyncio.run(taken({}, "cut", b"x", b"y")) == 3  # the third says that the sender went away
    assert asyncio.run(taken({"expect": "100-continue"}, "never", b"x")) == 0
    assert asyncio.run(taken({}, "whole", b"{}", after_read=True)) == 1
    large = [b"x" * (DISCARDED // 4)] * 6
    assert asyncio.run(taken({}, "whole", *large)) == 4


@given(st.lists(st.floats(0, 5), max_size=60), st.floats(0.1, 10), st.integers(1, 10))
def test_no_more_than_the_rate_and_the_burst(waits, rate, burst):
    """In any span, an asker gets at most the burst and what flowed in since."""
    buckets, at, taken = Buckets(rate, burst), 0.0, 0
    for wait in waits:
        at += wait
        try:
            buckets.take("a", at)
            taken += 1
        except TooMany as told:
            assert told.retry_after_s >= 1
        assert taken <= burst + rate * at + 1e-6
    buckets.take("another", at)


def test_a_key_is_remembered_for_a_moment_and_not_beyond_its_end():
    """Asked for again when the moment is over or the key has ended, by the clock."""
    now, asked = [NOW], []
    callers = Callers(Clock(lambda: now[0]))

    async def look_up(secret: str) -> Known:
        asked.append(secret)
        if secret == "rk_wrong" or now[0] >= NOW + timedelta(hours=1):
            raise NotKnown("keys.unknown", "Unknown.", "nothing")
        return Known(Who("pty_a", "key_a", frozenset({"merchant"})), NOW + timedelta(hours=1))

    async def ask(secret: str) -> Who:
        return await callers.who({"x-api-key": secret}, "1.2.3.4", look_up)

    assert asyncio.run(ask("rk_right")).party_id == asyncio.run(ask("rk_right")).party_id == "pty_a"
    assert asked == ["rk_right"]
    now[0] = NOW + timedelta(hours=1)
    with pytest.raises(NotKnown):
        asyncio.run(ask("rk_right"))
    assert asked == ["rk_right"] * 2


def test_asking_in_vain_without_a_key_is_counted_by_address():
    """Whoever asked too often for what is not there is not listened to for a while; others are."""
    callers = Callers(Clock(lambda: NOW), misses=Buckets(rate=0.001, burst=3))
    for _ in range(3):
        assert callers.anybody("1.2.3.4").party_id == ""
        callers.missed("1.2.3.4")
    with pytest.raises(TooMany):
        callers.anybody("1.2.3.4")
    callers = Callers(Clock(lambda: NOW))
    for _ in range(400):
        callers.missed("1.2.3.4")
    with pytest.raises(TooMany) as told:
        callers.anybody("1.2.3.4")
    assert told.value.what == "Too much was asked in vain from this address."
    assert callers.anybody("5.6.7.8").party_id == ""


def test_guesses_are_counted_by_address():
    """After too many wrong keys the next is not even looked at, and those of another address are."""
    callers, asked = Callers(Clock(lambda: NOW), guesses=Buckets(rate=0.001, burst=3)), []

    async def look_up(secret: str) -> Known:
        asked.append(secret)
        if secret == "rk_right":
            return Known(Who("pty_a", "key_a", frozenset()), None)
        raise NotKnown("keys.unknown", "Unknown.", "nothing")

    def ask(secret: str, address: str) -> str:
        try:
            asyncio.run(callers.who({"authorization": f"Bearer {secret}"}, address, look_up))
        except RookeryError as told:
            return told.code
        return "known"

    assert ask("rk_right", "a") == "known"
    assert [ask(f"rk_{n}", "a") for n in range(5)] == ["keys.unknown"] * 3 + ["rate.exceeded"] * 2
    assert (ask("rk_right", "a"), ask("rk_x", "b")) == ("known", "keys.unknown")
    assert len(asked) == 5


@pytest.mark.parametrize(
    ("sent", "taken", "seen"),
    [(None, False, None), ("*", True, None), ('"7"', True, 7), (' "7" ', True, 7), ('"7.00c0ffee"', True, 7)],
)
def test_if_match_names_a_version(sent, taken, seen):
    """The ETag that was read, or any."""
    assert version_seen(sent, taken) == seen


@pytest.mark.parametrize(
    ("sent", "taken", "error"),
    [
        ('W/"7"', True, Changed), ("7", True, Changed), ('"x"', True, Changed),
        ('"7.x"', True, Changed), ('"99999999999"', True, Changed),
        ("", True, Changed), ('"1", "2"', True, InvalidInput), ('"7"', False, InvalidInput),
    ],
)  # fmt: skip
def test_if_match_that_matches_nothing(sent, taken, error):
    """Weak, malformed and absurd ETags match nothing; where none is heeded none is taken."""
    with pytest.raises(error):
        version_seen(sent, taken)


def test_if_none_match_is_compared_weakly():
    """Any of several, weak ones and `*` count."""
    assert all(seen_already(sent, '"7"') for sent in ('"7"', 'W/"7"', '"1", W/"7"', "*"))
    assert not any(seen_already(sent, '"7"') for sent in (None, "", "7", '"77"', '"1"'))


def test_who_finds_no_thread_hears_so():
    """When all threads are at work for too long, the next request is refused, and nothing of it was done."""

    async def crowd() -> None:
        server = Server(None, Clock(lambda: NOW), {}, wait_s=0.01)  # type: ignore[arg-type]
        leave = threading.Event()
        busy = [asyncio.create_task(server.in_thread(leave.wait)) for _ in range(16)]
        await asyncio.sleep(0)
        with pytest.raises(Unavailable) as told:
            await server.in_thread(print)
        assert told.value.code == "server.busy"
        leave.set()
        await asyncio.gather(*busy)
        assert await server.in_thread(lambda: 1) == 1
        server.close()

    asyncio.run(crowd())
