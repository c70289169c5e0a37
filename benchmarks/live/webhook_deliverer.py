"""A deliverer in a process of its own, to be killed: `webhook_deliverer.py DATA CLOCK`.

Its clock goes as the wall's, and jumps ahead when nothing is left to be done before; CLOCK is a file of eight bytes
with how far it is ahead, so that the next deliverer goes on from there. It ends when nothing is pending.
"""

from __future__ import annotations

import asyncio
import struct
import sys
from datetime import datetime, timedelta
from pathlib import Path

from rookery.app import House, open_house
from rookery.base.clock import WALL, Clock
from rookery.base.jobs import Desk
from rookery.base.webhooks.delivering import Deliverer, alone
from rookery.base.webhooks.sending import Sender
from rookery.base.webhooks.targets import Targets

AHEAD = timedelta(seconds=60)
"""So much further than to the next message that is due, so that more than one is; and as long as an endpoint that is
down is left alone at most."""


class Jumping:
    """The wall's time and so many seconds."""

    def __init__(self, file: Path):
        self._file = file
        self._ahead = timedelta(seconds=struct.unpack("d", file.read_bytes())[0]) if file.exists() else timedelta()

    def now(self) -> datetime:
        return WALL.now() + self._ahead

    def jump(self, by: timedelta) -> None:
        self._ahead += by
        spare = self._file.with_suffix(".new")
        spare.write_bytes(struct.pack("d", self._ahead.total_seconds()))
        spare.replace(self._file)


async def deliver_all(house: House, clock: Jumping) -> None:
    """Until nothing is pending."""
    desk = Desk(house.database, house.clock, house.parts)
    async with Sender(Targets(private=True)) as sender:
        deliverer = Deliverer(desk, sender)
        while True:
            await deliverer.until_idle()
            with desk.context() as ctx:
                [(due,)] = ctx.conn.execute(
                    "select min(next_at) from base.endpoints e join base.deliveries d using (endpoint_id)"
                    " where e.enabled and d.state = 'next'"
                ).fetchall()
            if due is None:
                return
            clock.jump(max(due - clock.now(), timedelta()) + AHEAD)


def main(data: Path, file: Path) -> None:
    clock = Jumping(file)
    with (
        open_house(data, clock=Clock(clock.now), size=4, migrate=False) as house,
        alone(Desk(house.database, house.clock, house.parts)) as lock,
    ):
        assert lock is not None, "another deliverer is at work"
        asyncio.run(deliver_all(house, clock))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
