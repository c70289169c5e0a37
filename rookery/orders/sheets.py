"""The order file's cells as written, people and items included, whatever its form. What reads it is `intake.judge`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import polars as pl
from msgspec.structs import replace

from rookery.base.columns import match_header
from rookery.base.csvlines import MAX_RECORD, read_records, split_record
from rookery.base.csvtext import is_wide, read_csv
from rookery.base.files import irregular
from rookery.base.notices import Findings
from rookery.base.tables import MAX_BYTES
from rookery.orders.intake_model import INTAKE_COLUMNS, INTAKE_NOTICES
from rookery.orders.model import NESTED
from rookery.terms.errors import InvalidInput
from rookery.terms.notice import Notice

_BATCH = 50_000
_NAMES = [column.name for column in INTAKE_COLUMNS]
FORMS = (".csv", ".parquet", ".jsonl")


def read_sheet(path: Path, name: str | None = None) -> tuple[pl.DataFrame, tuple[Notice, ...]]:
    """The cells of an order file (.csv, .parquet, .jsonl) as written, with the line of each row, and what is wrong
    with lines that are no rows. Notices show no value: it could be a person's.

    name: what notices call the file, and what its form is told by. Raises InvalidInput, holding every notice, when it
    cannot be read at all or holds no row.
    """
    name = name or path.name
    findings = Findings(INTAKE_NOTICES)
    frames: list[pl.DataFrame] = []
    if why := irregular(path):
        findings.add("unreadable_file", name, message=why)
    elif path.stat().st_size > MAX_BYTES:
        findings.add("file_too_large", name, message=f"files up to {MAX_BYTES:,} bytes are read")
    elif not name.lower().endswith(FORMS):
        findings.add("unreadable_file", name, message=f"its name does not end in {', '.join(FORMS)}")
    elif name.lower().endswith(".parquet"):
        frames = _read_parquet(path, name, findings)
    else:
        reader = read_csv if name.lower().endswith(".csv") else _read_json_lines
        with path.open("rb") as stream:
            frames = list(reader(stream, name, INTAKE_COLUMNS, findings))
    notices = _without_values(findings.notices(), path, name)
    if not any(frame.height for frame in frames):
        raise InvalidInput("orders.unusable", f"{name} holds no order.", "correct what is listed", notices)
    return pl.concat(frames, how="vertical_relaxed"), notices


def _without_values(notices: tuple[Notice, ...], path: Path, name: str) -> tuple[Notice, ...]:
    """Notices that show nothing of the file. Where the header is missing, what seems to be a column's name may be a
    person's, so that an unknown column is called by its place.
    """
    places: Iterator[int] = iter(())
    if any(notice.code == "unknown_column" for notice in notices):
        names = _header(path, name)
        places = iter([names.index(one) for one in dict.fromkeys(names) if one not in _NAMES])
    told = []
    for notice in notices:
        if notice.code == "unknown_column":
            notice = replace(notice, column=f"column {next(places) + 1}")
        elif notice.code == "duplicate_column":
            notice = replace(notice, column=notice.value)  # a name that is known
        told.append(replace(notice, value=None))
    return tuple(told)


def _header(path: Path, name: str) -> list[str]:
    """The columns' names of a file whose header could be read."""
    if name.lower().endswith(".parquet"):
        return pl.scan_parquet(path, glob=False, hive_partitioning=False).collect_schema().names()
    with path.open("rb") as stream:
        blocks = read_records(stream, name, Findings(INTAKE_NOTICES))
        records = next(block for block in blocks if block.start.size)
    return [cell.strip() for cell in split_record(records.data[records.start[0] : records.end[0]])]


# Out of these bounds there is no such day or time of day in Python or CSV; Parquet holds them all the same.
_BOUNDS: dict[type[pl.DataType], tuple[Any, Any]] = {
    pl.Datetime: (datetime(1, 1, 2), datetime(9999, 12, 30)),
    pl.Date: (date(1, 1, 2), date(9999, 12, 30)),
}


