"""Reading orders: three forms that say the same, and every planted fault told where it stands."""

from __future__ import annotations

import io
import json
import tempfile
import zipfile
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.orders import check_orders, read_orders
from rookery.orders.model import COLUMNS, NOTICES
from rookery.terms.errors import InvalidInput
from rookery.terms.frames import ORDERS
from rookery.terms.time import to_minute

HEADER = (
    "order_id,from_node,from_country,from_postal_code,to_node,to_country,to_postal_code,"
    "ready_at,weight_g,goods,pieces,due_at"
)
GOOD = "1,A,,,B,,,2025-03-30T14:05+02:00,1200.5,,,"


def write(folder: Path, *rows: str, header: str = HEADER) -> Path:
    file = folder / "orders.csv"
    file.write_text("\n".join([header, *rows]) + "\n")
    return file


def test_an_order_is_read_with_its_defaults(tmp_path):
    """Times become UTC minutes, postal codes lose blanks and hyphens, empty cells their defaults."""
    orders = read_orders(
        write(tmp_path, GOOD, "2,,nl,1012-ab,,BE,1 000,2025-03-30 12:05:00Z,9,battery,3,2025-04-01T00:00Z")
    )
    assert orders.notices == ()
    assert dict(orders.frame.schema) == ORDERS
    ready = to_minute(datetime(2025, 3, 30, 12, 5, tzinfo=UTC))
    assert orders.frame.select("ready_at", "weight_g", "goods", "pieces", "due_at", "line").rows() == [
        (ready, 1200.5, "general", 1, None, 2),
        (ready, 9.0, "battery", 3, to_minute(datetime(2025, 4, 1, tzinfo=UTC)), 3),
    ]
    places = orders.frame.select("from_country", "from_postal_code", "to_country", "to_postal_code").row(1)
    assert places == ("NL", "1012AB", "BE", "1000")


