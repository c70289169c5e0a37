"""What the text of one cell may mean: each kind of value read from a whole column at once, strictly.

A kind takes the column as it stands in the file (text, or a native Parquet type) and gives typed values, null where the
cell is empty or faulty, and the faults. Blanks around text are stripped; nothing else is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime
from typing import Any, Literal, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import polars as pl
from msgspec import Struct

from rookery.terms.time import DAY, day_number, from_minute

Kind = Literal[
    "text",
    "country",
    "currency",
    "postal",
    "timezone",
    "word",
    "words",
    "number",
    "whole",
    "clock",
    "date",
    "flag",
    "instant",
]


class Column(Struct, frozen=True):
    """What a column of a file may hold, and what it is called once read.

    `required`: the column must be in the header; its cells may be empty only where a `default` is given. Bounds are
    inclusive, `above` is exclusive. `words` is the vocabulary of the kinds `word` and `words`. An `instant` with
    seconds is rounded to the minute before, or after when `round_up`.
    """

    name: str
    kind: Kind
    required: bool = False
    default: Any = None
    low: float | None = None
    above: float | None = None
    high: float | None = None
    words: tuple[str, ...] = ()
    round_up: bool = False
    becomes: str = ""

    @property
    def target(self) -> str:
        """The column's name once read."""
        return self.becomes or self.name


class Fault(NamedTuple):
    """Cells of one column that share a finding: its code, where (Boolean, one per row), what is said of it."""

    code: str
    where: pl.Series
    message: str | None = None


Parsed = tuple[pl.Series, list[Fault]]
FIRST_AT, LAST_AT = 0, (day_number(date(2200, 1, 1))) * DAY
"""Instants are of the years 1970 to 2199."""


def parse(column: Column, raw: pl.Series) -> Parsed:
    """The typed values of a column, null where the cell is empty or has an error, and the faults."""
    return _KINDS[column.kind](column, raw)


def minute_text(minute: int) -> str:
    """A UTC minute the way files write it: `YYYY-MM-DDTHH:MMZ`."""
    return f"{from_minute(minute):%Y-%m-%dT%H:%MZ}"


def as_text(raw: pl.Series) -> pl.Series | None:
    """A column as text without surrounding blanks, null where nothing is left; None when its type is not text."""
    if raw.dtype in (pl.Categorical, pl.Enum) or raw.dtype.is_integer() or raw.dtype == pl.Null:
        raw = raw.cast(pl.String)
    if raw.dtype != pl.String:
        return None
    stripped = raw.str.strip_chars()
    return stripped.set(stripped == "", None)


def _of_text(read: Callable[[Column, pl.Series], Parsed]) -> Callable[[Column, pl.Series], Parsed]:
    """A kind that is read from text; a native type that is no text makes every filled cell a fault."""

    def parse_text(column: Column, raw: pl.Series) -> Parsed:
        text = as_text(raw)
        if text is None:
            where = raw.is_not_null()
            return pl.repeat(None, raw.len(), dtype=pl.String, eager=True), [
                Fault("column_type", where, f"the column holds {raw.dtype}")
            ]
        return read(column, text)

    return parse_text


def _by_distinct(text: pl.Series, read: Callable[[str], Any], dtype: Any) -> pl.Series:
    """Each text through `read`, once per distinct text: for columns that repeat a few values."""
    distinct = text.drop_nulls().unique()
    known = pl.DataFrame({"text": distinct, "value": pl.Series([read(word) for word in distinct], dtype=dtype)})
    return text.alias("text").to_frame().join(known, on="text", how="left", maintain_order="left")["value"]


def _checked(code: str, text: pl.Series, values: pl.Series, message: str | None = None) -> Parsed:
    """Values, with a fault wherever there is a text and no value."""
    return values, [Fault(code, text.is_not_null() & values.is_null(), message)]


def _text(column: Column, text: pl.Series) -> Parsed:
    return text, []


def _country(column: Column, text: pl.Series) -> Parsed:
    return _checked("bad_country", text, _by_distinct(text.str.to_uppercase(), _letters(2), pl.String))


def _currency(column: Column, text: pl.Series) -> Parsed:
    return _checked("bad_currency", text, _by_distinct(text.str.to_uppercase(), _letters(3), pl.String))


def _letters(count: int) -> Callable[[str], str | None]:
    shape = re.compile(rf"[A-Z]{{{count}}}")
    return lambda word: word if shape.fullmatch(word) else None


