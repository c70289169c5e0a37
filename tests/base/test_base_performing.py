"""Performing acts: one transaction each, and one reply for one question under an Idempotency-Key."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import psycopg
import pytest

from rookery.base.access import keys
from rookery.base.clock import Clock
from rookery.base.db import Database
from rookery.base.operations import Context, Operation, Who
from rookery.base.performing import KEPT, Answer, forget_replies, perform
from rookery.terms.errors import Conflict, InvalidInput, NotAllowed, NotFound
from rookery.terms.ids import new_id

NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)


class Ask(msgspec.Struct, frozen=True):
    name: str = "x"


X = Ask()


class Made(msgspec.Struct, frozen=True):
    party_id: str


def make(ctx: Context, ask: Ask) -> Made:
    """Enter a party."""
    return Made(keys.create_party(ctx.conn, ask.name, ctx.clock.now()).party_id)


def fail(ctx: Context, ask: Ask) -> Made:
    """Enter a party and find that it cannot be."""
    made = make(ctx, ask)
    if ask.name == "fail":
        raise NotFound("test.none", "There is none.", "nothing")
    return made


def op(act: Any = make, kind: Any = "command", idempotent: bool = True, media: str | None = None) -> Operation:
    scopes = frozenset({"admin"})
    return Operation(
        f"test.{act.__name__}", kind, "POST", "/test", scopes, act, Ask, Made, "", "", 201, "json", media, 1 << 20,
        idempotent,
    )  # fmt: skip


def who(party: str | None = None, test: bool = False, scope: str = "admin") -> Who:
    return Who(party or new_id("pty", NOW), "key_x", frozenset({scope}), test)


class Desk:
    """Performs for somebody at some time."""

    def __init__(self, database: Database):
        self.database, self.now = database, NOW

    def __call__(
        self, by: Who, key: str | None = "k", asked: bytes = b"a", ask: Ask = X, operation: Operation | None = None
    ) -> Answer:
        ctx = Context(self.database, Clock(lambda: self.now), by)
        return perform(operation or op(), ctx, ask, asked, key)

    def parties(self) -> int:
        with Context(self.database, Clock(lambda: NOW), who()) as ctx:
            row = ctx.conn.execute("select count(*) from base.parties").fetchone()
        return row[0] if row else 0


@pytest.fixture
def desk(fresh_database: Database) -> Desk:
    return Desk(fresh_database)


def test_the_same_question_gets_the_same_reply(desk: Desk):
    """Asked again under its key, nothing is done and the reply is the first one, byte for byte."""
    by = who()
    first, again = desk(by), desk(by)
    assert (first.again, again.again) == (False, True)
    assert (again.status, again.body) == (first.status, first.body)
    assert desk.parties() == 1


def test_another_question_under_the_key_is_refused(desk: Desk):
    """Another body, or another act, is a conflict that does not repeat the key."""
    by = who()
    desk(by, "Ada Example")
    for told in ({"asked": b"b"}, {"operation": op(fail)}):
        with pytest.raises(Conflict) as refused:
            desk(by, "Ada Example", **told)
        assert refused.value.code == "idempotency.other_question" and "Ada" not in str(refused.value)
    assert desk.parties() == 1


def test_keys_of_others_are_others(desk: Desk):
    """The same key of another party, and of the same one in test mode, stands for another act."""
    by = who()
    in_test = Who(by.party_id, "key_x", frozenset({"admin", "system"}), True)  # an admin's own enters no party
    bodies = {desk(one).body for one in (by, who(), in_test)}
    assert len(bodies) == 3


def test_without_a_key_it_is_done_each_time(desk: Desk):
    """Nothing is kept where no key was sent."""
    by = who()
    assert desk(by, None).body != desk(by, None).body


def test_many_at_once_are_one_act(desk: Desk):
    """Sixteen of the same question at the same moment: one is done, all get its reply or are told to ask again."""
    by = who()
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: desk(by), range(16)))
    assert len({answer.body for answer in answers}) == 1
    assert sum(not answer.again for answer in answers) == 1
    assert desk.parties() == 1


def test_what_failed_keeps_nothing(desk: Desk):
    """After a refusal the key is free: the same question is looked at anew, and another may take it."""
    by, failing = who(), op(fail)
    with pytest.raises(NotFound):
        desk(by, ask=Ask("fail"), operation=failing)
    assert desk.parties() == 0
    assert not desk(by, ask=Ask("well"), asked=b"b", operation=failing).again


def test_replies_are_kept_for_thirty_days(desk: Desk):
    """A day before the end it is the same act; after the end the key is new, by the clock."""
    by = who()
    first = desk(by)
    desk.now = NOW + KEPT - timedelta(days=1)
    assert desk(by).body == first.body
    desk.now = NOW + KEPT + timedelta(seconds=1)
    assert desk(by).body != first.body
    assert desk(by).again


def test_old_replies_are_forgotten(desk: Desk):
    """Tidying drops what is kept no longer and nothing else."""
    desk(who())
    desk.now = NOW + timedelta(days=20)
    desk(who())
    with Context(desk.database, Clock(lambda: NOW), who(scope="system")) as ctx:
        assert forget_replies(ctx.conn, NOW + KEPT + timedelta(days=1)) == 1
        assert forget_replies(ctx.conn, NOW + KEPT + timedelta(days=1)) == 0


@pytest.mark.parametrize("key", ["", "x" * 256, "a\nb", "caf\u00e9", "a\0b"])
def test_malformed_keys_are_refused(desk: Desk, key):
    """A key is printable ASCII of bounded length."""
    with pytest.raises(InvalidInput):
        desk(who(), key)


def test_no_false_promise_is_made(desk: Desk):
    """Where a reply may not be kept, a key is refused; a query takes any, since it changes nothing."""
    with pytest.raises(InvalidInput) as refused:
        desk(who(), operation=op(idempotent=False))
    assert refused.value.code == "idempotency.not_here"

    def look(ctx: Context, ask: Ask) -> Made:
        return Made("pty_x")

    assert not desk(who(), operation=op(look, kind="query", idempotent=False)).again
    assert not desk(who(), operation=op(look, kind="query", idempotent=False)).again


def test_replies_that_are_no_json_are_kept_too(desk: Desk):
    """Bytes of another media type come back as they were."""

    def picture(ctx: Context, ask: Ask) -> bytes:
        return b"%PDF \xff"

    by, drawn = who(), op(picture, media="application/pdf")
    assert desk(by, operation=drawn).body == desk(by, operation=drawn).body == b"%PDF \xff"


def test_who_may_not_is_refused_before_anything(desk: Desk):
    """A kept reply is not given to a key of the party whose scope does not let it in."""
    by = who()
    desk(by)
    with pytest.raises(NotAllowed):
        desk(who(by.party_id, scope="merchant"))


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("select 9223372036854775807 + 1", InvalidInput),
        ("select 'x'::timestamptz", InvalidInput),
        ("select repeat('x', 2000000000)", InvalidInput),
        ("insert into base.parties values ('pty_1', '', null, '{}', '2026-01-01Z')", InvalidInput),
        ("insert into base.parties select 'pty_1', 'x', null, '{}', '2026-01-01Z' from (values (1), (2)) t", Conflict),
        ("select no_such_column from base.parties", psycopg.errors.UndefinedColumn),
    ],
)
def test_what_the_database_refuses_is_the_asker_s_fault_or_ours(desk: Desk, statement, error):
    """Values that cannot be kept and doubles are told without PostgreSQL's words; our own faults stay faults."""

    def act(ctx: Context, ask: Ask) -> Made:
        ctx.conn.execute(statement.encode())
        return Made("")

    with pytest.raises(error) as refused:
        desk(who(), None, operation=op(act))
    if error is not psycopg.errors.UndefinedColumn:
        assert "pty_1" not in str(refused.value)
