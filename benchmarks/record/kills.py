"""Writers who never stop asking for numbers, while the HTTP server and PostgreSQL are killed under them in turn.

Each writer books shipments until it has its numbers, and repeats whatever was not answered with the same
Idempotency-Key. In the end the database is held against all that was ever acknowledged.
"""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from benchmarks.form import Result, Say, Show, Table
from benchmarks.record.people import person
from benchmarks.record.served import Served, children, ready_at, serving
from benchmarks.record.sizes import Size
from benchmarks.record.wire import Gone, Wire, asked
from rookery.base.db import Cluster, Database

SHIPMENTS, PIECES = 10, 20
"""Of one request: so many shipments of so many pieces, each piece with a number of its own."""
AGAIN_S = 0.1
QUOTED_S = 900.0
"""Offers are asked for anew after that."""
QUOTED = 50


def run(size: Size, say: Say) -> Result:
    """Let the writers write and the killer kill, then count."""
    with serving(size.sample, roomy=True) as served:
        party, key = served.party("Shop Example")
        say(f"{size.writers} writers of {size.numbers:,} numbers each, {size.kills} kills")
        work = Work(served, key, size)
        began = time.perf_counter()
        threads = [threading.Thread(target=work.write, args=(number,)) for number in range(size.writers)]
        for thread in threads:
            thread.start()
        killed = kill(work, say)
        for thread in threads:
            thread.join()
        seconds = time.perf_counter() - began
        say("counting")
        with Cluster(served.data) as cluster, Database.open(cluster, size=2) as database:
            found = counted(database, party)
    return _told(size, work, killed, seconds, held_against(work, found))


@dataclass
class Work:
    """What the writers share: what was acknowledged, and what came instead of answers."""

    served: Served
    key: str
    size: Size
    numbers: list[str] = field(default_factory=list)
    orders: dict[str, tuple[str, str, int]] = field(default_factory=dict)  # reference: order_id, shipment_id, pieces
    told: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    given_up: int = 0
    slowest_s: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)
    until: float = 0.0

    def __post_init__(self) -> None:
        self.until = time.monotonic() + self.size.kill_seconds

    @property
    def wanted(self) -> int:
        """All numbers of all writers."""
        return self.size.writers * self.size.numbers

    def write(self, writer: int) -> None:
        """One writer, to its last number or until time is up."""
        draw, left, at = random.Random(writer), self.size.numbers, 0
        quoted, asked_at = [], 0.0
        with Wire(self.served.url, 120.0) as wire:
            while left > 0:
                if not quoted or time.monotonic() - asked_at > QUOTED_S:
                    quoted, asked_at = self._quotes(wire, draw), time.monotonic()
                sizes = _pieces(left)
                body = json.dumps({"shipments": [
                    _shipment(f"w{writer}-{at}-{place}", writer * 10**6 + at * SHIPMENTS + place,
                              draw.choice(quoted[pieces]))
                    for place, pieces in enumerate(sizes)
                ]}).encode()  # fmt: skip
                told = self._insist(wire, "/shipments/batch", body, Idempotency_Key=f"w{writer}-{at}")
                if told is None:
                    self.given_up += 1
                    return
                self._keep(told)
                left -= sum(sizes)
                at += 1

    def _quotes(self, wire: Wire, draw: random.Random) -> dict[int, list[tuple[str, tuple[str, str]]]]:
        """Offers for shipments of each number of pieces, and where to."""
        zones, start, ready = self.served.zones(), self.served.origins()[0], ready_at(24)
        wanted = sorted({PIECES, self.size.numbers % PIECES} - {0})
        asks = [(pieces, draw.choice(zones)) for pieces in wanted for _ in range(QUOTED)]
        body = json.dumps({"quotes": [
            {"from": {"node": start}, "to": {"country": zone[0], "postal_code": zone[1]}, "ready_at": ready,
             "weight_g": 500, "pieces": pieces}
            for pieces, zone in asks
        ]}).encode()  # fmt: skip
        told = self._insist(wire, "/quotes/batch", body)
        found: dict[int, list[tuple[str, tuple[str, str]]]] = {pieces: [] for pieces in wanted}
        results: list[dict[str, Any]] = told["results"] if told else []
        for (pieces, zone), result in zip(asks, results):
            for offer in (result.get("quote") or {}).get("offers", [])[:1]:
                found[pieces].append((offer["quote_id"], zone))
        return found

    def _insist(self, wire: Wire, path: str, body: bytes, **headers: str) -> Any:
        """Asks the same until it is answered; None when time is up, or when it is refused."""
        request, began = asked("POST", path, self.key, body, **headers), time.monotonic()
        while time.monotonic() < self.until:
            try:
                answer = wire.ask(request)
            except (OSError, Gone) as fault:
                self._note(type(fault).__name__)
                time.sleep(AGAIN_S)
                continue
            again = b"\r\nidempotency-replayed:" in answer.headers.lower()
            self._note(f"{answer.status}{', kept from the first time' if again else ''}")
            if answer.status == 200:
                with self.lock:
                    self.slowest_s = max(self.slowest_s, time.monotonic() - began)
                return json.loads(answer.body)
            if answer.status not in (429, 503):
                self._note(f"body {answer.body[:300]!r}")
                return None
            time.sleep(AGAIN_S)
        return None

    def _keep(self, told: dict[str, Any]) -> None:
        with self.lock:
            for result in told["results"]:
                shipment = result.get("shipment")
                if shipment is None:
                    self.refused += 1
                    continue
                parcels = shipment["parcels"]
                self.numbers += [parcel["number"] for parcel in parcels]
                self.orders[shipment["reference"]] = (shipment["order_id"], shipment["shipment_id"], len(parcels))

    def _note(self, what: str) -> None:
        with self.lock:
            self.told[what] += 1


