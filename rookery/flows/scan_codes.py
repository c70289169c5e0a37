"""Couriers' own codes: those that no table knows, the tables that explain them, and the scans that wait for them."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Annotated, NamedTuple

import psycopg
from msgspec import Meta, Struct
from psycopg import errors as pg

from rookery.base import jobs
from rookery.base.access.keys import find_party
from rookery.base.audit import note
from rookery.base.operations import Context, operation
from rookery.base.paging import Limit, Page, page
from rookery.flows.capturing import refresh
from rookery.terms.errors import InvalidInput, NotAllowed, NotFound
from rookery.terms.notice import Fault, Notice
from rookery.tracking import tables_store
from rookery.tracking.archive import Archive
from rookery.tracking.codes.tables import USUAL, CodeTable, builtin, builtins, read_table
from rookery.tracking.epcis.identifiers import number_of
from rookery.tracking.tables_store import Explained, Version

WHO = ("courier", "station", "operator")
RUNS_ALL = frozenset({"operator", "admin", "system"})
REREAD = 10
"""So many versions back a scan that comes again is known whose code meant something else then."""
AT_ONCE = 1000
"""Kept scans that are explained in one transaction."""
THINGS_AT_ONCE = 5000
"""They name no more things than these, unless one alone does."""
LATE = timedelta(hours=1)
"""So long after a table came scans may still be kept that were read without it: far longer than a request takes."""
Cursor = Annotated[str, Meta(pattern=r"^[0-9]{0,18}$", description="`next` of the page before.")]
PartyId = Annotated[
    str, Meta(max_length=40, pattern=r"^[ -~]*$", description='Whose, for operators; "" = your own.', examples=[""])
]


class Readings(NamedTuple):
    """How a party's codes are read now; and how those were that came before `since` (None = always alike)."""

    now: CodeTable
    before: list[CodeTable]
    since: datetime | None


def readings(ctx: Context, vocabulary: str | None) -> Readings:
    """The tables that a party's codes are, and were, read by.

    A party's own goes before the vocabulary it names, which is `rookery` where it names none. Raises InvalidInput.
    """
    usual = _builtin(vocabulary or USUAL)
    own = tables_store.tables(ctx.conn, ctx.who.party_id, ctx.who.test, REREAD)
    if not own:
        return Readings(usual, [], None)
    first, *before = (_read(text) for _, text in own)
    return Readings(first, [*before, usual], own[0][0])


def _builtin(name: str) -> CodeTable:
    try:
        return builtin(name)
    except NotFound:
        known = sorted({full.partition("@")[0] for full in builtins()})
        fault = Fault("$.vocabulary", "unknown_vocabulary", "no such vocabulary is known", f"use {', '.join(known)}")
        raise InvalidInput(
            "scans.unknown_vocabulary", "No such vocabulary is known.", fault.remedy, faults=[fault]
        ) from None


@lru_cache(maxsize=16)
def _read(text: str) -> CodeTable:
    return read_table(text, "codes.csv", USUAL)


class UnknownCode(Struct, frozen=True):
    """A code that no table knew: how many scans with it are kept, of when, and a number that was scanned with it."""

    party_id: str
    code: str
    scans: int
    first_at: datetime
    last_at: datetime
    number: str | None


class WhichCodes(Struct, frozen=True, forbid_unknown_fields=True):
    """A page of codes, in the order in which they first came."""

    limit: Limit = 100
    after: Cursor = ""


@operation("scans.codes.list", kind="query", http="GET /scans/codes", scope=WHO)
def list_codes(ctx: Context, ask: WhichCodes) -> Page[UnknownCode]:
    """List the codes of scans that no table knew: your own; an operator's list is everybody's."""
    party = None if ctx.who.scopes & RUNS_ALL else ctx.who.party_id
    found = tables_store.unknown_codes(ctx.conn, party, ctx.who.test, int(ask.after or 0), ask.limit + 1)
    shown = page(found, ask.limit, lambda one: str(one.event_no))
    return Page([UnknownCode(*one[:5], one.epc and (number_of(one.epc) or one.epc)) for one in shown.data], shown.next)


class NewTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A code table as CSV: code, status, and where wanted detail, biz_step, disposition, note."""

    content: bytes
    party_id: PartyId = ""
    dry_run: bool = False


class TableTaken(Struct, frozen=True):
    """What came of a table. version: None = it was only tried; codes: its own, its base's not counted; explains: kept
    scans whose code it knows, leaves: those whose code it does not.
    """

    party_id: str
    version: int | None
    codes: int
    explains: int
    leaves: int
    notices: list[Notice]


@operation("scans.codes.put", kind="command", http="PUT /scans/codes", scope=WHO, body="text/csv")
def put_table(ctx: Context, ask: NewTable) -> TableTaken:
    """Say what your codes mean, from now on and for the scans that were kept with codes nobody knew.

    Where the table has no row for a code, it means what it means in `rookery`, or in the table that `# base:` names.
    The table counts as a new version; an old one sent again is how to go back, the one in force sent again changes
    nothing. With one fault in it, it is refused with all of them. `dry_run=true` tells what it would explain.
    """
    party_id, now, test = _whose(ctx, ask.party_id), ctx.clock.now(), ctx.who.test
    text, table = _checked(ask.content)
    waiting = tables_store.counts(ctx.conn, party_id, test)
    explains = sum(scans for code, scans in waiting.items() if table.find(code) is not None)
    version = None
    if not ask.dry_run:
        before = tables_store.table(ctx.conn, party_id, test, None)
        if before is not None and before[1] == text:
            version = before[0]
        else:
            version = tables_store.add_table(ctx.conn, party_id, test, text, now, ctx.who.party_id)
        if explains:
            _ask_to_explain(ctx.conn, party_id, test)
        note(ctx, "scans.codes.put", party_id, version=version, codes=table.own)
    leaves = sum(waiting.values()) - explains
    return TableTaken(party_id, version, table.own, explains, leaves, list(table.notices))


def _checked(content: bytes) -> tuple[str, CodeTable]:
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as fault:
        line = content.count(b"\n", 0, fault.start) + 1
        wrong = Notice(
            "error", "invalid_utf8", "the line is not valid UTF-8", "save the file as UTF-8", "codes.csv", line
        )
        raise InvalidInput("codes.invalid", "The table is not text.", wrong.remedy, [wrong]) from None
    table = _read(text)
    if any(notice.severity == "error" for notice in table.notices):
        what = "The table has faults."
        raise InvalidInput("codes.invalid", what, "mend what `errors` lists and send it again", table.notices)
    if not table.own:
        raise InvalidInput("codes.empty", "The table has no codes.", "write a row for each code", table.notices)
    return text, table


def _whose(ctx: Context, party_id: str) -> str:
    """The party that is meant. Raises NotAllowed for another's, and NotFound."""
    if party_id in ("", ctx.who.party_id):
        return ctx.who.party_id
    if not ctx.who.scopes & RUNS_ALL:
        raise NotAllowed("codes.anothers", "Only an operator has to do with others' codes.", "leave party_id out")
    with ctx.as_system() as conn:
        find_party(conn, party_id)
    return party_id


class WhichVersions(Struct, frozen=True, forbid_unknown_fields=True):
    """A page of versions, the newest first."""

    party_id: PartyId = ""
    limit: Limit = 100
    after: Annotated[str, Meta(pattern=r"^[0-9]{0,9}$", description="`next` of the page before.")] = ""


@operation("scans.codes.versions", kind="query", http="GET /scans/codes/versions", scope=WHO)
def list_versions(ctx: Context, ask: WhichVersions) -> Page[Version]:
    """List the versions of a code table, the newest first: that one counts."""
    before = int(ask.after) if ask.after else (1 << 31) - 1
    found = tables_store.versions(ctx.conn, _whose(ctx, ask.party_id), ctx.who.test, before, ask.limit + 1)
    return page(found, ask.limit, lambda one: str(one.version))


class WhichTable(Struct, frozen=True, forbid_unknown_fields=True):
    """Names a code table."""

    party_id: PartyId = ""
    version: Annotated[int, Meta(ge=1, le=1 << 30, description="By default the one in force.")] | None = None


@operation("scans.codes.table", kind="query", http="GET /scans/codes/table", scope=WHO, media="text/csv")
def get_table(ctx: Context, ask: WhichTable) -> bytes:
    """Get a code table as it was sent: the one in force, or an older version."""
    found = tables_store.table(ctx.conn, _whose(ctx, ask.party_id), ctx.who.test, ask.version)
    if found is None:
        raise NotFound(
            "codes.none", "There is no such table; codes are read as `rookery`'s.", "send one: PUT /scans/codes"
        )
    return found[1].encode()


@jobs.task("tracking.explain")
def explain(desk: jobs.Desk, party_id: str, test: str) -> None:
    """The job: what was kept of a party with codes that its table knows by now is understood, some at a time, each time
    in a transaction of its own.
    """
    mode, more = test == "True", True
    while more:
        with desk.context(mode) as ctx:
            found = tables_store.table(ctx.conn, party_id, mode, None)
            if found is None:
                return
            table = _read(found[1])
            known = [
                Explained(code, meaning.status, meaning.detail)
                for code in tables_store.unmapped_codes(ctx.conn, party_id, mode)
                if (meaning := table.find(code)) is not None
            ]
            explained, things = (
                tables_store.explain(ctx.conn, party_id, mode, known, AT_ONCE, THINGS_AT_ONCE) if known else (0, [])
            )
            if things:
                refresh(ctx.conn, things, mode, desk.clock.now(), ctx.part(Archive))
            more = explained > 0


@jobs.tick("tracking.explain")
def explain_late(desk: jobs.Desk) -> None:
    """Every minute: scans that were being taken while a new table came were read without it, and kept after its job had
    looked for them. Of parties with a table so new it is looked whether there are some, and their job is asked for.
    """
    for test in (False, True):
        with desk.context(test) as ctx:
            for party_id, text in tables_store.new_tables(ctx.conn, test, desk.clock.now() - LATE):
                table = _read(text)
                if any(table.find(code) is not None for code in tables_store.unmapped_codes(ctx.conn, party_id, test)):
                    _ask_to_explain(ctx.conn, party_id, test)


def _ask_to_explain(conn: psycopg.Connection, party_id: str, test: bool) -> None:
    """The job, unless one waits already: what that one does not find, the next minute does."""
    name = f"explain:{party_id}:{test}"
    with suppress(pg.UniqueViolation), conn.transaction():
        jobs.defer(conn, "tracking.explain", lock=name, once=name, party_id=party_id, test=str(test))
