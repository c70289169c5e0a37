"""Months of events as Parquet files: what stands in them, how they are written, and whether they hold what they should.

Each file is sorted, so that few of its groups of rows are read for one thing (epcs) or one mark (events), and a month's
files follow one another in that order.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import polars as pl

from rookery.terms.errors import Unavailable

Kind = Literal["events", "epcs"]
AT = pl.Datetime("us", "UTC")
FILE_ROWS = 100_000
GROUP_ROWS = 8_192
_TYPES: dict[str, Any] = {
    "timestamptz": AT, "bigint": pl.Int64, "integer": pl.Int64, "smallint": pl.Int64, "boolean": pl.Boolean,
    "bytea": pl.Binary,
}  # fmt: skip
COLUMNS: Mapping[Kind, Mapping[str, str]] = MappingProxyType(
    {
        "events": {
            "event_no": "bigint", "event_at": "timestamptz", "record_at": "timestamptz", "party_id": "text",
            "test": "boolean", "mark": "bytea", "declared_at": "timestamptz", "hash": "bytea", "event_id": "text",
            "type": "text", "action": "text", "biz_step": "text", "disposition": "text", "read_point": "text",
            "biz_location": "text", "capture_id": "text", "epcs": "integer", "doubt": "text", "body": "jsonb",
            "batch_no": "bigint",
        },
        "epcs": {
            "event_no": "bigint", "role": "smallint", "place": "integer", "event_at": "timestamptz", "epc": "text",
            "as_sent": "text", "parent": "text", "action": "text", "status": "tracking.status", "detail": "text",
            "party_id": "text", "standing": "smallint", "withdrawn": "boolean", "doubt": "boolean",
            "parcel_id": "text", "owner_id": "text", "test": "boolean",
        },
    }
)  # fmt: skip
"""The tables' own columns with their PostgreSQL types; no declaration (-infinity) is null."""
LATER = frozenset({"batch_no"})
"""Columns that older files do not have. Where they are null, a row's content is what it was without them."""
OF_EVENT: Mapping[str, str] = MappingProxyType({"mark": "bytea", "location": "text"})
"""What files of epcs have besides, of the event: its mark, and where it was (bizLocation, else readPoint)."""
KEYS: Mapping[Kind, str] = MappingProxyType({"events": "mark", "epcs": "epc"})
_APART, _NULL = "\x1f", "\x1e"


@dataclass(frozen=True)
class Written:
    """One file: how many rows and bytes, SHA-256 of it and of its content, and its first and last key."""

    name: str
    kind: Kind
    rows: int
    bytes: int
    sha256: bytes
    content: Content
    first: str
    last: str


@dataclass(frozen=True)
class Content:
    """Of rows in whatever order: how many, and sums of two parts of each row's MD5; they add up over files."""

    rows: int = 0
    low: int = 0
    high: int = 0

    def __add__(self, other: Content) -> Content:
        return Content(self.rows + other.rows, self.low + other.low, self.high + other.high)

    def __str__(self) -> str:
        return f"{self.rows}-{self.low:x}-{self.high:x}"


def named(month: date) -> str:
    """A month as its folder is called: yyyy-mm."""
    return month.isoformat()[:7]


def schema_of(kind: Kind) -> dict[str, Any]:
    """A file's columns with their Polars types."""
    columns = {**COLUMNS[kind], **(OF_EVENT if kind == "epcs" else {})}
    return {name: _TYPES.get(told, pl.String) for name, told in columns.items()}


def row_text(kind: Kind, alias: str) -> str:
    """SQL for a row as the text whose MD5 counts: the same that `content_of` takes."""
    texts = {
        "timestamptz": "(extract(epoch from nullif({}, '-infinity')) * 1000000)::bigint::text",
        "bytea": "encode({}, 'hex')",
    }
    parts = []
    for name, told in COLUMNS[kind].items():
        part = texts.get(told, "{}::text").format(f"{alias}.{name}")
        parts.append(part if name in LATER else f"coalesce({part}, chr(30))")  # concat_ws leaves out what is null
    return f"concat_ws(chr(31), {', '.join(parts)})"


