"""Sample orders: an invented day of parcels between the places of any feed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rookery.orders.demand import Demand
from rookery.terms.errors import InvalidInput
from rookery.terms.frames import Feed
from rookery.terms.time import DAY, day_number, local_to_utc

A_TUESDAY = date(2026, 9, 15)
GOODS_SHARES = {"general": 0.88, "battery": 0.08, "liquid": 0.04}
SERVICE_SHARES = {"express": 0.2, "standard": 0.5, "saver": 0.3}
OTHER_SERVICE_SHARE = 0.1
BY_ADDRESS = 0.2
CARTONS = np.array(  # mm, the smallest first
    [
        (220, 160, 30),
        (250, 180, 80),
        (300, 220, 100),
        (350, 250, 150),
        (400, 300, 200),
        (500, 350, 300),
        (600, 400, 350),
        (700, 450, 400),
    ]
)
CARTON_DENSITY = 2.5e-4  # g per mm3


def sample_orders(feed: Feed, count: int, seed: int, ready_on: date | None = None) -> pl.DataFrame:
    """An invented day of orders on a network, in the columns of an order file; the same seed gives the same rows.

    Who ships where follows a gravity model (see orders.demand); weights are log-normal with a median of 400 g up to
    30 kg; 8% hold batteries and 4% liquids where lanes take them; one end in five that zones serve is given by postal
    code instead of node; parcels are ready during the local working day of `ready_on` (default Tuesday 2026-09-15),
    most often about 18:00. `ready_at` is an aware UTC instant. Raises InvalidInput for a count below 1, a negative
    seed or a feed in which no place that ships reaches any place that receives.
    """
    if count < 1:
        raise InvalidInput("sample.count", f"{count} orders cannot be sampled.", "ask for one order or more")
    if seed < 0:
        raise InvalidInput("sample.seed", f"The seed {seed} is negative.", "use a whole number from 0 on")
    rng = np.random.default_rng(seed)
    demand = Demand(feed, tuple(GOODS_SHARES), rng)
    goods = _choose(rng, count, list(GOODS_SHARES.values()))
    origin, destination = demand.pairs(goods, rng)
    service_ids = feed.services["service_id"].to_list()
    shares = [SERVICE_SHARES.get(service, OTHER_SERVICE_SHARE) for service in service_ids]
    service = pl.Series(service_ids, dtype=pl.String).gather(_choose(rng, count, shares)) if shares else None
    weight = _weights(rng, count)
    carton = _cartons(rng, weight)
    columns = {"order_id": pl.Series(np.arange(1, count + 1)).cast(pl.String).str.zfill(8)}
    columns |= _ends(feed, "from", origin, rng) | _ends(feed, "to", destination, rng)
    return pl.DataFrame(
        columns
        | {
            "ready_at": _ready(feed, origin, ready_on or A_TUESDAY, rng),
            "weight_g": weight,
            "length_mm": carton[:, 0],
            "width_mm": carton[:, 1],
            "height_mm": carton[:, 2],
            "goods": pl.Series(list(GOODS_SHARES)).gather(goods),
            "value": np.round(25 * rng.lognormal(0, 0.8, count), 2),
            "currency": pl.Series([feed.info.currency]).new_from_index(0, count),
            "service_id": service if service is not None else pl.Series([None] * count, dtype=pl.String),
        }
    ).with_columns(("O" + pl.col("order_id")).alias("order_id"))


def write_orders(frame: pl.DataFrame, path: Path) -> Path:
    """Writes orders to a .csv, .parquet or .jsonl file, aside first and then renamed into place; returns the path.

    Raises InvalidInput for another suffix.
    """
    path = Path(path)
    as_text = frame.with_columns(pl.col("ready_at").dt.strftime("%Y-%m-%dT%H:%M:%S%:z"))
    if path.suffix not in (".csv", ".parquet", ".jsonl"):
        raise InvalidInput(
            "orders.suffix",
            f"Orders cannot be written as {path.suffix or 'a file without a suffix'}.",
            "name a file that ends in .csv, .parquet or .jsonl",
        )
    with _aside(path) as beside:
        if path.suffix == ".csv":
            as_text.write_csv(beside)
        elif path.suffix == ".parquet":
            frame.write_parquet(beside)
        else:
            as_text.write_ndjson(beside)
    return path


@contextmanager
def _aside(path: Path) -> Iterator[Path]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
        beside = Path(folder) / path.name
        yield beside
        beside.replace(path)


def _choose(rng: np.random.Generator, count: int, shares: list[float]) -> NDArray[np.int64]:
    """Row numbers drawn by share."""
    edges = np.cumsum(shares)
    return np.searchsorted(edges, rng.random(count) * edges[-1], side="right")


def _weights(rng: np.random.Generator, count: int) -> NDArray[np.int64]:
    """Grams as a shipper's scale prints them: tens below 1 kg, hundreds above."""
    grams = np.clip(400 * rng.lognormal(0, 1, count), 20, 30_000)
    step = np.where(grams < 1000, 10, 100)
    return (np.ceil(grams / step) * step).astype(np.int64)


