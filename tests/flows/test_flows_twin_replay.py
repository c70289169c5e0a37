"""The twin's event log, sent by its couriers as scans, gives the twin's own truth back, parcel by parcel.

Orders are booked in a system of record on the sample network that a rehearsal of the same orders runs on. Every scan of
the rehearsal is sent by the courier whose leg it was; those at a counter or a door, where the twin names no carrier, by
who runs the network. The twin counts in minutes: what happens to a parcel in one minute is a second apart here, in the
order of the log, as clocks of real scanners have it. They come shuffled, in batches, and a tenth of them twice.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from record_cases import SHOP, Record, make_record
from tracking_cases import HOUSE

from rookery.base import jobs
from rookery.base.access import keys
from rookery.base.clock import Clock
from rookery.base.operations import Who
from rookery.flows.planning import plan
from rookery.flows.rehearsals.rehearsing import rehearse, setting_of
from rookery.flows.scanning import claim_some
from rookery.flows.waving import plan_wave
from rookery.network import read_feed, sample_network
from rookery.orders import read_orders, sample_orders, write_orders
from rookery.orders.booking import GRANTS, grant
from rookery.twin.model import Trouble
from rookery.twin.outcome import FATES

ORDERS = 160
ROUGH = Trouble(
    dwell_sigma=0.3, delay_share=0.2, cancel_share=0.1, lost_share=0.03, misrouted_share=0.05, damaged_share=0.03,
    hold_share=0.2, failed_attempt_share=0.3,
)  # fmt: skip
"""So much of everything that some parcels meet all of it."""
ENDS = {"delivered": ("delivered", None), "lost": ("on_hold", "lost"), "undelivered": ("delivery_failed", None)}
"""The milestone of each fate. None in this rehearsal was still under way when it ended."""
Scan = dict[str, Any]


@dataclass
class Replay:
    """A rehearsal and a system of record with the same orders."""

    record: Record
    couriers: dict[str, Who]  # by the code of their carrier
    numbers: dict[str, list[str]]  # of each order's parcels
    carriers: dict[str, set[str]]  # of each order's route as it was booked
    scans: dict[str, list[tuple[str | None, Scan]]]  # of each order: carrier and scan without number, as logged
    fates: dict[str, str]
    delivered_at: dict[str, datetime]

    def send(self, who: Who, scans: list[Scan]) -> dict[str, Any]:
        """One batch, as `POST /scans` takes it."""
        return self.record.do("scans.create", who, scans=scans, vocabulary="twin")

    def truth(self, order_id: str) -> tuple[Any, ...]:
        """What the twin says a parcel came to: its end, when it was delivered, and the place it was last seen at."""
        last = self.scans[order_id][-1][1]
        return *ENDS[self.fates[order_id]], self.delivered_at.get(order_id), f"urn:rookery:node:{last['node']}"

    def told(self) -> dict[str, tuple[Any, ...]]:
        """The same of all parcels by number, as their list has it; each one's tracker says so too."""
        found: dict[str, tuple[Any, ...]] = {}
        for row in self.record.do("trackers.list", SHOP, limit=1000)["data"]:
            tracker = self.record.do("trackers.get", SHOP, number=row["number"])
            for name in ("status", "detail", "status_at", "place"):
                assert tracker[name] == row[name], (row, tracker)
            at = datetime.fromisoformat(row["status_at"]).replace(second=0) if row["status"] == "delivered" else None
            found[row["number"]] = (row["status"], row["detail"], at, row["place"])
        return found