def test_csv_parquet_json_lines_and_zip_say_the_same(tmp_path):
    """The form of the file does not change the orders."""
    rows = [{"order_id": "1", "from_node": "A", "to_node": "B", "ready_at": "2025-03-30T14:05Z", "weight_g": 12.5}]
    rows.append(rows[0] | {"order_id": "2", "pieces": 4, "weight_g": 3})
    frame = pl.DataFrame(rows, schema_overrides={"weight_g": pl.Float64})
    frame.write_csv(tmp_path / "o.csv")
    frame.write_parquet(tmp_path / "o.parquet")
    (tmp_path / "o.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with zipfile.ZipFile(tmp_path / "o.zip", "w") as out:
        out.write(tmp_path / "o.csv", "o.csv")
    by_csv, by_parquet, by_json, by_zip = (
        read_orders(tmp_path / f"o.{form}") for form in ("csv", "parquet", "jsonl", "zip")
    )
    assert by_csv.sha256 == by_zip.sha256 != by_parquet.sha256
    assert by_csv.frame.equals(by_parquet.frame) and by_csv.frame.equals(by_zip.frame)
    assert by_csv.frame.drop("line").equals(by_json.frame.drop("line"))
    assert by_json.frame["line"].to_list() == [1, 2]
    assert check_orders(frame).frame.equals(by_csv.frame)


PLANTED = [
    ("missing_place", "2,,,,B,,,2025-03-30T14:05Z,9,,,", "from_node", None),
    ("missing_place", "2,A,,,,BE,,2025-03-30T14:05Z,9,,,", "to_node", "BE"),
    ("naive_timestamp", "2,A,,,B,,,2025-03-30T14:05,9,,,", "ready_at", "2025-03-30T14:05"),
    ("bad_timestamp", "2,A,,,B,,,30.03.2025,9,,,", "ready_at", "30.03.2025"),
    ("bad_timestamp", "2,A,,,B,,,2025-03-30,9,,,", "ready_at", "2025-03-30"),
    ("bad_timestamp", "2,A,,,B,,,2025-02-30T10:00Z,9,,,", "ready_at", "2025-02-30T10:00Z"),
    ("bad_timestamp", "2,A,,,B,,,2025-02-20T24:01Z,9,,,", "ready_at", "2025-02-20T24:01Z"),
    ("bad_timestamp", "2,A,,,B,,,1925-02-20T10:00Z,9,,,", "ready_at", "1925-02-20T10:00Z"),
    ("missing_value", "2,A,,,B,,,,9,,,", "ready_at", None),
    ("out_of_range", "2,A,,,B,,,2025-03-30T14:05Z,0,,,", "weight_g", "0"),
    ("out_of_range", "2,A,,,B,,,2025-03-30T14:05Z,70000001,,,", "weight_g", "70000001"),
    ("not_a_number", "2,A,,,B,,,2025-03-30T14:05Z,2kg,,,", "weight_g", "2kg"),
    ("not_a_number", "2,A,,,B,,,2025-03-30T14:05Z,NaN,,,", "weight_g", "NaN"),
    ("unknown_word", "2,A,,,B,,,2025-03-30T14:05Z,9,lithium,,", "goods", "lithium"),
    ("not_whole", "2,A,,,B,,,2025-03-30T14:05Z,9,,1.5,", "pieces", "1.5"),
    ("out_of_range", "2,A,,,B,,,2025-03-30T14:05Z,9,,0,", "pieces", "0"),
    ("bad_country", "2,A,,,,DEU,10115,2025-03-30T14:05Z,9,,,", "to_country", "DEU"),
    ("duplicate_id", GOOD, "order_id", "1"),
    ("too_few_fields", "2,A", None, "2,A"),
    ("heavy_parcel", "2,A,,,B,,,2025-03-30T14:05Z,1000001,,,", "weight_g", "1000001"),
    ("due_before_ready", "2,A,,,B,,,2025-03-30T14:05Z,9,,,2025-03-30T14:05Z", "due_at", "2025-03-30T14:05Z"),
]


@pytest.mark.parametrize(("code", "row", "column", "value"), PLANTED, ids=lambda part: str(part)[:24])
def test_a_planted_fault_is_told_where_it_stands(tmp_path, code, row, column, value):
    """Each fault gives one notice at its line; errors cost that row only, warnings cost none."""
    orders = read_orders(write(tmp_path, GOOD, row, GOOD.replace("1,", "3,", 1)))
    assert [(n.code, n.file, n.line, n.column, n.value) for n in orders.notices] == [
        (code, "orders.csv", 3, column, value)
    ]
    kept = ["1", "3"] if NOTICES[code].severity == "error" else ["1", "2", "3"]
    assert orders.frame["order_id"].to_list() == kept


def test_seconds_are_rounded_against_the_parcel_and_told_once(tmp_path):
    """A parcel is ready a little later and due a little earlier; one notice a column stands for all rows."""
    rows = [f"{i},A,,,B,,,2025-03-30T14:05:01Z,9,,,2025-04-01T00:00:59.5+00:00" for i in range(5)]
    orders = read_orders(write(tmp_path, *rows))
    assert [(n.code, n.column, n.line, n.count) for n in orders.notices] == [
        ("seconds_rounded", "ready_at", 2, 5),
        ("seconds_rounded", "due_at", 2, 5),
    ]
    ready, due = orders.frame["ready_at"][0], orders.frame["due_at"][0]
    assert ready == to_minute(datetime(2025, 3, 30, 14, 6, tzinfo=UTC))
    assert due == to_minute(datetime(2025, 4, 1, tzinfo=UTC))


@given(
    st.datetimes(datetime(1971, 1, 1), datetime(2198, 12, 31)).map(lambda at: at.replace(microsecond=0)),
    st.integers(-15 * 60, 15 * 60),
)
def test_any_iso_time_with_an_offset_is_its_utc_minute(at, offset):
    """What Python writes as ISO 8601 is read as the minute that has begun by then, or begins next."""
    aware = at.replace(tzinfo=timezone(timedelta(minutes=offset)))
    row = {"order_id": "1", "from_node": "A", "to_node": "B", "weight_g": 1, "ready_at": aware.isoformat()}
    ready = check_orders(pl.DataFrame([row])).frame["ready_at"][0]
    assert ready == -(-int(aware.timestamp()) // 60)


def test_times_with_a_zone_in_a_frame_are_taken_and_naive_ones_refused():
    """A Datetime column needs a time zone."""
    at = datetime(2025, 3, 30, 14, 5)
    frame = pl.DataFrame({"order_id": [1], "from_node": "A", "to_node": "B", "weight_g": 5, "ready_at": at})
    zoned = frame.with_columns(pl.col("ready_at").dt.replace_time_zone("Europe/Brussels"))
    assert check_orders(zoned).frame["ready_at"][0] == to_minute(datetime(2025, 3, 30, 12, 5, tzinfo=UTC))
    with pytest.raises(InvalidInput) as told:
        check_orders(frame)
    assert [(n.code, n.line, n.column) for n in told.value.notices] == [("naive_timestamp", 2, "ready_at")]


def test_bad_lines_of_json_are_told_and_the_others_read(tmp_path):
    """Broken JSON, nested values and other encodings cost their own line."""
    good = b'{"order_id":"%d","from_node":"A","to_node":"B","ready_at":"2025-03-30T14:05Z","weight_g":5}\n'
    lines = [good % 1, b"{\n", b"[1]\n", b"\n", good.replace(b'"A"', b'{"id":1}') % 5, b'{"a":"\xe9"}\n', good % 7]
    (tmp_path / "o.jsonl").write_bytes(b"".join(lines))
    orders = read_orders(tmp_path / "o.jsonl")
    assert [(n.code, n.line, n.column) for n in orders.notices] == [
        ("bad_json", 2, None),
        ("bad_json", 3, None),
        ("nested_value", 5, "from_node"),
        ("invalid_utf8", 6, None),
    ]
    assert orders.frame.select("order_id", "line").rows() == [("1", 1), ("7", 7)]


def test_more_than_a_hundred_alike_faults_are_counted(tmp_path):
    """A file of bad rows does not drown the reader, and no row goes unmentioned."""
    rows = [f"{i},A,,,B,,,2025-03-30T14:05Z,-1,,," for i in range(2, 500)]
    told = read_orders(write(tmp_path, GOOD, *rows)).notices
    assert len(told) == 101
    assert sum(notice.count for notice in told) == 498


@pytest.mark.parametrize("what", ["nowhere", "a folder", "a picture", "two in a zip", "only bad rows", "header only"])
def test_only_when_no_order_is_left_reading_fails(tmp_path, what):
    """InvalidInput says why, with every notice and the next action."""
    path = tmp_path / "orders.csv"
    if what == "a folder":
        path.mkdir()
    elif what == "a picture":
        path = tmp_path / "orders.png"
        path.write_bytes(b"\x89PNG")
    elif what == "two in a zip":
        path = tmp_path / "orders.zip"
        with zipfile.ZipFile(path, "w") as out:
            out.writestr("a.csv", HEADER)
            out.writestr("b.csv", HEADER)
    elif what != "nowhere":
        write(tmp_path, *["2,A,,,B,,,soon,9,,,"][: what == "only bad rows"])
    with pytest.raises(InvalidInput) as told:
        read_orders(path)
    assert "Next:" in str(told.value)
    assert [notice.code for notice in told.value.notices] == {
        "nowhere": [],
        "a folder": ["unreadable_file"],
        "a picture": ["unreadable_file"],
        "two in a zip": ["one_order_file"],
        "only bad rows": ["bad_timestamp"],
        "header only": ["no_rows"],
    }[what]


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(["csv", "jsonl", "parquet"]), st.floats(0, 1), st.integers(0, 6), st.binary(max_size=6))
def test_a_file_with_bytes_changed_is_read_or_refused(form, cut, length, new):
    """Whatever bytes a file holds, good orders come out or InvalidInput does, and notices point at lines that exist."""
    frame = pl.DataFrame([dict(zip(HEADER.split(","), GOOD.split(",")))]).with_columns(pl.lit("A").alias("from_node"))
    packed = io.BytesIO()
    {"csv": frame.write_csv, "jsonl": frame.write_ndjson, "parquet": frame.write_parquet}[form](packed)
    data = packed.getvalue()
    at = int(cut * len(data))
    data = data[:at] + new + data[at + length :]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"orders.{form}"
        file.write_bytes(data)
        try:
            notices = read_orders(file).notices
        except InvalidInput as fault:
            notices = fault.notices
            assert notices
    assert all(1 <= (notice.line or 1) <= 2 + data.count(b"\n") + data.count(b"\r") for notice in notices)


def test_the_columns_read_are_those_of_the_schema():
    """Every column of the format has a place in what is handed on."""
    assert [column.target for column in COLUMNS] == [name for name in ORDERS if name != "line"]


ROW = {"order_id": "1", "from_node": "A", "to_node": "B", "ready_at": "2025-03-30T14:05Z", "weight_g": 12.5}


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_every_row_left_out_is_counted_once(tmp_path, suffix):
    """Beyond what notices list, and however many faults a row has, `left_out` counts the rows that do not go on."""
    rows = [ROW | {"order_id": str(i), "weight_g": 1.0 if i < 3 else -1.0, "goods": "general" if i < 5 else "x"}
            for i in range(400)]  # fmt: skip
    rows += [ROW | {"order_id": "0"}, ROW | {"order_id": "no end", "to_node": None}]
    file = tmp_path / f"o{suffix}"
    frame = pl.DataFrame(rows, schema_overrides={"to_node": pl.String})
    {".csv": frame.write_csv, ".jsonl": frame.write_ndjson, ".parquet": frame.write_parquet}[suffix](file)
    orders = read_orders(file)
    assert orders.frame.height == 3 and orders.left_out == 399
    assert orders.file == file.name
    assert len(orders.notices) < 399
    assert check_orders(frame).left_out == 399


def test_malformed_lines_count_as_rows_left_out(tmp_path):
    """A line that is no row at all was meant as one."""
    (tmp_path / "o.jsonl").write_text(
        "\n".join([json.dumps(ROW), "{", "", "[]", json.dumps(ROW | {"order_id": "2", "goods": ["x"], "value": {}})])
    )
    assert read_orders(tmp_path / "o.jsonl").left_out == 3
    assert read_orders(write(tmp_path, GOOD, "2,A", '"x', GOOD.replace("1,A", "3,A") + ",,,,", "\0")).left_out == 4


def test_keys_made_up_line_by_line_are_told_to_a_limit(tmp_path):
    """JSON lines with a new key on each line give a hundred notices or so, not one for each key."""
    rows = [json.dumps(ROW | {"order_id": str(i), f"key {i}": i}) for i in range(500)]
    (tmp_path / "o.jsonl").write_text("\n".join(rows))
    orders = read_orders(tmp_path / "o.jsonl")
    assert orders.frame.height == 500 and orders.left_out == 0
    assert {notice.code for notice in orders.notices} == {"unknown_column"} and len(orders.notices) == 101
