"""CSV files as frames of text, a block at a time: good lines kept, faults of encoding, separator and shape told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import BinaryIO

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rookery.base.columns import match_header
from rookery.base.csvlines import BLOCK, Records, read_records, split_record
from rookery.base.kinds import Column
from rookery.base.notices import SHOWN, Findings

_WIDE = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")


def read_csv(
    stream: BinaryIO, file: str, columns: Sequence[Column], findings: Findings, block: int = BLOCK
) -> Iterator[pl.DataFrame]:
    """Frames of the known columns as text, with the `line` of each row; nothing when the file cannot be used."""
    if is_wide(stream):
        findings.add("wrong_encoding", file)
        return
    header: list[str] | None = None
    place: dict[str, int] = {}
    for records in read_records(stream, file, findings, block):
        first = 0
        if header is None:
            if not records.start.size:
                continue
            header = _header(records, file, columns, findings)
            found = None if header is None else match_header(header, columns, findings, file, int(records.line[0]))
            if header is None or found is None:
                return
            place, first = found, 1
        good = _sound(records, first, len(header), file, findings)
        yield _frame(records, good, len(header), place)
    if header is None:
        findings.add("empty_file", file)


def is_wide(stream: BinaryIO) -> bool:
    """Whether the text looks like UTF-16 or UTF-32: by its byte order mark, or every other byte being NUL."""
    begin = stream.read(256)
    stream.seek(0)
    return begin.startswith(_WIDE) or begin.count(0) > len(begin) * 0.4


def _header(records: Records, file: str, columns: Sequence[Column], findings: Findings) -> list[str] | None:
    line, raw = int(records.line[0]), records.data[records.start[0] : records.end[0]]
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        findings.add("invalid_utf8", file, line=line, value=raw.decode(errors="backslashreplace"))
        return None
    for separator, name in ((";", "semicolons"), ("\t", "tabs"), ("|", "vertical bars")):
        if text.count(separator) > text.count(","):
            names = {cell.strip(' "') for cell in text.split(separator)}
            if any(column.name in names for column in columns):
                message = f"fields are separated by {name}, not commas"
                findings.add("wrong_separator", file, line=line, value=text, message=message)
                return None
    return [name.strip() for name in split_record(raw)]


def _sound(records: Records, first: int, width: int, file: str, findings: Findings) -> NDArray[np.bool_]:
    """Which records can be read as rows of `width` fields; a finding for each of the others."""
    good = np.ones(records.start.size, np.bool_)
    good[:first] = False

    def leave_out(code: str, rows: NDArray[np.int64], told: str = "") -> None:
        def about(i: int) -> tuple[str, str | None]:
            row = rows[i]
            value = records.data[records.start[row] : records.end[row]][: 4 * SHOWN].decode(errors="backslashreplace")
            return value.replace("\0", "\\0"), told.format(int(records.fields[row]), width) or None

        findings.add_rows(code, file, records.line[rows], about)
        findings.leave_out(file, len(rows))
        good[rows] = False

    if b"\0" in records.data:
        at = np.flatnonzero(np.frombuffer(records.data, np.uint8) == 0)
        rows = np.unique(np.searchsorted(records.end, at))
        rows = rows[rows < good.size]
        leave_out("nul_byte", rows[good[rows]])
    broken = _not_utf8(records)
    leave_out("invalid_utf8", broken[good[broken]])
    told = "has {} fields where the header has {}"
    leave_out("too_few_fields", np.flatnonzero(good & (records.fields < width)), told)
    leave_out("too_many_fields", np.flatnonzero(good & (records.fields > width)), told)
    return good


def _not_utf8(records: Records) -> NDArray[np.int64]:
    """Records whose bytes are no UTF-8."""
    if records.data.isascii() or _decodes(records.data):
        return np.zeros(0, np.int64)
    cuts = zip(records.start.tolist(), records.end.tolist())
    return np.array([i for i, (start, end) in enumerate(cuts) if not _decodes(records.data[start:end])], np.int64)


def _decodes(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _frame(records: Records, good: NDArray[np.bool_], width: int, place: dict[str, int]) -> pl.DataFrame:
    """The good records' known fields as text, and their lines."""
    data = _joined(records, good)
    rows = int(good.sum())
    names = [f"f{at}" for at in range(width)]
    frame = pl.DataFrame(schema=dict.fromkeys(names, pl.String))
    if rows:
        frame = pl.read_csv(
            data,
            has_header=False,
            schema=dict.fromkeys(names, pl.String),
            columns=sorted(place.values()),
            infer_schema=False,
            quote_char='"' if b'"' in data else None,
        )
        if frame.height != rows:  # quoted line ends can mislead a reader that splits the text to share it out
            cuts = zip(records.start[good].tolist(), records.end[good].tolist())
            cells = [split_record(records.data[start:end]) for start, end in cuts]
            frame = pl.DataFrame(cells, schema=names, orient="row")
    lines = pl.Series(records.line[good], dtype=pl.Int64)
    return frame.select(pl.col(names[at]).alias(name) for name, at in place.items()).with_columns(line=lines)


def _joined(records: Records, good: NDArray[np.bool_]) -> bytes:
    """The bytes of the good records, each with its line end."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], good, [False]]).astype(np.int8)))
    runs = list(zip(edges[0::2].tolist(), edges[1::2].tolist()))
    # cutting at the next record's start would take blank lines along, so a run is broken where lines lie between
    pieces: list[bytes] = []
    for begin, end in runs:
        gaps = np.flatnonzero(records.start[begin + 1 : end] != records.end[begin : end - 1] + 1) + begin + 1
        for a, b in zip([begin, *gaps.tolist()], [*gaps.tolist(), end]):
            pieces.append(records.data[records.start[a] : records.end[b - 1] + 1])
    if pieces and pieces[-1][-1:] != b"\n":
        pieces[-1] += b"\n"
    return b"".join(pieces)
