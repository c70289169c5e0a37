"""Waybill numbers over a restore: a backup is older than what was issued since, and no number may be issued twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from rookery.terms.errors import Conflict

_COLUMNS = (
    "range_id, party_id, test, shared, kind, prefix, digits, check_rule, suffix, first_serial, next_serial,"
    " last_serial, created_at"
)
_ALIKE = "r.prefix = c.prefix and r.digits = c.digits and r.check_rule = c.check_rule and r.suffix = c.suffix"


def carry_on(replaced: str, fresh: str) -> int:
    """Lets each range of numbers in `fresh` go on behind what `replaced` has issued, and adds those it has not.

    Both are addresses of databases, for a role that owns their tables. Returns how many ranges were moved on or added.
    Raises Conflict when a range's numbers cannot be kept from being issued again.
    """
    with _ranges(replaced) as conn:
        rows = conn.execute(f"select {_COLUMNS} from waybill.ranges".encode()).fetchall() if conn else []
    if not rows:
        return 0
    with _ranges(fresh) as conn:
        if conn is None:
            raise _lost("the backup is of a release that knew no waybill numbers")
        conn.execute("create temporary table carried (like waybill.ranges including generated) on commit drop")
        conn.cursor().executemany(f"insert into carried ({_COLUMNS}) values ({', '.join(['%s'] * 13)})".encode(), rows)
        moved = conn.execute(
            f"""update waybill.ranges u set next_serial = last.next_serial
                  from (select r.range_id, max(least(c.next_serial, r.last_serial + 1)) as next_serial
                          from waybill.ranges r join carried c on {_ALIKE} and r.numbers && c.numbers
                         where c.next_serial > c.first_serial group by 1) last
                 where u.range_id = last.range_id and u.next_serial < last.next_serial""".encode()
        ).rowcount
        added = conn.execute(
            f"insert into waybill.ranges ({_COLUMNS}) select {_COLUMNS} from carried on conflict do nothing".encode()
        ).rowcount
        left = conn.execute(
            f"""select c.range_id from carried c where c.next_serial > c.first_serial and not exists (
                  select from waybill.ranges r where {_ALIKE} and r.numbers @> c.numbers)""".encode()
        ).fetchone()
        if left is not None:
            raise _lost(f"range {left[0]} overlaps another one of the backup's")
    return moved + added


@contextmanager
def _ranges(url: str) -> Iterator[psycopg.Connection | None]:
    """A transaction in which the owner of the ranges sees all of them; None where there is no such table."""
    with psycopg.connect(url, options="-c client_min_messages=warning") as conn:
        row = conn.execute("select to_regclass('waybill.ranges') is not null").fetchone()
        if row != (True,):
            yield None
            return
        conn.execute("alter table waybill.ranges no force row level security")
        yield conn
        conn.execute("alter table waybill.ranges force row level security")


def _lost(why: str) -> Conflict:
    return Conflict(
        "backup.numbers_lost",
        f"Waybill numbers that were issued since could be issued again: {why}.",
        "restore a younger backup",
    )
