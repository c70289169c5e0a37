"""Where one order starts and ends, looked up at once: the same answers as `place` gives for a batch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from rookery.terms.frames import Feed

_BLANKS = re.compile(r"[\s-]")


class End(NamedTuple):
    """A row of Feed.nodes, and of Feed.zones when it was found by address (-1 = by node)."""

    node: int
    zone: int


@dataclass(frozen=True)
class Places:
    """A feed's nodes and zones, by name and by address."""

    nodes: dict[str, int]
    zones: dict[str, int]  # "CC:PREFIX" -> row of Feed.zones
    lengths: tuple[int, ...]  # of those keys, the longest first
    zone_nodes: tuple[int, ...]

    @classmethod
    def of(cls, feed: Feed) -> Places:
        """The places of a feed."""
        nodes: dict[str, int] = {}
        for row, name in enumerate(feed.nodes["node_id"]):
            nodes.setdefault(name, row)
        zones: dict[str, int] = {}
        for row, (country, prefix) in enumerate(feed.zones.select("country", "postal_prefix").iter_rows()):
            zones.setdefault(f"{country}:{prefix}", row)
        serving = tuple(nodes.get(name, -1) for name in feed.zones["node_id"])
        return cls(nodes, zones, tuple(sorted({len(key) for key in zones}, reverse=True)), serving)

    def find(self, node: str | None, country: str | None, postal_code: str | None) -> End | None:
        """The place a node's name or an address means (a node that is named wins); None when the feed has none."""
        if node is not None:
            row = self.nodes.get(node)
            return None if row is None else End(row, -1)
        if country is None:
            return None
        asked = f"{country}:{_BLANKS.sub('', postal_code or '')}".upper()
        for length in self.lengths:
            zone = self.zones.get(asked[:length]) if length <= len(asked) else None
            if zone is not None:
                return End(self.zone_nodes[zone], zone) if self.zone_nodes[zone] >= 0 else None
        return None
