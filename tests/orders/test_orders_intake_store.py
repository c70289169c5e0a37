"""Orders taken into PostgreSQL: once each, with their people sealed and their items beside them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import polars as pl
import psycopg
import pytest

from rookery.base.db import Database
from rookery.orders import vault
from rookery.orders.corrections import fault_sheet, row_refs, to_keep
from rookery.orders.intake import judge
from rookery.orders.intake_model import Judged
from rookery.orders.sheets import read_sheet
from rookery.orders.store import Taken, take
from rookery.orders.vault import Erased, Keyring
from rookery.terms.ids import new_id

NOW = datetime(2026, 9, 15, 12, tzinfo=UTC)
RING = Keyring({1: bytes(32)})
MERCHANT = frozenset({"merchant"})


@pytest.fixture
def keys(database: Database) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database.urls.keys, autocommit=True) as conn:
        vault.prepare(conn)
        yield conn


@pytest.fixture
def party() -> str:
    return new_id("pty", NOW)


def orders(*numbers: int, **changed: object) -> Judged:
    rows = [
        {
            "order_id": f"A-{n}",
            "from_node": "CAN-HUB",
            "ready_at": "2026-09-15T14:05+02:00",
            "due_at": None,
            "weight_g": 800.5,
            "to_name": f'Ada "O\'Example" {n}, \\',
            "to_line1": f"Straße {n}",
            "to_city": "Berlin",
            "to_postal_code": "10115",
            "to_country": "DE",
            "items": '[{"description": "Mugs, \\"blue\\"", "quantity": 2, "origin": "CN"}, {"description": "Lids"}]',
            "metadata": '{"shop": "north"}',
            "parcels": None,
        }
        | changed
        for n in numbers
    ]
    return judge(pl.DataFrame(rows, infer_schema_length=None))


def taken(database: Database, keys: psycopg.Connection, party: str, judged: Judged, test: bool = False) -> Taken:
    with database.transaction(party, MERCHANT, test) as conn:
        return take(conn, keys, RING, party, test, judged, NOW)


def count(database: Database, party: str, table: str) -> int:
    with database.transaction(party, MERCHANT) as conn:
        row = conn.execute(f"select count(*) from {table} where party_id = %s", (party,)).fetchone()
    assert row
    return row[0]


def test_an_order_is_written_whole(database, keys, party):
    """Columns, items, history and the recipient, who opens as checked."""
    judged = orders(1, 2, parcels='[{"weight_g": 100}, {"weight_g": 300, "length_mm": 5}]', weight_g=None)
    found = taken(database, keys, party, judged)
    assert found.created == [0, 1] and found.repeated == [] and found.faults == {}
    with database.transaction(party, MERCHANT) as conn:
        row = conn.execute(
            "select reference, state, ready_at, due_at, weight_g, length_mm, pieces, parcels, metadata, goods,"
            " to_postal_code from orders.orders where order_id = %s",
            (found.order_ids[1],),
        ).fetchone()
        items = conn.execute(
            "select line_no, description, quantity, origin from orders.items where order_id = %s order by 1",
            (found.order_ids[1],),
        ).fetchall()
        people = conn.execute(
            "select recipient_id, sender_id from orders.orders where party_id = %s order by reference", (party,)
        ).fetchall()
        opened = vault.open_people(conn, keys, RING, [recipient for recipient, _ in people])
    assert row == (
        "A-2", "received", datetime(2026, 9, 15, 12, 5, tzinfo=UTC), None, 300.0, 5.0, 2,
        [{"weight_g": 100.0}, {"weight_g": 300.0, "length_mm": 5.0}], {"shop": "north"}, "general", "10115",
    )  # fmt: skip
    assert items == [(1, 'Mugs, "blue"', 2.0, "CN"), (2, "Lids", 1.0, None)]
    assert [opened[recipient] for recipient, _ in people] == judged.people
    assert all(sender is None for _, sender in people)
    assert count(database, party, "orders.history") == 2


def test_the_same_again_is_the_same_order(database, keys, party):
    """Repeated content gives the first ids back and writes nothing, not even people."""
    first = taken(database, keys, party, orders(*range(20)))
    again = taken(database, keys, party, orders(*range(30)))
    assert again.repeated == list(range(20)) and again.created == list(range(20, 30))
    assert {row: again.order_ids[row] for row in range(20)} == first.order_ids
    assert count(database, party, "orders.orders") == count(database, party, "vault.people") == 30


@pytest.mark.parametrize(
    "changed",
    [{"weight_g": 801}, {"to_line1": "Straße 99"}, {"items": '[{"description": "Mugs"}]'}, {"metadata": "{}"}],
)
def test_another_content_under_the_same_reference_is_a_fault_of_that_row(database, keys, party, changed):
    """Whatever differs, people and items included, the row is refused and the others go on."""
    taken(database, keys, party, orders(1))
    found = taken(database, keys, party, orders(1, 2, **changed))
    assert [fault.code for fault in found.faults[0]] == ["reference_taken"] and found.faults.keys() == {0}
    assert found.created == [1] and found.order_ids.keys() == {1}


def test_parties_and_test_mode_have_references_of_their_own(database, keys, party):
    """The same reference of another party, or in test mode, is another order."""
    assert taken(database, keys, party, orders(1)).created == [0]
    assert taken(database, keys, party, orders(1), test=True).created == [0]
    assert taken(database, keys, new_id("pty", NOW), orders(1)).created == [0]


def test_orders_taken_by_many_at_once_are_there_once(database, keys, party):
    """Four writers hand in the same orders at the same moment: each order once, the same id for all, no orphans."""
    results: list[Taken] = []
    together = threading.Barrier(3)

    def write() -> None:
        with psycopg.connect(database.urls.keys, autocommit=True) as own:
            judged = orders(*range(50))
            together.wait(120)
            results.append(taken(database, own, party, judged))

    writers = [threading.Thread(target=write) for _ in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(results) == 3 and all(result.order_ids == results[0].order_ids for result in results)
    assert sum(len(result.created) for result in results) == 50
    assert count(database, party, "orders.orders") == count(database, party, "vault.people") == 50


def test_people_of_a_reference_are_erased(database, keys, party):
    """The order stays, its people do not; of another party's order nothing is."""
    found = taken(database, keys, party, orders(1, 2))
    stranger = new_id("pty", NOW)
    with database.transaction(stranger, MERCHANT) as conn:
        assert vault.erase_reference(conn, keys, stranger, False, "A-1", NOW) == []
    with database.transaction(party, MERCHANT) as conn:
        [erased] = vault.erase_reference(conn, keys, party, False, "A-1", NOW)
    with database.transaction(party, MERCHANT) as conn:
        assert vault.open_people(conn, keys, RING, [erased]) == {erased: Erased(NOW)}
    assert taken(database, keys, party, orders(1)).order_ids[0] == found.order_ids[0]


