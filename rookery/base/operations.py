"""The thin table of public acts: each a typed function `op(ctx, ask) -> reply`, read by every door."""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

import msgspec
import psycopg
from msgspec import Struct
from psycopg import pq

from rookery.base.clock import Clock
from rookery.base.db.pool import Database

Kind = Literal["command", "query"]
Part = TypeVar("Part")
Act = TypeVar("Act", bound=Callable[..., Any])
Plain = TypeVar("Plain")

PUBLIC = ""
"""The scope of an act that asks for no key."""


class Who(Struct, frozen=True):
    """Who asks: the party and the key it came with, what it may do, and whether all of it is only a test."""

    party_id: str
    key_id: str
    scopes: frozenset[str]
    test: bool = False


SYSTEM = Who("pty_system", "key_system", frozenset({"system", "operator", "admin"}))
"""Rookery itself, at work on behalf of nobody: jobs, and the command line of whoever owns the data folder."""


@dataclass
class Context:
    """What an act works with: one transaction for whoever asks, the clock, and what app.py wired."""

    database: Database
    clock: Clock
    who: Who
    parts: Mapping[type, Any] = field(default_factory=dict)
    readonly: bool = False
    _open: ExitStack = field(default_factory=ExitStack)
    _conn: psycopg.Connection | None = None
    _acting: Who | None = None

    @property
    def conn(self) -> psycopg.Connection:
        """The one transaction of this act, under row-level security; begun when first asked for."""
        if self._conn is None:
            who = self.who
            begun = self.database.transaction(who.party_id, who.scopes, who.test, readonly=self.readonly)
            self._conn = self._open.enter_context(begun)
        return self._conn

    @contextmanager
    def as_system(self) -> Iterator[psycopg.Connection]:
        """This act's transaction, within the block with the sight of Rookery itself: for what is derived from rows that
        the asker may not see. Live or test mode stays. What is read so must not be told to the asker as it is.

        After the block, also one that failed, row-level security binds the asker again; where the transaction is
        aborted it does when that is rolled back, be it to a savepoint.
        """
        conn, before = self.conn, self._acting or self.who
        self._act_as(conn, SYSTEM)
        try:
            yield conn
        finally:
            self._acting = before
            if conn.info.transaction_status == pq.TransactionStatus.INTRANS:
                self._act_as(conn, before)

    def _act_as(self, conn: psycopg.Connection, who: Who) -> None:
        conn.execute(
            "select set_config('rookery.party', %s, true), set_config('rookery.scopes', %s, true)",
            (who.party_id, ",".join(sorted(who.scopes))),
        )
        self._acting = who

    def keys(self) -> AbstractContextManager[psycopg.Connection]:
        """A transaction of the keys' database, committed when the block ends: before the act's own is."""
        return self.database.keys()

    def part(self, kind: type[Part]) -> Part:
        """What app.py wired under this class; a KeyError is a fault of the wiring."""
        return self.parts[kind]

    def __enter__(self) -> Context:
        return self

    def __exit__(self, *fault: Any) -> None:
        self._conn = self._acting = None
        self._open.__exit__(*fault)


@dataclass(frozen=True)
class Replied(Generic[Plain]):
    """A reply with headers of its own, and where it is not the act's usual status another one.

    An act that answers so says `-> Replied[Reply]`; `Replied[None]` has no body. Headers and statuses are those that
    the act's mark names (`reply_headers`, `other_statuses`).
    """

    reply: Plain
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int | None = None


class Operation(Struct, frozen=True):
    """One public act: its name, what it asks and answers, its route, and the scopes any one of which allows it."""

    name: str
    kind: Kind
    method: str
    path: str
    scopes: frozenset[str]
    act: Callable[[Context, Any], Any]
    ask: type
    reply: Any
    summary: str
    text: str
    status: int
    body: str  # "json", or the media types of a body that is taken as it is (ask.content: bytes)
    media: str | None  # of the reply, where it is not JSON
    most_bytes: int
    idempotent: bool
    example: Mapping[str, Any] | None = None  # of the question, where its fields' own examples do not make one
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)  # of a request: the field that takes each
    open_query: str | None = None  # the field that takes every parameter of the query that is no field
    reply_headers: Mapping[str, str] = msgspec.field(default_factory=dict)  # that a reply may have, with their meaning
    other_statuses: Mapping[int, str] = msgspec.field(default_factory=dict)  # beside `status`, with their meaning

    @property
    def asks_by_query(self) -> bool:
        """Whether what is asked stands in the query string: GET and DELETE have no body."""
        return self.method in ("GET", "DELETE")

    @property
    def in_path(self) -> tuple[str, ...]:
        """Names of the path's parameters."""
        return tuple(re.findall(r"{(\w+)}", self.path))

    @property
    def takes_media(self) -> bool:
        """Whether the question holds the media type of its body (ask.media: str), where several are taken."""
        return self.body != "json" and "media" in self.ask.__struct_fields__


OPERATIONS: dict[str, Operation] = {}

MEBIBYTE = 1 << 20


def operation(
    name: str,
    *,
    kind: Kind,
    http: str,
    scope: str | tuple[str, ...],
    status: int = 200,
    body: str = "json",
    media: str | None = None,
    most_bytes: int = MEBIBYTE,
    idempotent: bool = True,
    example: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
    open_query: str | None = None,
    reply_headers: Mapping[str, str] | None = None,
    other_statuses: Mapping[int, str] | None = None,
) -> Callable[[Act], Act]:
    """Enter a function into the table: `op(ctx, ask) -> reply`, its types from its annotations, its text from its
    docstring. scope: any one of these lets in ("" = no key is asked for); admin may do everything. idempotent: whether
    a command takes an Idempotency-Key; not where its reply may not be kept. example: a question as JSON would have it,
    for the OpenAPI document; by default it is made of the fields' `Meta(examples=...)`, defaults and types.

    headers: {"Prefer": "prefer"}: the field of the question, with a default, that takes each of these headers.
    open_query: the field (dict[str, list[str]], with a default) that takes whatever stands in the query and is no
    field. reply_headers, other_statuses: what a `Replied` may have, with its meaning; a reply that is kept for an
    Idempotency-Key would lose its headers, so that such a command is not idempotent.
    """

    def mark(act: Act) -> Act:
        hints = typing.get_type_hints(act)
        _, ask = list(inspect.signature(act).parameters)
        reply = hints["return"]
        if typing.get_origin(reply) is Replied:
            reply = typing.get_args(reply)[0]
        summary, _, text = (inspect.getdoc(act) or "").partition("\n")
        method, path = http.split()
        scopes = frozenset([scope] if isinstance(scope, str) else scope)
        if name in OPERATIONS or any((o.method, o.path) == (method, path) for o in OPERATIONS.values()):
            raise ValueError(f"{name} ({http}) stands in the table already")
        if reply_headers and idempotent and kind == "command":
            raise ValueError(f"{name}: a kept reply has no headers: reply_headers go with idempotent=False")
        named = {*(headers or {}).values(), *([open_query] if open_query else [])}
        if missing := named - {one.name for one in msgspec.structs.fields(hints[ask]) if not one.required}:
            raise ValueError(f"{name} asks no {', '.join(sorted(missing))} that may be left out")
        OPERATIONS[name] = Operation(
            name, kind, method, path, scopes if PUBLIC in scopes else scopes | {"admin"}, act, hints[ask],
            reply, summary.rstrip("."), text.strip(), status, body, media, most_bytes,
            idempotent and kind == "command", example, headers or {}, open_query, reply_headers or {},
            other_statuses or {},
        )  # fmt: skip
        return act

    return mark
