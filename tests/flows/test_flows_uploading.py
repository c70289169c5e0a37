"""Files of orders through the job that takes them, on real PostgreSQL."""

import pytest
from record_cases import RIVAL, SHOP, make_record

from rookery.base.clock import Clock
from rookery.base.jobs import Desk
from rookery.flows.uploading import read_upload
from rookery.terms.errors import NotFound

HEADER = "order_id,from_node,to_country,to_postal_code,to_name,to_line1,to_city,to_phone,ready_at,weight_g\n"
GOOD = "U{0},A,BE,9000,Ada Example {0},Teststraat {0},Gent,,2026-03-02T09:00Z,500\n"
BAD = "X{0},A,BE,9000,Ben Example {0},Teststraat {0},Gent,12,2026-03-02T09:00Z,500\n"


@pytest.fixture(scope="module")
def record(make_urls, tmp_path_factory):
    """A system of record with the one-lane network."""
    with make_record(make_urls, tmp_path_factory.mktemp("uploads")) as made:
        yield made


def _hand_in(record, text: bytes, who=SHOP) -> dict:
    upload = record.do("uploads.create", who, content=text)
    read_upload(Desk(record.database, Clock(lambda: record.now), record.parts), upload["upload_id"], "False")
    return record.do("uploads.get", who, upload_id=upload["upload_id"])


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