def test_a_file_with_faults_comes_back_corrected_without_doubles(database, keys, party, tmp_path):
    """Good rows are taken at once; the sheet of the others, corrected, adds exactly those."""
    judged = orders(*range(6))
    judged = judge(judged.raw.with_columns(weight_g=pl.when(pl.col("line") % 3 == 0).then(-1.0).otherwise("weight_g")))
    upload = new_id("upl", NOW)
    assert taken(database, keys, party, judged).created == [0, 2, 3, 5]
    with database.transaction(party, MERCHANT) as conn:
        vault.keep_rows(conn, keys, RING, party, False, upload, to_keep(judged, list(judged.faults)), NOW)
    refs = {line: vault.row_ref(upload, line) for line in judged.raw["line"]}
    sheet = fault_sheet(judged, judged.faults, refs)
    assert b"Ada" not in sheet
    (tmp_path / "faults.csv").write_bytes(sheet.replace(b"-1.0", b"800.5"))
    for expected in ([0, 1], []):  # handed in twice
        raw, _ = read_sheet(tmp_path / "faults.csv")
        with database.transaction(party, MERCHANT) as conn:
            kept = vault.kept_rows(conn, keys, RING, party, False, row_refs(raw), NOW)
        again = judge(raw, kept=kept)
        assert again.faults == {}
        assert taken(database, keys, party, again).created == expected
    assert taken(database, keys, party, orders(*range(6))).created == []  # and so does the whole file, repaired
    assert count(database, party, "orders.orders") == 6
