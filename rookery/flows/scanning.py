"""Scans of couriers and devices, in any order and of any age; those of numbers that nobody knows yet wait for them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec
import polars as pl
from msgspec import Meta, Struct

from rookery.base import jobs
from rookery.base.operations import MEBIBYTE, Context, operation
from rookery.base.paging import Limit, Page, page
from rookery.flows import subjects
from rookery.flows.capturing import Taken, refresh, take
from rookery.flows.scan_codes import RUNS_ALL, Readings, readings
from rookery.network.store import Feeds, find_active
from rookery.terms.errors import TooLarge
from rookery.terms.notice import Fault
from rookery.tracking import tables_store
from rookery.tracking.archive import FRESH, Archive
from rookery.tracking.capture import ANCIENT, SKEW
from rookery.tracking.codes.tables import Meaning
from rookery.tracking.epcis.contexts import Names
from rookery.tracking.epcis.documents import Sent
from rookery.tracking.epcis.hashing import event_hash, ni
from rookery.tracking.epcis.identifiers import number_of
from rookery.tracking.scans import CONTEXT, MOVES, Good, Scan, check, check_digit_fails, event_of, others, read

MOST_SCANS = 5000
MOST_NUMBERS = 20_000
"""Numbers that the scans of one batch may name, containers and contents among them."""
MOST_BYTES = 8 * MEBIBYTE
STRAYS_AT_ONCE = 20_000
"""Strays that are looked at each minute; what becomes a parcel is looked for at once besides."""
CLAIMED_AT_ONCE = 1000
"""Things whose strays are claimed in one transaction."""
WHO = ("courier", "station", "operator")
State = Literal["taken", "repeated", "refused"]


_, _NAMED = msgspec.json.schema_components([Scan])


class ScansIn(Struct, frozen=True, forbid_unknown_fields=True):
    """Scans as a device has kept them. vocabulary: whose codes they are, for couriers without a table of their own."""

    # each is read by itself, so that one of a wrong type does not hold up the others
    scans: Annotated[list[Any], Meta(min_length=1, max_length=MOST_SCANS, extra_json_schema={"items": _NAMED["Scan"]})]
    vocabulary: Annotated[str, Meta(max_length=60, examples=["rookery"])] | None = None


class ScanNotice(Struct, frozen=True):
    """Something to know about a scan that was kept all the same."""

    code: str
    message: str
    remedy: str


class ScanResult(Struct, frozen=True):
    """What came of one scan. scan: its place in the batch, from 0."""

    scan: int
    state: State
    event_id: str | None
    notices: list[ScanNotice]
    faults: list[Fault]


class ScansTaken(Struct, frozen=True):
    """How many scans are new, were known, and cannot be kept; `results`: only of those with more to say."""

    taken: int
    repeated: int
    refused: int
    results: list[ScanResult]


NOTICES: dict[str, ScanNotice] = {
    one.code: one
    for one in (
        ScanNotice(
            "unknown_code", "no table knows the code: kept, and no milestone", "say what it means: PUT /scans/codes"
        ),
        ScanNotice(
            "unknown_number", "no parcel of yours has the number: kept until one has",
            "nothing, or check the number on the label; see GET /scans/strays",
        ),
        ScanNotice(
            "bad_check_digit", "the number's check digit is wrong: kept as it is",
            "scan the barcode instead of typing, and withdraw this scan",
        ),
        ScanNotice(
            "time_in_future", "the instant lies ahead of now: kept, and not believed",
            "set the device's clock, withdraw the scan and send it with its right time",
        ),
        ScanNotice(
            "time_ancient", "the instant lies before 2000: kept, and not believed",
            "set the device's clock, withdraw the scan and send it with its right time",
        ),
        ScanNotice(
            "time_before_booking", "the instant lies more than 30 days before the parcel was booked: not believed",
            "set the device's clock, withdraw the scan and send it with its right time",
        ),
        ScanNotice(
            "nothing_withdrawn", "no such scan of yours is kept: it counts if it comes later",
            "if it was sent: withdraw it with all its fields as they were then",
        ),
        ScanNotice("unknown_node", "the active network has no such node: kept", "check it against the network's nodes"),
        ScanNotice(
            "container_not_used", "the code says neither put in nor taken out: the container was noted alone",
            "use a code for bagged, unbagged, loaded or unloaded",
        ),
    )
}  # fmt: skip
"""What is told of a scan that was kept, by code."""


@operation("scans.create", kind="command", http="POST /scans", scope=WHO, most_bytes=MOST_BYTES)
def create(ctx: Context, ask: ScansIn) -> ScansTaken:
    """Hand in scans, in any order and of any age.

    Scans that were sent before are `repeated` and change nothing. Malformed ones are refused one by one, with all their
    faults, and the others are taken: all of these or, if the request fails, none.
    """
    now = ctx.clock.now()
    _refuse_too_many(ask.scans)
    codes = readings(ctx, ask.vocabulary)
    good: list[Good] = []
    refused: dict[int, list[Fault]] = {}
    for place, sent in enumerate(ask.scans):
        scan = read(place, sent)
        checked = check(place, scan) if isinstance(scan, Scan) else scan
        if isinstance(checked, Good):
            good.append(checked)
        else:
            refused[place] = checked
    means = {code: codes.now.find(code) for code in {one.scan.code for one in good}}
    events, idle = _events(ctx, good, codes, means, now)
    taken = take(ctx, [Sent(event, CONTEXT, f"$.scans[{one.place}]") for one, event in zip(good, events)])
    unkept = by_scan(taken.faults)
    kept = [one for one in good if one.place not in unkept]
    strays = _strays(ctx, kept, taken)
    _keep_aside(ctx, good, means, taken, strays)
    refused |= unkept
    results = [ScanResult(place, "refused", None, [], faults) for place, faults in refused.items()]
    for i, told in _notices(ctx, good, means, taken, strays, idle, now).items():
        if good[i].place in unkept:
            continue
        state: State = "taken" if i in taken.numbers else "repeated"
        event_id = ni(event_hash(events[i], Names.of(CONTEXT)))
        results.append(ScanResult(good[i].place, state, event_id, [NOTICES[code] for code in told], []))
    results.sort(key=lambda one: one.scan)
    return ScansTaken(taken.added, len(kept) - taken.added, len(refused), results)


def _refuse_too_many(scans: Sequence[Any]) -> None:
    """Raises TooLarge with the scan at which a batch, as it was sent, names more numbers than are taken at once."""
    named = 0
    for place, scan in enumerate(scans):
        named += 1
        if isinstance(scan, dict):
            contents = scan.get("contents")
            named += (scan.get("container") is not None) + (len(contents) if isinstance(contents, list) else 0)
        if named > MOST_NUMBERS:
            what = f"The scans name more than {MOST_NUMBERS:,} numbers."
            at = Fault(
                f"$.scans[{place}]", "too_many_numbers", f"up to here there are {named:,} numbers",
                "send this scan and those behind it in another batch",
            )  # fmt: skip
            raise TooLarge("scans.too_many_numbers", what, "send them in several batches", faults=[at])


def by_scan(faults: Sequence[Fault]) -> dict[int, list[Fault]]:
    """Faults of events that could not be kept, by the place of the scan that each event was made of."""
    found: defaultdict[int, list[Fault]] = defaultdict(list)
    for fault in faults:
        match = _OF_SCAN.match(fault.at)
        assert match is not None
        found[int(match[1])].append(fault)
    return dict(found)


_OF_SCAN = re.compile(r"\$\.scans\[(\d+)\]")


def _events(
    ctx: Context, good: list[Good], codes: Readings, means: dict[str, Meaning | None], now: datetime
) -> tuple[list[dict[str, Any]], set[int]]:
    """The events of scans; and the places, among the good ones, of those that withdraw what is not there.

    A scan that came before stays what it was then, though its code may mean something else by now: else it would not be
    the same event, and what is withdrawn would not be found.
    """
    meant = {
        code: others([*(table.find(code) for table in codes.before), None], means[code]) if codes.since else []
        for code in means
    }
    names, withdrawn_now = Names.of(CONTEXT), now.isoformat(timespec="milliseconds")
    events: list[dict[str, Any]] = []
    sought: dict[int, list[tuple[bytes, dict[str, Any]]]] = {}
    for i, one in enumerate(good):
        code, withdrawn = one.scan.code, one.withdrawn_at or (withdrawn_now if one.scan.withdraws else None)
        events.append(event_of(one, means[code], withdrawn))
        # what was scanned after the table began to count can have come under no other, unless its clock is wrong
        older = codes.since is not None and not codes.since + SKEW < one.at <= now + SKEW
        again = meant[code] if older else []
        if again or withdrawn:
            read = [events[i], *(event_of(one, meaning, withdrawn) for meaning in again)]
            sought[i] = [(event_hash(event, names), event) for event in read]
    if not sought:
        return events, set()
    times = [good[i].at for i in sought]
    hashes = [digest for found in sought.values() for digest, _ in found]
    before = tables_store.kept_before(ctx.conn, hashes, min(times), max(times), ctx.who.party_id, ctx.who.test)
    missed: dict[int, bytes] = {}
    for i, found in sought.items():
        digest, event = next((one for one in found if one[0] in before), found[0])
        kept = before.get(digest, _NOTHING)
        if kept.declared_at is not None and good[i].scan.withdraws and good[i].withdrawn_at is None:
            event["errorDeclaration"]["declarationTime"] = kept.declared_at.astimezone(UTC).isoformat()
        if good[i].scan.withdraws and not kept.itself:
            missed[i] = digest
        events[i] = event
    return events, _idle(ctx, good, events, missed, now) if missed else set()


_NOTHING = tables_store.Kept(False, None)


def _idle(
    ctx: Context, good: list[Good], events: list[dict[str, Any]], missed: dict[int, bytes], now: datetime
) -> set[int]:
    """Of the withdrawals that found no scan kept, those whose scan is not in the batch either; where something is
    archived, of those scans alone that are too young for it.
    """
    whose = {(good[i].at, good[i].epcs[0]) for i in missed}
    names = Names.of(CONTEXT)
    beside = {
        event_hash(events[i], names)
        for i, one in enumerate(good)
        if not one.scan.withdraws and (one.at, one.epcs[0]) in whose
    }
    lost = {i for i, digest in missed.items() if digest not in beside}
    if any(good[i].at < now - FRESH for i in lost):
        with ctx.as_system() as conn:
            archived = bool(ctx.part(Archive).holding(conn).files)
        lost = {i for i in lost if not archived or good[i].at >= now - FRESH}
    return lost


def _strays(ctx: Context, good: list[Good], taken: Taken) -> frozenset[str]:
    """Things that were scanned and are neither parcels the party has to do with nor containers."""
    things = {epc for one in good for epc in one.epcs} - taken.parcels - _containers(good)
    if things:
        with ctx.as_system() as conn:
            things -= tables_store.holders(conn, sorted(things), ctx.who.test)
    return frozenset(things)


def _containers(good: list[Good]) -> set[str]:
    return {one.container for one in good if one.container} | {one.epcs[0] for one in good if len(one.epcs) > 1}


def _notices(
    ctx: Context,
    good: list[Good],
    means: dict[str, Meaning | None],
    taken: Taken,
    strays: frozenset[str],
    idle: set[int],
    now: datetime,
) -> dict[int, list[str]]:
    """Codes of what is to be told of scans, by their place among the good ones."""
    mistyped = {epc for epc in strays | _containers(good) if check_digit_fails(number_of(epc) or "")}
    nowhere = _unknown_nodes(ctx, {one.scan.node for one in good if one.scan.node is not None})
    latest = now + SKEW
    found: dict[int, list[str]] = {}
    for i, one in enumerate(good):
        told: list[str] = []
        meaning = means[one.scan.code]
        if meaning is None:
            told.append("unknown_code")
        elif one.container is not None and meaning.detail not in MOVES:
            told.append("container_not_used")
        if not strays.isdisjoint(one.epcs):
            told.append("unknown_number")
        if mistyped and not mistyped.isdisjoint((*one.epcs, one.container)):
            told.append("bad_check_digit")
        if one.at > latest:
            told.append("time_in_future")
        elif one.at < ANCIENT:
            told.append("time_ancient")
        elif i in taken.doubted and not taken.parcels.isdisjoint(one.epcs):  # of others' parcels it tells nothing
            told.append("time_before_booking")
        if i in idle:
            told.append("nothing_withdrawn")
        if one.scan.node in nowhere:
            told.append("unknown_node")
        if told:
            found[i] = told
    return found


def _unknown_nodes(ctx: Context, nodes: set[str]) -> frozenset[str]:
    """Those of the nodes that the active network does not have."""
    active = find_active(ctx.conn, ctx.who.test) if nodes else None
    if active is None:
        return frozenset(nodes)
    feed = ctx.part(Feeds).get(ctx.conn, active.feed_id)
    return frozenset(nodes - set(feed.nodes["node_id"].filter(feed.nodes["node_id"].is_in(sorted(nodes)))))


def _keep_aside(
    ctx: Context, good: list[Good], means: dict[str, Meaning | None], taken: Taken, strays: frozenset[str]
) -> None:
    """Of new events: those whose code says nothing yet, and those about things that may be a parcel later."""
    unmapped: list[tuple[Any, ...]] = []
    waiting: list[tuple[Any, ...]] = []
    for i, event_no in taken.numbers.items():
        one = good[i]
        if one.scan.withdraws:
            continue
        if means[one.scan.code] is None:
            unmapped.append((event_no, one.at, one.scan.code))
        for epc in one.epcs:
            if epc in strays:
                waiting.append((epc, event_no, one.at, number_of(epc) or epc))
    who = ctx.who
    if unmapped:
        rows = pl.DataFrame(unmapped, schema=tables_store.UNMAPPED, orient="row")
        tables_store.add_unmapped(ctx.conn, rows, who.party_id, who.test)
    if waiting:
        rows = pl.DataFrame(waiting, schema=tables_store.STRAYS, orient="row")
        tables_store.add_strays(ctx.conn, rows, who.party_id, who.test)
    if containers := _containers(good):
        tables_store.drop_strays(ctx.conn, sorted(containers), who.party_id, who.test)


class Stray(Struct, frozen=True):
    """A scan of a number that no parcel of the party's has. scanned_at: as it told; recorded_at: when it came."""

    party_id: str
    number: str
    code: str | None
    scanned_at: datetime
    recorded_at: datetime


