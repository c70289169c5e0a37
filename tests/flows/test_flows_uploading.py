"""Files of orders through the job that takes them, on real PostgreSQL."""

import io
from datetime import timedelta

import polars as pl
import pytest
from record_cases import ADA, RIVAL, SHOP, make_record

from rookery.base.clock import Clock
from rookery.base.jobs import Desk
from rookery.base.operations import OPERATIONS
from rookery.flows import uploading
from rookery.flows.people import erase_people, people_of
from rookery.flows.uploading import MOST_BYTES, read_upload
from rookery.orders.vault import erase_reference, row_ref
from rookery.orders.vault.keyring import Keyring
from rookery.orders.vault.keys import destroy_keys, find_keys, make_keys
from rookery.terms.errors import NotFound, Unavailable

HEADER = "order_id,from_node,to_country,to_postal_code,to_name,to_line1,to_city,to_phone,ready_at,weight_g\n"
GOOD = "U{0},A,BE,9000,Ada Example {0},Teststraat {0},Gent,,2026-03-02T09:00Z,500\n"
BAD = "X{0},A,BE,9000,Ben Example {0},Teststraat {0},Gent,12,2026-03-02T09:00Z,500\n"


@pytest.fixture(scope="module")
def record(make_urls, tmp_path_factory):
    """A system of record with the one-lane network."""
    with make_record(make_urls, tmp_path_factory.mktemp("uploads")) as made:
        yield made


def _desk(record) -> Desk:
    return Desk(record.database, Clock(lambda: record.now), record.parts)


def _hand_in(record, text: bytes, who=SHOP, form="csv") -> dict:
    upload = record.do("uploads.create", who, content=text, form=form)
    read_upload(_desk(record), upload["upload_id"], "False")
    return record.do("uploads.get", who, upload_id=upload["upload_id"])


def _has_key(record, owner: str) -> bool:
    with record.database.keys() as keys:
        return bool(find_keys(keys, record.parts[Keyring], [owner]))


def _corrected(record, upload: dict) -> bytes:
    """The fault sheet with a telephone number that is one."""
    sheet = record.do("uploads.faults", upload_id=upload["upload_id"]).decode()
    head, row = sheet.splitlines()[:2]
    cells = row.split(",")
    cells[head.split(",").index("to_phone")] = "+32 2 555 12 34"
    return f"{head}\n{','.join(cells)}\n".encode()


def _kept(record, upload: dict) -> int:
    with record.context() as ctx:
        row = ctx.conn.execute("select count(*) from vault.kept_row where upload_id = %s", (upload["upload_id"],))
        return row.fetchone()[0]


def test_good_rows_are_taken_and_the_others_come_back_without_names(record):
    """Two good rows and a bad one: two orders, and a sheet that says what is wrong and holds nobody's name."""
    upload = _hand_in(record, (HEADER + GOOD.format(1) + BAD.format(2) + GOOD.format(3)).encode())
    assert (upload["state"], upload["rows"], upload["taken"], upload["refused"]) == ("done", 3, 2, 1)
    sheet = record.do("uploads.faults", upload_id=upload["upload_id"]).decode()
    assert "bad_phone" in sheet and "X2" in sheet and "kept" in sheet
    assert "Ben" not in sheet and "Teststraat" not in sheet


def test_a_corrected_sheet_is_taken_and_nothing_twice(record):
    """The sheet with the bad cell mended is taken with the names kept; handed in again it takes nothing."""
    first = _hand_in(record, (HEADER + GOOD.format(11) + BAD.format(12)).encode())
    sheet = record.do("uploads.faults", upload_id=first["upload_id"]).decode()
    head, row = sheet.splitlines()[:2]
    cells = row.split(",")
    cells[head.split(",").index("to_phone")] = "+32 2 555 12 34"
    corrected = f"{head}\n{','.join(cells)}\n".encode()
    again = _hand_in(record, corrected)
    assert (again["taken"], again["refused"]) == (1, 0), record.do("uploads.faults", upload_id=again["upload_id"])
    order = record.do("orders.list", reference="X12")["data"][0]
    person = record.do("people.get", person_id=order["recipient_id"])
    assert person["address"]["name"] == "Ben Example 12"
    assert _hand_in(record, corrected)["repeated"] == 1
    whole = _hand_in(record, (HEADER + GOOD.format(11)).encode())
    assert (whole["taken"], whole["repeated"]) == (0, 1)


def test_the_job_done_again_takes_nothing_twice(record):
    """A job that runs a second time, as after a crash, changes nothing."""
    upload = record.do("uploads.create", content=(HEADER + GOOD.format(21)).encode())
    desk = Desk(record.database, Clock(lambda: record.now), record.parts)
    for _ in range(2):
        read_upload(desk, upload["upload_id"], "False")
    done = record.do("uploads.get", upload_id=upload["upload_id"])
    assert (done["state"], done["taken"]) == ("done", 1)