@pytest.fixture(scope="module")
def replay(make_urls, tmp_path_factory) -> Iterator[Replay]:
    """The tiny sample, its orders (every tenth of two pieces) rehearsed and booked; nothing was scanned yet."""
    folder = tmp_path_factory.mktemp("replay")
    feed = read_feed(sample_network("tiny", 7, folder / "feed"))
    frame = sample_orders(feed, ORDERS, 7)
    write_orders(frame, folder / "orders.csv")
    orders = read_orders(folder / "orders.csv")
    setting = setting_of(feed, orders, plan(feed, orders, outcomes=1, threads=1), threads=1)
    run = rehearse(setting, "follow", trouble=ROUGH, seed=11, log=True)
    [outcome] = run.outcomes
    scans: dict[str, list[tuple[str | None, Scan]]] = defaultdict(list)
    for one in run.scans.iter_rows(named=True):
        at, mine = one["scanned_at"], scans[one["order_id"]]
        if mine and mine[-1][1]["at"][:16] == at.isoformat()[:16]:
            at = datetime.fromisoformat(mine[-1][1]["at"]) + timedelta(seconds=1)
        mine.append(
            (one["carrier_id"],
             {"at": at.isoformat(), "code": one["kind"], "node": one["node_id"], "departure": one["departure_id"]})
        )  # fmt: skip
    fates = dict(zip(orders.frame["order_id"], (FATES[fate] for fate in outcome.fate)))
    delivered = {
        order_id: datetime.fromtimestamp(int(minute) * 60, UTC)
        for order_id, minute in zip(orders.frame["order_id"], outcome.delivered_at)
        if fates[order_id] == "delivered"
    }
    with make_record(make_urls, folder / "record") as record:
        couriers, numbers, carriers = _booked(record, folder, orders.frame.to_dicts())
        record.now = datetime(2026, 12, 1, tzinfo=UTC)  # long after it all
        yield Replay(record, couriers, numbers, carriers, scans, fates, delivered)


def _booked(
    record: Record, folder: Path, orders: list[dict[str, Any]]
) -> tuple[dict[str, Who], dict[str, list[str]], dict[str, set[str]]]:
    """The orders handed in and planned by a wave: couriers, and of each order its parcels' numbers and carriers."""
    carriers = read_feed(folder / "feed").lanes["carrier_id"].drop_nulls().unique().sort()
    with record.context() as ctx:
        parties = {code: keys.create_party(ctx.conn, code, record.now, code=code).party_id for code in carriers}
    record.publish(folder / "feed")
    record.now = datetime.fromtimestamp(60 * min(order["ready_at"] for order in orders), UTC) - timedelta(hours=1)
    asked = [
        {
            "reference": order["order_id"],
            **{end: {"node": order[f"{end}_node"], "country": order[f"{end}_country"],
                     "postal_code": order[f"{end}_postal_code"]} for end in ("from", "to")},
            "ready_at": datetime.fromtimestamp(60 * order["ready_at"], UTC).isoformat(),
            "weight_g": order["weight_g"], "goods": order["goods"], "service_id": order["service_id"],
            "pieces": 2 if place % 10 == 0 else 1,
        }
        for place, order in enumerate(orders)
    ]  # fmt: skip
    taken = record.do("orders.batch", SHOP, orders=asked)
    assert taken["created"] == len(orders), taken
    wave = record.do("waves.plan", HOUSE, outcomes=1)
    plan_wave(jobs.Desk(record.database, Clock(lambda: record.now), record.parts), plan_id=wave["plan_id"])
    booked = record.do("shipments.list", SHOP, limit=1000)["data"]
    assert len(booked) == len(orders)
    return (
        {code: Who(party, f"key_{code}", frozenset({"courier"})) for code, party in parties.items()},
        {one["reference"]: [parcel["number"] for parcel in one["parcels"]] for one in booked},
        {one["reference"]: {leg["carrier_id"] for leg in one["legs"]} for one in booked},
    )


def test_the_rehearsal_holds_something_of_everything(replay: Replay):
    """Else it would prove little: every fate, every kind of scan, and a way that was not the booked one."""
    assert set(replay.fates.values()) == {"delivered", "undelivered", "lost"}
    kinds = {scan["code"] for scans in replay.scans.values() for _, scan in scans}
    assert kinds == {
        "accepted", "departed", "arrived", "on_hold", "ready", "damaged", "lost", "misrouted", "delivery_failed",
        "delivered",
    }  # fmt: skip
    assert foreign(replay)