def _postal(column: Column, raw: pl.Series) -> Parsed:
    """A postal code or the beginning of one, as it is compared: upper case, without blanks and hyphens."""
    values, faults = _of_text(lambda _, text: (text, []))(column, raw)
    if raw.dtype.is_integer():
        faults = [Fault("numeric_postal_code", raw.is_not_null())]
    return values.str.replace_all(r"[\s\-]", "").str.to_uppercase(), faults


def _timezone(column: Column, text: pl.Series) -> Parsed:
    return _checked("unknown_timezone", text, _by_distinct(text, _known_zone, pl.String))


def _known_zone(name: str) -> str | None:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # a folder of zones is an OSError, a path a ValueError
        return None
    return name


def _word(column: Column, text: pl.Series) -> Parsed:
    values = text.set(~text.is_in(list(column.words)), None)
    return _checked("unknown_word", text, values, f"must be one of {', '.join(column.words)}")


def _words(column: Column, raw: pl.Series) -> Parsed:
    if raw.dtype == pl.List(pl.String):
        raw = raw.list.join("|")

    def read(words: str) -> list[str] | None:
        found = dict.fromkeys(word.strip() for word in words.split("|"))
        found.pop("", None)
        return list(found) if found and all(word in column.words for word in found) else None

    def read_all(_: Column, text: pl.Series) -> Parsed:
        values = _by_distinct(text, read, pl.List(pl.String))
        return _checked("unknown_word", text, values, f"must be words out of {', '.join(column.words)}, with | between")

    return _of_text(read_all)(column, raw)


def _number(column: Column, raw: pl.Series) -> Parsed:
    if raw.dtype.is_numeric():
        present, values = raw.is_not_null(), raw.cast(pl.Float64)
    else:
        text = as_text(raw)
        if text is None:
            where = raw.is_not_null()
            empty = pl.repeat(None, raw.len(), dtype=pl.Float64, eager=True)
            return empty, [Fault("column_type", where, f"the column holds {raw.dtype}")]
        present, values = text.is_not_null(), text.cast(pl.Float64, strict=False)
    # a text may itself read "inf" or "nan"
    values = values.set(~values.is_finite(), None)
    faults = [Fault("not_a_number", present & values.is_null())]
    outside, rule = _outside(column, values)
    if rule:
        faults.append(Fault("out_of_range", outside.fill_null(False), f"must be {rule}"))
        values = values.set(outside, None)
    return values, faults


def _outside(column: Column, values: pl.Series) -> tuple[pl.Series, str]:
    """Which values break the column's bounds, and the bounds in words ("" = none)."""
    outside = pl.repeat(False, values.len(), dtype=pl.Boolean, eager=True)
    rules = []
    if column.low is not None:
        outside |= values < column.low
        rules.append(f"{column.low:,.12g} or more")
    if column.above is not None:
        outside |= values <= column.above
        rules.append(f"more than {column.above:,.12g}")
    if column.high is not None:
        outside |= values > column.high
        rules.append(f"{column.high:,.12g} or less")
    return outside, " and ".join(rules)


def _whole(column: Column, raw: pl.Series) -> Parsed:
    values, faults = _number(column, raw)
    broken = (values != values.floor()).fill_null(False)
    if broken.any():
        faults.append(Fault("not_whole", broken))
        values = values.set(broken, None)
    return values.cast(pl.Int64), faults


_CLOCK = re.compile(r"(\d{1,3}):([0-5]\d)", re.ASCII)


def _clock(column: Column, raw: pl.Series) -> Parsed:
    """Minutes after midnight, which may exceed a day's."""
    if raw.dtype == pl.Time:
        return raw.dt.hour().cast(pl.Int64) * 60 + raw.dt.minute().cast(pl.Int64), []
    latest = column.high

    def read(words: str) -> int | None:
        found = _CLOCK.fullmatch(words)
        minutes = int(found[1]) * 60 + int(found[2]) if found else None
        return None if minutes is None or (latest is not None and minutes > latest) else minutes

    message = None if latest is None else f"must be a time of day, {int(latest) // 60:02}:{int(latest) % 60:02} at most"

    def read_all(_: Column, text: pl.Series) -> Parsed:
        return _checked("bad_clock", text, _by_distinct(text, read, pl.Int64), message)

    return _of_text(read_all)(column, raw)


