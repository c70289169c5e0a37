"""When a subscription reports: six fields of which each allows some values, as EPCIS 2.0 writes them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta

import msgspec
from msgspec import Struct

from rookery.terms.notice import Fault

YEARS = 40
"""Whatever is due at all is due within so many years: the 29th of February on a given day of the week."""
_FIELDS = {
    "month": (1, 12), "dayOfMonth": (1, 31), "dayOfWeek": (1, 7), "hour": (0, 23), "minute": (0, 59), "second": (0, 59),
}  # fmt: skip
_ELEMENT = re.compile(r"(\d{1,2})(?:/(\d{1,2}))?|\[(\d{1,2})-(\d{1,2})\]|(\*)", re.ASCII)


class Schedule(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Fields that must all match, in UTC: numbers, ranges "[1-5]" and steps "0/30", several with commas, or "*".

    dayOfWeek: 1 is Monday. What is left out: coarser than the finest field that is given, any; finer, its first value.
    So hour 1 and minute 5 is once a day, at 01:05:00.
    """

    second: str | None = None
    minute: str | None = None
    hour: str | None = None
    dayOfMonth: str | None = None
    month: str | None = None
    dayOfWeek: str | None = None


def faults_of(schedule: Schedule, now: datetime, at: str) -> list[Fault]:
    """Everything that is wrong with a schedule; `at`: where it stands."""
    told = msgspec.structs.asdict(schedule)
    remedy = 'write numbers, ranges and steps with commas between: "5", "1,15", "[9-17]", "0/30", or "*"'
    found = [
        Fault(f"{at}.{name}", "bad_value", f"it is no list of values from {first} to {last}", remedy)
        for name, (first, last) in _FIELDS.items()
        if told[name] is not None and _values(told[name], first, last) is None
    ]
    if not found and all(text is None for text in told.values()):
        return [Fault(at, "missing_value", "it names no time", 'write {"minute": "0"} for every hour')]
    if not found and next_due(schedule, now) is None:
        return [Fault(at, "bad_value", "there is no such time", "look at dayOfMonth, month and dayOfWeek together")]
    return found


def next_due(schedule: Schedule, after: datetime) -> datetime | None:
    """The first instant behind `after` that a schedule without faults allows; None when there is none at all."""
    months, days, weekdays, hours, minutes, seconds = _allowed(schedule)
    start = after.astimezone(UTC).replace(microsecond=0) + timedelta(seconds=1)
    day, from_time = start.date(), start.time()
    last = day.replace(year=day.year + YEARS, day=1)
    while day < last:
        if day.month in months and day.day in days and day.isoweekday() in weekdays:
            found = next(_times(hours, minutes, seconds, from_time), None)
            if found is not None:
                return datetime.combine(day, found, UTC)
        day, from_time = day + timedelta(days=1), time()
    return None


def _times(hours: list[int], minutes: list[int], seconds: list[int], begin: time) -> Iterator[time]:
    """Times of a day that are allowed, from `begin` on."""
    for hour in hours:
        if hour < begin.hour:
            continue
        for minute in minutes:
            if (hour, minute) < (begin.hour, begin.minute):
                continue
            for second in seconds:
                if (hour, minute, second) >= (begin.hour, begin.minute, begin.second):
                    yield time(hour, minute, second)


def _allowed(schedule: Schedule) -> list[list[int]]:
    """Values of each field, in the order of _FIELDS."""
    told = msgspec.structs.asdict(schedule)
    if told["dayOfWeek"] is not None:
        told["dayOfMonth"] = told["dayOfMonth"] or "*"  # a day of the week is as fine as one of the month
    given = [name for name in _FIELDS if told[name] is not None]
    finest = [*_FIELDS].index(given[-1])
    allowed = []
    for place, (name, (first, last)) in enumerate(_FIELDS.items()):
        text = told[name]
        if text is None:
            text = "*" if place < finest or name == "dayOfWeek" else str(first)
        values = _values(text, first, last)
        assert values is not None, "it has faults"
        allowed.append(values)
    return allowed


def _values(text: str, first: int, last: int) -> list[int] | None:
    """The values that a field allows, in order; None when it is written wrongly or names one beyond its range."""
    values: set[int] = set()
    for element in text.split(","):
        match = _ELEMENT.fullmatch(element.strip())
        if match is None:
            return None
        number, step, begin, end, every = match.groups()
        if every:
            values.update(range(first, last + 1))
        elif begin is not None:
            if not first <= int(begin) <= int(end) <= last:
                return None
            values.update(range(int(begin), int(end) + 1))
        elif not first <= int(number) <= last or (step is not None and int(step) == 0):
            return None
        else:
            values.update([int(number)] if step is None else range(int(number), last + 1, int(step)))
    return sorted(values)
