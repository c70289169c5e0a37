"""Orders on a sample network, ready soon, and the parcels that a wave has made of them, with the legs they ride."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import psycopg

from benchmarks.form import Say
from benchmarks.record.served import Served
from benchmarks.tracking.parcels import unbound
from rookery.base import sets
from rookery.flows.planning import as_orders
from rookery.network import place, read_feed
from rookery.orders import sample_orders
from rookery.terms.frames import Feed
from rookery.tracking.epcis.identifiers import sscc_uri

READY = (30, 240)
"""Minutes from now at which orders are ready."""
BATCH = 500
SEED = 11
WAVE: dict[str, Any] = {"outcomes": 8, "seconds": 20}
"""How waves are planned here."""
PATIENCE_S = 900.0
_LEGS: dict[str, Any] = {
    "number": pl.String, "shipment_id": pl.String, "reference": pl.String, "promised_at": pl.Int64, "seq": pl.Int64,
    "departure_id": pl.String, "carrier_id": pl.String, "from_node": pl.String, "to_node": pl.String,
    "cutoff_at": pl.Int64, "depart_at": pl.Int64, "arrive_at": pl.Int64,
}  # fmt: skip
_PROMISED, *_TIMES = (
    f"(extract(epoch from {at}) / 60)::bigint" for at in ("s.promised_at", "l.cutoff_at", "l.depart_at", "l.arrive_at")
)
_SELECT = (
    f"select p.number, p.shipment_id, o.reference, {_PROMISED}, l.seq::bigint, l.departure_id, l.carrier_id,"
    f" l.from_node, l.to_node, {', '.join(_TIMES)}"
    " from orders.parcels p join orders.shipments s using (shipment_id) join orders.orders o on o.order_id = p.order_id"
    " join planning.legs l on l.shipment_id = s.shipment_id and l.route = s.route"
    " where p.number is not null and not p.test and s.state <> 'cancelled' order by p.number, l.seq"
)


@dataclass(frozen=True)
class Booked:
    """Who takes part, by key, and what is booked: a row for each leg of each parcel (_LEGS, with epc)."""

    operator: str
    couriers: dict[str, str]  # by carrier_id
    legs: pl.DataFrame

    @property
    def parcels(self) -> int:
        """How many are booked."""
        return self.legs["number"].n_unique()


def orders_on(feed: Feed, many: int, now: datetime, seed: int = SEED) -> pl.DataFrame:
    """Orders of a sample that travel and are ready soon; with where they are in the network, as the live twin asks:
    `node`, `start_at`, and the `minutes` from the last node to the door.
    """
    drawn = sample_orders(feed, many + many // 2 + 20, seed)
    wait = np.random.default_rng(seed).integers(*READY, drawn.height)
    begins = now.replace(second=0, microsecond=0)
    ready = [begins + timedelta(minutes=int(minutes)) for minutes in wait]
    drawn = drawn.with_columns(pl.Series("ready_at", ready).cast(drawn.schema["ready_at"]))
    zones = feed.zones.select(minutes=pl.col("delivery_minutes").cast(pl.Int64)).with_row_index("zone")
    placed, _ = place(feed, as_orders(drawn).frame)
    where = (
        placed.filter(pl.col("origin") >= 0, pl.col("destination") >= 0, pl.col("origin") != pl.col("destination"))
        .join(zones.cast({"zone": pl.Int32}), on="zone", how="left", maintain_order="left")
        .select("order_id", "start_at", node="origin", minutes=pl.col("minutes").fill_null(0))
    )
    return drawn.join(where, on="order_id", maintain_order="left").head(many)


def asked(orders: pl.DataFrame) -> Iterator[list[dict[str, Any]]]:
    """Orders as they are handed in, a batch at a time."""
    rows = orders.with_columns(pl.col("ready_at").dt.strftime("%Y-%m-%dT%H:%MZ")).to_dicts()
    for begin in range(0, len(rows), BATCH):
        yield [_order(row) for row in rows[begin : begin + BATCH]]


def _order(row: dict[str, Any]) -> dict[str, Any]:
    def end(side: str) -> dict[str, Any]:
        names = ("node",) if row[f"{side}_node"] is not None else ("country", "postal_code")
        return {name: row[f"{side}_{name}"] for name in names}

    same = ("ready_at", "weight_g", "length_mm", "width_mm", "height_mm", "goods", "value", "currency", "service_id")
    given = {name: row[name] for name in same if row[name] is not None}
    return {"reference": row["order_id"], "from": end("from"), "to": end("to"), **given}


def legs_of(conn: psycopg.Connection) -> pl.DataFrame:
    """What is booked by now, by a connection that sees all of it: _LEGS and epc."""
    legs = sets.read(conn, _SELECT, _LEGS, {})
    return legs.with_columns(epc=pl.Series([sscc_uri(number) for number in legs["number"]], dtype=pl.String))


def booked(served: Served, many: int, now: datetime, say: Say) -> Booked:
    """Orders handed in and planned by a wave, as a shop and the network's operator do; then each was looked at once."""
    feed = read_feed(served.feed)
    _, operator = served.party("Network Example", "operator")
    _, shop = served.party("Shop Example")
    couriers = {carrier: served.party(carrier, "courier")[1] for carrier in served.carriers()}
    say(f"{many:,} orders are handed in")
    for orders in asked(orders_on(feed, many, now)):
        told = served.ask(shop, "POST", "/orders/batch", {"orders": orders})
        if told["refused"]:
            raise RuntimeError(f"{told['refused']} orders were refused: {told['results'][0]}")
    say("a wave plans them")
    wave = served.ask(operator, "POST", "/waves", WAVE)
    until = time.monotonic() + PATIENCE_S
    while wave["state"] not in ("done", "failed") and time.monotonic() < until:
        time.sleep(0.2)
        wave = served.ask(operator, "GET", f"/waves/{wave['plan_id']}")
    if wave["state"] != "done":
        raise RuntimeError(f"the wave is {wave['state']}: {wave.get('fault')}")
    with unbound(served) as conn:
        made = Booked(operator, couriers, legs_of(conn))
        say(f"{made.parcels:,} parcels are booked; they are looked at")
        await_looks(conn, made.parcels)
    return made


def await_looks(conn: psycopg.Connection, parcels: int) -> None:
    """Until so many parcels were looked at under an outlook and none waits for it."""
    until, row = time.monotonic() + PATIENCE_S, None
    while time.monotonic() < until:
        row = conn.execute(
            "select count(*) filter (where policy is not null), (select count(*) from tracking.moved)"
            " from tracking.chances where not test"
        ).fetchone()
        conn.commit()
        if row is not None and row[0] >= parcels and row[1] == 0:
            return
        time.sleep(0.2)
    raise RuntimeError(f"of {parcels:,} parcels not all were looked at: {row}")
