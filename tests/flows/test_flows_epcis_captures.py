"""Events handed in under /epcis: what came of a document is always told, and an event is where its sender is sent."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from urllib.parse import unquote

import msgspec
import pytest
from psycopg import errors as pg
from tracking_cases import CONTEXT, World, document, make_world, scan

from rookery.base import jobs
from rookery.base.clock import Clock
from rookery.base.operations import Who
from rookery.flows.epcis import captures, recapturing
from rookery.flows.epcis.captures import Document, OneCapture, OneEvent, capture, capture_later, create_event, get
from rookery.flows.epcis.events import OneEvent as Named
from rookery.flows.epcis.events import get_event
from rookery.flows.forgetting import forget
from rookery.terms.errors import Conflict, InvalidInput, NotFound, Unavailable, Unreadable

HOUSE = Who("pty_house", "key_house", frozenset({"operator"}))


@pytest.fixture(scope="module")
def world(make_urls, tmp_path_factory):
    """One world for all, each test with parcels of its own."""
    with make_world(make_urls, tmp_path_factory.mktemp("world")) as made:
        yield made


def later(world: World, content: bytes, who: Who, **more: Any) -> dict[str, Any]:
    """Capture by a job, done here; the job as its sender sees it. What is a fault of the program is raised after."""
    with world.record.context(who) as ctx:
        asked = Document(content, "application/json", prefer="respond-async", **more)
        job = capture(ctx, asked).headers["Location"].rsplit("/", 1)[1]
    desk = jobs.Desk(world.record.database, Clock(lambda: world.record.now), world.record.parts)
    try:
        capture_later(desk, job, "False")
        capture_later(desk, job, "False")  # after a crash, say: nothing is done twice
    finally:
        with world.record.context(who) as ctx:
            told = msgspec.to_builtins(get(ctx, OneCapture(job)))
            assert not told["running"] and told["finishedAt"]
    return told


def test_a_job_ends_whatever_is_wrong_with_its_document(world: World):
    """Also where keeping refuses what the schema allows: the sender is told why, and no job stays running."""
    epc = world.parcel()
    many = [scan("departing", 2 + i / 36000, epc) for i in range(10_001)]
    for content in (b'{"type"', document(*many), document(scan("departing", 2, epc, **{"rookery:x": _deep(70)}))):
        told = later(world, content, world.blue)
        assert not told["success"] and told["errors"] and told["added"] == 0
    assert later(world, document(scan("departing", 2, epc)), world.blue)["added"] == 1


def test_a_job_ends_where_the_database_refuses_or_the_program_fails(world: World, monkeypatch: pytest.MonkeyPatch):
    """Faults planted where events are kept: PostgreSQL's words, which may hold values, are not told; what passes by
    itself leaves the job to be done again."""
    content = document(scan("departing", 2, world.parcel()))
    for fault, code in (
        (pg.NumericValueOutOfRange('value "secret" is out of range'), "cannot_be_kept"),
        (pg.ProgramLimitExceeded("index row size 9000 of secret"), "cannot_be_kept"),
        (NotFound("planted.none", "There is none.", "look elsewhere"), "planted.none"),
        (KeyError("secret"), "internal"),
    ):
        monkeypatch.setattr(captures, "take", _raising(fault))
        if code == "internal":
            with pytest.raises(KeyError):
                later(world, content, world.blue)
            continue
        told = later(world, content, world.blue)
        assert [error["title"] for error in told["errors"]] == [code] and "secret" not in str(told)
        assert (told["success"], told["added"]) == (False, 0)
    monkeypatch.setattr(captures, "take", _raising(Unavailable("planted.busy", "It is busy.", "wait")))
    with pytest.raises(AssertionError) as running:
        later(world, content, world.blue)
    assert isinstance(running.value.__context__, Unavailable)


def test_a_document_is_kept_where_the_program_is_at_fault(world: World, monkeypatch: pytest.MonkeyPatch):
    """Its sender is told, and once the program is mended the job is done again; of a document that is itself at fault
    nothing is kept.
    """
    before = _documents(world)
    job = _failed(world, monkeypatch)
    with world.record.context(world.blue) as ctx:
        told = get(ctx, OneCapture(job))
    assert (told.running, told.success, [error.title for error in told.errors]) == (False, False, ["internal"])
    for _ in range(2):
        again = world.record.do("epcis.captures.again", HOUSE, captureID=job)
        assert again["running"] and again["errors"] == []
    assert _captured(world, job) == 1
    with pytest.raises(Conflict, match="Nothing is kept"):
        world.record.do("epcis.captures.again", HOUSE, captureID=job)
    with pytest.raises(NotFound):
        world.record.do("epcis.captures.again", HOUSE, captureID="cap_none")
    later(world, b'{"type"', world.blue)
    assert _documents(world) == before


def test_a_document_that_nobody_captured_again_is_forgotten(world: World, monkeypatch: pytest.MonkeyPatch):
    """After 30 days; that it failed, and why, its sender still sees."""
    before = _documents(world)
    job = _failed(world, monkeypatch)
    for after, kept in ((timedelta(days=30), {job}), (timedelta(days=30, seconds=1), set())):
        clock = Clock(lambda after=after: world.record.now + after)
        forget(jobs.Desk(world.record.database, clock, world.record.parts))
        assert _documents(world) - before == kept
    with world.record.context(world.blue) as ctx:
        assert [error.title for error in get(ctx, OneCapture(job)).errors] == ["internal"]


def test_two_who_have_it_captured_again_at_once_hear_that_it_runs(world: World, monkeypatch: pytest.MonkeyPatch):
    """The second, who waits for the first, too; it is captured once."""
    job = _failed(world, monkeypatch)
    second = _meanwhile(world, job, lambda: world.record.do("epcis.captures.again", HOUSE, captureID=job))
    assert second["running"] and second["success"] and second["finishedAt"] is None
    assert _captured(world, job) == 1


def test_what_is_just_captured_again_is_not_forgotten(world: World, monkeypatch: pytest.MonkeyPatch):
    """Whoever comes to forget a document that was asked for at the last moment finds it running, and leaves it."""
    job = _failed(world, monkeypatch)

    def forgotten() -> int:
        with world.record.context() as ctx:
            return recapturing.forget(ctx.conn, False, world.record.now + timedelta(days=31), 100)

    assert _meanwhile(world, job, forgotten) == 0
    assert _captured(world, job) == 1


def _failed(world: World, monkeypatch: pytest.MonkeyPatch) -> str:
    """A capture of one event that failed by a fault of the program."""
    before = _documents(world)
    with monkeypatch.context() as planted, pytest.raises(KeyError):
        planted.setattr(captures, "take", _raising(KeyError("secret")))
        later(world, document(scan("departing", 2, world.parcel())), world.blue)
    [job] = _documents(world) - before
    return job


def _meanwhile(world: World, job: str, act: Callable[[], Any]) -> Any:
    """What comes of an act that begins while an operator has a document captured again, and waits for that."""
    waits = "select exists (select from pg_locks where not granted and %s = any(pg_blocking_pids(pid)))"
    with ThreadPoolExecutor(1) as threads:
        with world.record.context(HOUSE) as ctx:
            assert recapturing.capture_again(ctx, OneCapture(job)).running
            other = threads.submit(act)
            while ctx.conn.execute(waits, (ctx.conn.info.backend_pid,)).fetchone() == (False,):
                assert not other.done()
        return other.result()


def _captured(world: World, job: str) -> int:
    """Do the job of a document; how many events it added."""
    capture_later(jobs.Desk(world.record.database, Clock(lambda: world.record.now), world.record.parts), job, "False")
    with world.record.context(world.blue) as ctx:
        done = get(ctx, OneCapture(job))
    assert done.success and not done.running and done.errors == []
    return done.added


def _documents(world: World) -> set[str]:
    """The captures whose documents are kept."""
    with world.record.context() as ctx:
        rows = ctx.conn.execute("select capture_id from tracking.captures where content is not null").fetchall()
    return {capture_id for (capture_id,) in rows}


def _deep(levels: int) -> Any:
    return [_deep(levels - 1)] if levels else 1


def _raising(fault: Exception) -> Any:
    def take(*args: Any, **more: Any) -> Any:
        raise fault

    return take


def bare(event: dict[str, Any]) -> bytes:
    """A single event as sent to /epcis/events."""
    return msgspec.json.encode({"@context": CONTEXT, **event})


def test_an_event_sent_under_another_id_is_found_where_its_sender_is_sent(world: World):
    """Location names the id it was kept by: the first one, or its hash."""

    def located(event: dict[str, Any]) -> str:
        with world.record.context(world.blue) as ctx:
            where = create_event(ctx, OneEvent(bare(event), "application/json")).headers["Location"]
        name = unquote(where.removeprefix("/epcis/events/"))
        with world.record.context(world.blue, readonly=True) as ctx:
            (found,) = get_event(ctx, Named(event_id=name))["epcisBody"]["queryResults"]["resultsBody"]["eventList"]
        assert found["eventID"] == name
        return name

    named, nameless = scan("departing", 2, world.parcel()), scan("departing", 2, world.parcel())
    ids = [f"urn:uuid:6f0a3a2e-5d2c-4c3e-9c39-2f4b8f0f8a{end}" for end in (11, 12)]
    assert [located({**named, "eventID": name}) for name in ids] == ids[:1] * 2
    assert located(named) == ids[0]
    hashed = located(nameless)
    assert hashed.startswith("ni:///") and located({**nameless, "eventID": ids[1]}) == hashed
    declared = {**named, "errorDeclaration": {"declarationTime": "2026-03-03T08:00:00Z"}, "eventID": ids[1]}
    with world.record.context(world.blue) as ctx:
        told = create_event(ctx, OneEvent(bare(declared), "application/json")).headers["Location"]
    assert unquote(told).endswith(ids[1])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "ends before it is complete"), (b'{"type": "EPCISDoc', "ends before it is complete"),
        (b'{"a": "\\ud800"}', "half a character"), (b'{"a": "\\uD800\\u0041"}', "half a character"),
        (b'{"a": "\\udc00"}', "half a character"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_the_json_is_told_in_plain_words(world: World, content: bytes, said: str):
    """A document cut off, and one with half a character, at both doors."""
    for ask in (
        lambda ctx: capture(ctx, Document(content, "application/json")),
        lambda ctx: create_event(ctx, OneEvent(content, "application/json")),
    ):
        with pytest.raises(Unreadable) as refused, world.record.context(world.blue) as ctx:
            ask(ctx)
        assert said in refused.value.what


def test_one_fault_is_one_fault(world: World):
    """And two are two."""
    bad = {**scan("departing", 3, world.parcel()), "action": "LOOK"}
    for events, said in (((bad,), "has one fault."), ((bad, bad), "has 2 faults.")):
        with pytest.raises(InvalidInput) as refused:
            world.capture(world.blue, *events)
        assert said in refused.value.what


def test_in_xml_too_the_good_events_are_captured_where_the_others_are_read(world: World):
    """An event without what it needs is left out; XML that is not as the binding has it is refused whole, told all."""
    head = (
        '<e:EPCISDocument xmlns:e="urn:epcglobal:epcis:xsd:2" schemaVersion="2.0" creationDate="2026-03-02T10:00:00Z">'
        "<EPCISBody><EventList>"
    )
    one = (
        "<ObjectEvent><eventTime>2026-03-02T1{}:00:00Z</eventTime><eventTimeZoneOffset>+00:00</eventTimeZoneOffset>"
        "<epcList><epc>{}</epc></epcList><action>OBSERVE</action>{}</ObjectEvent>"
    )
    tail = "</EventList></EPCISBody></e:EPCISDocument>"
    ask = Document(
        (head + one.format(0, "urn:x:1", "") + one.format(1, "no uri", "") + tail).encode(), "text/xml", "proceed"
    )
    with world.record.context(world.blue) as ctx:
        job = capture(ctx, ask).headers["Location"].rsplit("/", 1)[1]
        told = get(ctx, OneCapture(job))
    assert (told.added, told.success, len(told.errors)) == (1, False, 1)
    ask = Document(
        (head + one.format(2, "urn:x:1", "") + one.format(3, "urn:x:2", "<nonsense/>") + tail).encode(),
        "text/xml",
        "proceed",
    )
    with pytest.raises(InvalidInput), world.record.context(world.blue) as ctx:
        capture(ctx, ask)
