"""Rows that name each other: duplicates and unknown ids are left out, and with them whatever hangs on them."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from rookery.base.columns import keep, keep_first
from rookery.base.notices import Findings
from rookery.network.distributions import sound_distributions

_KEYS: dict[str, tuple[tuple[str, ...], str]] = {
    "nodes": (("node_id",), "duplicate_id"),
    "lanes": (("lane_id",), "duplicate_id"),
    "departures": (("departure_id",), "duplicate_id"),
    "transit": (("transit_id", "quantile"), "duplicate_quantile"),
    "calendars": (("calendar_id",), "duplicate_id"),
    "calendar_dates": (("calendar_id", "date"), "duplicate_date"),
    "zones": (("zone_id",), "duplicate_id"),
    "services": (("service_id",), "duplicate_id"),
}
_POINTS_AT: tuple[tuple[str, str, str], ...] = (
    # a file, its column, and the id that must be there; in this order, so that what hangs on a row goes with it
    ("nodes", "calendar_id", "calendar_id"),
    ("lanes", "from_node", "node_id"),
    ("lanes", "to_node", "node_id"),
    ("departures", "lane_id", "lane_id"),
    ("departures", "calendar_id", "calendar_id"),
    ("departures", "transit_id", "transit_id"),
    ("zones", "node_id", "node_id"),
    ("zones", "delivery_id", "transit_id"),
    ("closures", "node_id", "node_id"),
    ("closures", "lane_id", "lane_id"),
    ("closures", "departure_id", "departure_id"),
)
_HOMES = {
    "node_id": ("nodes",),
    "lane_id": ("lanes",),
    "departure_id": ("departures",),
    "calendar_id": ("calendars", "calendar_dates"),
    "transit_id": ("transit",),
}


def resolve(
    frames: Mapping[str, pl.DataFrame], files: Mapping[str, str], findings: Findings
) -> dict[str, pl.DataFrame]:
    """The frames without rows whose id stood before, and without rows that name what is not there (or was left out)."""
    clean = dict(frames)
    for name, (key, code) in _KEYS.items():
        clean[name] = keep_first(clean[name], key, findings, files[name], code)
    prefix = ("country", "postal_prefix")
    clean["zones"] = keep_first(clean["zones"], prefix, findings, files["zones"], "duplicate_zone")
    clean["transit"] = sound_distributions(clean["transit"], files["transit"], findings)
    for name in dict.fromkeys(name for name, *_ in _POINTS_AT):
        clean[name] = pointing(name, clean[name], clean, files[name], findings)
    return clean


def pointing(
    name: str, frame: pl.DataFrame, known: Mapping[str, pl.DataFrame], file: str, findings: Findings
) -> pl.DataFrame:
    """The rows of one table that name only what stands in the frames of `known`."""
    for table, column, target in _POINTS_AT:
        if table == name:
            ids = pl.concat([known[home][target] for home in _HOMES[target]]).unique()
            found = frame[column].is_null() | frame[column].is_in(ids.implode())
            frame = keep(frame, found, findings, file, f"unknown_{target}", column=column)
    return frame