def test_a_file_is_kept_sealed_and_only_until_it_was_read(record):
    """Before the job the file lies in the database encrypted; after it, not at all."""
    upload = record.do("uploads.create", content=(HEADER + GOOD.format(31)).encode())
    with record.context() as ctx:
        row = ctx.conn.execute(
            "select content from orders.uploads where upload_id = %s", (upload["upload_id"],)
        ).fetchone()
        assert row and b"Ada" not in bytes(row[0])
    read_upload(Desk(record.database, Clock(lambda: record.now), record.parts), upload["upload_id"], "False")
    with record.context() as ctx:
        row = ctx.conn.execute(
            "select content from orders.uploads where upload_id = %s", (upload["upload_id"],)
        ).fetchone()
        assert row == (None,)


@pytest.mark.parametrize("content", [b"\x00\x01\x02", b"a;b;c\n1;2;3\n", b"order_id\n", "höhe".encode("utf-16")])
def test_a_file_that_is_none_fails_with_a_reason(record, content):
    """What is no order file ends as failed, with notices or a sentence, and no traceback."""
    upload = _hand_in(record, content)
    assert upload["state"] == "failed" and upload["fault"]


def test_another_party_sees_nothing_of_it(record):
    """Upload and sheet of one party do not exist for another."""
    upload = _hand_in(record, (HEADER + BAD.format(41)).encode())
    for name in ("uploads.get", "uploads.faults"):
        with pytest.raises(NotFound):
            record.do(name, RIVAL, upload_id=upload["upload_id"])


def test_a_job_killed_between_the_two_commits_is_done_again(record):
    """Data keys that were committed before the kill do not keep the job from ending."""
    upload = record.do("uploads.create", content=(HEADER + BAD.format(51)).encode())
    with record.database.keys() as keys:
        make_keys(keys, record.parts[Keyring], [upload["upload_id"], row_ref(upload["upload_id"], 2)])
    read_upload(_desk(record), upload["upload_id"], "False")
    assert record.do("uploads.get", upload_id=upload["upload_id"])["state"] == "done"
    again = _hand_in(record, _corrected(record, upload))
    assert again["taken"] == 1


def test_an_upload_whose_key_is_gone_ends_as_failed(record):
    """A waiting upload out of a restored backup, read since, says that the file is to be sent again."""
    upload = record.do("uploads.create", content=(HEADER + GOOD.format(52)).encode())
    with record.database.keys() as keys:
        destroy_keys(keys, [f"{upload['upload_id']}/file"])
    read_upload(_desk(record), upload["upload_id"], "False")
    done = record.do("uploads.get", upload_id=upload["upload_id"])
    assert done["state"] == "failed" and "send it again" in done["fault"]


def test_a_missing_master_key_is_waited_for(record):
    """The job raises what passes: it is tried again when the key is back."""
    upload = record.do("uploads.create", content=(HEADER + GOOD.format(53)).encode())
    parts = {**record.parts, Keyring: Keyring({7: bytes(32)})}
    with pytest.raises(Unavailable):
        read_upload(Desk(record.database, Clock(lambda: record.now), parts), upload["upload_id"], "False")
    read_upload(_desk(record), upload["upload_id"], "False")
    assert record.do("uploads.get", upload_id=upload["upload_id"])["state"] == "done"


def test_a_file_key_that_a_crash_left_goes_with_the_next_try(record):
    """Killed after the upload was done and before its file's key was destroyed, the job done again destroys it."""
    upload = _hand_in(record, (HEADER + GOOD.format(54)).encode())
    owner = f"{upload['upload_id']}/file"
    assert not _has_key(record, owner)
    with record.database.keys() as keys:
        make_keys(keys, record.parts[Keyring], [owner])
    read_upload(_desk(record), upload["upload_id"], "False")
    assert not _has_key(record, owner)


@pytest.mark.parametrize(
    ("column", "cells"),
    [
        ("to_name", pl.Series([b"\xff"])),
        ("weight_g", pl.Series([timedelta(hours=1)])),
        ("ready_at", pl.Series([-9 * 10**18]).cast(pl.Datetime("us", "UTC"))),
        ("due_at", pl.Series([2**31 - 1], dtype=pl.Int32).cast(pl.Date)),
    ],
)
def test_a_parquet_of_odd_types_ends_as_failed(record, column, cells):
    """Durations, bytes and times out of all range are told with their column; nothing hangs."""
    row = {"order_id": ["P"], "from_node": ["A"], "to_node": ["B"], "ready_at": ["2026-03-02T10:00Z"], "weight_g": [1]}
    file = io.BytesIO()
    pl.DataFrame(row).with_columns(cells.alias(column)).write_parquet(file)
    upload = _hand_in(record, file.getvalue(), form="parquet")
    assert upload["state"] == "failed" and [notice["column"] for notice in upload["notices"]] == [column]


