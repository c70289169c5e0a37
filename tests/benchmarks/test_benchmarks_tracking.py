"""The benchmark of tracking at its smallest: its figures, what it makes up, and that what it counts could be wrong."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import numpy as np
import polars as pl
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from benchmarks import run
from benchmarks.record.wire import Answer
from benchmarks.tracking import FULL, LONG, PARTS, SMALLEST, crash, history, making, numbers, parcels, seeding
from benchmarks.tracking.asking import following
from benchmarks.tracking.feeding import located
from benchmarks.tracking.life import LIFE, QUICK, events_of
from rookery.base.db import Database
from rookery.base.db.partitions import tend
from rookery.tracking.capture import batch_of
from rookery.tracking.epcis.documents import events_of as events_in
from rookery.tracking.epcis.schema import document_faults
from rookery.waybill.rules.numbers import read_sscc

NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)
WORLD = parcels.World([(f"pty_s{n}", "") for n in range(4)], [(f"pty_c{n}", "") for n in range(2)], "", ["A", "B", "C"])


@pytest.fixture(scope="module")
def line() -> dict:
    """The figures of the quick parts, at the smallest size, each with a server of its own."""
    run.BENCHES.setdefault("tracking", "benchmarks.tracking")
    return run.measure("tracking", ["capture", "scans", "stored"], SMALLEST)


def of(line: dict, what: str) -> dict:
    """The first figure whose name ends so."""
    return next(entry for entry in line["shows"] if entry["what"].endswith(what))


def test_the_line_has_the_form_that_readers_of_benchmarks_expect(line: dict) -> None:
    """One JSON object whose figures have names of their own."""
    told = json.loads(json.dumps(line, allow_nan=False))
    names = [entry["what"] for entry in told["shows"]]
    assert told["bench"] == "tracking" and len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("what", "target"),
    [
        ("capture by POST /epcis/capture", ">= 5000"),
        ("scans by POST /scans, 40 at once", ">= 8000"),
        ("trace of a parcel, p99", "<= 20"),
    ],
)
def test_every_target_is_shown(line: dict, what: str, target: str) -> None:
    """What was asked for stands beside what was measured."""
    assert of(line, what)["target"] == target


def test_standard_queries_have_their_target(line: dict) -> None:
    """Each kind for itself, whoever asks."""
    found = [entry["target"] for entry in line["shows"] if ": query by " in entry["what"]]
    assert found == ["<= 200"] * 6


@pytest.mark.parametrize(
    "what",
    [
        "capture by POST /epcis/capture: not kept once",
        "capture by POST /epcis/capture: captures that did not succeed",
        "capture by POST /epcis/capture: parcels not delivered by them",
        "scans by POST /scans, 40 at once: not kept once",
        "scans by POST /scans, 80 at once: parcels not delivered by them",
        "stored events: answers that are not right",
    ],
)
def test_what_was_measured_was_done(line: dict, what: str) -> None:
    """No figure is of work that failed: all was kept once, every parcel came to its end, every answer was right."""
    assert of(line, what)["value"] == 0


def test_the_parts_are_the_ones_published() -> None:
    """`--part` knows each by its name; long runs store ten million and kill two hundred times."""
    assert list(PARTS) == ["capture", "bags", "scans", "stored", "crash", "hash"]
    assert LONG.kills == 200 and LONG.stored[-1] == 10_000_000 and FULL.kills == 20
    assert FULL.storing(10_000_000).stored == (1_000_000, 3_000_000, 10_000_000)
    assert FULL.storing(2_000_000).stored == (1_000_000, 2_000_000)


def test_numbers_are_good_and_none_is_made_twice() -> None:
    """Check digits are right, and no bag has a parcel's number."""
    serials = np.arange(0, 999_999_999, 9_999_991)
    made = [*numbers.sscc(serials, numbers.PARCEL), *numbers.sscc(serials, numbers.BAG)]
    for number in made:
        read_sscc(number)
    assert len(set(made)) == 2 * len(serials)


