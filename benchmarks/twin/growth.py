"""Ever more parcels moved through ten days of the peak network under trouble, each number in a process of its own.

Called as `python -m benchmarks.twin.growth PARCELS NODES HUBS DAYS PER_DAY THREADS`; prints one line of JSON.
"""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace

import msgspec
from msgspec import Struct

from benchmarks import peak_day
from benchmarks.capacity.case import Case
from benchmarks.capacity.fresh import capacities
from benchmarks.capacity.problem import PeakDay
from benchmarks.form import Result, Say, Show, Table
from benchmarks.peers.process import ROOT
from benchmarks.planning.once import peak_gib
from benchmarks.twin.sizes import Size
from rookery.flows.planning import plan
from rookery.flows.rehearsals.rehearsing import Setting, rehearse, setting_of
from rookery.terms.frames import Orders
from rookery.terms.time import from_minute
from rookery.twin.model import ROUGH

TINY = PeakDay(12, 3, 3, 300, 500)


class Moved(Struct, frozen=True):
    """What moving so many parcels took."""

    departures: int
    planning: float  # seconds, before
    moving: float  # seconds of one run
    legs: int
    delivered: int
    missed: int
    ready_gib: float  # before anything moved
    peak_gib: float


def run(size: Size, say: Say) -> Result:
    """Move every number of parcels once, seats as planned, everything going wrong now and then."""
    found = []
    for count in size.growth:
        say(f"{count:,} parcels, planned first")
        found.append((count, _asked(replace(size.day, parcels=count), size.threads)))
    shows = []
    for count, one in found:
        name = f"{count:,} parcels x {size.day.days} days under trouble"
        shows += [
            Show(f"{name}: time to move them", one.moving, "s"),
            Show(f"{name}: peak memory, plan and tables included", one.peak_gib, "GiB"),
        ]
    return Result(
        shows=shows,
        tables=[
            Table(
                f"growth: {size.day.nodes} destinations, {size.day.days} days, one run, one thread",
                ("parcels", "departures", "s planning before", "s moving", "us a leg", "legs", "delivered",
                 "rides missed", "GiB before", "peak GiB"),
                [
                    (count, one.departures, one.planning, one.moving, 1e6 * one.moving / max(one.legs, 1), one.legs,
                     one.delivered, one.missed, one.ready_gib, one.peak_gib)
                    for count, one in found
                ],
                "capacities are those of 4 million parcels, scaled with the parcels",
            )
        ],
    )  # fmt: skip


def _asked(day: PeakDay, threads: int) -> Moved:
    sizes = (day.parcels, day.nodes, day.hubs, day.days, day.per_day, threads)
    command = [sys.executable, "-m", "benchmarks.twin.growth", *map(str, sizes)]
    ended = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if ended.returncode:
        raise RuntimeError(f"moving {day.parcels:,} parcels ended with {ended.returncode}; see its own message")
    return msgspec.json.decode(ended.stdout.splitlines()[-1], type=Moved)


def moved(day: PeakDay, threads: int) -> Moved:
    """Plan a day and move it once."""
    rehearse(_set_up(TINY, threads)[0], "follow", trouble=ROUGH)  # kernels are loaded
    setting, planning = _set_up(day, threads)
    _ = setting.net, setting.cargo, setting.priced, setting.booked  # made for all runs at once
    ready_gib = peak_gib()
    rehearsal = rehearse(setting, "follow", trouble=ROUGH)
    outcome = rehearsal.outcomes[0]
    return Moved(
        departures=len(setting.net.runs),
        planning=planning,
        moving=rehearsal.moving,
        legs=int(outcome.legs.sum()),
        delivered=int((outcome.fate == 0).sum()),
        missed=int(outcome.missed.sum()),
        ready_gib=ready_gib,
        peak_gib=peak_gib(),
    )


def _set_up(day: PeakDay, threads: int) -> tuple[Setting, float]:
    source = (
        None if day.parcels == PeakDay().parcels else max(PeakDay().parcels if day.nodes >= 600 else day.parcels, 1)
    )
    room = capacities(Case(day, "plain", 1, 0.01, 60.0, threads, source))
    feed = peak_day.feed(day.network, "plain", **room)
    orders = Orders(peak_day.order_rows(peak_day.orders(day.parcels, day.nodes, "plain")))
    begin = time.perf_counter()
    made = plan(
        feed, orders, start=from_minute(peak_day.START), horizon_days=day.days, outcomes=1, gap=0.01, seconds=60.0,
        threads=threads,
    )  # fmt: skip
    return setting_of(feed, orders, made, threads=threads), time.perf_counter() - begin


if __name__ == "__main__":
    numbers = [int(text) for text in sys.argv[1:]]
    parcels, nodes, hubs, days, per_day, cores = numbers
    print(msgspec.json.encode(moved(PeakDay(nodes, hubs, days, per_day, parcels), cores)).decode())
