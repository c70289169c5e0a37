"""Strict reading of rows: a header held against the columns that are known, then cells turned into typed values.

A row with a fault is left out and told, with every fault it has; the other rows go on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import polars as pl

from rookery.base.kinds import Column, as_text, parse
from rookery.base.notices import Findings


def match_header(
    names: Sequence[str], columns: Sequence[Column], findings: Findings, file: str, line: int | None = 1
) -> dict[str, int] | None:
    """Which field holds which known column; None (and a finding each) when required ones are missing.

    Names must be spelled as documented. Of two columns of one name the first is used; unknown ones are ignored.
    """
    known = {column.name for column in columns}
    place: dict[str, int] = {}
    for at, name in enumerate(names):
        if name in known and name not in place:
            place[name] = at
    twice = [name for at, name in enumerate(names) if name in known and place[name] != at]
    findings.add_rows("duplicate_column", file, [line] * len(twice), lambda i: (twice[i], None))
    unknown = list(dict.fromkeys(name for name in names if name not in known))
    close = [get_close_matches(name.strip().lower(), known - place.keys(), 1) for name in unknown[:200]]

    def about(i: int) -> tuple[str, str | None]:
        guess = f"is ignored; perhaps {close[i][0]} was meant" if i < len(close) and close[i] else None
        return unknown[i], guess

    findings.add_rows("unknown_column", file, [line] * len(unknown), about)
    missing = [column.name for column in columns if column.required and column.name not in place]
    for name in missing:
        findings.add("missing_column", file, line=line, column=name)
    return None if missing else place


def parse_rows(
    raw: pl.DataFrame, columns: Sequence[Column], schema: Mapping[str, Any], findings: Findings, file: str
) -> pl.DataFrame:
    """The good rows of `raw` in `schema`, defaults filled in; a finding for every fault of every other row.

    `raw` holds known columns as they stand in the file (text or native types) and `line`; absent ones take defaults.
    Rows in which every known column is empty are blank lines and are passed over.
    """
    raw = raw.filter(~_blank(raw))
    lines = raw["line"].to_numpy()
    bad = _nowhere(raw)
    values: dict[str, pl.Series] = {}
    for column in columns:
        faulty = _nowhere(raw)
        if column.name in raw.columns:
            cells = raw[column.name]
            parsed, faults = parse(column, cells)
            for code, where, message in faults:
                if where.any():
                    rows = where.arg_true().to_numpy()

                    def about(i: int, rows=rows, cells=cells, message=message) -> tuple[str | None, str | None]:
                        return _as_written(cells[int(rows[i])]), message

                    findings.add_rows(code, file, lines[rows], about, column=column.name)
                    if findings.is_error(code):
                        faulty |= where
        else:
            parsed = pl.repeat(None, raw.height, dtype=pl.Null, eager=True)
        if column.required and column.default is None:
            empty = parsed.is_null() & ~faulty
            rows = lines[empty.to_numpy()]
            findings.add_rows("missing_value", file, rows, lambda _: (None, None), column=column.name)
            faulty |= empty
        bad |= faulty
        values[column.target] = parsed
    findings.leave_out(file, int(bad.sum()))
    good = pl.DataFrame(values | {"line": raw["line"]}).filter(~bad)
    good = good.select(pl.col(name).cast(dtype) for name, dtype in schema.items())
    defaults = {column.target: column.default for column in columns if column.default is not None}
    return good.with_columns(pl.col(name).fill_null(default) for name, default in defaults.items())


def tell(
    frame: pl.DataFrame,
    where: pl.Series,
    findings: Findings,
    file: str,
    code: str,
    *,
    column: str | None = None,
    shows: Sequence[str] = (),
    message: str | None = None,
    words: Callable[[Any], str] | None = None,
) -> None:
    """A finding for each row marked in `where`, showing what stands in `column` (or in all of `shows`).

    `words` writes a value the way the file does; without it numbers are written plainly.
    """
    if not where.any():
        return
    shown = list(shows) or ([column] if column else [])
    out = frame.select(*shown, "line").filter(where)

    def about(i: int) -> tuple[str | None, str | None]:
        cells = (out[name][i] for name in shown)
        return " ".join((words or _plain)(cell) for cell in cells if cell is not None) or None, message

    findings.add_rows(code, file, out["line"].to_numpy(), about, column=column)


def keep(frame: pl.DataFrame, good: pl.Series, findings: Findings, file: str, code: str, **how: Any) -> pl.DataFrame:
    """The rows that are good; a finding for each of the others, as `tell` tells them."""
    tell(frame, ~good, findings, file, code, **how)
    findings.leave_out(file, int((~good).sum()))
    return frame if good.all() else frame.filter(good)


def keep_first(frame: pl.DataFrame, key: Sequence[str], findings: Findings, file: str, code: str) -> pl.DataFrame:
    """The rows whose `key` has not stood before; a finding for each of the others."""
    whole = pl.col(key[0]) if len(key) == 1 else pl.struct(key)
    first = frame.select(whole.is_first_distinct()).to_series()
    return keep(frame, first, findings, file, code, column=key[0] if len(key) == 1 else None, shows=key)


def _plain(cell: Any) -> str:
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)


def _nowhere(frame: pl.DataFrame) -> pl.Series:
    return pl.repeat(False, frame.height, dtype=pl.Boolean, eager=True)


def _blank(raw: pl.DataFrame) -> pl.Series:
    """Rows in which no cell says anything."""
    blank = ~_nowhere(raw)
    for name in raw.columns:
        if name != "line" and blank.any():
            text = as_text(raw[name])
            blank &= (raw[name] if text is None else text).is_null()
    return blank


def _as_written(cell: Any) -> str | None:
    return None if cell is None else str(cell)