def _read_parquet(path: Path, name: str, findings: Findings) -> list[pl.DataFrame]:
    try:
        lazy = pl.scan_parquet(path, glob=False, hive_partitioning=False)
        place = match_header(lazy.collect_schema().names(), INTAKE_COLUMNS, findings, name, None)
        if place is None:
            return []
        if _untyped(lazy.collect_schema(), place, name, findings):
            return []
        frame = lazy.select(*place).collect()
    # a damaged file can make the decoder panic, which is no Exception
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError):
        findings.add("unreadable_file", name, message="is no readable Parquet")
        return []
    frame = _within_time(frame.with_columns(line=pl.int_range(2, 2 + frame.height, dtype=pl.Int64)), name, findings)
    nested = [column for column in NESTED if column in place and frame.schema[column].is_nested()]
    for column in nested:
        texts = [None if cell is None else _as_json(cell) for cell in frame[column].to_list()]
        frame = frame.with_columns(pl.Series(column, texts, dtype=pl.String))
    return [frame]


def _untyped(schema: Mapping[str, pl.DataType], columns: Iterable[str], name: str, findings: Findings) -> bool:
    """Whether columns are of types that no cell of an order file can be read from; each is told."""
    bad = [
        column
        for column in columns
        if schema[column] in (pl.Binary, pl.Duration, pl.Object)
        or (schema[column].is_nested() and column not in NESTED)
    ]
    for column in bad:
        findings.add("column_type", name, column=column, message=f"the column holds {schema[column]}")
    return bool(bad)


def _within_time(frame: pl.DataFrame, name: str, findings: Findings) -> pl.DataFrame:
    """The rows whose dates and times are ones; the others are told."""
    for column, dtype in frame.schema.items():
        if dtype.base_type() not in _BOUNDS:
            continue
        first, last = (
            pl.Series([bound]).cast(_zoneless(dtype)).to_physical()[0] for bound in _BOUNDS[dtype.base_type()]
        )
        outside = ~frame[column].to_physical().is_between(first, last).fill_null(True)
        findings.add_rows("bad_timestamp", name, frame["line"].filter(outside).to_list(), _nothing, column=column)
        frame = frame.filter(~outside)
    return frame


def _zoneless(dtype: pl.DataType) -> pl.DataType:
    return pl.Datetime(dtype.time_unit) if isinstance(dtype, pl.Datetime) else dtype


def _nothing(_: int) -> tuple[None, None]:
    return None, None


def _read_json_lines(stream: BinaryIO, name: str, _: object, findings: Findings) -> Iterator[pl.DataFrame]:
    if is_wide(stream):
        findings.add("wrong_encoding", name)
        return
    rows: list[dict[str, str | None]] = []
    lines: list[int] = []
    line = 0
    while text := stream.readline(MAX_RECORD):
        line += 1
        if len(text) == MAX_RECORD and not text.endswith(b"\n"):
            findings.add("line_too_long", name, line=line)
            while (more := stream.readline(MAX_RECORD)) and not more.endswith(b"\n"):
                pass
            continue
        row = _object(text.removeprefix(b"\xef\xbb\xbf") if line == 1 else text, line, name, findings)
        if row is not None:
            rows.append(row)
            lines.append(line)
        if len(rows) == _BATCH:
            yield _frame(rows, lines)
            rows, lines = [], []
    if rows:
        yield _frame(rows, lines)


def _object(text: bytes, line: int, name: str, findings: Findings) -> dict[str, str | None] | None:
    """The known cells of a line's object as text; None when there is none (told, unless the line is blank)."""
    if not text.strip():
        return None
    try:
        row = msgspec.json.decode(text)
    except UnicodeDecodeError:
        findings.add("invalid_utf8", name, line=line)
        return None
    except (msgspec.DecodeError, RecursionError):
        row = None
    if not isinstance(row, dict):
        findings.add("bad_json", name, line=line)
        return None
    cells: dict[str, str | None] = {}
    for column in _NAMES:
        cell = row.get(column)
        if isinstance(cell, (list, dict)):
            if column not in NESTED:
                findings.add("nested_value", name, line=line, column=column)
                return None
            cell = _as_json(cell)
        cells[column] = cell if cell is None or isinstance(cell, str) else str(cell)
    return cells


def _frame(rows: list[dict[str, str | None]], lines: list[int]) -> pl.DataFrame:
    cells = {name: [row[name] for row in rows] for name in _NAMES}
    schema = dict.fromkeys(_NAMES, pl.String) | {"line": pl.Int64}
    return pl.DataFrame(cells | {"line": lines}, schema=schema)


def _as_json(cell: Any) -> str:
    """A list or object of a file as the JSON text that a CSV cell would hold; fields without a value are left out."""
    if isinstance(cell, list):
        cell = [
            {key: value for key, value in entry.items() if value is not None} if isinstance(entry, dict) else entry
            for entry in cell
        ]
    return msgspec.json.encode(cell).decode()
