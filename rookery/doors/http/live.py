"""The live side as a server shows it to whoever watches: in the body of /ready, and among the metrics.

A server that can take scans is ready, however the live side is: it is told, and nothing is refused for it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from threading import Lock
from typing import get_args

import msgspec
from msgspec import structs
from prometheus_client import Gauge, generate_latest

from rookery.base.operations import SYSTEM
from rookery.doors.http.server import Server
from rookery.doors.http.telemetry import REGISTRY, log
from rookery.flows.live_status import STARTED_AT, Figures, State, figures, states
from rookery.terms.errors import RookeryError


def _gauge(name: str, text: str, *labels: str) -> Gauge:
    return Gauge(f"rookery_{name}", text, ["mode", *labels], registry=REGISTRY)


PART = _gauge("live_part", "1 for the state that a part of the live side is in.", "part", "state")
SIGN_S = _gauge("live_sign_at_seconds", "When a part last gave a sign of life, since 1970, real time.", "part")
STARTED_S = _gauge("live_started_at_seconds", "Since when a part runs where it does, since 1970, real time.", "part")
BROKE_OFF_S = _gauge("live_broke_off_at_seconds", "Last sign of the run before, which was not told to end.", "part")
PARCELS = _gauge("live_parcels_waiting", "Parcels in the queue to be looked at; 100000 = so many or more.")
PARCELS_S = _gauge("live_parcels_oldest_seconds", "Real seconds for which the first of them waits.")
ASIDE = _gauge("live_parcels_set_aside", "Parcels that are left alone, since every look at them fails.")
OUTLOOK = _gauge("outlook_version_info", "1 for the version of the outlook that counts.", "version")
OUTLOOK_S = _gauge("outlook_age_seconds", "Seconds of the network's time since the outlook was made.")
LEFT = _gauge("outlook_parcels_waiting", "Parcels not in that queue yet, still to be entered for the outlook's sake.")
NEWS = _gauge("outbox_waiting", "News that wait to be spread to endpoints; 100000 = so many or more.")
NEWS_S = _gauge("outbox_oldest_seconds", "Real seconds for which the first of them waits.")
MESSAGES = _gauge("webhooks_undelivered", "Messages that endpoints did not take yet; 100000 = so many or more.")
MESSAGES_S = _gauge("webhooks_oldest_seconds", "Seconds of the network's time for which the oldest of them waits.")
ALL = (
    PART, SIGN_S, STARTED_S, BROKE_OFF_S, PARCELS, PARCELS_S, ASIDE, OUTLOOK, OUTLOOK_S, LEFT, NEWS, NEWS_S, MESSAGES,
    MESSAGES_S,
)  # fmt: skip
SERVER_S = Gauge("rookery_server_started_at_seconds", "Since when this server process runs.", registry=REGISTRY)
SERVER_S.set(STARTED_AT.timestamp())
KEPT_S = 2.0
"""Figures are asked for no more often than that: signs of life are as frequent."""
OLD_S = 30.0
"""Figures that are older are told no more, while new ones are long in coming."""
_one_shows = Lock()


def ready(server: Server) -> bytes:
    """The body of /ready: how each part of the live side is, of live data. Raises Unavailable."""
    with server.context(SYSTEM) as ctx:
        return msgspec.json.encode({"status": "ready", "parts": states(ctx)})


class Watch:
    """All metrics of a server, for whoever scrapes them.

    The live side's figures are kept for a moment. One scrape at a time asks for new ones; whoever comes meanwhile is
    told those that are kept, so that a slow database has nobody wait but that one. kept_s: for so long, in real time.
    """

    def __init__(self, server: Server, kept_s: float = KEPT_S):
        self._server, self._kept_s = server, kept_s
        self._kept: tuple[float, Mapping[bool, Figures]] = -OLD_S, {}
        self._one_asks = Lock()
        self._fault = ""

    def measured(self) -> bytes:
        """All metrics; those of the live side are missing where it cannot be asked: the fault's code is logged."""
        if time.monotonic() >= self._kept[0] + self._kept_s and self._one_asks.acquire(blocking=False):
            try:
                found = self._asked()
                self._kept = time.monotonic(), found
            finally:
                self._one_asks.release()
        at, found = self._kept
        with _one_shows:  # a moment: nothing is asked for within
            for gauge in ALL:
                gauge.clear()
            if time.monotonic() < at + OLD_S:
                for test, told in found.items():
                    _set("test" if test else "live", told)
            return generate_latest(REGISTRY)

    def _asked(self) -> Mapping[bool, Figures]:
        fault, found = "", {}
        try:
            found = {test: _figures(self._server, test) for test in (False, True)}
        except Exception as wrong:  # whatever it is: the process's own metrics are told
            fault = wrong.code if isinstance(wrong, RookeryError) else type(wrong).__name__
        if fault and fault != self._fault:
            log(self._server.clock.now(), "metrics.live_unknown", fault=fault)
        self._fault = fault
        return found


def _figures(server: Server, test: bool) -> Figures:
    with server.context(structs.replace(SYSTEM, test=test)) as ctx:
        return figures(ctx)


def _set(mode: str, told: Figures) -> None:
    for part in told.parts:
        for state in get_args(State):
            PART.labels(mode, part.part, state).set(part.state == state)
        for gauge, at in ((SIGN_S, part.sign_at), (STARTED_S, part.started_at), (BROKE_OFF_S, part.broke_off_at)):
            if at is not None:
                gauge.labels(mode, part.part).set(at.timestamp())
        if part.part == "outlook" and part.waiting is not None:
            LEFT.labels(mode).set(part.waiting)
    ASIDE.labels(mode).set(told.set_aside)
    if told.outlook is not None:
        OUTLOOK.labels(mode, told.outlook.version).set(1)
        OUTLOOK_S.labels(mode).set(told.outlook.age_s)
    for waiting, count, oldest in (
        (told.parcels, PARCELS, PARCELS_S), (told.news, NEWS, NEWS_S), (told.messages, MESSAGES, MESSAGES_S)
    ):  # fmt: skip
        count.labels(mode).set(waiting.count)
        if waiting.oldest_s is not None:
            oldest.labels(mode).set(waiting.oldest_s)