def test_the_mix_is_the_one_that_was_asked_for() -> None:
    """Of what is handed in 85% are object events and 15% put twenty parcels into a bag or take them out."""
    bodies = [json.loads(body) for body in making.documents(QUICK, ["A", "B"], 0, 3, 50, NOW)]
    events = [event for body in bodies for event in body["epcisBody"]["eventList"]]
    grouped = [event for event in events if event["type"] == "AggregationEvent"]
    assert len(events) == 3 * events_of(QUICK, parcels.GROUP) == 240
    assert len(grouped) == 0.15 * len(events) and {len(event["childEPCs"]) for event in grouped} == {parcels.GROUP}
    times = [event["eventTime"] for event in events]
    assert times == sorted(times) and times[-1] < NOW.isoformat()


def test_documents_are_as_epcis_wants_them() -> None:
    """What is measured is the capture of good documents, each event of which is another one."""
    for body in making.documents(QUICK, ["A", "B"], 0, 2, 500, NOW):
        document = json.loads(body)
        assert document_faults(document) == []
        kept = batch_of(events_in(document), "pty_x", False, NOW)
        assert kept.faults == [] and kept.events.height == len(document["epcisBody"]["eventList"])


def test_the_next_page_is_found_in_the_link() -> None:
    """Only where there is one, and only after a good answer."""
    head = b'HTTP/1.1 200 OK\r\nLink: <http://h/epcis/events?a=b&nextPageToken=x>; rel="next"\r\nContent-Length: 0'
    assert following(Answer(200, b"", head)) == "/epcis/events?a=b&nextPageToken=x"
    assert following(Answer(200, b"", b"HTTP/1.1 200 OK\r\nContent-Length: 0")) is None
    assert following(Answer(404, b"", head)) is None


def test_a_job_is_found_where_the_answer_says() -> None:
    """What was only promised is waited for."""
    assert (
        located(Answer(202, b"", b"HTTP/1.1 202 Accepted\r\nLocation: /epcis/capture/cap_1")) == "/epcis/capture/cap_1"
    )
    with pytest.raises(ValueError, match="Location"):
        located(Answer(202, b"", b"HTTP/1.1 202 Accepted"))


def test_history_is_whole() -> None:
    """Twelve events name each parcel, it lies in two bags, and every event number is given once."""
    made = history.chunk(WORLD, 5, 3, NOW, timedelta(days=1))
    events, named = made["tracking.events"], made["tracking.event_epcs"]
    assert events["event_no"].to_list() == list(range(5 * history.PER_GROUP + 1, 8 * history.PER_GROUP + 1))
    assert events["mark"].n_unique() == events.height and events["event_at"].is_sorted()
    each = named.filter(pl.col("parcel_id").is_not_null()).group_by("epc").len()
    assert set(each["len"]) == {12} and each.height == 3 * parcels.GROUP
    assert (
        named.group_by("event_no").len().join(events, on="event_no").filter(pl.col("len") != pl.col("epcs")).is_empty()
    )
    lain = made["tracking.containment"]
    assert lain.filter(pl.col("from_at") >= pl.col("until_at")).is_empty() and lain.height == 2 * 3 * parcels.GROUP
    assert set(made["tracking.parcels"]["status"]) == {"delivered"}
    for body in events["body"].head(50):
        json.loads(body)


def test_the_first_and_the_last_step_of_a_life_are_its_ends() -> None:
    """A parcel is picked up first and delivered last, whatever an hour's delay does to the steps between."""
    for life in (LIFE, QUICK):
        hours = [step.hours for step in life]
        assert life[0].step == "collecting" and life[-1].step == "receiving" and hours[-1] == max(hours)
        assert all(a == b or b - a >= 1 for a, b in zip(sorted(hours), sorted(hours)[1:]))


@pytest.fixture
def stored(fresh_database: Database) -> Iterator[psycopg.Connection]:
    """A little history in a database of its own."""
    name = conninfo_to_dict(fresh_database.urls.main)["dbname"]
    url = make_conninfo(parcels.bulk_url(fresh_database.urls.maintain), dbname=name)
    with psycopg.connect(url) as conn:
        tend(conn, NOW)
        for table, frame in history.chunk(WORLD, 0, 2, NOW, timedelta(days=1)).items():
            parcels.put(conn, table, frame)
        conn.commit()
        yield conn


