"""The table of acts: what a mark may say, replies with headers, and the sight of Rookery itself within an act."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import psycopg
import pytest

from rookery.base import operations
from rookery.base.access import keys
from rookery.base.clock import Clock
from rookery.base.db import Database
from rookery.base.operations import PUBLIC, Context, Operation, Replied, Who, operation
from rookery.base.performing import perform
from rookery.terms.ids import new_id

NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)


class Ask(msgspec.Struct, frozen=True):
    name: str
    prefer: str = ""
    others: dict[str, list[str]] = {}


class Made(msgspec.Struct, frozen=True):
    name: str


@pytest.fixture
def table(monkeypatch) -> dict[str, Operation]:
    """An empty table: the real one is nobody's to write to."""
    monkeypatch.setattr(operations, "OPERATIONS", {})
    return operations.OPERATIONS


def marked(table: dict[str, Operation], act: Any, **told: Any) -> Operation:
    operation("test.act", **{"kind": "command", "http": "POST /test", "scope": PUBLIC, "idempotent": False} | told)(act)
    return table["test.act"]


def plain(ctx: Context, ask: Ask) -> Made:
    """Make."""
    return Made(ask.name)


def replied(ctx: Context, ask: Ask) -> Replied[Made]:
    """Make."""
    status = int(ask.prefer) if ask.prefer else None
    return Replied(Made(ask.name), {"Location": f"/made/{ask.name}"}, status)


def nothing(ctx: Context, ask: Ask) -> None:
    """Remove."""


def bare(ctx: Context, ask: Ask) -> Replied[None]:
    """Remove."""
    return Replied(None, {"Link": "x"})


def test_the_reply_s_type_is_the_plain_one(table):
    """Whether or not headers go with it."""
    for act, reply in ((plain, Made), (replied, Made), (nothing, type(None)), (bare, type(None))):
        assert marked(table, act).reply is reply
        table.clear()


@pytest.mark.parametrize(
    "told",
    [
        {"headers": {"Prefer": "no_such"}}, {"headers": {"Prefer": "name"}}, {"open_query": "no_such"},
        {"reply_headers": {"Location": "Where."}, "idempotent": True},
    ],
)  # fmt: skip
def test_a_mark_that_cannot_be_kept_is_refused(table, told):
    """A header without a field that may be left out, and headers of a reply that would be lost when it is kept."""
    with pytest.raises(ValueError, match=r"test\.act"):
        marked(table, plain, **told)
    assert table == {}
    assert marked(table, plain, headers={"Prefer": "prefer"}, open_query="others").open_query == "others"


def test_headers_and_status_are_those_of_the_mark(table, database: Database):
    """A reply has its own; one that the mark does not name is a fault of the act."""
    ctx = Context(database, Clock(lambda: NOW), Who("", "", frozenset()))
    op = marked(
        table, replied, status=201, reply_headers={"Location": "Where it is."}, other_statuses={202: "It will be."}
    )
    told = perform(op, ctx, Ask("a"))
    assert (told.status, told.headers, told.body) == (201, {"Location": "/made/a"}, b'{"name":"a"}')
    assert perform(op, ctx, Ask("a", "202")).status == 202
    with pytest.raises(TypeError):
        perform(op, ctx, Ask("a", "203"))
    table.clear()
    with pytest.raises(TypeError):
        perform(marked(table, bare), ctx, Ask("a"))


def test_a_reply_without_a_body_is_kept_as_such(table, fresh_database: Database):
    """Asked twice under one key it is done once, and both times there is no body."""
    done = []

    def remove(ctx: Context, ask: Ask) -> None:
        done.append(ask.name)

    op = marked(table, remove, status=204, idempotent=True, http="DELETE /test")
    ctx = Context(fresh_database, Clock(lambda: NOW), Who(new_id("pty", NOW), "key_x", frozenset({"admin"})))
    first, again = (perform(op, ctx, Ask("a"), b"a", "k") for _ in range(2))
    assert (first.status, first.body, again.status, again.body, again.again) == (204, b"", 204, b"", True)
    assert done == ["a"]


