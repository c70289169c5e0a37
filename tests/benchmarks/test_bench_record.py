"""The benchmark of the system of record at its smallest: its figures, and that what it counts could be found wrong."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

from benchmarks import run
from benchmarks.record import LONG, PARTS, SMALLEST, asking, crossing, kills, odd_questions, people, printing, wire
from benchmarks.record.crossing import Attempt, passes
from benchmarks.record.kills import Found, held_against
from rookery.orders.addresses import Address, check_address

ORDER = "ord_01m8hyvan558x4225mfmdh7nwt"


@pytest.fixture(scope="module")
def line() -> dict:
    """The figures of the quick parts, at the smallest size, each with a server of its own."""
    return run.measure("record", ["intake", "promise", "labels", "crossing"], SMALLEST)


def of(line: dict, what: str) -> dict:
    """The first figure whose name ends so."""
    return next(entry for entry in line["shows"] if entry["what"].endswith(what))


def test_the_line_has_the_form_that_readers_of_benchmarks_expect(line: dict) -> None:
    """One JSON object: the benchmark's name, its figures with value, unit, target and verdict, and versions."""
    told = json.loads(json.dumps(line, allow_nan=False))
    assert told["bench"] == "record"
    names = [entry["what"] for entry in told["shows"]]
    assert len(set(names)) == len(names)
    for entry in told["shows"]:
        assert list(entry) == ["what", "value", "unit", "target", "holds"]


@pytest.mark.parametrize(
    ("what", "target"),
    [
        ("intake by API, people never seen", ">= 2000"),
        ("intake by API, people checked before", ">= 10000"),
        (": p99", "<= 15"),
        ("labels as PDF, 100x150 mm", ">= 500"),
        ("passed", "<= 0"),
    ],
)
def test_every_target_is_shown(line: dict, what: str, target: str) -> None:
    """What was asked for stands beside what was measured."""
    assert of(line, what)["target"] == target


@pytest.mark.parametrize(
    ("what", "value"),
    [
        ("good orders not taken or warned about", 0),
        ("answers that were no 200", 0),
        ("answers with an offer", 100),
        (f"labels not read back at 203 dpi, of {2 * SMALLEST.decoded}", 0),
        ("passed", 0),
        ("tables changed of what was attacked", 0),
        ("share let in", 100),
    ],
)
def test_what_was_measured_was_done(line: dict, what: str, value: float) -> None:
    """No figure is of work that failed: every order was taken, every quote offered, every label read back."""
    assert of(line, what)["value"] == value


def test_the_parts_are_the_ones_published() -> None:
    """`--part` knows each by its name."""
    assert list(PARTS) == ["intake", "promise", "labels", "kills", "crossing", "schemathesis"]
    assert LONG.kills == 200


def test_people_are_all_different_and_good() -> None:
    """Whoever is made up passes the checks of their country without a fault, and nobody is made twice."""
    made = [people.person(number) for number in range(0, 3_000_000, 7919)]
    checked = [check_address(Address(**{**one, "lines": tuple(one["lines"])})) for one in made]
    assert [one.faults for one in checked] == [()] * len(made)
    assert len({json.dumps(one) for one in made}) == len(made)


def test_an_answer_is_taken_when_it_is_whole() -> None:
    """Bytes come in any pieces; what follows the answer stays."""
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1 204 No Content\r\n\r\n"
    for cut in range(len(whole)):
        buffer = bytearray(whole[:cut])
        first = wire.taken_from(buffer)
        assert (first is not None) == (cut >= 41)
    buffer = bytearray(whole)
    assert wire.taken_from(buffer) == (200, b"abc", b"HTTP/1.1 200 OK\r\nContent-Length: 3")
    answer = wire.taken_from(buffer)
    assert answer is not None and answer.status == 204 and not buffer


def test_a_line_that_ends_while_an_answer_is_owed_is_counted() -> None:
    """Latency never hides an answer that did not come."""
    crew = asking.Crew("http://127.0.0.1:9")
    owed = asking.Line(crew)
    owed.due = 1.0
    owed.connection_lost(None)
    assert crew.lost == 1


@pytest.mark.parametrize(
    ("status", "body", "must_fail", "crossed"),
    [
        (404, f"There is no order {ORDER}.", True, False),
        (200, "{}", True, True),
        (200, '{"data": []}', False, False),
        (200, '{"order_id": "ord_01m8hyvan558x4225mfmdh7nwz"}', False, True),
        (422, '{"name": "VICTIM Example"}', True, True),
    ],
)
def test_a_crossing_is_seen(status: int, body: str, must_fail: bool, crossed: bool) -> None:
    """Success with another's id is one, and so is any answer that tells what was not in the question."""
    attempt = Attempt("x", "key", "GET", f"/orders/{ORDER}", must_fail=must_fail)
    assert passes(attempt, status, body, {ORDER, "ord_01m8hyvan558x4225mfmdh7nwz"}) == crossed


def test_guesses_are_near_and_wrong_in_length_never() -> None:
    """A guessed id has the form of a real one."""
    import random

    draw = random.Random(1)
    for _ in range(100):
        guess = crossing._guess(ORDER, draw)
        assert len(guess) == len(ORDER) and guess[:14] == ORDER[:14]


GOOD = Found(["1", "2"], ["1", "2"], [("a", "ord_a", "shp_a", 2)])


@pytest.mark.parametrize(
    ("found", "fault"),
    [
        (GOOD, None),
        (replace(GOOD, parcels=["1", "2", "2"]), "on two parcels"),
        (replace(GOOD, issued=["1", "2", "2"]), "issued twice"),
        (replace(GOOD, parcels=["1"]), "acknowledged and on no parcel"),
        (replace(GOOD, issued=["1"]), "on a parcel and never issued"),
        (replace(GOOD, orders=[]), "orders acknowledged, not there once"),
        (replace(GOOD, orders=GOOD.orders * 2), "orders acknowledged, not there once"),
        (replace(GOOD, orders=[("a", "ord_a", "shp_a", 1)]), "orders acknowledged, not there once"),
        (replace(GOOD, orders=[*GOOD.orders, ("b", "ord_b", "shp_b", 1)]), "orders there, never acknowledged"),
    ],
)
def test_what_was_lost_or_doubled_is_found(found: Found, fault: str | None) -> None:
    """Of planted faults each is counted, and nothing where there is none."""
    work = SimpleNamespace(numbers=["1", "2"], orders={"a": ("ord_a", "shp_a", 2)})
    faults = {name for name, many in held_against(work, found).items() if many}  # type: ignore[arg-type]
    assert fault in faults if fault else not faults


def test_writers_ask_for_just_their_numbers() -> None:
    """Requests of many pieces come out at the number wanted."""
    for wanted in (1, 19, 20, 40, 399, 1_000, 1_001):
        left = wanted
        while left:
            left -= sum(kills._pieces(left))
        assert left == 0


def test_statuses_are_looked_up_in_the_document() -> None:
    """What an operation may answer stands in its responses."""
    document = {"paths": {"/a": {"get": {"operationId": "a", "responses": {"200": {}, "404": {}, "default": {}}}}}}
    assert odd_questions.documented(document) == {"a": {200, 404}}


def test_a_label_with_another_code_is_not_read_back() -> None:
    """What a reader finds must be this label's own."""
    one, other = printing.labels(2)
    png = printing.render([one], "png").files[0]
    assert printing.read_back(png, one) and not printing.read_back(png, other)