def kill(work: Work, say: Say) -> list[tuple[str, float]]:
    """Kills in turn, each when its share of the numbers is there; (what, seconds until something was acknowledged)."""
    done: list[tuple[str, float]] = []
    for turn in range(work.size.kills):
        share = work.wanted * (turn + 1) / (work.size.kills + 1)
        while len(work.numbers) < share and not _over(work):
            time.sleep(0.01)
        if _over(work):
            say(f"time is up after {turn} kills")
            return done
        what, before, began = ("HTTP", "PostgreSQL")[turn % 2], len(work.numbers), time.perf_counter()
        while not _killed(work.served, what) and not _over(work):
            time.sleep(0.05)
        # answers under way when it died may still be counted: what comes after that is new
        time.sleep(0.05)
        before = len(work.numbers)
        while len(work.numbers) == before and not _over(work):
            time.sleep(0.02)
        done.append((what, time.perf_counter() - began))
    return done


def _over(work: Work) -> bool:
    return time.monotonic() > work.until or len(work.numbers) >= work.wanted


def _killed(served: Served, what: str) -> bool:
    """kill -9 to PostgreSQL's first process, or to all processes of the HTTP server; whether there were any."""
    try:
        if what == "PostgreSQL":
            os.kill(served.postgres(), signal.SIGKILL)
        else:
            door = served.door()
            for pid in (door, *children(door)):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
    except (ProcessLookupError, FileNotFoundError, ValueError, IndexError):
        return False
    return True


@dataclass(frozen=True)
class Found:
    """What the database holds of a party."""

    parcels: list[str]  # their numbers
    issued: list[str]  # all numbers that were ever issued
    orders: list[tuple[str, str, str, int]]  # reference, order, shipment, pieces


def counted(database: Database, party: str) -> Found:
    """All numbers and orders of a party, as the owner of the tables sees them."""
    with database.owner() as conn:
        parcels = conn.execute("select number from orders.parcels where party_id = %s", (party,)).fetchall()
        issued = conn.execute("select number from waybill.numbers where party_id = %s", (party,)).fetchall()
        orders = conn.execute(
            "select o.reference, o.order_id, s.shipment_id, count(p.parcel_id) from orders.orders o"
            " left join orders.shipments s using (order_id) left join orders.parcels p using (shipment_id)"
            " where o.party_id = %s group by 1, 2, 3", (party,),
        ).fetchall()  # fmt: skip
    return Found([row[0] for row in parcels], [row[0] for row in issued], orders)