class World:
    """Two parties, of which each sees itself alone."""

    def __init__(self, database: Database):
        self.database = database
        with self.context(frozenset({"system"})) as ctx:
            self.mine, self.theirs = (keys.create_party(ctx.conn, name, NOW).party_id for name in ("Mine", "Theirs"))

    def context(self, scopes: frozenset[str] = frozenset({"merchant"}), **told: Any) -> Context:
        party = self.mine if hasattr(self, "mine") else "pty_system"
        readonly = told.pop("readonly", False)
        return Context(self.database, Clock(lambda: NOW), Who(party, "key_x", scopes, **told), readonly=readonly)


def seen(conn: psycopg.Connection) -> int:
    """How many parties are seen."""
    row = conn.execute("select count(*) from base.parties").fetchone()
    return row[0] if row else 0


def settings_of(conn: psycopg.Connection) -> Any:
    return conn.execute(
        "select current_setting('rookery.party'), current_setting('rookery.scopes'), current_setting('rookery.test')"
    ).fetchone()


@pytest.fixture
def world(fresh_database: Database) -> Iterator[World]:
    yield World(fresh_database)


@pytest.mark.parametrize("readonly", [False, True])
@pytest.mark.parametrize("test", [False, True])
def test_within_the_block_the_act_sees_all_and_after_it_what_the_asker_may(world: World, readonly, test):
    """Also when it only reads, and in either mode, which stays; blocks may stand in one another."""
    with world.context(readonly=readonly, test=test) as ctx:
        before = settings_of(ctx.conn)
        assert before == (world.mine, "merchant", "on" if test else "off") and seen(ctx.conn) == 1
        with ctx.as_system() as conn:
            assert conn is ctx.conn and seen(conn) == 2 and settings_of(conn)[2] == before[2]
            with ctx.as_system():
                assert seen(conn) == 2
            assert seen(conn) == 2
        assert (seen(ctx.conn), settings_of(ctx.conn)) == (1, before)
    with world.context() as ctx:
        assert seen(ctx.conn) == 1


def test_after_a_block_that_failed_the_asker_is_bound_again(world: World):
    """After a fault of ours at once; after one of the database when the savepoint before the block is rolled back."""
    with world.context() as ctx:
        with pytest.raises(KeyError), ctx.as_system():
            raise KeyError
        assert seen(ctx.conn) == 1
        with pytest.raises(psycopg.errors.UndefinedTable), ctx.conn.transaction(), ctx.as_system() as conn:
            conn.execute("select 1 from base.no_such_table")
        assert seen(ctx.conn) == 1
        with pytest.raises(psycopg.errors.UndefinedTable), ctx.as_system() as conn, conn.transaction():
            conn.execute("select 1 from base.no_such_table")
        assert seen(ctx.conn) == 1


def test_what_fails_within_the_block_is_written_by_nobody(world: World):
    """An aborted transaction is rolled back, and the next on the connection is its asker's."""
    with pytest.raises(psycopg.errors.UndefinedTable), world.context() as ctx, ctx.as_system() as conn:
        keys.create_party(conn, "Never", NOW)
        conn.execute("select 1 from base.no_such_table")
    with world.context() as ctx:
        assert seen(ctx.conn) == 1
        with ctx.as_system() as conn:
            assert conn.execute("select count(*) from base.parties where name = 'Never'").fetchone() == (0,)


def test_a_block_that_never_ended_would_be_seen(world: World, monkeypatch):
    """The checks above can fail: with the way back taken out, the asker sees what is others'."""
    back = Context._act_as

    def only_there(ctx: Context, conn: psycopg.Connection, who: Who) -> None:
        if who is operations.SYSTEM:
            back(ctx, conn, who)

    monkeypatch.setattr(Context, "_act_as", only_there)
    with world.context() as ctx:
        with ctx.as_system():
            pass
        assert seen(ctx.conn) == 2


def test_who_wrote_within_the_block_may_write_what_the_asker_may_not(world: World):
    """What is derived is written by Rookery itself, and committed with the asker's act."""
    with pytest.raises(psycopg.errors.InsufficientPrivilege), world.context() as ctx:
        keys.create_party(ctx.conn, "Derived", NOW)
    with world.context() as ctx, ctx.as_system() as conn:
        made = keys.create_party(conn, "Derived", NOW).party_id
    with world.context(frozenset({"system"})) as ctx:
        assert ctx.conn.execute("select name from base.parties where party_id = %s", (made,)).fetchone() == ("Derived",)
