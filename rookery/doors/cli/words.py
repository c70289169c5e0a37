"""Figures, times and modes as people read them."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from rich.markup import escape

from rookery.terms.frames import Feed

MODE_COLOURS = {
    "air": "#3d7ea6",
    "sea": "#2a9d8f",
    "truck": "#d08c3f",
    "van": "#b5651d",
    "rail": "#8e6bb0",
    "bike": "#6a994e",
    "foot": "#6a994e",
    "drone": "#bc4b6e",
}
REASONS = {
    "unknown_node": "a node the feed does not have",
    "unknown_zone": "an address no zone covers",
    "no_lane": "no chain of lanes leads there",
    "goods_not_accepted": "no chain takes the goods",
    "over_weight": "too heavy for every chain",
    "over_size": "too long for every chain",
    "mode_not_allowed": "the service bars the modes needed",
    "limits_combined": "no chain meets all limits together",
    "beyond_horizon": "would need a longer horizon",
    "after_last_departure": "ready after the last departure that connects",
    "no_capacity": "everything that connects is full",
}


def safe(text: str) -> str:
    """A text of a file as one line of a table: line breaks and other unprintable signs as \\n, \\x1b ..., no markup."""
    return escape("".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text))


def count_of(count: int, thing: str) -> str:
    """So many things: "1 violation", "2,000 violations"."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


class Places:
    """The nodes of a feed by id: their names and their clocks."""

    def __init__(self, feed: Feed):
        nodes = feed.nodes
        self._names = dict(zip(nodes["node_id"], nodes["name"]))
        self._zones = dict(zip(nodes["node_id"], nodes["timezone"]))

    def name(self, node_id: str, most: int = 1000) -> str:
        """What the node is called; its id when it has no name, or one of more than `most` characters."""
        name = self._names.get(node_id) or node_id
        return name if len(name) <= most else node_id

    def local(self, at: datetime, node_id: str) -> str:
        """An instant on the wall of a node: "Tue 15 Sep 18:30"."""
        return moment(at.astimezone(ZoneInfo(self._zones[node_id])))


def moment(at: datetime) -> str:
    """An instant on its own clock: "Tue 15 Sep 18:30"."""
    return f"{at:%a} {at.day} {at:%b %H:%M}"


def utc(at: datetime) -> str:
    """An instant in UTC, short: "15 Sep 16:30"."""
    at = at.astimezone(UTC)
    return f"{at.day} {at:%b %H:%M}"


def utc_span(begin: datetime, end: datetime) -> str:
    """Two instants in UTC, the day of the second only when it is another: "15 Sep 16:30 to 18:05"."""
    same_day = begin.astimezone(UTC).date() == end.astimezone(UTC).date()
    return f"{utc(begin)} to {f'{end.astimezone(UTC):%H:%M}' if same_day else utc(end)}"


def percent(share: float, digits: int = 1) -> str:
    """A share in per cent; one that is not nothing never shows as nothing, nor one short of all as all."""
    least = 10.0**-digits
    shown = 100 * share
    if 0 < shown < least:
        return f"< {least:.{digits}f}%"
    if 100 - least / 2 <= shown < 100:
        return f"> {100 - least:.{digits}f}%"
    return f"{shown:.{digits}f}%"


def seconds(value: float) -> str:
    """A duration: "0.04 s", "12.9 s"."""
    return f"{value:.2f} s" if value < 1 else f"{value:.1f} s"
