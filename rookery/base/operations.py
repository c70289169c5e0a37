"""The thin table of public acts: each a typed function `op(ctx, ask) -> reply`, read by every door."""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import psycopg
from msgspec import Struct

from rookery.base.clock import Clock
from rookery.base.db.pool import Database

Kind = Literal["command", "query"]
Part = TypeVar("Part")
Act = TypeVar("Act", bound=Callable[..., Any])

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

    @property
    def conn(self) -> psycopg.Connection:
        """The one transaction of this act, under row-level security; begun when first asked for."""
        if self._conn is None:
            who = self.who
            begun = self.database.transaction(who.party_id, who.scopes, who.test, readonly=self.readonly)
            self._conn = self._open.enter_context(begun)
        return self._conn

    def keys(self) -> AbstractContextManager[psycopg.Connection]:
        """A transaction of the keys' database, committed when the block ends: before the act's own is."""
        return self.database.keys()

    def part(self, kind: type[Part]) -> Part:
        """What app.py wired under this class; a KeyError is a fault of the wiring."""
        return self.parts[kind]

    def __enter__(self) -> Context:
        return self

    def __exit__(self, *fault: Any) -> None:
        self._conn = None
        self._open.__exit__(*fault)


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
    body: str  # "json", or the media type of a body that is taken as it is (ask.body: bytes)
    media: str | None  # of the reply, where it is not JSON
    most_bytes: int
    idempotent: bool
    example: Mapping[str, Any] | None = None  # of the question, where its fields' own examples do not make one

    @property
    def asks_by_query(self) -> bool:
        """Whether what is asked stands in the query string: GET and DELETE have no body."""
        return self.method in ("GET", "DELETE")

    @property
    def in_path(self) -> tuple[str, ...]:
        """Names of the path's parameters."""
        return tuple(re.findall(r"{(\w+)}", self.path))


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
) -> Callable[[Act], Act]:
    """Enter a function into the table: `op(ctx, ask) -> reply`, its types from its annotations, its text from its
    docstring. scope: any one of these lets in ("" = no key is asked for); admin may do everything. idempotent: whether
    a command takes an Idempotency-Key; not where its reply may not be kept. example: a question as JSON would have it,
    for the OpenAPI document; by default it is made of the fields' `Meta(examples=...)`, defaults and types.
    """

    def mark(act: Act) -> Act:
        hints = typing.get_type_hints(act)
        _, ask = list(inspect.signature(act).parameters)
        summary, _, text = (inspect.getdoc(act) or "").partition("\n")
        method, path = http.split()
        scopes = frozenset([scope] if isinstance(scope, str) else scope)
        if name in OPERATIONS or any((o.method, o.path) == (method, path) for o in OPERATIONS.values()):
            raise ValueError(f"{name} ({http}) stands in the table already")
        OPERATIONS[name] = Operation(
            name, kind, method, path, scopes if PUBLIC in scopes else scopes | {"admin"}, act, hints[ask],
            hints["return"], summary.rstrip("."), text.strip(), status, body, media, most_bytes,
            idempotent and kind == "command", example,
        )  # fmt: skip
        return act

    return mark
