"""The records of a CSV file, a block at a time: where each begins, on which line, and how many fields it has.

Follows RFC 4180 strictly (a quote stands at the edge of its field, or doubled inside quotes), so that a stray quote is
told on its own line and does not swallow what follows. Memory stays at a few blocks, however large the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from rookery.base.notices import Findings

BLOCK = 32 << 20
MAX_RECORD = 1 << 20
"""A record longer than this is a fault: a quote or a line end is missing."""
QUOTE, COMMA, NEWLINE, RETURN = b'",\n\r'

_FIELD = rb'(?:"[^"]*+(?:""[^"]*+)*+"|[^",\n]*+)'
_CELL = re.compile(rb"(?:^|,)(" + _FIELD + rb")")
_RECORD = re.compile(_FIELD + rb"(?:," + _FIELD + rb")*+\r?(?:\n|\Z)")


@dataclass(frozen=True)
class Records:
    """Consecutive records of a file: `data[start[i] : end[i]]`, its line and number of fields, line ends left out."""

    data: bytes
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    line: NDArray[np.int64]
    fields: NDArray[np.int64]


def read_records(stream: BinaryIO, file: str, findings: Findings, block: int = BLOCK) -> Iterator[Records]:
    """Every well-formed record of the stream in order, blank lines left out; a finding for every malformed line."""
    line = 1
    rest = b""
    skipping = False  # inside a line that is too long
    for chunk, last in _chunks(stream, block):
        if skipping:
            at = chunk.find(b"\n")
            if at < 0:
                continue
            chunk, skipping, line = chunk[at + 1 :], False, line + 1
        data = rest + chunk
        whole, rest = _cut(data, last)
        if not _well_formed(whole, last) or len(rest) > MAX_RECORD:
            whole, rest, skipping = _without_malformed(data, last, line, file, findings)
        yield _records(whole, line)
        line += whole.count(b"\n")


def split_record(record: bytes) -> list[str]:
    """The fields of one well-formed record, quotes taken off."""
    cells = [found[1] for found in _CELL.finditer(record.rstrip(b"\r"))]
    return [(cell[1:-1].replace(b'""', b'"') if cell[:1] == b'"' else cell).decode() for cell in cells]


def _chunks(stream: BinaryIO, block: int) -> Iterator[tuple[bytes, bool]]:
    """The stream's bytes, a block at a time, and whether it is the last one.

    A byte order mark is left out; where lines end in a lone carriage return, a line feed is put instead.
    """
    chunk = stream.read(max(block, 3)).removeprefix(b"\xef\xbb\xbf")
    following = stream.read(block)
    cut_in_two = chunk.endswith(b"\r") and following.startswith(b"\n")  # one line end, half in each block
    old_ends = b"\n" not in chunk and b"\r" in chunk and not cut_in_two
    while chunk or following:
        yield chunk.replace(b"\r", b"\n") if old_ends else chunk, not following
        chunk, following = following, stream.read(block)


def _inside_quotes(buffer: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Whether each byte lies inside quotes, by counting the quotes up to and with it."""
    return np.bitwise_xor.accumulate((buffer == QUOTE).view(np.uint8)).view(np.bool_)


def _cut(data: bytes, last: bool) -> tuple[bytes, bytes]:
    """Whole records, and what may go on in the next block."""
    if last:
        return data, b""
    if data.find(b'"') < 0:
        at = data.rfind(b"\n") + 1
    else:
        buffer = np.frombuffer(data, np.uint8)
        ends = np.flatnonzero((buffer == NEWLINE) & ~_inside_quotes(buffer))
        at = int(ends[-1]) + 1 if ends.size else 0
    return data[:at], data[at:]


def _well_formed(data: bytes, last: bool) -> bool:
    """Whether every quote opens or closes a field, or is doubled inside one."""
    if data.find(b'"') < 0:
        return True
    buffer = np.frombuffer(data, np.uint8)
    quotes = np.flatnonzero(buffer == QUOTE)
    if quotes.size % 2:
        return False
    before = _byte(buffer, quotes[0::2] - 1)
    after, second = _byte(buffer, quotes[1::2] + 1), _byte(buffer, quotes[1::2] + 2)
    opens = (before == COMMA) | (before == NEWLINE) | (before == QUOTE)
    closes = (after == COMMA) | (after == NEWLINE) | (after == QUOTE) | ((after == RETURN) & (second == NEWLINE))
    return bool(opens.all() and closes.all())


def _byte(buffer: NDArray[np.uint8], at: NDArray[np.int64]) -> NDArray[np.uint8]:
    """The bytes at these places; a line end before the first and after the last one."""
    within = (at >= 0) & (at < buffer.size)
    return np.where(within, buffer[np.where(within, at, 0)], NEWLINE)


def _without_malformed(data: bytes, last: bool, line: int, file: str, findings: Findings) -> tuple[bytes, bytes, bool]:
    """Whole records with malformed lines made blank (and told), what may go on in the next block, and whether
    the block ends inside a line that is being skipped."""
    kept: list[bytes] = []
    at = 0
    while at < len(data):
        found = _RECORD.match(data, at)
        end = found.end() if found else -1
        if found and end - at <= MAX_RECORD and (last or data[end - 1] == NEWLINE):
            kept.append(data[at:end])
            line += data.count(b"\n", at, end)
            at = end
            continue
        if not last and len(data) - at <= MAX_RECORD:
            return b"".join(kept), data[at:], False
        end = data.find(b"\n", at) + 1 or len(data)
        text = data[at:end].decode(errors="replace").rstrip("\r\n")
        findings.add("bad_quoting" if '"' in text else "line_too_long", file, line=line, value=text)
        findings.leave_out(file, 1)
        if data[end - 1] != NEWLINE:
            return b"".join(kept), b"", not last
        kept.append(b"\n")
        line += 1
        at = end
    return b"".join(kept), b"", False


def _records(data: bytes, line: int) -> Records:
    buffer = np.frombuffer(data, np.uint8)
    newlines = np.flatnonzero(buffer == NEWLINE)
    commas = buffer == COMMA
    if data.find(b'"') >= 0:
        inside = _inside_quotes(buffer)
        commas &= ~inside
        ordinal = np.flatnonzero(~inside[newlines])
    else:
        ordinal = np.arange(newlines.size)
    end = newlines[ordinal]
    if buffer.size and (not end.size or end[-1] != buffer.size - 1):
        end = np.append(end, buffer.size)
        ordinal = np.append(ordinal, newlines.size)
    start = np.concatenate([[0], end[:-1] + 1]) if end.size else end
    first_line = np.concatenate([[0], ordinal[:-1] + 1]) + line if end.size else end
    fields = 1 + np.diff(np.searchsorted(np.flatnonzero(commas), end), prepend=0)
    blank = fields == 1
    for i in np.flatnonzero(blank & (end > start)):
        blank[i] = not data[start[i] : end[i]].strip()
    said = ~blank
    return Records(data, start[said], end[said], first_line[said], fields[said])
