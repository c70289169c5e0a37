"""Files of rows, whatever their form (CSV, Parquet, JSON lines), read into typed frames with every fault told."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import polars as pl

from rookery.base.columns import match_header, parse_rows
from rookery.base.csvlines import MAX_RECORD
from rookery.base.csvtext import is_wide, read_csv
from rookery.base.files import irregular
from rookery.base.kinds import Column
from rookery.base.notices import FILE_CODES, Findings

MAX_BYTES = 4 << 30
MAX_ROWS = 50_000_000
_BATCH = 100_000  # JSON lines turned into columns at a time
_SLICE = 2_000_000  # Parquet rows decoded at a time


def read_table(
    path: Path, file: str, columns: Sequence[Column], schema: Mapping[str, Any], findings: Findings
) -> pl.DataFrame | None:
    """The good rows of one file (.csv, .parquet, .jsonl) in `schema`, in file order; None when it cannot be used.

    `file` is what notices call it. Files over 4 GiB or 50 million rows are refused. Never raises for what is in it.
    """
    frames: list[pl.DataFrame] = []
    try:
        if why := irregular(path):
            findings.add("unreadable_file", file, message=why)
            return None
        if path.stat().st_size > MAX_BYTES:
            size = f"{path.stat().st_size:,} bytes"
            findings.add("file_too_large", file, value=size, message=f"files up to {MAX_BYTES:,} bytes are read")
            return None
        rows = 0
        for raw in _blocks(path, file, columns, findings):
            rows += raw.height
            frames.append(parse_rows(raw, columns, schema, findings, file))
            if rows > MAX_ROWS:
                findings.add("file_too_large", file, message=f"files up to {MAX_ROWS:,} rows are read")
                return None
    except OSError as fault:
        findings.add("unreadable_file", file, message=f"cannot be read: {fault.strerror or fault}")
        return None
    if frames and not rows:
        findings.add("no_rows", file)
    return pl.concat(frames) if frames else None


def sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, as hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _blocks(path: Path, file: str, columns: Sequence[Column], findings: Findings) -> Iterator[pl.DataFrame]:
    """Frames of raw cells; none when the file cannot be used, one without rows when it only has no rows."""
    if path.suffix.lower() == ".parquet":
        yield from _read_parquet(path, file, columns, findings)
        return
    reader = read_csv if path.suffix.lower() == ".csv" else _read_json_lines
    with path.open("rb") as stream:
        yield from reader(stream, file, columns, findings)


def _read_parquet(path: Path, file: str, columns: Sequence[Column], findings: Findings) -> Iterator[pl.DataFrame]:
    if path.stat().st_size == 0:
        findings.add("empty_file", file)
        return
    try:
        lazy = pl.scan_parquet(path, glob=False, hive_partitioning=False)
        names = lazy.collect_schema().names()
        place = match_header(names, columns, findings, file, None)
        if place is None:
            return
        rows = int(lazy.select(pl.len()).collect().item())
        if not rows:
            yield lazy.select(*place).collect().with_columns(line=pl.Series([], dtype=pl.Int64))
        for first in range(0, min(rows, MAX_ROWS + 1), _SLICE):
            raw = lazy.select(*place).slice(first, _SLICE).collect()
            yield raw.with_columns(line=pl.int_range(first + 2, first + 2 + raw.height, dtype=pl.Int64))
    # a damaged file can make the decoder panic, which is no Exception
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError) as fault:
        findings.add("unreadable_file", file, message=f"is no readable Parquet: {_first_line(fault)}")


def _read_json_lines(
    stream: BinaryIO, file: str, columns: Sequence[Column], findings: Findings
) -> Iterator[pl.DataFrame]:
    if is_wide(stream):
        findings.add("wrong_encoding", file)
        return
    names = [column.name for column in columns]
    known = set(names)
    strangers: dict[str, int] = {}
    rows: list[list[Any]] = []
    lines: list[int] = []
    line = 0
    while text := stream.readline(MAX_RECORD):
        line += 1
        if len(text) == MAX_RECORD and not text.endswith(b"\n"):
            findings.add("line_too_long", file, line=line)
            findings.leave_out(file, 1)
            while (more := stream.readline(MAX_RECORD)) and not more.endswith(b"\n"):
                pass
            continue
        row = _json_object(text.removeprefix(b"\xef\xbb\xbf") if line == 1 else text, file, line, findings)
        if row is None:
            continue
        if not row.keys() <= known:
            for name in row.keys() - known - strangers.keys():
                if len(strangers) <= FILE_CODES["unknown_column"].listed:  # keys made up line by line have no end
                    strangers[name] = line
        rows.append([row.get(name) for name in names])
        lines.append(line)
        if len(rows) == _BATCH:
            yield _text_frame(rows, lines, names, file, findings)
            rows, lines = [], []
    if not line:
        findings.add("empty_file", file)
        return
    for name, first in strangers.items():
        findings.add("unknown_column", file, line=first, value=name)
    yield _text_frame(rows, lines, names, file, findings)


def _json_object(text: bytes, file: str, line: int, findings: Findings) -> dict[str, Any] | None:
    """The object on a line; None when there is none, with a finding unless the line is blank."""
    try:
        row = msgspec.json.decode(text)
    except (UnicodeDecodeError, msgspec.DecodeError, RecursionError) as fault:
        if not text.strip():
            return None
        value, code, message = text.decode(errors="backslashreplace").rstrip(), "invalid_utf8", None
        with suppress(UnicodeDecodeError):
            text.decode()  # whatever msgspec calls it
            code, message = "bad_json", f"is no JSON object: {_first_line(fault)}"
        findings.add(code, file, line=line, value=value, message=message)
        findings.leave_out(file, 1)
        return None
    if not isinstance(row, dict):
        findings.add("bad_json", file, line=line, value=text.decode(errors="backslashreplace").rstrip())
        findings.leave_out(file, 1)
        return None
    return row


def _text_frame(
    rows: list[list[Any]], lines: list[int], names: Sequence[str], file: str, findings: Findings
) -> pl.DataFrame:
    """The rows' cells as text, without the rows that hold a list or an object."""
    cells: dict[str, list[str | None]] = {}
    nested: set[int] = set()
    for at, name in enumerate(names):
        column = [row[at] for row in rows]
        types = set(map(type, column))
        if types & {dict, list}:
            for i in [i for i, cell in enumerate(column) if isinstance(cell, (dict, list))]:
                nested.add(i)
                value = "{…}" if isinstance(column[i], dict) else "[…]"
                findings.add("nested_value", file, line=lines[i], column=name, value=value)
                column[i] = None
        if types - {str, type(None)}:
            column = [cell if cell is None else str(cell) for cell in column]
        cells[name] = column
    findings.leave_out(file, len(nested))
    schema = dict.fromkeys(names, pl.String) | {"line": pl.Int64}
    frame = pl.DataFrame(cells | {"line": lines}, schema=schema)
    return frame.filter(~pl.int_range(pl.len()).is_in(sorted(nested)))


def _first_line(fault: BaseException) -> str:
    return str(fault).strip().split("\n")[0][:200] or type(fault).__name__
