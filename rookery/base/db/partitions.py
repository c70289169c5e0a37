"""History tables in monthly partitions: made ahead of time, dropped when their months are no longer kept.

Which tables, and for how long, stands in base.partitioned; the column is the one each table is partitioned by. Rows
that came before their month's partition was made lie in the default partition, if the table has one, and are moved.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime

import psycopg
from psycopg import sql

AHEAD = 3
"""Months after the present one whose partitions are there already."""
_LOCK = 0x70617274  # "part"
_MONTH = re.compile(r"_(\d{4})_(\d{2})$")


@dataclass(frozen=True)
class Tended:
    """Names of the partitions made and dropped."""

    made: tuple[str, ...]
    dropped: tuple[str, ...]


def tend(conn: psycopg.Connection, now: datetime) -> Tended:
    """Makes the partitions of this month and the next AHEAD, and drops those whose months are no longer kept.

    conn: an owner's (Database.owner); each table in a transaction of its own. Several may call it at once.
    """
    month = now.astimezone(UTC).date().replace(day=1)
    made: list[str] = []
    dropped: list[str] = []
    for table, keep in conn.execute("select table_name, keep_months from base.partitioned order by 1").fetchall():
        with conn.transaction():
            conn.execute("select pg_advisory_xact_lock(%s)", [_LOCK])
            there = dict(_partitions(conn, table))
            for ahead in range(AHEAD + 1):
                if (begins := _plus(month, ahead)) not in there:
                    made.append(_make(conn, table, begins))
            for begins, name in there.items():
                if begins < _plus(month, -keep):
                    conn.execute(sql.SQL("drop table {}").format(_name(name)))
                    dropped.append(name)
    return Tended(tuple(made), tuple(dropped))


def _partitions(conn: psycopg.Connection, table: str) -> Iterator[tuple[date, str]]:
    """The months that have a partition, with its name."""
    rows = conn.execute(
        """select n.nspname || '.' || c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
             join pg_namespace n on n.oid = c.relnamespace where i.inhparent = %s::regclass order by 1""",
        [table],
    )
    for (name,) in rows.fetchall():
        if match := _MONTH.search(name):
            yield date(int(match[1]), int(match[2]), 1), name


def _make(conn: psycopg.Connection, table: str, begins: date) -> str:
    """A month's partition, with the rows of that month that had to wait in the default partition."""
    name = f"{table}_{begins:%Y_%m}"
    span = {"begins": f"{begins}T00:00Z", "ends": f"{_plus(begins, 1)}T00:00Z"}
    parts = {"table": _name(table), "part": _name(name), **{key: sql.Literal(at) for key, at in span.items()}}
    asked = conn.execute(
        """select a.attname, (select n.nspname || '.' || d.relname from pg_class d join pg_namespace n
                                on n.oid = d.relnamespace where d.oid = p.partdefid)
             from pg_partitioned_table p join pg_attribute a on a.attrelid = p.partrelid and a.attnum = p.partattrs[0]
            where p.partrelid = %s::regclass""",
        [table],
    ).fetchone()
    assert asked is not None
    column, default = asked
    # nobody writes between the rows' leaving the default partition and their being looked for in the new one
    conn.execute(sql.SQL("lock table {table} in share row exclusive mode").format(**parts))
    conn.execute(sql.SQL("create table {part} (like {table} including defaults including constraints)").format(**parts))
    if default is not None:
        moved = sql.SQL(
            "with moved as (delete from {default} where {column} >= {begins} and {column} < {ends} returning *)"
            " insert into {part} select * from moved"
        )
        conn.execute(moved.format(default=_name(default), column=sql.Identifier(column), **parts))
    conn.execute(
        sql.SQL("alter table {table} attach partition {part} for values from ({begins}) to ({ends})").format(**parts)
    )
    return name


def _name(dotted: str) -> sql.Identifier:
    return sql.Identifier(*dotted.split("."))


def _plus(month: date, months: int) -> date:
    count = month.year * 12 + month.month - 1 + months
    return date(count // 12, count % 12 + 1, 1)
