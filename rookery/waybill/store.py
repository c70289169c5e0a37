"""Who holds which ranges, and what became of every number: in PostgreSQL, under the caller's row-level security.

Every function works within the transaction of its connection and never commits. Instants are given, never asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, LiteralString

from msgspec import Struct
from psycopg import Connection, errors
from psycopg.rows import class_row

from rookery.terms.errors import Conflict, InvalidInput, NotFound
from rookery.terms.notice import Fault, Notice
from rookery.waybill.model import Check, Kind, Scheme, State
from rookery.waybill.rules.numbers import write_numbers

NEARLY = 0.9
"""Share of a range from which on it is told that it will end."""
_RANGE = (
    "range_id, party_id, test, shared, kind, prefix, digits, check_rule, suffix, first_serial, next_serial, last_serial"
)


class Range(Struct, frozen=True):
    """A row of waybill.ranges: serials first to last belong to it, those before next are issued."""

    range_id: str
    party_id: str
    test: bool
    shared: bool
    kind: Kind
    prefix: str
    digits: int
    check_rule: Check
    suffix: str
    first_serial: int
    next_serial: int
    last_serial: int

    @property
    def scheme(self) -> Scheme:
        """How its numbers are spelt."""
        return Scheme(self.kind, self.prefix, self.digits, self.check_rule, self.suffix)

    @property
    def left(self) -> int:
        """Serials not issued yet."""
        return self.last_serial + 1 - self.next_serial

    @property
    def used(self) -> float:
        """Share that is issued."""
        return 1 - self.left / (self.last_serial + 1 - self.first_serial)


class Number(Struct, frozen=True):
    """A row of waybill.numbers."""

    number: str
    range_id: str
    kind: Kind
    party_id: str
    test: bool
    parcel_id: str | None
    state: State
    reprints: int
    version: int
    issued_at: datetime
    changed_at: datetime


class Issued(Struct, frozen=True):
    """Numbers as issued, in the order asked; `notices` warns of a range that is nearly used up."""

    numbers: list[str]
    notices: tuple[Notice, ...] = ()


def add_range(
    conn: Connection[Any], range_id: str, party_id: str, scheme: Scheme, first: int, last: int,
    *, test: bool, at: datetime, shared: bool = False,
) -> Range:  # fmt: skip
    """Serials `first` to `last` of a scheme become a range of a party; `shared` = all parties are issued numbers of it.

    Raises InvalidInput when they are no range, Conflict (waybill.range_overlaps) when a text of it belongs to another.
    """
    if not 0 <= first <= last <= scheme.last_serial:
        raise InvalidInput(
            "waybill.bad_range", f"Serials {first} to {last} are no range within 0 to {scheme.last_serial}.",
            "give the first and the last serial without prefix and check digit",
        )  # fmt: skip
    row = Range(
        range_id, party_id, test, shared, scheme.kind, scheme.prefix, scheme.digits, scheme.check, scheme.suffix,
        first, first, last,
    )  # fmt: skip
    try:
        with conn.transaction():
            conn.execute(
                f"insert into waybill.ranges ({_RANGE}, created_at)"
                " values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                [*(getattr(row, name) for name in _RANGE.split(", ")), at],
            )
    except errors.ExclusionViolation:
        raise Conflict(
            "waybill.range_overlaps", f"Some of {scheme.prefix}..{scheme.suffix}, {first} to {last}, are in a range.",
            "give serials that no range has, test or live; a range is never given back",
        ) from None  # fmt: skip
    except errors.UniqueViolation:
        raise Conflict("waybill.range_taken", f"There is a range {range_id} already.", "take another id") from None
    return row


def get_range(conn: Connection[Any], range_id: str) -> Range:
    """One range. Raises NotFound."""
    with conn.cursor(row_factory=class_row(Range)) as cursor:
        row = cursor.execute(f"select {_RANGE} from waybill.ranges where range_id = %s", [range_id]).fetchone()
    if row is None:
        raise NotFound(
            "waybill.no_range", f"There is no range {range_id[:80]}.", "list the ranges and take one of them"
        )
    return row


def list_ranges(conn: Connection[Any]) -> list[Range]:
    """All ranges the caller may be issued numbers of, by id."""
    with conn.cursor(row_factory=class_row(Range)) as cursor:
        return cursor.execute(f"select {_RANGE} from waybill.ranges order by range_id").fetchall()


def issue(
    conn: Connection[Any], range_id: str, party_id: str, count: int, *, at: datetime, parcel_ids: Sequence[str] = ()
) -> Issued:
    """`count` (>= 1) new numbers for a party, the next of a range; on parcels (as many ids as numbers) or on none yet.

    Never twice: one UPDATE takes the serials and holds the range until the transaction ends, so issue late in it. What
    is rolled back leaves no trace. Raises NotFound, or Conflict (waybill.range_exhausted) when fewer are left.
    """
    if count < 1 or (parcel_ids and len(parcel_ids) != count):
        raise InvalidInput("waybill.bad_count", f"{count} numbers for {len(parcel_ids)} parcels.", "ask one for each")
    with conn.cursor(row_factory=class_row(Range)) as cursor:
        row = cursor.execute(
            "update waybill.ranges set next_serial = next_serial + %(count)s"
            f" where range_id = %(range)s and next_serial + %(count)s - 1 <= last_serial returning {_RANGE}",
            {"count": count, "range": range_id},
        ).fetchone()
    if row is None:
        left = get_range(conn, range_id).left
        raise Conflict(
            "waybill.range_exhausted", f"{count} numbers were asked of range {range_id}, which has {left} left.",
            "add a range and issue from that, or ask fewer",
        )  # fmt: skip
    numbers = write_numbers(row.scheme, range(row.next_serial - count, row.next_serial))
    try:
        with conn.transaction():
            conn.execute(
                "insert into waybill.numbers"
                " (number, range_id, kind, party_id, test, parcel_id, state, issued_at, changed_at)"
                " select number, %s, %s, %s, %s, parcel_id, 'issued', %s, %s"
                " from unnest(%s::text[], %s::text[]) as new (number, parcel_id)",
                [range_id, row.kind, party_id, row.test, at, at, numbers, list(parcel_ids) or [None] * count],
            )
    except errors.UniqueViolation:
        raise Conflict(
            "waybill.number_taken", f"Range {range_id} spells numbers that another range has issued.",
            "issue from another range, and report this one to whoever assigned it",
        ) from None  # fmt: skip
    return Issued(numbers, _warnings(row))


def get_numbers(conn: Connection[Any], numbers: Sequence[str]) -> list[Number]:
    """What is known of numbers (n), in their order. Raises NotFound with a fault for each that is not there."""
    with conn.cursor(row_factory=class_row(Number)) as cursor:
        rows = cursor.execute(
            "select number, range_id, kind, party_id, test, parcel_id, state, reprints, version, issued_at, changed_at"
            " from waybill.numbers where number = any(%s)",
            [list(numbers)],
        ).fetchall()
    known = {row.number: row for row in rows}
    faults = [
        Fault(f"$.numbers[{place}]", "waybill.no_number", "no such number was issued", "check it against the label")
        for place, number in enumerate(numbers)
        if number not in known
    ]
    if faults:
        raise NotFound(
            "waybill.no_number", f"{len(faults)} of {len(numbers)} numbers are not known.",
            "send only numbers that were issued", faults=faults,
        )  # fmt: skip
    return [known[number] for number in numbers]


def mark_printed(conn: Connection[Any], numbers: Sequence[str], *, at: datetime) -> None:
    """Labels were printed; from the second time on it counts as a reprint, also after hand-over (a damaged label).

    Raises NotFound, or Conflict (waybill.wrong_state) with a fault for each cancelled number; then nothing is changed.
    """
    _move(conn, numbers, "printed", ("issued", "printed", "handed_over"), at)


def hand_over(conn: Connection[Any], numbers: Sequence[str], *, at: datetime) -> None:
    """Parcels were handed over: labels no longer change. Raises as mark_printed; handing over twice is no fault."""
    _move(conn, numbers, "handed_over", ("issued", "printed", "handed_over"), at)


def cancel(conn: Connection[Any], numbers: Sequence[str], *, at: datetime) -> None:
    """Numbers retire for ever. Raises as mark_printed, for numbers handed over too; cancelling twice is no fault."""
    _move(conn, numbers, "cancelled", ("issued", "printed", "cancelled"), at)


def revise(conn: Connection[Any], numbers: Sequence[str], *, at: datetime) -> None:
    """What labels say has changed, before hand-over: their version goes up and they are to be printed again.

    Raises as mark_printed, for numbers handed over too.
    """
    _move(conn, numbers, "issued", ("issued", "printed"), at)


def resort(conn: Connection[Any], numbers: Sequence[str], *, at: datetime) -> None:
    """Parcels are sorted to another way than their labels say: the labels' version goes up.

    Before hand-over they are to be printed again; on its way a parcel keeps its label until somebody prints another.
    Cancelled ones stay as they are.
    """
    conn.execute("select from waybill.numbers where number = any(%s) order by number for update", [list(numbers)])
    conn.execute(
        "update waybill.numbers set version = version + 1,"
        " state = case state when 'printed' then 'issued' else state end,"
        " changed_at = case state when 'handed_over' then changed_at else %s end"  # it tells when it was handed over
        " where number = any(%s) and state <> 'cancelled'",
        [at, list(numbers)],
    )


_CHANGES: dict[State, LiteralString] = {
    "printed": "state = case state when 'issued' then 'printed' else state end,"
    " reprints = reprints + (state <> 'issued')::int",
    "handed_over": "state = 'handed_over'",
    "cancelled": "state = 'cancelled'",
    "issued": "state = 'issued', version = version + 1",
}


def _move(conn: Connection[Any], numbers: Sequence[str], state: State, allowed: Sequence[State], at: datetime) -> None:
    """Locks the numbers in one order for all, tells every fault, and changes those that change."""
    conn.execute("select from waybill.numbers where number = any(%s) order by number for update", [list(numbers)])
    rows = get_numbers(conn, numbers)
    faults = [
        Fault(f"$.numbers[{place}]", "waybill.wrong_state", f"is {row.state}", _NEXT[row.state])
        for place, row in enumerate(rows)
        if row.state not in allowed
    ]
    if faults:
        raise Conflict(
            "waybill.wrong_state",
            f"{len(faults)} of {len(rows)} numbers cannot become {state}.",
            "leave these out",
            faults=faults,
        )
    conn.execute(
        f"update waybill.numbers set {_CHANGES[state]}, changed_at = %s"
        " where number = any(%s) and state <> 'cancelled'",
        [at, list(numbers)],
    )


_NEXT: dict[Literal["issued", "printed", "handed_over", "cancelled"], str] = {
    "issued": "print its label first",
    "printed": "hand it over first",
    "handed_over": "the parcel is on its way: its label stays as it is",
    "cancelled": "a cancelled number is retired: issue another",
}


def _warnings(row: Range) -> tuple[Notice, ...]:
    if row.used < NEARLY:
        return ()
    message = f"range {row.range_id} is {row.used:.0%} used up, {row.left} numbers are left"
    return (Notice("warning", "range_nearly_used", message, "add a range before it ends", value=row.range_id),)
