"""What the server says of its cases, chances, closures and replans, asked for every second beside all else."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from datetime import datetime
from queue import Empty, SimpleQueue
from typing import Any

from rookery.doors.cli.live.asking import Asker, segment
from rookery.doors.cli.live.figures import Figures
from rookery.doors.cli.live.trouble import Trouble
from rookery.doors.cli.live.waves import ENDED, PLANNING
from rookery.terms.errors import RookeryError
from rookery.terms.ids import new_id

EVERY_S = 1.0
CHANCES_EVERY = 4
"""Chances, of which there are many, are asked for every so many rounds."""
BINS = 10
MOST_PAGES = 4
WORTH_TELLING = 5
"""Parcels in a new case that make it an event."""
AGAIN_AT_ONCE = 40
"""Shipments of parcels that missed a leg that are looked up in a round."""


class Looker:
    """A thread that looks; what the couriers must know of it waits in `closures`, `waves` and `booked_on`.

    astray: shipments that are to be looked up; planning: whether a wave is being planned; waves: the state of the last
    ones, by plan_id.
    """

    def __init__(self, ask: Asker, operator: str, figures: Figures):
        self._ask, self._key, self._figures = ask, operator, figures
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="looking", daemon=True)
        self._replan = ""
        self._seen_cases: set[str] = set()
        self._told: dict[str, int] = {}
        self._trouble = Trouble()
        self.closures: list[dict[str, Any]] | None = None
        self.astray: Sequence[str] = ()
        self.planning = False
        self.waves: dict[str, str] = {}
        self._booked_on: SimpleQueue[dict[str, Any]] = SimpleQueue()

    def start(self, since: datetime) -> None:
        """Begin to look: at all that was booked on since an instant, too."""
        self._replan = new_id("rpl", since)
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def booked_on(self) -> list[dict[str, Any]]:
        """Shipments that go another way since this was asked last, as the server tells them."""
        found: list[dict[str, Any]] = []
        while True:
            try:
                found.append(self._booked_on.get_nowait())
            except Empty:
                return found

    def _work(self) -> None:
        rounds = 0
        while not self._stop.is_set():
            try:
                self._look(rounds)
            except RookeryError as fault:
                self._figures.tell(f"asked in vain: {fault.what}")
            rounds += 1
            self._stop.wait(EVERY_S)

    def _look(self, rounds: int) -> None:
        figures = self._figures
        told = self._ask(self._key, "GET", "/live", limit=1)
        figures.trouble = self._trouble.line(told, time.monotonic(), figures.doing == PLANNING)
        figures.closures = self.closures = self._ask.pages(self._key, "/closures", open="true")
        self.waves = {one["plan_id"]: one["state"] for one in self._ask(self._key, "GET", "/waves", limit=10)["data"]}
        self.planning = any(state not in ENDED for state in self.waves.values())
        self._look_at_cases()
        self._look_at_replans()
        for shipment_id in self.astray[:AGAIN_AT_ONCE]:
            self._again(shipment_id)
        if rounds % CHANCES_EVERY == 0:
            self._look_at_chances()

    def _look_at_cases(self) -> None:
        figures = self._figures
        found = self._ask.pages(self._key, "/cases", most=MOST_PAGES)
        for case in found:
            if case["case_id"] not in self._seen_cases:
                self._seen_cases.add(case["case_id"])
                if case["parcels"] >= WORTH_TELLING or case["kind"] == "closure":
                    figures.tell(f"{case['parcels']:,} parcels are in a case: {case['reason']}")
        figures.cases, figures.cases_open, figures.cases_seen = found, len(found), len(self._seen_cases)

    def _look_at_replans(self) -> None:
        for replan in reversed(self._ask(self._key, "GET", "/replans", limit=100)["data"]):
            if replan["replan_id"] <= self._replan:
                continue
            self._replan = replan["replan_id"]
            if not replan["done"]:
                continue
            self._figures.rebooked += replan["done"]
            self._figures.tell(f"{replan['done']:,} shipments were booked on")
            path = f"/replans/{segment(replan['replan_id'])}/shipments"
            for one in self._ask.pages(self._key, path):
                if one["state"] == "done":
                    self._again(one["shipment_id"])

    def _again(self, shipment_id: str) -> None:
        """Tell the couriers of a shipment if it changed since they were told."""
        shipment = self._ask(self._key, "GET", f"/shipments/{segment(shipment_id)}")
        if self._told.get(shipment_id) != shipment["version"]:
            self._told[shipment_id] = shipment["version"]
            self._booked_on.put(shipment)

    def _look_at_chances(self) -> None:
        chances = [row["chance"] for row in self._ask.pages(self._key, "/chances", most=MOST_PAGES, below=1)]
        known = [chance for chance in chances if chance is not None]
        bins = [0] * BINS
        for chance in known:
            bins[min(BINS - 1, int(chance * BINS))] += 1
        self._figures.chances, self._figures.known = bins, len(known)
