"""The live demo's loop: everything is started, time passes, and all of it is stopped again, however it ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import polars as pl
from rich.live import Live as Screen

from rookery.base.clock import Driver
from rookery.doors.cli import console
from rookery.doors.cli.live.arriving import Arrivals, hand_in
from rookery.doors.cli.live.asking import Asker
from rookery.doors.cli.live.carrying import Carrying
from rookery.doors.cli.live.cast import Cast, cast_in
from rookery.doors.cli.live.dashboard import footer, line, page
from rookery.doors.cli.live.figures import Figures, Wanted
from rookery.doors.cli.live.hearing import Listener
from rookery.doors.cli.live.house import BEGINS, Folder, Serving, clock_driver, network_in, opened
from rookery.doors.cli.live.looking import Looker
from rookery.doors.cli.live.waves import ENDED, PLANNING, plan_wave
from rookery.doors.cli.stopping import Stopped
from rookery.network.store import pack
from rookery.terms.errors import Unavailable
from rookery.terms.frames import Feed
from rookery.terms.time import to_minute

TICK_S = 0.25
LINE_S = 3.0
RUN_ON_S = 2.0
"""So long simulated time goes on without a step of ours: nobody waits for scans while we are busy, or killed."""
SAVE_S = 10.0
COUNT_S = 1.0
SLOW_S = 1.0
"""When the server takes so long for the scans of a tick, simulated time is slowed down."""
EASE = 0.8
AHEAD_OF_FIRST, AGAIN = 240, 30
"""Orders of so many minutes before the first start are there for the first wave; of so many before a later one they are
handed in once more, in case the last ones were not.
"""


def run_live(wanted: Wanted) -> int:
    """Run the demo until it is stopped, or its time is over; the exit code."""
    figures = Figures(wanted)
    try:
        with ExitStack() as stack:
            folder = stack.enter_context(opened(wanted))
            stack.enter_context(_shown(figures, folder, wanted))
            _run(stack, folder, wanted, figures)
    except Stopped:
        pass  # how it is meant to end
    shown = console.err if wanted.as_json else console.out
    shown.print(line(figures), soft_wrap=True)
    if wanted.as_json:
        console.print_json(figures.summary())
    return 0


def _run(stack: ExitStack, folder: Folder, wanted: Wanted, figures: Figures) -> None:
    driver = clock_driver(folder, wanted)
    figures.now, figures.doing = driver.now(), "starting the server"
    serving = Serving(folder)
    stack.callback(serving.stop)
    serving.start()
    feed = network_in(folder, wanted)
    carrying = Carrying(folder, feed, to_minute(BEGINS), wanted.seed)
    stack.callback(carrying.end)
    listener = Listener(figures)
    stack.callback(listener.close)
    arrivals = Arrivals(feed, wanted.orders, wanted.seed)
    figures.url = serving.url()
    ask = Asker(figures.url)
    stack.callback(ask.close)
    figures.doing = "entering the network and who takes part"
    cast = cast_in(folder.keys, folder.data, ask, feed)
    if not any(one["active"] for one in ask.pages(cast.operator, "/networks")):
        ask(cast.operator, "POST", "/networks", pack(folder.feed), activate="true")
    listener.enter(ask, cast.shops[0])
    looker = Looker(ask, cast.operator, figures)
    stack.callback(looker.stop)
    loop = _Loop(wanted, figures, driver, ask, cast, feed, carrying, arrivals, looker)
    stack.callback(carrying.save)
    stack.callback(driver.pause)
    stack.callback(setattr, figures, "doing", "stopping")
    loop.take_up()
    looker.start(driver.now() - timedelta(minutes=AHEAD_OF_FIRST))
    over = None if wanted.seconds is None else time.monotonic() + wanted.seconds
    while serving.alive and (over is None or time.monotonic() < over):
        began = time.monotonic()
        loop.tick()
        time.sleep(max(0.02, TICK_S - (time.monotonic() - began)))
    if not serving.alive:
        raise Unavailable("demo.server_ended", "The server has ended.", f"see {folder.log}", 5)


_PARCELS = ("number", "reference", "from_node")


@dataclass
class _Loop:
    """What time passing means."""

    wanted: Wanted
    figures: Figures
    driver: Driver
    ask: Asker
    cast: Cast
    feed: Feed
    carrying: Carrying
    arrivals: Arrivals
    looker: Looker
    handed: int = 0
    wave_at: int = 0
    saved: float = 0.0
    counted: float = 0.0
    told: set[str] = field(default_factory=set)

    def take_up(self) -> None:
        """Where things stand at the start. The first wave is planned at once; at later starts parcels go on by what was
        booked, the last wave's bookings included, that a demo which was killed may not have told its couriers.
        """
        now = to_minute(self.driver.now())
        self.wave_at = now
        before = self.ask(self.cast.operator, "GET", "/waves", limit=10)["data"]
        self.told = {wave["plan_id"] for wave in before}
        self.handed = now - (AGAIN if before else AHEAD_OF_FIRST)
        if before:
            self._take_over_wave(before[0]["plan_id"])
            self.wave_at = self._after(now)
        self._find_hub()
        self.figures.doing = "running"

    def _after(self, minute: int) -> int:
        """The minute of the next wave of the schedule."""
        every = max(1, round(60 * self.wanted.wave_hours))
        return minute + every - (minute - to_minute(BEGINS)) % every

    def tick(self) -> None:
        """One step: orders come in, parcels move and are scanned, and now and then a wave is planned."""
        figures, driver = self.figures, self.driver
        figures.now = driver.now()
        now = to_minute(figures.now)
        if now > self.handed:
            hand_in(self.ask, self.cast, self.arrivals.due(self.handed, now), figures)
            self.handed = now
        if self.looker.closures is not None and self.carrying.news(self.looker.closures):
            driver.pause()  # while it is worked out what runs now
            self.carrying.close(self.looker.closures, now)
            figures.tell("what is closed has changed: couriers keep to it")
        self._take_over(self.looker.booked_on())
        self.carrying.tick(now, self.ask, self.cast, figures)
        if now >= self.wave_at:
            self._take_over_wave(plan_wave(self.ask, self.cast.operator, driver, figures)["plan_id"])
            self.looker.planning = False
            self.wave_at = self._after(now)
            self._find_hub()
        for plan_id, state in self.looker.waves.items():  # those that somebody else asked for, as after a closure
            if state in ENDED and plan_id not in self.told:
                self._take_over_wave(plan_id)
        driver.run_on(RUN_ON_S)
        if self.looker.planning:
            driver.pause()
        else:
            driver.resume()
        figures.doing = PLANNING if self.looker.planning else "running"
        self._ease()
        if time.monotonic() - self.counted > COUNT_S:
            self.carrying.count(figures)
            self.looker.astray = self.carrying.astray()
            self.counted = time.monotonic()
        if time.monotonic() - self.saved > SAVE_S:
            self.carrying.save()
            self.saved = time.monotonic()

    def _take_over_wave(self, plan_id: str) -> None:
        """Tell the couriers what a wave has booked, and sent another way."""
        self.told.add(plan_id)
        self._take_over(self.ask.pages(self.cast.operator, "/shipments", plan_id=plan_id))

    def _take_over(self, shipments: list[dict]) -> None:
        if shipments:
            parcels = [
                (parcel["number"], one["reference"], one["legs"][0]["from_node"])
                for one in shipments
                for parcel in one["parcels"]
                if parcel["number"] is not None and one["legs"]
            ]
            named = pl.DataFrame(parcels, schema=dict.fromkeys(_PARCELS, pl.String), orient="row")
            self.carrying.take_over(shipments, self.arrivals.places(named))

    def _ease(self) -> None:
        """Simulated time runs slower while the server cannot follow, and as fast as was asked for when it can."""
        speed = self.driver.rule.speed
        slower = self.figures.lag_s > SLOW_S
        eased = max(10.0, speed * EASE) if slower else min(self.wanted.speed, speed / EASE)
        if eased != speed:
            self.driver.set_speed(eased)
        self.figures.speed = eased

    def _find_hub(self) -> None:
        """The hub that most parcels still have to leave: the one to close."""
        self.figures.hub = self.carrying.twin.busiest("hub") or self.figures.hub


@contextmanager
def _shown(figures: Figures, folder: Folder, wanted: Wanted) -> Iterator[None]:
    """Shows the page on a terminal, and lines elsewhere."""
    data = str(folder.data)
    shown = console.err if wanted.as_json else console.out
    if shown.is_terminal:
        with Screen(get_renderable=lambda: page(figures, data), console=shown, screen=True, refresh_per_second=4):
            yield
        return
    over = threading.Event()

    def tell() -> None:
        invited = False
        while not over.wait(LINE_S):
            shown.print(line(figures), soft_wrap=True)
            if figures.hub and not invited:
                shown.print(footer(figures, data), soft_wrap=True)
                invited = True

    thread = threading.Thread(target=tell, name="lines", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
