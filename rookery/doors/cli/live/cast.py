"""Who takes part in the demo: shops that ship, a courier for each carrier of the network, and whoever runs it."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from rookery.doors.cli.live.asking import Asker
from rookery.terms.frames import Feed

SHOPS = ("Shop A", "Shop B", "Shop C", "Shop D")


@dataclass(frozen=True)
class Cast:
    """The keys of everyone: the operator's, each shop's, and each courier's by its carrier_id."""

    operator: str
    shops: tuple[str, ...]
    couriers: dict[str, str]


def cast_in(file: Path, data: Path, ask: Asker, feed: Feed) -> Cast:
    """Everyone's keys: as kept in a file, else entered now over HTTP.

    The very first key is made beside the server, as somebody who runs one does.
    """
    if file.exists():
        kept = json.loads(file.read_text())
        return Cast(kept["operator"], tuple(kept["shops"]), kept["couriers"])
    admin = _first_key(data)

    def enter(name: str, scope: str, code: str | None = None) -> str:
        party = ask(admin, "POST", "/parties", {"name": name, "code": code})
        return ask(admin, "POST", "/keys", {"party_id": party["party_id"], "scopes": [scope]})["key"]

    cast = Cast(
        operator=enter("Demo Network", "operator"),
        shops=tuple(enter(name, "merchant") for name in SHOPS),
        couriers={
            carrier: enter(f"Courier {carrier}", "courier", carrier)
            for carrier in feed.lanes["carrier_id"].unique().drop_nulls().sort()
        },
    )
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        json.dump({"operator": cast.operator, "shops": cast.shops, "couriers": cast.couriers}, stream)
    return cast


def _first_key(data: Path) -> str:
    from rookery.app import open_house
    from rookery.base.access import ops

    with open_house(data, size=2, migrate=False) as house, house.context() as ctx:
        party = ops.create_party(ctx, ops.NewParty("Demo Administration"))
        return ops.create_key(ctx, ops.NewKey(party.party_id, ["admin"])).key