@pytest.mark.parametrize(
    ("fault", "plant"),
    [
        (None, "select 1"),
        ("events without all that they name", "delete from tracking.event_epcs where event_no = 7"),
        ("things named by no event", "delete from tracking.events where event_no = 7"),
        (
            "things that lay in two others at once",
            "insert into tracking.containment select child, 'x', from_at + interval '1 s', until_at, test, 1, 2"
            " from tracking.containment limit 1",
        ),
        (
            "things put into another and not told to lie there",
            "delete from tracking.containment where from_event = (select min(from_event) from tracking.containment)",
        ),
    ],
)
def test_what_a_crash_left_half_done_is_found(stored: psycopg.Connection, fault: str | None, plant: str) -> None:
    """Of planted faults each is counted, and nothing where there is none."""
    stored.execute(plant.encode())
    found = {name for name, many in crash.broken(stored).items() if many}
    assert fault in found if fault else not found


def test_size_counts_partitions_and_plain_tables(stored: psycopg.Connection) -> None:
    """Every table that grows with events is in the figure."""
    assert all(many > 0 for many in seeding.size_of(stored).values())


@pytest.mark.parametrize(
    ("found", "fault"),
    [
        ({"a": 1, "b": 1}, None),
        ({"a": 1}, "acknowledged and not there"),
        ({"a": 2, "b": 1}, "there twice"),
        ({"a": 1, "b": 1, "c": 1}, "there and never acknowledged"),
    ],
)
def test_what_was_lost_or_doubled_is_found(found: dict[str, int], fault: str | None) -> None:
    """Of planted faults each is counted, and nothing where there is none."""
    faults = {name for name, many in crash.held_against(["a", "b"], found).items() if many}
    assert faults == ({fault} if fault else set())


def test_writers_mark_every_event_once() -> None:
    """No two documents of a crash run have a mark or an event in common, and each is whole."""
    seen: set[str] = set()
    for writer in range(2):
        for at in range(12):
            marks, body = crash.batch(WORLD, NOW, writer, at, SMALLEST.crash_batch)
            events = json.loads(body)["epcisBody"]["eventList"]
            assert [event["rookery:note"] for event in events] == marks and len(marks) == SMALLEST.crash_batch
            assert not seen & set(marks) and document_faults(json.loads(body)) == []
            seen |= set(marks)


def test_askers_ask_for_what_is_theirs() -> None:
    """A merchant asks for its own parcels, a courier for those it carries."""
    from benchmarks.tracking import questions

    store = seeding.Seeded(NOW, groups=50)
    world = replace(WORLD, operator="key")
    draw = random.Random(1)
    made = [*questions.traces(world, store, 50, draw), *questions.queries(world, store, 2, draw)]
    assert {one["who"] for one in made} <= set(questions.askers(world))
    assert {one["kind"] for one in made} == {questions.TRACE, *questions.KINDS}
    shown = {numbers.sscc(np.array([n]), numbers.PARCEL)[0]: n for n in range(store.parcels)}
    for one in made:
        if one["kind"] == questions.TRACE and one["who"] == "merchant of 5%":
            assert shown[one["path"].rpartition("/")[2]] % parcels.GROUP == 19
    with pytest.raises(ValueError, match="store more events"):
        questions.traces(world, seeding.Seeded(NOW, groups=1), 1, draw)


def test_hashes_of_both_are_compared() -> None:
    """Where the reference is installed, it and we agree on every event."""
    pytest.importorskip("epcis_event_hash_generator", reason="the reference hash generator is not installed")
    result = PARTS["hash"](SMALLEST, lambda _: None)
    [other] = [show for show in result.shows if "differ" in show.what]
    assert other.value == 0
    assert SimpleNamespace(**other.entry()).holds
