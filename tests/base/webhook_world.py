"""A database with endpoints, news and a clock of its own, for tests of what is told to whom."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from rookery.base import outbox
from rookery.base.clock import Clock
from rookery.base.db import Database
from rookery.base.jobs import Desk
from rookery.base.signing import Signer
from rookery.base.webhooks import endpoints
from rookery.base.webhooks.delivering import Deliverer
from rookery.base.webhooks.sending import Sender
from rookery.base.webhooks.signing import secret_of
from rookery.base.webhooks.targets import Targets

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
SHOP, RIVAL = "pty_shop", "pty_rival"
SIGNER = Signer(bytes(32))


@dataclass
class World:
    """now: what the clock says."""

    database: Database
    now: datetime = NOW
    signer: Signer = SIGNER

    @property
    def desk(self) -> Desk:
        return Desk(self.database, Clock(lambda: self.now), {Signer: self.signer})

    def later(self, **span: float) -> None:
        self.now += timedelta(**span)

    def endpoint(
        self, url: str, party_id: str = SHOP, kinds: tuple[str, ...] = (), test: bool = False, hears_all: bool = False
    ) -> str:
        with self.desk.context(test) as ctx:
            return endpoints.add_endpoint(ctx.conn, party_id, test, url, kinds, "", hears_all, self.now)

    def secret(self, endpoint_id: str, rotation: int = 1) -> str:
        return secret_of(self.signer, endpoint_id, rotation)

    def news(
        self,
        *keys: str,
        kind: str = "parcel.milestone",
        parties: tuple[str, ...] = (SHOP,),
        test: bool = False,
        first: int = 0,
    ) -> None:
        """One piece of news of each key, in this order, in one transaction; data tells key and number, from `first`
        on.
        """
        rows = [
            (test, kind, key, list(parties), self.now, json.dumps({"number": key, "n": n}))
            for n, key in enumerate(keys, first)
        ]
        frame = pl.DataFrame(rows, schema=outbox.NEWS, orient="row")
        with self.desk.context(test) as ctx:
            assert outbox.add(ctx.conn, frame) == len(keys)

    def rows(self, query: str) -> list[Any]:
        with self.database.owner() as conn:
            found = conn.execute(query.encode()).fetchall()
        return [row[0] if len(row) == 1 else row for row in found]

    def states(self, endpoint_id: str) -> list[str]:
        """Of an endpoint's deliveries, in the order of their news."""
        return self.rows(f"select state from base.deliveries where endpoint_id = '{endpoint_id}' order by seq")

    def health(self, endpoint_id: str) -> endpoints.Endpoint:
        with self.desk.context() as ctx:
            return endpoints.get_endpoint(ctx.conn, endpoint_id)

    def deliver(self, total_s: float = 60.0, act: Callable[[Deliverer], Any] | None = None) -> None:
        """A fresh deliverer tells all that can be told now; or does as told."""

        async def all_of_it() -> None:
            async with Sender(Targets(private=True), total_s) as sender:
                deliverer = Deliverer(self.desk, sender)
                await (deliverer.until_idle() if act is None else act(deliverer))

        asyncio.run(all_of_it())


def emptied(database: Database) -> World:
    """A world without news, endpoints and all that follows from them."""
    with database.owner() as conn:
        conn.execute("truncate base.outbox, base.endpoints, base.messages")
        conn.execute("truncate base.deliveries, base.audit")
    return World(database)
