"""Where time comes from: never from the wall directly, so that a simulated network can run faster than it.

A simulated clock stands in a small file that every process of a data folder reads at each look: an instant, the
machine's own steady clock then, and how many simulated seconds pass in one of its seconds. Whoever drives it writes it
and says for how long it may run on unseen: a driver that was killed leaves a clock that stands still.
"""

from __future__ import annotations

import mmap
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from struct import Struct
from typing import Any, NamedTuple

from rookery.terms.errors import InvalidInput


@dataclass(frozen=True)
class Clock:
    """Gives the instant it is now, in UTC."""

    now: Callable[[], datetime]


WALL = Clock(lambda: datetime.now(UTC))
"""The clock on the wall."""
FILE = "clock"
"""The file of a data folder whose clock is a simulated one."""
MOST_SPEED = 1e6
_MARK = b"rookclk1"
_RULE = Struct("<qqqdq")  # see Rule
_COUNT = Struct("<q")
_BEGIN = len(_MARK) + _COUNT.size
_END = _BEGIN + _RULE.size
_SIZE = _END + _COUNT.size
_FOREVER = 2**63 - 1


class Rule(NamedTuple):
    """How an instant follows from the machine's steady clock (nanoseconds of time.monotonic_ns).

    At steady `since` it was `origin_us` (microseconds since 1970); from then on `speed` simulated seconds pass a
    second, until steady `until`. paused: 1 = it stands at `origin_us`.
    """

    origin_us: int
    since: int
    until: int
    speed: float
    paused: int

    def at(self, steady: int) -> int:
        """Microseconds since 1970 at a reading of the steady clock; after the machine started anew, the origin."""
        if self.paused:
            return self.origin_us
        origin_us, since, until, speed, _ = self
        ran = (steady if steady < until else until) - since
        return origin_us + int(ran * speed) // 1000 if ran > 0 else origin_us


def clock_of(file: Path) -> Clock:
    """The simulated clock of a file, as every process of this machine sees it; it never goes back.

    Raises InvalidInput for a file that is none.
    """
    shared = _open(file, mmap.ACCESS_READ)
    last = 0

    def now() -> datetime:
        nonlocal last
        at = _read(shared).at(time.monotonic_ns())
        if at > last:  # else whoever writes took the time for a change a moment before we looked
            last = at
        return datetime.fromtimestamp(last / 1e6, UTC)

    return Clock(now)


def clock_in(folder: Path) -> Clock:
    """The clock of a data folder: the simulated one whose file lies in it, else the one on the wall."""
    file = folder / FILE
    return clock_of(file) if file.exists() else WALL


class Driver:
    """Whoever drives a simulated clock: one at a time. A file made before goes on from where it stood."""

    def __init__(self, file: Path):
        """Raises InvalidInput for a file that is none."""
        self._shared = _open(file, mmap.ACCESS_WRITE)

    @classmethod
    def make(cls, file: Path, at: datetime, speed: float) -> Driver:
        """A clock that stands at an aware instant until it is resumed; whole or not there at all."""
        rule = Rule(round(at.timestamp() * 1e6), 0, _FOREVER, _fit(speed), 1)
        handle, beside = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
        with os.fdopen(handle, "wb") as stream:
            stream.write(_MARK + _COUNT.pack(0) + _RULE.pack(*rule) + _COUNT.pack(0))
        Path(beside).replace(file)
        return cls(file)

    @property
    def rule(self) -> Rule:
        """What holds now."""
        return _read(self._shared)

    def now(self) -> datetime:
        """The instant it is."""
        return datetime.fromtimestamp(self.rule.at(time.monotonic_ns()) / 1e6, UTC)

    def pause(self) -> None:
        """Let it stand still."""
        self._turn(paused=1)

    def resume(self) -> None:
        """Let it go on from where it stands."""
        self._turn(paused=0)

    def set_speed(self, speed: float) -> None:
        """So many simulated seconds pass in one second from now on. Raises InvalidInput outside 0 to MOST_SPEED."""
        self._turn(speed=_fit(speed))

    def run_on(self, seconds: float) -> None:
        """It may run for so long without another word of its driver; without any word ever, it runs for good."""
        self._turn(until=time.monotonic_ns() + int(seconds * 1e9))

    def _turn(self, **changed: Any) -> None:
        steady = time.monotonic_ns()
        rule = self.rule
        rule = rule._replace(origin_us=rule.at(steady), since=steady, **changed)
        count = _COUNT.pack(_COUNT.unpack_from(self._shared, len(_MARK))[0] + 1)
        # readers look at the two counts in the other order, and again where they differ
        self._shared[len(_MARK) : _BEGIN] = count
        self._shared[_BEGIN:_END] = _RULE.pack(*rule)
        self._shared[_END:_SIZE] = count


def _fit(speed: float) -> float:
    if not 0 < speed <= MOST_SPEED:
        what = f"A clock cannot run {speed:g} times as fast as the wall's."
        raise InvalidInput("clock.speed", what, f"use a number above 0, at most {MOST_SPEED:,.0f}")
    return float(speed)


def _open(file: Path, access: int) -> mmap.mmap:
    mode = "rb" if access == mmap.ACCESS_READ else "r+b"
    with file.open(mode) as stream:
        size = os.fstat(stream.fileno()).st_size
        shared = mmap.mmap(stream.fileno(), _SIZE, access=access) if size == _SIZE else None
    if shared is None or shared[: len(_MARK)] != _MARK:
        raise InvalidInput("clock.no_clock", f"{file} is no simulated clock.", "remove it, or name the folder of one")
    return shared


def _read(shared: mmap.mmap) -> Rule:
    while True:
        after = shared[_END:_SIZE]
        rule = Rule._make(_RULE.unpack_from(shared, _BEGIN))
        if shared[len(_MARK) : _BEGIN] == after:
            return rule