@pytest.mark.parametrize("fault", [KeyError("Ada Example"), pl.exceptions.PanicException("Ada Example")])
def test_a_fault_of_the_program_ends_the_upload(record, monkeypatch, fault):
    """Whatever goes wrong, also a panic, the upload says so, names nobody, and its file and key are gone."""

    def break_down(*_: object) -> None:
        raise fault

    monkeypatch.setattr(uploading, "read_sheet", break_down)
    upload = record.do("uploads.create", content=(HEADER + GOOD.format(55)).encode())
    with pytest.raises(RuntimeError) as raised:
        read_upload(_desk(record), upload["upload_id"], "False")
    done = record.do("uploads.get", upload_id=upload["upload_id"])
    assert done["state"] == "failed" and "fault of the program" in done["fault"]
    assert "Ada" not in done["fault"] + str(raised.value) and not _has_key(record, f"{upload['upload_id']}/file")


def test_notices_of_an_upload_name_nobody(record):
    """A file without a header has people where column names belong: no notice keeps them."""
    upload = _hand_in(record, b"A-1,Ada Example,Teststraat 1\nA-2,Ben Example,Teststraat 2\n")
    assert upload["state"] == "failed" and "Ada" not in str(upload) and "Teststraat" not in str(upload)
    shifted = HEADER.replace("to_name", "goods,to_name") + "S1,A,BE,9000,Ada Example,,x,Gent,,2026-03-02T09:00Z,500\n"
    upload = _hand_in(record, shifted.encode())
    sheet = record.do("uploads.faults", upload_id=upload["upload_id"]).decode()
    assert "unknown_word" in sheet and "Ada" not in sheet


@pytest.mark.parametrize("way", ["by id", "by reference", "of a file sent whole"])
def test_erasing_reaches_the_kept_row_that_an_order_came_from(record, way):
    """Sealed copies of an erased person's refused row go, with their key; rows of others stay."""
    number = 60 + len(way)
    first = _hand_in(record, (HEADER + BAD.format(number) + BAD.format(number + 100)).encode())
    if way == "of a file sent whole":
        _hand_in(record, (HEADER + BAD.format(number).replace(",12,", ",,")).encode())
    else:
        _hand_in(record, _corrected(record, first))
    [order] = record.do("orders.list", reference=f"X{number}")["data"]
    assert _kept(record, first) == 2 and _has_key(record, row_ref(first["upload_id"], 2))
    with record.context(SHOP) as ctx:
        if way == "by id":
            erase_people(ctx, [order["recipient_id"]])
        else:
            with ctx.keys() as keys:
                erase_reference(ctx.conn, keys, SHOP.party_id, False, f"X{number}", record.now)
    assert _kept(record, first) == 1
    assert not _has_key(record, row_ref(first["upload_id"], 2)) and _has_key(record, row_ref(first["upload_id"], 3))


def test_a_corrected_number_is_erased_with_its_order(record):
    """A refused row whose order number was unusable belongs to the order that it became."""
    first = _hand_in(record, (HEADER + GOOD.format(70).replace("U70", "")).encode())
    sheet = record.do("uploads.faults", upload_id=first["upload_id"]).decode()
    head, row = sheet.splitlines()[:2]
    assert _hand_in(record, f"{head}\nX70{row}\n".encode())["taken"] == 1
    with record.context(SHOP) as ctx:
        erase_people(ctx, people_of(ctx, SHOP.party_id, "X70"))
    assert _kept(record, first) == 0


def test_who_was_to_receive_it_before_is_erased_too(record):
    """The recipient that a readdressed order had is one of its people."""
    shipment = record.book("R1")
    record.do("shipments.readdress", shipment_id=shipment["shipment_id"], to={**ADA, "name": "Ben Example"})
    with record.context(SHOP) as ctx:
        people = people_of(ctx, SHOP.party_id, "R1")
        assert len(people) == 2
        assert sorted(erase_people(ctx, people)) == sorted(people)
    assert all(record.do("people.get", person_id=person)["erased"] for person in people)


def test_what_is_held_in_memory_is_bounded():
    """A file over HTTP is 64 MiB at most."""
    assert OPERATIONS["uploads.create"].most_bytes == MOST_BYTES == 64 << 20