def content_of(kind: Kind, frame: pl.DataFrame) -> Content:
    """The content of rows (columns COLUMNS)."""
    texts = []
    for name, told in COLUMNS[kind].items():
        text = pl.col(name)
        if told == "timestamptz":
            text = text.dt.epoch("us")
        elif told == "bytea":
            text = text.bin.encode("hex")
        text = text.cast(pl.String)
        texts.append(text if name in LATER else text.fill_null(_NULL))
    low = high = 0
    for row in frame.select(pl.concat_str(texts, separator=_APART, ignore_nulls=True)).to_series():
        digest = hashlib.md5(row.encode(), usedforsecurity=False).hexdigest()
        low += int(digest[:15], 16)
        high += int(digest[-15:], 16)
    return Content(frame.height, low, high)


def content_sql(kind: Kind, source: str) -> str:
    """SQL for the content of the rows of `source`, a FROM item called t."""
    return (
        "select count(*), coalesce(sum(('x' || left(digest, 15))::bit(60)::bigint), 0)::text,"
        " coalesce(sum(('x' || right(digest, 15))::bit(60)::bigint), 0)::text"
        f" from (select md5({row_text(kind, 't')}) as digest from {source}) d"
    )


def key_text(kind: Kind, value: Any) -> str:
    """A key as it is noted."""
    return value.hex() if kind == "events" else value


def write(folder: Path, kind: Kind, number: int, frames: Iterable[pl.DataFrame]) -> Iterator[Written]:
    """Sorted rows as files of FILE_ROWS, numbered from `number` on; each is whole, on the disk and read back when it is
    told. Files are the owner's alone (0600), as is their folder (0700).
    """
    for frame in _portions(frames):
        yield _write_one(folder, kind, f"{number}-{kind}.parquet", frame)
        number += 1


def _portions(frames: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    waiting: list[pl.DataFrame] = []
    for frame in frames:
        waiting.append(frame)
        if sum(one.height for one in waiting) >= FILE_ROWS:
            yield pl.concat(waiting)
            waiting = []
    if waiting:
        yield pl.concat(waiting)


def _write_one(folder: Path, kind: Kind, name: str, frame: pl.DataFrame) -> Written:
    for made in (folder.parent.parent, folder.parent, folder):
        made.mkdir(parents=True, exist_ok=True, mode=0o700)
        made.chmod(0o700)
    aside = folder / f".{name}.part"
    with suppress(FileNotFoundError):
        aside.unlink()
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        frame.write_parquet(stream, compression="zstd", row_group_size=GROUP_ROWS, statistics=True)
        stream.flush()
        os.fsync(stream.fileno())
    aside.rename(folder / name)
    for made in (folder, folder.parent, folder.parent.parent):
        _sync(made)
    sha256, size = digest_of(folder / name)
    back = read(folder / name, kind)
    keys = back[KEYS[kind]]
    first, last = (key_text(kind, keys[place]) for place in (0, -1))
    return Written(name, kind, back.height, size, sha256, content_of(kind, back), first, last)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def digest_of(file: Path) -> tuple[bytes, int]:
    """SHA-256 of a file and its length. Raises Unavailable when it cannot be read."""
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").digest(), os.fstat(stream.fileno()).st_size
    except OSError as fault:
        raise unreadable(file, fault) from None


def read(file: Path, kind: Kind, wanted: pl.Expr | None = None) -> pl.DataFrame:
    """A file's rows of a kind, or those wanted. Raises Unavailable when it cannot be read."""
    try:
        rows = pl.scan_parquet(file, glob=False)
        found = (rows if wanted is None else rows.filter(wanted)).collect()
        lacking = {name: pl.lit(None, told) for name, told in schema_of(kind).items() if name in LATER}
        return found.with_columns(**{name: none for name, none in lacking.items() if name not in found.columns})
    except (OSError, pl.exceptions.PolarsError) as fault:
        raise unreadable(file, fault) from None


def unreadable(file: Path, fault: Exception) -> Unavailable:
    """That an archived file is not there, or none: said rather than answered without what is in it."""
    why = getattr(fault, "strerror", None) or "it is no Parquet file"
    return Unavailable(
        "archive.unreadable",
        f"The archived file {file.parent.name}/{file.name} cannot be read: {why}.",
        "bring the folder archive/tracking back from a copy, then: rookery archive verify",
    )
