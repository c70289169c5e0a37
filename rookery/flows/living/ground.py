"""What is asked of an outlook while parcels are looked at: which run is which, and what legs are in words."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from rookery.planning.outlook import Outlook
from rookery.terms.time import DAY, NEVER, from_minute
from rookery.tracking.positions import SAME_RUN

_SPAN = int(NEVER) + 1
EARLY = 12 * 60
"""Minutes by which a departure may be noted before it is to leave."""
LATEST = 7 * DAY
"""Minutes by which one may be noted after that."""
MOST_KEPT = 2
"""Of how many outlooks: of live and of test data."""
WORDS = (
    "departure_id", "lane_id", "carrier_id", "mode", "from_node", "to_node", "cutoff_at", "depart_at", "arrive_at",
)  # fmt: skip
"""What is told of a leg, beside its cost."""


class Ground:
    """An outlook with its runs in order. Safe from any number of threads."""

    def __init__(self, outlook: Outlook):
        self.outlook = outlook
        table = outlook.model.timetable
        key = table.departure.astype(np.int64) * _SPAN + table.depart
        self._words: dict[int, tuple[Any, ...]] = {}
        self._rows = np.argsort(key, kind="stable")
        self._keys = key[self._rows]
        self.departure, self.depart, self.cutoff = table.departure, table.depart, table.cutoff
        self.departure_ids = outlook.model.feed.departures["departure_id"]
        self.node_ids = outlook.model.feed.nodes["node_id"]
        self.latest_ready = table.net.ready.max(axis=1) if table.net.ready.size else np.zeros(0, np.int32)

    def scheduled(self, departure_ids: pl.Series, depart_at: pl.Series) -> NDArray[np.int64]:
        """The timetable row of each run (n) by its departure and the minute it was to leave; -1 = it has none.

        A closure may have put it off since; the next run of the same departure is a day later.
        """
        number, at = self._numbers(departure_ids), depart_at.fill_null(-1).to_numpy().astype(np.int64)
        place = np.searchsorted(self._keys, number * _SPAN + at)
        return self._found(place, number, at, at + SAME_RUN)

    def noted(self, departure_ids: pl.Series, left_at: pl.Series) -> NDArray[np.int64]:
        """The timetable row of the run of each departure (n) that is meant by a note, at a minute, that it left."""
        number, at = self._numbers(departure_ids), left_at.fill_null(-1).to_numpy().astype(np.int64)
        place = np.searchsorted(self._keys, number * _SPAN + at + EARLY, side="right") - 1
        return self._found(place, number, at - LATEST, at + EARLY)

    def _found(
        self, place: NDArray[np.int64], number: NDArray[np.int64], first: NDArray[np.int64], last: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        inside = (number >= 0) & (place >= 0) & (place < len(self._keys))
        key = self._keys[np.where(inside, place, 0)] if len(self._keys) else np.full(len(place), -1)
        depart = key - number * _SPAN
        fits = inside & (depart >= first) & (depart <= last)
        return np.where(fits, self._rows[np.where(fits, place, 0)] if len(self._rows) else -1, -1)

    def _numbers(self, departure_ids: pl.Series) -> NDArray[np.int64]:
        asked = pl.DataFrame({"departure_id": pl.Series(departure_ids, dtype=pl.String)})
        found = asked.join(self._departures, on="departure_id", how="left", maintain_order="left")["number"]
        return found.cast(pl.Int64).fill_null(-1).to_numpy()

    def to_node(self, rows: NDArray[np.int64]) -> NDArray[np.int32]:
        """The node (row) that each timetable row leads to; -1 where a row is -1."""
        return np.append(self.outlook.model.timetable.net.to, -1)[rows].astype(np.int32)

    def at(self, column: NDArray[np.integer], rows: NDArray[np.int64]) -> pl.Series:
        """A column's values at timetable rows; null where a row is -1."""
        if not len(column):
            return pl.Series([None] * len(rows), dtype=pl.Int64)
        told = pl.Series(column[np.where(rows < 0, 0, rows)].astype(np.int64))
        return pl.select(pl.when(pl.Series(rows >= 0)).then(told)).to_series()

    def lanes(self, departure_ids: pl.Series) -> pl.Series:
        """The lane of each departure; null = the network has no such departure."""
        asked = pl.DataFrame({"departure_id": pl.Series(departure_ids, dtype=pl.String)})
        return asked.join(self._departures, on="departure_id", how="left", maintain_order="left")["lane_id"]

    @cached_property
    def _departures(self) -> pl.DataFrame:
        ids = self.outlook.model.feed.departures.select("departure_id", "lane_id").with_row_index("number")
        return ids.unique("departure_id", keep="first")

    @cached_property
    def nodes(self) -> pl.DataFrame:
        """The network's nodes: node_id, handling_minutes, and their row as `node`."""
        nodes = self.outlook.model.feed.nodes.select("node_id", "handling_minutes")
        return nodes.with_columns(node=pl.int_range(pl.len(), dtype=pl.Int32)).unique("node_id", keep="first")

    def mile_minutes(self, zones: pl.Series) -> pl.Series:
        """The most that the last mile of each zone (-1 = none) takes."""
        most = self.outlook.model.miles.minutes.max(axis=1).astype(np.int64)  # the last is that of no zone
        return pl.Series(most[zones.to_numpy()])

    def told(self, legs: pl.DataFrame) -> pl.DataFrame:
        """Legs (row, chargeable_g, ..) with from_node, to_node, and each in words as `leg`, JSON; order kept."""
        rows = legs["row"].unique().to_list()
        for row, light, heavy in zip(rows, self.outlook.told(rows, 0.0), self.outlook.told(rows, 1000.0)):
            if row not in self._words:
                told = {name: from_minute(light[name]) if name.endswith("_at") else light[name] for name in WORDS}
                open_ended = msgspec.json.encode(told).decode()[:-1]
                per_kg = heavy["cost"] - light["cost"]
                self._words[row] = (row, light["from_node"], light["to_node"], open_ended, light["cost"], per_kg)
        words = pl.DataFrame([self._words[row] for row in rows], schema=_WORDS, orient="row")
        cost = pl.col("fixed") + pl.col("per_kg") * pl.col("chargeable_g") / 1000.0
        return legs.join(words, on="row", how="left", maintain_order="left").with_columns(
            leg=pl.concat_str("words", pl.lit(',"cost":'), cost.round(4).cast(pl.String), pl.lit("}"))
        )


_WORDS: dict[str, Any] = {
    "row": pl.Int64, "from_node": pl.String, "to_node": pl.String, "words": pl.String, "fixed": pl.Float64,
    "per_kg": pl.Float64,
}  # fmt: skip
_kept: list[Ground] = []


def ground_of(outlook: Outlook) -> Ground:
    """The ground of an outlook; those of the last few are kept."""
    found = next((one for one in _kept if one.outlook is outlook), None)
    if found is None:
        found = Ground(outlook)
        _kept[:] = [found, *_kept[: MOST_KEPT - 1]]
    return found