class WhichStrays(Struct, frozen=True, forbid_unknown_fields=True):
    """A page of strays, in the order in which they came."""

    limit: Limit = 100
    after: Annotated[str, Meta(pattern=r"^([0-9]{1,18}\.[0-9a-f]{32})?$", description="`next` of the page before.")] = (
        ""
    )


@operation("scans.strays", kind="query", http="GET /scans/strays", scope=WHO)
def list_strays(ctx: Context, ask: WhichStrays) -> Page[Stray]:
    """List scans of numbers that no parcel of yours has: they count when one is booked or let to you.

    An operator's list is everybody's.
    """
    party = None if ctx.who.scopes & RUNS_ALL else ctx.who.party_id
    event, _, mark = (ask.after or "0.").partition(".")
    found = tables_store.strays(ctx.conn, party, ctx.who.test, (int(event), mark), ask.limit + 1)
    shown = page(found, ask.limit, lambda one: f"{one.event_no}.{one.mark}")
    told = [Stray(one.party_id, one.number, one.code, one.event_at, one.record_at) for one in shown.data]
    return Page(told, shown.next)


def claim(ctx: Context, epcs: Sequence[str]) -> int:
    """Scans that were kept of things (canonical identifiers) count for those that are parcels of the scanning party by
    now: booked since, or let to it since. Returns for how many parcels there were some.
    """
    who, now = ctx.who, ctx.clock.now()
    with ctx.as_system() as conn:
        parcels = subjects.known(conn, epcs, who.test)
        found = tables_store.claim(conn, subjects.involved(conn, parcels), parcels, who.test)
        if found:
            refresh(conn, sorted(found), who.test, now, ctx.part(Archive))
    return len(found)


def claim_in_pieces(desk: jobs.Desk, epcs: Sequence[str], test: bool) -> None:
    """Claim for many things: some at a time, each time in a transaction of its own."""
    for first in range(0, len(epcs), CLAIMED_AT_ONCE):
        with desk.context(test) as ctx:
            claim(ctx, epcs[first : first + CLAIMED_AT_ONCE])


@jobs.tick("tracking.strays")
def claim_some(desk: jobs.Desk) -> None:
    """Every minute: strays, all or as many as are looked at at once by chance, are looked for among the parcels."""
    for test in (False, True):
        with desk.context(test) as ctx:
            things = sorted(tables_store.some_strays(ctx.conn, test, STRAYS_AT_ONCE))
        claim_in_pieces(desk, things, test)
