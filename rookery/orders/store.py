"""Orders into the database: each reference once, its people into the vault, its items beside it."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import datetime

import msgspec
import polars as pl
from psycopg import Connection, sql

from rookery.base import sets
from rookery.orders.corrections import row_refs
from rookery.orders.intake_model import INTAKE_NOTICES, ItemIn, Judged
from rookery.orders.vault.kept import tie_rows
from rookery.orders.vault.keyring import Keyring
from rookery.orders.vault.keys import digest_key
from rookery.orders.vault.model import PERSON
from rookery.orders.vault.store import seal_as
from rookery.terms.frames import ORDERS
from rookery.terms.ids import new_ids
from rookery.terms.notice import Fault

_ORDER: dict[str, str] = {
    "order_id": "text",
    "reference": "text",
    **dict.fromkeys(
        ("from_node", "from_country", "from_postal_code", "to_node", "to_country", "to_postal_code"), "text"
    ),
    "ready_at": "timestamptz",
    **dict.fromkeys(("weight_g", "length_mm", "width_mm", "height_mm"), "double precision"),
    "goods": "text",
    "value": "double precision",
    "currency": "text",
    "service_id": "text",
    "due_at": "timestamptz",
    "late_cost": "double precision",
    "pieces": "integer",
    "parcels": "jsonb",
    "sender_id": "text",
    "recipient_id": "text",
    "metadata": "jsonb",
    "content_sha256": "bytea",
}
_ITEM: dict[str, str] = {
    "order_id": "text",
    "line_no": "integer",
    "description": "text",
    "quantity": "double precision",
    "value": "double precision",
    "currency": "text",
    "origin": "text",
    "hs_code": "text",
    "weight_g": "double precision",
}


@dataclass(frozen=True)
class Taken:
    """What became of the good rows: order_ids by row, of those that are in the database now.

    created, repeated: their rows, new, and there already with the same content. faults: by row, of those whose
    reference stands for another order (`reference_taken`).
    """

    order_ids: dict[int, str] = field(default_factory=dict)
    created: list[int] = field(default_factory=list)
    repeated: list[int] = field(default_factory=list)
    faults: dict[int, list[Fault]] = field(default_factory=dict)


def take(
    conn: Connection,
    keys_conn: Connection,
    keyring: Keyring,
    party_id: str,
    test: bool,
    judged: Judged,
    now: datetime,
    upload_id: str | None = None,
) -> Taken:
    """Writes the good rows as orders of a party in state `received`, with their items; people go into the vault.

    A reference that the party used before is not written again: with the same content its order is given back, with
    another it is a fault of that row alone. Safe against the same orders being taken by others at the same moment.
    """
    taken = Taken()
    good = judged.good
    if good.is_empty():
        return taken
    contents = _contents(judged, digest_key(keys_conn, keyring))
    rows, references = good["row"].to_list(), good["order_id"].to_list()
    ids = dict(zip(rows, new_ids("ord", now, len(rows))))
    people = _people_ids(good, now)
    fresh = good.drop("order_id").with_columns(
        pl.Series("order_id", list(ids.values())),
        pl.Series("reference", references),
        pl.Series("content_sha256", contents, dtype=pl.Binary),
        pl.Series("sender_id", people["sender"], dtype=pl.String),
        pl.Series("recipient_id", people["recipient"], dtype=pl.String),
        pl.Series("parcels", [judged.parcels.get(row) for row in rows], dtype=pl.String),
        pl.Series("metadata", [judged.metadata.get(row, "{}") for row in rows], dtype=pl.String),
        *((pl.col(name) * 60_000_000).cast(pl.Datetime("us", "UTC")) for name in ("ready_at", "due_at")),
    )
    created = _insert_orders(conn, party_id, test, fresh, now, upload_id)
    refused = [reference for row, reference in zip(rows, references) if ids[row] not in created]
    standing = _standing(conn, party_id, test, refused)
    for row, reference, content in zip(rows, references, contents):
        if ids[row] in created:
            taken.created.append(row)
        elif hmac.compare_digest(standing[reference][1], content):
            ids[row] = standing[reference][0]
            taken.repeated.append(row)
        else:
            del ids[row]
            taken.faults[row] = [_reference_taken(judged)]
    taken.order_ids.update(ids)
    mine = fresh.filter(pl.col("order_id").is_in(list(created)))
    _seal(conn, keys_conn, keyring, party_id, test, judged, mine, now)
    _insert_items(conn, party_id, test, {ids[row]: judged.items.get(row, []) for row in taken.created})
    if row_refs(judged.raw):
        told = zip(judged.raw["row_ref"].str.strip_chars()[rows], rows, references)
        tie_rows(conn, party_id, test, {ref: name for ref, row, name in told if ref and row in ids})
    return taken


def _contents(judged: Judged, key: bytes) -> list[bytes]:
    """A keyed hash of all that each good row orders; without the key nobody can try names out against it."""
    encode, people = msgspec.json.Encoder().encode, judged.people
    names = [name for name in ORDERS if name != "line"]
    rows = judged.good.select(*names, "row", "sender", "recipient").rows()
    return [
        hmac.digest(
            key,
            encode(
                (
                    cells,
                    None if sender is None else people[sender],
                    None if recipient is None else people[recipient],
                    judged.items.get(row, ()),
                    judged.parcels.get(row),
                    judged.metadata.get(row, "{}"),
                )
            ),
            hashlib.sha256,
        )
        for *cells, row, sender, recipient in rows
    ]


def _people_ids(good: pl.DataFrame, now: datetime) -> dict[str, list[str | None]]:
    """An id for everybody named, at each end by good row."""
    found: dict[str, list[str | None]] = {}
    for end in ("sender", "recipient"):
        named = good[end].is_not_null().to_list()
        ids = iter(new_ids(PERSON, now, sum(named)))
        found[end] = [next(ids) if is_named else None for is_named in named]
    return found


def _standing(conn: Connection, party_id: str, test: bool, references: list[str]) -> dict[str, tuple[str, bytes]]:
    """Order and content that references of a party stand for already."""
    if not references:
        return {}
    rows = conn.execute(
        # one look into the index for each; left to itself the planner may read all orders of the party instead
        """select known.reference, known.order_id, known.content_sha256
             from unnest(%s::text[]) as asked(reference), lateral (
               select o.reference, o.order_id, o.content_sha256 from orders.orders o
                where o.party_id = %s and o.test = %s and o.reference = asked.reference limit 1) known""",
        (references, party_id, test),
        binary=True,
    ).fetchall()
    return {reference: (order_id, bytes(content)) for reference, order_id, content in rows}


def _insert_orders(
    conn: Connection, party_id: str, test: bool, fresh: pl.DataFrame, now: datetime, upload_id: str | None
) -> set[str]:
    """Writes orders and their first line of history; returns the ids of those whose reference was free."""
    rows, values = sets.source(fresh, _ORDER)
    columns = sql.SQL(", ").join(map(sql.Identifier, _ORDER))
    made = conn.execute(
        sql.SQL(
            "with made as ("
            " insert into orders.orders ({0}, party_id, test, state, upload_id, created_at, updated_at)"
            " select {0}, %(party)s, %(test)s, 'received', %(upload)s, %(now)s, %(now)s from {1}"
            " on conflict (party_id, test, reference) do nothing returning order_id),"
            " told as (insert into orders.history (at, order_id, party_id, test, what, by_party)"
            "   select %(now)s, order_id, %(party)s, %(test)s, 'received', %(party)s from made)"
            " select order_id from made"
        ).format(columns, rows),
        {**values, "party": party_id, "test": test, "upload": upload_id, "now": now},
    ).fetchall()
    return {order_id for (order_id,) in made}


def _seal(
    conn: Connection,
    keys_conn: Connection,
    keyring: Keyring,
    party_id: str,
    test: bool,
    judged: Judged,
    mine: pl.DataFrame,
    now: datetime,
) -> None:
    ids: list[str] = []
    people: list[int] = []
    for end in ("sender", "recipient"):
        named = mine.filter(pl.col(end).is_not_null())
        ids += named[f"{end}_id"].to_list()
        people += named[end].to_list()
    seal_as(conn, keys_conn, keyring, party_id, test, ids, [judged.people[number] for number in people], now)


def _insert_items(conn: Connection, party_id: str, test: bool, items: dict[str, list[ItemIn]]) -> None:
    lines = [(order_id, at, item) for order_id, listed in items.items() for at, item in enumerate(listed, 1)]
    if not lines:
        return
    numbers = {name for name, kind in _ITEM.items() if kind == "double precision"}
    cells = {
        name: [getattr(item, name) for _, _, item in lines] for name in _ITEM if name not in ("order_id", "line_no")
    }
    frame = pl.DataFrame(
        {"order_id": [order_id for order_id, _, _ in lines], "line_no": [at for _, at, _ in lines], **cells},
        schema={name: pl.Float64 if name in numbers else pl.String for name in _ITEM} | {"line_no": pl.Int64},
    ).with_columns(party_id=pl.lit(party_id), test=pl.lit(test))
    sets.insert(conn, "orders.items", frame, {**_ITEM, "party_id": "text", "test": "boolean"})


def _reference_taken(judged: Judged) -> Fault:
    about = INTAKE_NOTICES["reference_taken"]
    at = "$.order_id" if judged.of_file else "$.reference"
    return Fault(at, "reference_taken", about.meaning, about.remedy[0].upper() + about.remedy[1:])
