"""Couriers at work: the twin moves the parcels, and each courier sends its scans with a key of its own."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import polars as pl

from rookery.doors.cli.live.asking import Asker
from rookery.doors.cli.live.cast import Cast
from rookery.doors.cli.live.figures import Figures
from rookery.doors.cli.live.house import Folder
from rookery.network import expand
from rookery.network.live import overlaid
from rookery.terms.frames import FEED, Feed
from rookery.terms.time import from_minute
from rookery.twin.live import BOOKINGS, CODES, SCANS, Live
from rookery.twin.model import Trouble
from rookery.twin.rolling import Rolling
from rookery.twin.sending import Muddle, muddle

TROUBLE = Trouble(
    correlation=0.4, delay_share=0.06, delay_minutes=60.0, cancel_share=0.004, dwell_sigma=0.2, bad_day_share=0.01,
    lost_share=0.0001, damaged_share=0.0005, misrouted_share=0.002, hold_share=0.02, hold_minutes=720.0,
    failed_attempt_share=0.04,
)  # fmt: skip
"""Of the world in which the demo lives: enough for something to go wrong every few minutes. Invented figures."""
MUDDLE = Muddle()
BATCH = 1000
AT_ONCE = 2
"""Batches that are under way at a time."""
SENT = {**SCANS, "sent_at": pl.Int64()}


class Carrying:
    """The twin's parcels, what is booked for them, and the scans that are still to be sent."""

    def __init__(self, folder: Folder, feed: Feed, begin: int, seed: int):
        """begin: the minute at which the demo's world begins, whenever this start of it is."""
        self._folder, self._feed, self._seed = folder, feed, seed
        self.twin = Live(Rolling(feed, begin, TROUBLE, seed, expand), TROUBLE, seed)
        self._unsent = pl.DataFrame(schema=SENT)
        self._closed: set[str] = set()
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="courier")
        self.booked: dict[str, tuple[str, int]] = {}  # shipment_id and promised minute, by number
        if folder.twin.exists():
            self.twin.load(folder.twin)
            self._unsent = pl.read_parquet(folder.unsent)
            rows = pl.read_parquet(folder.booked).iter_rows()
            self.booked = {number: (shipment_id, promised) for number, shipment_id, promised in rows}

    def take_over(self, shipments: Sequence[dict[str, Any]], places: pl.DataFrame) -> None:
        """Parcels that were booked, or booked on: `shipments` as the server tells them; places: Arrivals.places."""
        legs: list[tuple[str, int, str, int]] = []
        for shipment in shipments:
            for parcel in shipment["parcels"]:
                if parcel["number"] is None:
                    continue
                self.booked[parcel["number"]] = shipment["shipment_id"], _minute(shipment["promised_at"])
                for seq, leg in enumerate(shipment["legs"]):
                    legs.append((parcel["number"], seq, leg["departure_id"], _minute(leg["depart_at"])))
        # one that is booked after the hour at which it was ready is fetched now
        self.twin.add(places.with_columns(start_at=pl.col("start_at").fill_null(0).clip(lower_bound=self.twin.minute)))
        self.twin.tell(pl.DataFrame(legs, schema=BOOKINGS, orient="row"))

    def news(self, closures: list[dict[str, Any]]) -> bool:
        """Whether these closures, as the server tells them, are others than those that couriers keep to."""
        return {one["closure_id"] for one in closures} != self._closed

    def close(self, closures: list[dict[str, Any]], at: int) -> None:
        """From minute `at` on the network runs with these closures, as the server tells them."""
        self._closed = {one["closure_id"] for one in closures}
        rows = [
            {**one, "from_at": _minute(one["from_at"]), "until_at": _minute(one["until_at"]), "line": 0}
            for one in sorted(closures, key=lambda one: one["closure_id"])
        ]
        frame = pl.DataFrame(rows, schema=FEED["closures"]) if rows else pl.DataFrame(schema=FEED["closures"])
        self.twin.close(overlaid(self._feed, frame), at)

    def tick(self, until: int, ask: Asker, cast: Cast, figures: Figures) -> None:
        """Let the parcels move up to a minute, and send the scans whose time to be sent has come.

        A batch that nobody took stays to be sent: sent twice it does no harm.
        """
        self.twin_moves(until)
        due = self._unsent.filter(pl.col("sent_at") < until)
        if due.height:
            begin = time.monotonic()
            list(self._pool.map(lambda batch: _send(ask, cast, batch, figures), batches(due)))
            figures.lag_s = time.monotonic() - begin
            self._unsent = self._unsent.filter(pl.col("sent_at") >= until)

    def twin_moves(self, until: int) -> None:
        """Let the parcels move up to a minute."""
        made = self.twin.advance(until)
        if made.height:
            self._unsent = pl.concat([self._unsent, muddle(made, MUDDLE, self._seed)]).sort("sent_at")

    def count(self, figures: Figures) -> None:
        """Tell how many parcels are where, and how many came when they were promised."""
        truth = self.twin.truth()
        figures.states = self.twin.counts()
        figures.missed = int(truth["missed"].sum())
        done = truth.drop_nulls("delivered_at").select("number", "delivered_at").iter_rows()
        figures.on_time = sum(at <= self.booked[number][1] for number, at in done)

    def astray(self) -> list[str]:
        """Shipments of parcels that wait for another departure than they are booked on."""
        return sorted({self.booked[number][0] for number in self.twin.astray()})

    def save(self) -> None:
        """Keep where everything is, to go on from there at the next start."""
        rows = [(number, *booked) for number, booked in self.booked.items()]
        known = pl.DataFrame(
            rows, schema={"number": pl.String, "shipment_id": pl.String, "promised": pl.Int64}, orient="row"
        )
        for frame, file in ((self._unsent, self._folder.unsent), (known, self._folder.booked)):
            beside = file.with_suffix(".part")
            frame.write_parquet(beside)
            beside.replace(file)
        self.twin.save(self._folder.twin)

    def end(self) -> None:
        """Send no more."""
        self._pool.shutdown(cancel_futures=True)


def batches(due: pl.DataFrame) -> Iterable[pl.DataFrame]:
    """What is sent at once (scans with `sent_at`), a carrier's apart from others', each as a courier's system tells it:
    in the order in which it happened, also what happened within a minute.
    """
    place = pl.col("code").replace_strict(list(CODES), range(len(CODES)), default=len(CODES), return_dtype=pl.Int64)
    for part in due.partition_by("carrier", maintain_order=True):
        for batch in part.iter_slices(BATCH):
            yield batch.sort("at", place, maintain_order=True)


def _send(ask: Asker, cast: Cast, batch: pl.DataFrame, figures: Figures) -> None:
    key = cast.couriers.get(batch["carrier"][0] or "", cast.operator)
    scans = [
        {name: value for name, value in row.items() if value is not None}
        for row in batch.select(
            "number", pl.col("at").map_elements(_iso, pl.String), "code", "node", "departure"
        ).iter_rows(named=True)
    ]
    told = ask(key, "POST", "/scans", {"scans": scans, "vocabulary": "rookery"})
    figures.sent += len(scans)
    figures.repeated += told["repeated"]
    figures.refused += told["refused"]
    for result in told["results"]:
        for fault in result["faults"][:1]:
            figures.tell(f"a scan was refused: {fault['message']}")
    figures.scanned(told["taken"])


def _iso(minute: int) -> str:
    return f"{from_minute(minute):%Y-%m-%dT%H:%M:00Z}"


def _minute(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() // 60)
