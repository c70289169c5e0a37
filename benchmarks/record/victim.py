"""A shipper with all that somebody else might want: orders, shipments, people, labels, uploads, numbers, keys."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from benchmarks.record.people import person, sheet
from benchmarks.record.served import Served, ready_at
from benchmarks.record.wire import Wire, asked

MARK = "VICTIM"
"""Stands in every reference, name and note of the shipper, and nowhere else."""
ORDERS, UPLOADS, ROWS = 20, 3, 5


@dataclass(frozen=True)
class Victim:
    """What is to be kept from others, by the name of the field that asks for it."""

    party: str
    key: str
    ids: dict[str, list[str]]
    quotes: list[str]
    references: list[str]
    numbers: list[str]
    row_refs: list[str]
    asked_before: list[tuple[str, bytes, str]]  # path, body, Idempotency-Key
    courier: str  # a carrier of none of the shipments' legs

    def secrets(self) -> set[str]:
        """All that tells an answer to be about the shipper."""
        return {one for ids in self.ids.values() for one in ids} | {self.party} | set(self.numbers)


def moved_in(served: Served) -> Victim:
    """A shipper whose orders wait, are booked and labelled, with uploads done and faulty."""
    party, key = served.party(f"{MARK} Example")
    start, (country, postal) = served.origins()[0], served.zones()[0]
    asked_before, orders, shipments = [], [], []
    to = person(8) | {"name": f"{MARK} Example", "country": country, "postal_code": postal}
    ask = {"from": {"node": start}, "to": {"country": country, "postal_code": postal}, "ready_at": ready_at(24),
           "weight_g": 800}  # fmt: skip
    quotes = [served.ask(key, "POST", "/quotes", ask)["offers"][0]["quote_id"] for _ in range(ORDERS)]
    for at in range(ORDERS):
        made = {"reference": f"{MARK}-{at}", "from": {"node": start}, "to": to, "ready_at": ready_at(24),
                "weight_g": 500, "metadata": {"note": MARK}}  # fmt: skip
        orders.append(_told(served, key, "/orders", made, f"key-{MARK}-o{at}", asked_before)["order"])
        booked = {"quote_id": quotes[at], "reference": f"{MARK}-S{at}", "to": to, "metadata": {"note": MARK}}
        shipments.append(_told(served, key, "/shipments", booked, f"key-{MARK}-s{at}", asked_before))
    parcels = [parcel for shipment in shipments for parcel in shipment["parcels"]]
    uploads = [_upload(served, key, _faulty(at, start)) for at in range(UPLOADS)]
    refs = [ref for upload in uploads for ref in _row_refs(served, key, upload)]
    mine = served.ask(key, "GET", "/keys")["data"]
    carriers = {leg["carrier_id"] for shipment in shipments for leg in shipment["legs"]}
    return Victim(
        party=party,
        key=key,
        ids={
            "order_id": [order["order_id"] for order in orders] + [one["order_id"] for one in shipments],
            "shipment_id": [shipment["shipment_id"] for shipment in shipments],
            "parcel_id": [parcel["parcel_id"] for parcel in parcels],
            "person_id": [order["recipient_id"] for order in orders + shipments],
            "upload_id": uploads,
            "key_id": [one["key_id"] for one in mine],
        },
        quotes=quotes,
        references=[order["reference"] for order in orders] + [one["reference"] for one in shipments],
        numbers=[parcel["number"] for parcel in parcels],
        row_refs=refs,
        asked_before=asked_before,
        courier=next((name for name in served.carriers() if name not in carriers), "NOBODY"),
    )


def picture(conn: psycopg.Connection, party: str) -> dict[str, str]:
    """Every row of a party in every table, as one digest a table. conn: the tables' owner's."""
    tables = conn.execute(
        "select table_schema, table_name from information_schema.columns join information_schema.tables"
        " using (table_schema, table_name) where column_name = 'party_id' and table_type = 'BASE TABLE'"
        " and table_schema in ('base', 'orders', 'vault', 'waybill', 'planning') order by 1, 2"
    ).fetchall()
    found = {}
    for schema, table in tables:
        query = sql.SQL("select count(*) || md5(coalesce(string_agg(t::text, '' order by t::text), '')) from {} t"
                        " where party_id = %s").format(sql.Identifier(schema, table))  # fmt: skip
        row = conn.execute(query, (party,)).fetchone()
        found[f"{schema}.{table}"] = row[0] if row else ""
    return found


def _told(served: Served, key: str, path: str, body: Any, idempotency: str, asked_before: list) -> Any:
    asked_before.append((path, json.dumps(body).encode(), idempotency))
    return served.ask(key, "POST", path, body, Idempotency_Key=idempotency)


def _faulty(at: int, start: str) -> bytes:
    """A file whose telephone numbers are all wrong, so that its rows are kept for a correction."""
    lines = sheet(ROWS, f"{MARK}-U{at}", 10 * at, start, ready_at(24)).decode()
    return lines.replace("+", "+00 bad ").replace("Ada Example", f"{MARK} Example").encode()


def _upload(served: Served, key: str, content: bytes) -> str:
    with Wire(served.url) as wire:
        upload_id = json.loads(wire.ask(asked("POST", "/order-uploads", key, content, "text/csv")).body)["upload_id"]
    return settled(served, key, upload_id)["upload_id"]


def settled(served: Served, key: str, upload_id: str, most_s: float = 60.0) -> dict[str, Any]:
    """What came of an upload. Raises TimeoutError when it is not read in time."""
    until = time.monotonic() + most_s
    while time.monotonic() < until:
        told = served.ask(key, "GET", f"/order-uploads/{upload_id}")
        if told["state"] in ("done", "failed"):
            return told
        time.sleep(0.1)
    raise TimeoutError(f"the upload {upload_id} was not read in {most_s:g} s")


def _row_refs(served: Served, key: str, upload_id: str) -> list[str]:
    with Wire(served.url) as wire:
        text = wire.ask(asked("GET", f"/order-uploads/{upload_id}/faults", key)).body.decode()
    header, *rows = [line.split(",") for line in text.splitlines()]
    place = header.index("row_ref")
    return [row[place] for row in rows if len(row) > place]
