"""The limit of intake: the very rows that it wrote, put by COPY into tables with the same indexes and nothing else."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from rookery.base.db import Cluster, upgrade

NAME = "bench_copy"


@dataclass(frozen=True)
class Copied:
    """How long COPY took, in one transaction of all rows and in one for each batch of orders."""

    orders: int
    rows: int
    whole_s: float
    batched_s: float


def copy_of(cluster: Cluster, party_id: str, mark: str, batch: int) -> Copied:
    """Orders of a party whose references begin with a mark, their items and people, out of the database and into one
    of their own, beside the server's in the same PostgreSQL; the copy is dropped in the end.
    """
    urls = cluster.urls()
    super_url = urls.maintain
    source = make_conninfo(super_url, dbname="rookery")
    target = make_conninfo(super_url, dbname=NAME)
    with psycopg.connect(super_url, autocommit=True) as conn:
        conn.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(NAME)))
        conn.execute(sql.SQL("create database {} owner rookery").format(sql.Identifier(NAME)))
    try:
        upgrade(cluster.url(NAME))
        with psycopg.connect(source) as conn:
            ids = [row[0] for row in conn.execute(
                "select order_id from orders.orders where party_id = %s and reference like %s order by order_id",
                (party_id, mark + "-%"),
            )]  # fmt: skip
            whole = _taken(conn, ids)
            parts = [_taken(conn, ids[at : at + batch]) for at in range(0, len(ids), batch)]
        with psycopg.connect(target) as conn:
            _put(conn, whole)  # files grow for the first time
            _empty(conn)
            whole_s, rows = _put(conn, whole)
            _empty(conn)
            batched_s = sum(_put(conn, part)[0] for part in parts)
    finally:
        with psycopg.connect(super_url, autocommit=True) as conn:
            conn.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(NAME)))
    return Copied(len(ids), rows, whole_s, batched_s)


_MINE = {
    "orders.orders": "select * from orders.orders where order_id = any({ids})",
    "orders.items": "select * from orders.items where order_id = any({ids})",
    "vault.people": "select p.* from vault.people p join orders.orders o"
    " on p.person_id in (o.sender_id, o.recipient_id) where o.order_id = any({ids})",
}
Rows = dict[str, list[bytes]]


def _taken(conn: psycopg.Connection, ids: Sequence[str]) -> Rows:
    found: Rows = {}
    for table, query in _MINE.items():
        text = sql.SQL("copy ({}) to stdout (format binary)").format(sql.SQL(query).format(ids=sql.Literal(list(ids))))  # type: ignore[arg-type]
        with conn.cursor() as cursor, cursor.copy(text) as copy:
            found[table] = [bytes(part) for part in copy]
    return found


def _empty(conn: psycopg.Connection) -> None:
    conn.execute("truncate orders.orders, orders.items, vault.people cascade")
    conn.commit()


def _put(conn: psycopg.Connection, rows: Rows) -> tuple[float, int]:
    """(seconds, rows) of one transaction."""
    many, began = 0, time.perf_counter()
    for table, parts in rows.items():
        with conn.cursor() as cursor:
            text = sql.SQL("copy {} from stdin (format binary)").format(sql.Identifier(*table.split(".")))
            with cursor.copy(text) as copy:
                for part in parts:
                    copy.write(part)
            many += cursor.rowcount
    conn.commit()
    return time.perf_counter() - began, many