def foreign(replay: Replay) -> dict[str, set[str]]:
    """Orders that rode with carriers of no leg they were booked on, and these carriers."""
    ridden = {order_id: {carrier for carrier, _ in scans} - {None} for order_id, scans in replay.scans.items()}
    return {one: others for one, rode in ridden.items() if (others := rode - replay.carriers[one])}  # type: ignore[misc]


@pytest.fixture(scope="module")
def sent(replay: Replay) -> Replay:
    """All scans sent."""
    luck = random.Random(5)
    piles: dict[str | None, list[Scan]] = defaultdict(list)
    for order_id, scans in replay.scans.items():
        for carrier, scan in scans:
            piles[carrier] += [{"number": number, **scan} for number in replay.numbers[order_id]]
    batches = []
    for carrier, pile in piles.items():
        luck.shuffle(pile)
        size = luck.randint(60, 200)
        batches += [(carrier, pile[at : at + size]) for at in range(0, len(pile), size)]
    batches += [(carrier, luck.sample(batch, -(-len(batch) // 10))) for carrier, batch in batches]
    luck.shuffle(batches)
    answers = [replay.send(replay.couriers[carrier] if carrier else HOUSE, batch) for carrier, batch in batches]
    sums = {name: sum(answer[name] for answer in answers) for name in ("taken", "repeated", "refused")}
    each = sum(map(len, piles.values()))
    assert sums == {"taken": each, "repeated": sum(len(batch) for _, batch in batches) - each, "refused": 0}
    return replay


def test_scans_in_any_order_give_the_twins_truth_back(sent: Replay):
    """Every parcel ends as it did in the twin: delivered when, given up or lost, and where it was last seen. Only what
    rode with a carrier of no leg that was booked may end otherwise.
    """
    astray = {number for one in foreign(sent) for number in sent.numbers[one]}
    assert set(differ(sent)) <= astray


def test_what_a_strange_carrier_says_counts_once_the_parcel_is_let_to_it(sent: Replay):
    """Where a parcel in the twin rode with a carrier that it was not booked on, and that lost it, the tracker does not
    know: a stranger's scans are kept, listed as strays, and count as soon as the parcel is its carrier's to carry.
    """
    lost = differ(sent)
    assert {truth[:2] for truth, _ in lost.values()} == {ENDS["lost"]}
    others = foreign(sent)
    for carrier in set().union(*others.values()):
        listed = sent.record.do("scans.strays", sent.couriers[carrier], limit=1000)["data"]
        mine = {number for one, carriers in others.items() if carrier in carriers for number in sent.numbers[one]}
        assert {stray["number"] for stray in listed} == mine
        _let(sent, mine, sent.couriers[carrier])
    claim_some(jobs.Desk(sent.record.database, Clock(lambda: sent.record.now), sent.record.parts))
    assert differ(sent) == {}
    assert sent.record.do("scans.strays", HOUSE)["data"] == []


def differ(replay: Replay) -> dict[str, tuple[tuple[Any, ...], tuple[Any, ...]]]:
    """By number the parcels whose end the tracker tells otherwise than the twin: the truth, and what is told."""
    told = replay.told()
    truth = {number: replay.truth(one) for one, numbers in replay.numbers.items() for number in numbers}
    assert told.keys() == truth.keys()
    return {number: (truth[number], told[number]) for number in truth if truth[number] != told[number]}


def _let(replay: Replay, numbers: set[str], courier: Who) -> None:
    """As a wave does that puts parcels on a courier's departures."""
    with replay.record.context() as ctx:
        rows = ctx.conn.execute(
            "select parcel_id, party_id, test from orders.parcels where number = any(%s)", (sorted(numbers),)
        ).fetchall()
        granted = [(parcel, courier.party_id, "courier", owner, test) for parcel, owner, test in rows]
        grant(ctx.conn, pl.DataFrame(granted, schema=[*GRANTS], orient="row"), replay.record.now)
