"""Which days a calendar runs: weekdays, less public holidays, then the dates added and removed by hand."""

from __future__ import annotations

from functools import lru_cache

import holidays
import numpy as np
import polars as pl
from numpy.typing import NDArray

from rookery.terms.time import day_number

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def service_days(
    calendars: pl.DataFrame, calendar_dates: pl.DataFrame, first_day: int, last_day: int
) -> dict[str, NDArray[np.int64]]:
    """The days on which each calendar runs, in order, as day numbers since 1970 within [first_day, last_day].

    A calendar runs on its weekdays from start_on to end_on, except on the public holidays of its country. A date
    added by hand runs whatever the rest says, a removed one does not; of two rows for one date the later one holds.
    A calendar may consist of added dates alone. Takes FEED frames; holidays come from the `holidays` package.
    """
    days = np.arange(first_day, last_day + 1)
    running = {
        row["calendar_id"]: _regular(row, days) for row in calendars.select(pl.exclude("line")).iter_rows(named=True)
    }
    for calendar_id, date, runs in calendar_dates.select("calendar_id", "date", "runs").iter_rows():
        day = day_number(date)
        if first_day <= day <= last_day:
            running.setdefault(calendar_id, np.zeros(len(days), bool))[day - first_day] = runs
    return {calendar_id: days[runs] for calendar_id, runs in running.items()}


def _regular(row: dict, days: NDArray[np.int64]) -> NDArray[np.bool_]:
    flags = np.array([row[name] for name in WEEKDAYS], bool)
    runs = flags[(days + 3) % 7]  # 1970-01-01 was a Thursday
    runs &= (days >= day_number(row["start_on"])) & (days <= day_number(row["end_on"]))
    if row["holidays"] and runs.any():
        first, last = (days[runs][[0, -1]]).astype("datetime64[D]").astype("datetime64[Y]").astype(int) + 1970
        for year in range(first, last + 1):
            runs &= ~np.isin(days, public_holidays(row["holidays"], year))
    return runs


@lru_cache(maxsize=4096)
def public_holidays(country: str, year: int) -> NDArray[np.int64]:
    """The day numbers of a country's public holidays in a year; none for a country `holidays` does not know.

    `country` is ISO 3166-1 alpha-2, in capitals.
    """
    try:
        known = holidays.country_holidays(country, years=year)
    except NotImplementedError:
        return np.zeros(0, np.int64)
    return np.array(sorted(day_number(date) for date in known), np.int64)
