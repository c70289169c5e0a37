"""What a database needs once a day: partitions for the months to come, and an end for what is kept for a while only."""

from __future__ import annotations

from datetime import datetime, timedelta

from rookery.base.db.partitions import tend
from rookery.base.jobs import Desk
from rookery.base.performing import forget_replies


class Upkeep:
    """Called every minute, does its work when `every` has passed since it last did. Done twice it does no harm."""

    def __init__(self, every: timedelta):
        self._every = every
        self._last: datetime | None = None

    def __call__(self, desk: Desk) -> None:
        now = desk.clock.now()
        if self._last is not None and now - self._last < self._every:
            return
        with desk.database.owner() as conn:
            tend(conn, now)
        for test in (False, True):
            with desk.context(test) as ctx:
                forget_replies(ctx.conn, now)
        self._last = now