def _cartons(rng: np.random.Generator, weight: NDArray[np.int64]) -> NDArray[np.int64]:
    """The carton of each parcel (length, width, height): the first that holds the weight, for some the next larger."""
    holds = CARTONS.prod(axis=1) * CARTON_DENSITY
    fitting = np.searchsorted(holds, weight) + (rng.random(len(weight)) < 0.3)
    return CARTONS[np.minimum(fitting, len(CARTONS) - 1)]


def _ends(feed: Feed, end: str, node: NDArray[np.int64], rng: np.random.Generator) -> dict[str, pl.Series]:
    """Node, country and postal code of one end: a share of those whose node serves zones is given by address."""
    zones = feed.zones.join(feed.nodes.select("node_id").with_row_index("node"), on="node_id").sort(
        "node", maintain_order=True
    )
    served = zones["node"].to_numpy().astype(np.int64)
    first = np.searchsorted(served, node)
    choices = np.searchsorted(served, node, side="right") - first
    by_address = (choices > 0) & (rng.random(len(node)) < BY_ADDRESS)
    zone = first + (rng.random(len(node)) * choices).astype(np.int64)
    numbered = zones.select(pl.int_range(pl.len(), dtype=pl.Int64).alias("zone"), "country", "postal_prefix")
    prefix = pl.col("postal_prefix").fill_null("")
    digits = pl.col("digits").cast(pl.String).str.zfill(5)
    code = (prefix + digits).str.slice(0, pl.max_horizontal(prefix.str.len_chars() + 2, 5))
    by = pl.col("by_address")
    ends = (
        pl.DataFrame({"by_address": by_address, "zone": zone, "node": node})
        .with_columns(pl.Series("digits", rng.integers(0, 100_000, len(node))))
        .with_columns(pl.when(by).then("zone").alias("zone"), pl.when(~by).then("node").alias("node"))
        .join(numbered, "zone", "left", maintain_order="left")
        .with_columns(pl.when(by).then(code).alias("postal_code"))
    )
    return {
        f"{end}_node": feed.nodes["node_id"].gather(ends["node"]),
        f"{end}_country": ends["country"],
        f"{end}_postal_code": ends["postal_code"],
    }


def _ready(feed: Feed, origin: NDArray[np.int64], on: date, rng: np.random.Generator) -> pl.Series:
    """Instants within the local working day of the origin: half about 18:00, half between 8:00 and 20:00."""
    late = np.clip(rng.normal(18 * 60, 75, len(origin)), 7 * 60, 22 * 60)
    wall = np.where(rng.random(len(origin)) < 0.5, late, rng.uniform(8 * 60, 20 * 60, len(origin))).astype(np.int64)
    wall += day_number(on) * DAY
    zones = feed.nodes["timezone"].to_list()
    names, number = np.unique(np.array(zones), return_inverse=True)
    zone = number[origin]
    order = np.argsort(zone, kind="stable")
    utc = np.empty_like(wall)
    for name, rows in zip(names, np.split(order, np.searchsorted(zone[order], np.arange(1, len(names))))):
        utc[rows] = local_to_utc(str(name), wall[rows])
    return pl.Series("ready_at", utc * 60_000_000).cast(pl.Datetime("us", "UTC"))
