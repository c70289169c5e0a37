"""What the chapters on trouble share: days that pass as told, and an endpoint that hears what happens."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from life_scans import POSTAL_CODE, scan, taken
from life_world import Life, until
from receiving import Heard, Receiver

from rookery.base.clock import FILE, Driver

LATER = timedelta(days=20)
"""So long after the chapters before: nothing that was booked in them is to leave around then."""
STEP_S = 0.1
"""Time flies in steps of so many real seconds, as fast as needed."""
CARRIER = {"pick-up": "road", "flight": "air", "flight-west": "air", "line-haul": "road", "line-haul-west": "road",
           "van": "van"}  # fmt: skip
"""Who drives or flies what, by lane."""


def words(at: datetime) -> str:
    """An instant as documents have it."""
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def take_over_the_clock(life: Life) -> None:
    """Starts the server anew, on a clock of ours: it goes as the wall's does until we let time pass."""
    life.stop()
    life.known["clock"] = Driver.make(life.data / FILE, datetime.now(UTC), 1.0)
    life.clock.resume()
    life.serve()


def pass_until(life: Life, at: datetime) -> None:
    """Lets time fly until an instant, and goes on from there as the wall's clock does."""

    def there() -> bool:
        life.clock.pause()
        left = (at - life.clock.now()).total_seconds()
        there = left <= 0.001
        life.clock.set_speed(1.0 if there else min(max(left / STEP_S, 1.0), 1e6))
        life.clock.run_on(1e9 if there else STEP_S)  # never further than meant, however late we look again
        life.clock.resume()
        return there

    until(f"it is {words(at)}", there)


def day(life: Life, hour: int = 0, days: int = 0) -> datetime:
    """An hour (UTC) of the day on which this chapter's parcels set out, or of a later one."""
    return life.day + timedelta(days=days, hours=hour)


@dataclass
class Inbox:
    """What came to an endpoint, each message once, and all of it verified."""

    receiver: Receiver
    secret: str
    _read: int = 0
    _seen: dict[str, Heard] = field(default_factory=dict)

    def messages(self, what: str | None = None, /, **data: Any) -> list[dict[str, Any]]:
        """Those of a kind whose data holds these values, in the order in which they came first."""
        new = self.receiver.heard[self._read :]
        self._read += len(new)
        for one in new:
            if "webhook-id" not in one.headers:
                continue  # whoever knocks at a port of this machine is none of ours
            assert one.signed_with(self.secret), "somebody else said this"
            assert self._seen.setdefault(one.id, one).body == one.body, "said twice, but not alike"
        told: Iterator[dict[str, Any]] = (one.json for one in self._seen.values())
        return [
            one
            for one in told
            if what in (None, one["type"]) and all(one["data"].get(name) == value for name, value in data.items())
        ]

    def until_told(self, what: str, /, **data: Any) -> dict[str, Any]:
        """The latest such message, waited for."""
        return until(f"{what} of {data} is told", lambda: self.messages(what, **data))[-1]


def listen(life: Life, who: str, receiver: Receiver) -> Inbox:
    """An endpoint of somebody's, by the secret that is shown once."""
    made = getattr(life, who).post("/webhooks", {"url": receiver.url})
    assert made.status == 201, made.json
    return Inbox(receiver, made.json["secret"])


def set_out(life: Life, who: str, reference: str) -> dict[str, Any]:
    """A parcel booked at six for the evening's flight over Leipzig: the cheapest way by air."""
    asked = {
        "from": {"node": "CAN-W1"}, "to": {"country": "DE", "postal_code": POSTAL_CODE}, "weight_g": 800,
        "ready_at": words(day(life, 8)),
    }  # fmt: skip

    def offers() -> list[dict[str, Any]]:
        told = getattr(life, who).post("/quotes", asked).json.get("offers", ())
        return [one for one in told if "flight-02:00" in departures(one)]

    offer = until("a desk has looked at the network of today", offers)[-1]
    to = {"name": "Kai Example", "lines": ["Straße 9"], "city": "Berlin", "postal_code": POSTAL_CODE, "country": "DE"}
    made = getattr(life, who).post("/shipments", {"quote_id": offer["quote_id"], "reference": reference, "to": to})
    assert made.status == 201, made.json
    assert departures(made.json) == ["pick-up-18", "flight-02:00", "line-haul-20"]
    return made.json


def departures(told: dict[str, Any]) -> list[str]:
    """What an offer, a shipment or a tracker rides."""
    return [leg["departure_id"] for leg in told["legs"]]


def bring_to_the_hub(life: Life, *numbers: str) -> None:
    """Picked up at nine and driven to the hub of Guangzhou by eleven, scanned as it happens."""
    steps = (
        (9, "accepted", "CAN-W1", None),
        (10, "departed", "CAN-W1", "pick-up-18"),
        (11, "arrived", "CAN-HUB", None),
    )
    for hour, code, node, departure in steps:
        pass_until(life, day(life, hour) + timedelta(minutes=5))
        one = {"at": words(day(life, hour)), "code": code, "node": node} | (
            {"departure": departure} if departure else {}
        )
        told = scan(life, "road", *({"number": number} | one for number in numbers))
        assert taken(told) == (len(numbers), 0, 0)


def ride(life: Life, number: str, leg: dict[str, Any], left: datetime | None = None, came: datetime | None = None):
    """A leg, ridden as it stands in the route, or left and come otherwise; each is scanned when it happened."""
    who = CARRIER[leg["lane_id"]]
    left, came = left or instant(leg["depart_at"]), came or instant(leg["arrive_at"])
    departed(life, number, leg, left)
    pass_until(life, came + timedelta(minutes=5))
    assert taken(scan(life, who, {"number": number, "at": words(came), "code": "arrived", "node": leg["to_node"]}))[0]


def departed(life: Life, number: str, leg: dict[str, Any], left: datetime) -> None:
    """It leaves with this departure, and that is scanned five minutes later."""
    pass_until(life, left + timedelta(minutes=5))
    one = {"number": number, "at": words(left), "code": "departed", "node": leg["from_node"]}
    told = scan(life, CARRIER[leg["lane_id"]], one | {"departure": leg["departure_id"]})
    assert taken(told) == (1, 0, 0), told


def tracked(life: Life, who: str, number: str) -> dict[str, Any]:
    told = getattr(life, who).get(f"/trackers/{number}")
    assert told.status == 200, told.json
    return told.json


def until_now(life: Life, number: str, what: str, holds) -> dict[str, Any]:
    """The tracker, as soon as what is ahead of the parcel is so."""

    def look() -> dict[str, Any] | None:
        seen = tracked(life, "operator", number)
        return seen if seen["now"] is not None and holds(seen["now"]) else None

    return until(what, look)


def cases_of(life: Life, who: str, number: str, kind: str) -> list[dict[str, Any]]:
    """Cases of a kind in which a parcel is or was, closed ones too."""
    caller = getattr(life, who)
    cases = caller.get(f"/cases?kind={kind}&state=all").json["data"]
    inside = {
        case["case_id"]: [
            one["number"] for one in caller.get(f"/cases/{case['case_id']}/parcels?left=true").json["data"]
        ]
        for case in cases
    }
    return [case for case in cases if number in inside[case["case_id"]]]
