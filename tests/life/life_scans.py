"""What the chapters on tracking share: when things happened, scans, and what everybody sees of the parcel."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from life_world import Answer, Caller, Life

POSTAL_CODE = "10115"
PLACES = {"CAN-W1": "Guangzhou warehouse", "CAN-HUB": "Guangzhou hub", "LEJ-HUB": "Leipzig hub",
          "DE-BERLIN": "Berlin depot"}  # fmt: skip


def at(life: Life, hours: float) -> str:
    """So many hours after the parcel's journey began, three days ago: what is scanned has happened."""
    if "began" not in life.known:
        life.known["began"] = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=3)
    return (life.began + timedelta(hours=hours)).isoformat(timespec="seconds").replace("+00:00", "Z")


def epc(number: str) -> str:
    """A waybill number as events name it."""
    return f"https://id.gs1.org/00/{number}"


def scan(life: Life, who: str, *scans: dict[str, Any]) -> dict[str, Any]:
    """A batch of scans; what was told of it."""
    told = getattr(life, who).post("/scans", {"scans": list(scans)})
    assert told.status == 200, told.json
    return told.json


def taken(told: dict[str, Any]) -> tuple[int, int, int]:
    return told["taken"], told["repeated"], told["refused"]


def capture(life: Life, who: str, document: Any, **headers: str) -> dict[str, Any]:
    """An EPCIS document captured; its job when it is done."""
    sent = getattr(life, who).post("/epcis/capture", document, **headers)
    assert sent.status == 202, sent.json
    job = getattr(life, who).get(sent.headers["location"])
    assert job.status == 200 and not job.json["running"], job.json
    return job.json


def publicly(life: Life, postal_code: str = POSTAL_CODE) -> Answer:
    """What the parcel's recipient reads, who has no key."""
    return Caller(life.url, "").get(f"/track/{life.number}?postal_code={postal_code}")


def everybody_sees(life: Life, status: str, detail: str | None, node: str | None) -> dict[str, Any]:
    """The parcel is there for its shipper, its couriers and its recipient alike, and for nobody else; the tracker."""
    place = None if node is None else f"urn:rookery:node:{node}"
    for who in ("shop", "road", "air", "hub"):
        tracker = getattr(life, who).get(f"/trackers/{life.number}").json
        assert (tracker["status"], tracker["detail"], tracker["place"]) == (status, detail, place), (who, tracker)
    [row] = [row for row in life.shop.get("/trackers?limit=1000").json["data"] if row["number"] == life.number]
    assert (row["status"], row["detail"], row["place"]) == (status, detail, place)
    for stranger in ("other_shop", "rail"):
        refused = getattr(life, stranger).get(f"/trackers/{life.number}")
        assert (refused.status, refused.json["code"]) == (404, "trackers.none")
    page = publicly(life)
    told = page.json
    assert page.status == 200, told
    assert (told["status"], told["detail"]) == (status, detail)
    assert (told["place"] and told["place"]["name"]) == (PLACES[node] if node else None)
    assert not any(word in page.body for word in (b"Example", "Straße".encode(), b"pty_", b"per_", b"cost"))
    return life.shop.get(f"/trackers/{life.number}").json


def history(tracker: dict[str, Any]) -> list[str]:
    """The details (else statuses) of all steps, in the order they happened."""
    return [step["detail"] or step["status"] for step in tracker["why"]["steps"]]


def events_of(life: Life, who: str, number: str) -> list[dict[str, Any]]:
    """The EPCIS events that name a parcel, as somebody reads them, oldest first."""
    asked = getattr(life, who).get(
        f"/epcis/events?MATCH_anyEPC={epc(number)}&orderBy=eventTime&orderDirection=ASC&perPage=100"
    )
    assert asked.status == 200, asked.json
    return asked.json["epcisBody"]["queryResults"]["resultsBody"]["eventList"]
