"""Sets of rows between Polars columns and PostgreSQL: one statement for any number of rows, and no loop in Python.

Columns travel as array parameters (never as text of the statement), which row-level security lets through where it
refuses COPY, and which need no temporary table.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import polars as pl
import psycopg
from psycopg import sql

Types = Mapping[str, str]
"""Columns with their PostgreSQL types, in order: {"order_id": "text", "at": "timestamptz", "reasons": "text[]"}.

Of lists only text[] is taken, of words that hold no comma.
"""


def insert(conn: psycopg.Connection, table: str, frame: pl.DataFrame, types: Types, on_conflict: str = "") -> int:
    """Insert a frame's rows; returns how many. table: "schema.name"; on_conflict: what follows INSERT .. SELECT.

    The frame has the columns of `types`, others are left alone. Raises polars' ColumnNotFoundError when one is missing.
    """
    if frame.is_empty():
        return 0
    rows, values = source(frame, types)
    into = sql.SQL("insert into {} ({}) select {} from {} ").format(
        sql.Identifier(*table.split(".")),
        sql.SQL(", ").join(map(sql.Identifier, types)),
        sql.SQL(", ").join(map(sql.Identifier, types)),
        rows,
    )
    return conn.execute(into + sql.SQL(on_conflict), values).rowcount  # type: ignore[arg-type]


def source(frame: pl.DataFrame, types: Types, name: str = "given") -> tuple[sql.SQL, dict[str, Any]]:
    """A frame as a table of a statement, to select or update from, and the parameters that stand in it.

    Parameters are called `<name>_<column>`, so that they go with others.
    """
    table = _table(tuple(types.items()), name)
    arrays = frame.select(_array(column, frame.schema[column]) for column in types).row(0)
    return table, {f"{name}_{column}": "{" + (array or "") + "}" for column, array in zip(types, arrays)}


@lru_cache(maxsize=1 << 10)
def _table(types: tuple[tuple[str, str], ...], name: str) -> sql.SQL:
    columns = [
        sql.SQL("string_to_array({0}, ',') as {0}" if kind == "text[]" else "{0}").format(sql.Identifier(column))
        for column, kind in types
    ]
    arrays = [
        sql.SQL("{}::{}[]").format(
            sql.Placeholder(f"{name}_{column}"),
            sql.SQL(kind.removesuffix("[]")),  # type: ignore[arg-type]
        )
        for column, kind in types
    ]
    table = sql.SQL("(select {} from unnest({}) as u ({})) as {}").format(
        sql.SQL(", ").join(columns),
        sql.SQL(", ").join(arrays),
        sql.SQL(", ").join(sql.Identifier(column) for column, _ in types),
        sql.Identifier(name),
    )
    return sql.SQL(table.as_string())  # type: ignore[arg-type]  # put together once, not for each statement


@lru_cache(maxsize=1 << 10)
def _array(name: str, dtype: pl.DataType) -> pl.Expr:
    """A column's values as PostgreSQL writes them in an array."""
    text = pl.col(name)
    if dtype == pl.List:
        text = text.list.join(",")
    elif dtype == pl.Binary:
        text = pl.lit("\\x") + text.bin.encode("hex")
    text = text.cast(pl.String)
    if not (dtype.is_numeric() or dtype == pl.Boolean):
        text = text.str.replace_all("\\", "\\\\", literal=True).str.replace_all('"', '\\"', literal=True)
        text = '"' + text + '"'
    return text.fill_null("NULL").str.join(",").alias(name)


def read(
    conn: psycopg.Connection, query: str, schema: Mapping[str, Any], values: Mapping[str, Any] = {}
) -> pl.DataFrame:
    """What a query finds, as columns. schema: its columns in order with their Polars types."""
    rows = conn.execute(query, values).fetchall()  # type: ignore[arg-type]
    return pl.DataFrame(rows, schema=dict(schema), orient="row")
