"""The live side as a server tells it: in the body of /ready, in the metrics, to operators by GET /live."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import psycopg
from msgspec import structs

from rookery.base.clock import WALL
from rookery.base.operations import SYSTEM
from rookery.tracking import live_signs, set_aside
from rookery.tracking.live_signs import Sign

NONE = {"live": "none", "outlook": "none", "subscriptions": "none", "webhooks": "none"}


@contextmanager
def said(served: Any, *signs: Sign, test: bool = False) -> Iterator[None]:
    """Within, a worker seems to have given these signs."""
    with served.house.context(structs.replace(SYSTEM, test=test)) as ctx:
        live_signs.write(ctx.conn, test, signs)
    try:
        yield
    finally:
        with psycopg.connect(served.cluster.url(), autocommit=True, options="-c rookery.scopes=system") as conn:
            conn.execute("select set_config('rookery.test', %s, false)", ("on" if test else "off",))
            conn.execute("delete from tracking.live_signs")


def parts_of(served: Any) -> dict[str, str]:
    told = served.ask("GET", "/ready")
    assert (told.status, told.json["status"]) == (200, "ready")
    return told.json["parts"]


def metric(served: Any, name: str) -> str | None:
    """A line's value; None where there is no such line."""
    text = served.ask("GET", "/metrics", key=served.new_key("operator")).body.decode()
    return next((line.rpartition(" ")[2] for line in text.splitlines() if line.startswith(name + " ")), None)


def shown(served: Any, name: str, value: str | None) -> None:
    """Scrapes until a line has this value: figures are kept for a moment."""
    over = time.monotonic() + 300
    while (found := metric(served, name)) != value:
        assert time.monotonic() < over, f"{name} stays {found}"


def test_ready_tells_how_each_part_is_and_stays_ready(served):
    """Whatever becomes of the live side a server can take scans: 200, with ok, behind, failing or none of each part."""
    assert parts_of(served) == NONE
    now = WALL.now()
    old = now - timedelta(hours=1)
    with said(
        served, Sign(part="live", at=now, fault="DataError", fault_at=now, failing_since=now),
        Sign(part="outlook", at=now), Sign(part="subscriptions", at=old),
        Sign(part="webhooks", at=now, waiting=7, first_place=1, waiting_since=old),
    ):  # fmt: skip
        assert parts_of(served) == {"live": "failing", "outlook": "ok", "subscriptions": "none", "webhooks": "behind"}
    with said(served, Sign(part="live", at=now, failing_since=now), test=True):
        assert parts_of(served) == NONE  # test data are no matter of whoever watches


def test_metrics_tell_the_live_side(served):
    """Each part's state and last sign, what waits and for how long, the outlook's version and age, what is set aside:
    live and test data apart.
    """
    now = WALL.now()
    with said(
        served, Sign(part="live", at=now, failing_since=now, started_at=now, broke_off_at=now - timedelta(hours=1)),
        Sign(part="outlook", at=now, outlook="0.abc", outlook_at=now - timedelta(hours=2), waiting=4),
    ):  # fmt: skip
        shown(served, 'rookery_live_part{mode="live",part="live",state="failing"}', "1.0")
        assert metric(served, 'rookery_live_part{mode="live",part="live",state="ok"}') == "0.0"
        assert metric(served, 'rookery_live_part{mode="test",part="live",state="none"}') == "1.0"
        assert metric(served, 'rookery_outlook_version_info{mode="live",version="0.abc"}') == "1.0"
        assert float(metric(served, 'rookery_outlook_age_seconds{mode="live"}') or 0) >= 7200
        assert metric(served, 'rookery_outlook_parcels_waiting{mode="live"}') == "4.0"
        for name, of_outlook in (("sign_at", True), ("started_at", False), ("broke_off_at", False)):
            assert metric(served, f'rookery_live_{name}_seconds{{mode="live",part="live"}}') is not None, name
            line = metric(served, f'rookery_live_{name}_seconds{{mode="live",part="outlook"}}')
            assert (line is not None) == of_outlook, name
        began = served.ask("GET", "/live", key=served.new_key("operator")).json["server_started_at"]
        told = float(metric(served, "rookery_server_started_at_seconds") or 0)
        assert told == datetime.fromisoformat(began).timestamp()
        for name in ("live_parcels_waiting", "live_parcels_set_aside", "outbox_waiting", "webhooks_undelivered"):
            assert metric(served, f'rookery_{name}{{mode="live"}}') is not None, name
    shown(served, 'rookery_outlook_version_info{mode="live",version="0.abc"}', None)
    assert metric(served, 'rookery_live_part{mode="live",part="live",state="none"}') == "1.0"


def test_operators_see_what_is_set_aside_and_have_it_looked_at_again(served):
    """A page of them, with code, number and until when; asked for, they wait to be looked at. Nobody else may ask."""
    shop, house = served.new_key("merchant"), served.new_key("operator", test=True)
    numbers = [f"09520000000000{n:03}9" for n in range(3)]
    epcs = [f"https://id.gs1.org/00/{number}" for number in numbers]
    with served.house.context(structs.replace(SYSTEM, test=True)) as ctx:
        for epc in epcs:
            set_aside.put(ctx.conn, True, epc, "DataError", WALL.now())
    try:
        first = served.ask("GET", "/live?limit=2", key=house).json
        assert first["set_aside"] == 3 and [one["epc"] for one in first["parcels_set_aside"]] == epcs[:2]
        assert first["parcels_set_aside"][0] | {"at": "", "until_at": ""} == {
            "epc": epcs[0], "number": numbers[0], "parcel_id": None, "at": "", "until_at": "", "fault": "DataError",
            "times": 1,
        }  # fmt: skip
        rest = served.ask("GET", f"/live?limit=2&after={first['next']}", key=house).json
        assert [one["epc"] for one in rest["parcels_set_aside"]] == epcs[2:] and rest["next"] is None
        assert served.ask("GET", "/live", key=served.new_key("operator")).json["set_aside"] == 0  # of live data
        before = rest["parcels"]["count"]
        again = served.ask("POST", "/live/again", {"numbers": [numbers[0], "(00)" + numbers[1], "X1234"]}, key=house)
        assert (again.status, again.json) == (200, {"entered": 2, "not_set_aside": ["X1234"], "left": 1})
        rest_too = served.ask("POST", "/live/again", {}, key=house).json
        assert rest_too == {"entered": 1, "not_set_aside": [], "left": 0}  # the others wait to be looked at already
        assert served.ask("GET", "/live", key=house).json["parcels"]["count"] == before + 3
        for method, path in (("GET", "/live"), ("POST", "/live/again")):
            assert served.ask(method, path, {} if method == "POST" else None, key=shop).status == 403
    finally:
        with served.house.context(structs.replace(SYSTEM, test=True)) as ctx:
            set_aside.forget(ctx.conn, True, epcs)
            ctx.conn.execute("delete from tracking.moved where epcs && %s", (epcs,))
