"""Orders that come in as simulated time passes: an invented day after another, handed in by the shops' own keys."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl

from rookery.doors.cli.live.asking import Asker
from rookery.doors.cli.live.cast import Cast
from rookery.doors.cli.live.figures import Figures
from rookery.flows.planning import as_orders
from rookery.network import place
from rookery.orders import sample_orders
from rookery.terms.frames import Feed
from rookery.terms.time import DAY

AHEAD = (60, 240)
"""Minutes before a parcel is ready at which its order is handed in."""
BATCH = 500
_EPOCH = date(1970, 1, 1)
_OURS = r"^20\d{6}-\d{8}$"
_NONE = pl.DataFrame(schema={"order_id": pl.String, "node": pl.Int32, "start_at": pl.Int64, "minutes": pl.Int64})


class Arrivals:
    """Orders by the minute in which they are handed in; the same network, rate and seed give the same orders."""

    def __init__(self, feed: Feed, per_hour: int, seed: int):
        self._feed, self._per_day, self._seed = feed, max(1, 24 * per_hour), seed
        self._days: dict[int, pl.DataFrame] = {}
        zones = feed.zones.select(minutes=pl.col("delivery_minutes").cast(pl.Int64)).with_row_index("zone")
        self._zones = zones.cast({"zone": pl.Int32})

    def _day(self, number: int) -> pl.DataFrame:
        """The orders that are ready on a local day, with when they are handed in (`handed`) and where they are in the
        network: `node`, `start_at`, and the `minutes` from the last node to the door.
        """
        if number not in self._days:
            on = _EPOCH + timedelta(days=number)
            drawn = sample_orders(self._feed, self._per_day, self._seed + number, on)
            drawn = drawn.with_columns(order_id=f"{on:%Y%m%d}-" + pl.col("order_id").str.slice(1))
            placed, _ = place(self._feed, as_orders(drawn).frame)
            # what begins and ends at one node never travels: there is nothing to be seen of it
            travelling = placed.filter(pl.col("origin") != pl.col("destination"))
            where = travelling.join(self._zones, on="zone", how="left", maintain_order="left").select(
                "order_id", "start_at", node="origin", minutes=pl.col("minutes").fill_null(0)
            )
            lead = np.random.default_rng([self._seed, number]).integers(*AHEAD, drawn.height)
            minute = pl.col("ready_at").dt.epoch("s") // 60
            orders = drawn.with_columns(handed=minute - pl.Series(lead)).join(
                where, on="order_id", maintain_order="left"
            )
            self._days[number] = orders.sort("handed")
            for old in [day for day in self._days if day < number - 40]:
                del self._days[old]
        return self._days[number]

    def due(self, since: int, until: int) -> pl.DataFrame:
        """Orders handed in from a minute until before another."""
        days = range(since // DAY - 1, (until + AHEAD[1]) // DAY + 2)
        at = pl.col("handed").is_between(since, until, closed="left")
        return pl.concat([self._day(day).filter(at) for day in days]).sort("handed")

    def places(self, parcels: pl.DataFrame) -> pl.DataFrame:
        """Where parcels (columns number, reference, from_node) begin and end, for the twin: number, node, start_at,
        minutes. Of orders that somebody else handed in start_at is null, and they are fetched at their last node.
        """
        ours = parcels["reference"].filter(parcels["reference"].str.contains(_OURS))
        days = sorted({(date.fromisoformat(name[:8]) - _EPOCH).days for name in ours})
        known = pl.concat([_NONE, *(self._day(day).select(_NONE.columns) for day in days)])
        rows = self._feed.nodes.select(from_node="node_id").with_row_index("from_row").cast({"from_row": pl.Int32})
        return (
            parcels.join(known, left_on="reference", right_on="order_id", how="left", maintain_order="left")
            .join(rows, on="from_node", how="left", maintain_order="left")
            .select("number", pl.col("node").fill_null(pl.col("from_row")), "start_at", pl.col("minutes").fill_null(0))
            .drop_nulls("node")
        )


def hand_in(ask: Asker, cast: Cast, orders: pl.DataFrame, figures: Figures) -> None:
    """Orders handed in by their shops, in batches; handing the same in again changes nothing."""
    rows = orders.with_columns(pl.col("ready_at").dt.strftime("%Y-%m-%dT%H:%MZ")).to_dicts()
    for shop, key in enumerate(cast.shops):
        mine = [_order(row) for row in rows if int(row["order_id"][-4:]) % len(cast.shops) == shop]
        for begin in range(0, len(mine), BATCH):
            told = ask(key, "POST", "/orders/batch", {"orders": mine[begin : begin + BATCH]})
            figures.orders += told["created"]
            for result in told["results"]:
                if result["status"] == "refused":
                    figures.tell(f"an order was refused: {result['errors'][0]['message']}")


def _order(row: dict[str, Any]) -> dict[str, Any]:
    def end(side: str) -> dict[str, Any]:
        if row[f"{side}_node"] is not None:
            return {"node": row[f"{side}_node"]}
        return {"country": row[f"{side}_country"], "postal_code": row[f"{side}_postal_code"]}

    same = ("ready_at", "weight_g", "length_mm", "width_mm", "height_mm", "goods", "value", "currency", "service_id")
    given = {name: row[name] for name in same if row[name] is not None}
    return {"reference": row["order_id"], "from": end("from"), "to": end("to"), **given}