_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def _date(column: Column, raw: pl.Series) -> Parsed:
    if raw.dtype == pl.Date:
        return raw, []

    def read(words: str) -> date | None:
        try:
            return date.fromisoformat(words) if _DATE.fullmatch(words) else None
        except ValueError:
            return None

    return _of_text(lambda _, text: _checked("bad_date", text, _by_distinct(text, read, pl.Date)))(column, raw)


def _flag(column: Column, raw: pl.Series) -> Parsed:
    if raw.dtype == pl.Boolean:
        return raw, []
    read = {"0": False, "1": True}.get
    return _of_text(lambda _, text: _checked("bad_flag", text, _by_distinct(text, read, pl.Boolean)))(column, raw)


_MINUTE = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d", re.ASCII)
_TAIL = re.compile(r"(?::([0-5]\d)(?:[.,](\d{1,9}))?)?(?:(Z)|([+-])(\d\d):?([0-5]\d)?)?", re.ASCII)


def _instant(column: Column, raw: pl.Series) -> Parsed:
    """UTC minutes of ISO 8601 times with an offset."""
    if isinstance(raw.dtype, pl.Datetime):
        if raw.dtype.time_zone is None:
            empty = pl.repeat(None, raw.len(), dtype=pl.Int64, eager=True)
            return empty, [Fault("naive_timestamp", raw.is_not_null())]
        micros = raw.dt.timestamp("us")
        minutes, uneven = micros // 60_000_000, micros % 60_000_000 != 0
        return _rounded(column, minutes, uneven.fill_null(False), [])
    return _of_text(_instant_text)(column, raw)


def _instant_text(column: Column, text: pl.Series) -> Parsed:
    # the part up to the minute and the part after it repeat far more than the whole, so each is read once per spelling
    head = _by_distinct(text.str.slice(0, 16), _wall_minute, pl.Int64)
    tail_type = pl.Struct({"offset": pl.Int64, "uneven": pl.Boolean})
    tail = _by_distinct(text.str.slice(16), _tail, tail_type)
    offset, uneven = tail.struct.field("offset"), tail.struct.field("uneven")
    good_tail = uneven.is_not_null()
    wrong = text.is_not_null() & (head.is_null() | ~good_tail)
    naive = text.is_not_null() & ~wrong & offset.is_null()
    faults = [Fault("bad_timestamp", wrong), Fault("naive_timestamp", naive)]
    return _rounded(column, head - offset, uneven.fill_null(False), faults)


def _rounded(column: Column, minutes: pl.Series, uneven: pl.Series, faults: list[Fault]) -> Parsed:
    uneven = uneven & minutes.is_not_null()
    if uneven.any():
        direction = "later" if column.round_up else "earlier"
        faults.append(Fault("seconds_rounded", uneven, f"seconds were rounded to the {direction} whole minute"))
        if column.round_up:
            minutes = minutes + uneven.cast(pl.Int64)
    outside = ((minutes < FIRST_AT) | (minutes >= LAST_AT)).fill_null(False)
    faults.append(Fault("bad_timestamp", outside, "must lie in the years 1970 to 2199"))
    return minutes.set(outside, None), faults


def _wall_minute(words: str) -> int | None:
    """Minutes from 1970-01-01T00:00 on the wall to `YYYY-MM-DDTHH:MM`."""
    if not _MINUTE.fullmatch(words):
        return None
    try:
        at = datetime.fromisoformat(words)
    except ValueError:
        return None
    return day_number(at) * DAY + at.hour * 60 + at.minute


def _tail(words: str) -> dict[str, int | bool | None] | None:
    """Offset in minutes (None = not given) and whether there are seconds, of what follows the minute."""
    found = _TAIL.fullmatch(words)
    if not found or (found[5] and int(found[5]) > 15):
        return None
    uneven = bool(int(found[1] or 0) or int(found[2] or 0))
    if found[3]:
        return {"offset": 0, "uneven": uneven}
    if not found[4]:
        return {"offset": None, "uneven": uneven}
    sign = -1 if found[4] == "-" else 1
    return {"offset": sign * (int(found[5]) * 60 + int(found[6] or 0)), "uneven": uneven}


_KINDS: dict[str, Callable[[Column, pl.Series], Parsed]] = {
    "text": _of_text(_text),
    "country": _of_text(_country),
    "currency": _of_text(_currency),
    "postal": _postal,
    "timezone": _of_text(_timezone),
    "word": _of_text(_word),
    "words": _words,
    "number": _number,
    "whole": _whole,
    "clock": _clock,
    "date": _date,
    "flag": _flag,
    "instant": _instant,
}