def held_against(work: Work, found: Found) -> dict[str, int]:
    """Every way in which what was acknowledged and what is there could differ, counted."""
    there: dict[str, list[tuple[str, str, int]]] = {}
    for reference, *rest in found.orders:
        there.setdefault(reference, []).append(tuple(rest))  # type: ignore[arg-type]
    acknowledged, in_parcels = set(work.numbers), set(found.parcels)
    return {
        "acknowledged twice": len(work.numbers) - len(acknowledged),
        "on two parcels": len(found.parcels) - len(in_parcels),
        "issued twice": len(found.issued) - len(set(found.issued)),
        "acknowledged and on no parcel": len(acknowledged - in_parcels),
        "on a parcel and never acknowledged": len(in_parcels - acknowledged),
        "on a parcel and never issued": len(in_parcels - set(found.issued)),
        "orders acknowledged, not there once": sum(
            there.get(reference) != [kept] for reference, kept in work.orders.items()
        ),
        "orders there, never acknowledged": len(there.keys() - work.orders.keys()),
    }


def _pieces(left: int) -> list[int]:
    """Pieces of the shipments of the next request."""
    whole = min(SHIPMENTS, left // PIECES)
    return [PIECES] * whole if whole else [left % PIECES]


def _shipment(reference: str, number: int, quoted: tuple[str, tuple[str, str]]) -> dict[str, Any]:
    quote_id, (country, postal) = quoted
    to = person(8 * number) | {"country": country, "postal_code": postal}
    return {"quote_id": quote_id, "reference": reference, "to": to}


def _told(size: Size, work: Work, killed: list[tuple[str, float]], seconds: float, faults: dict[str, int]) -> Result:
    doubles = faults["acknowledged twice"] + faults["on two parcels"] + faults["issued twice"]
    orders = faults["orders acknowledged, not there once"]
    lost = faults["acknowledged and on no parcel"] + faults["on a parcel and never issued"]
    unknown = faults["on a parcel and never acknowledged"] + faults["orders there, never acknowledged"]
    # a writer that gave up may have had its last request done without hearing of it
    name = f"{size.writers} writers under {size.kills} kills"
    waits = {what: sorted(s for kind, s in killed if kind == what) for what in ("HTTP", "PostgreSQL")}
    rows: list[tuple] = [
        ("numbers acknowledged", len(work.numbers)), ("orders acknowledged", len(work.orders)),
        ("seconds", seconds), ("longest that a writer waited, s", work.slowest_s), *faults.items(),
    ]  # fmt: skip
    rows += [(f"answers: {what}", many) for what, many in sorted(work.told.items())]
    rows += [
        (f"{what} killed: times; median, longest s until work went on",
         f"{len(took)}; {took[len(took) // 2]:.1f}, {took[-1]:.1f}")
        for what, took in waits.items() if took
    ]  # fmt: skip
    return Result(
        shows=[
            Show(f"{name}: numbers acknowledged", len(work.numbers), "numbers", f">= {work.wanted}"),
            Show(f"{name}: kills", len(killed), "kills", f">= {size.kills}"),
            Show(f"{name}: numbers doubled", doubles, "numbers", "<= 0"),
            Show(f"{name}: numbers acknowledged and not there", lost, "numbers", "<= 0"),
            Show(f"{name}: orders acknowledged and not there exactly once", orders, "orders", "<= 0"),
            Show(f"{name}: numbers and orders there that nobody heard of", unknown, "of both"),
            Show(f"{name}: shipments refused, writers that gave up", work.refused + work.given_up, "of both", "<= 0"),
            Show(f"{name}: numbers issued", len(work.numbers) / seconds, "numbers/s"),
        ],
        tables=[Table("what writers had of it", ("what", "value"), rows,
                      f"requests of {SHIPMENTS} shipments of {PIECES} pieces; the departures have room for all; "
                      "kill -9 of all processes of the HTTP server, and of PostgreSQL's first, in turn.")],
    )  # fmt: skip
