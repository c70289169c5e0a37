"""Reading a feed: values and defaults as the format says, and every planted fault told where it stands."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import pytest

from rookery.base import archive, tables
from rookery.network import read_feed
from rookery.network.model import COLUMNS, NOTICES
from rookery.terms.errors import InvalidInput
from rookery.terms.frames import FEED
from rookery.terms.time import to_minute

GOOD = {
    "feed.json": '{"name": "two hubs", "version": "1", "currency": "EUR"}',
    "nodes.csv": "node_id,kind,lat,lon,country,timezone,handling_minutes,calendar_id,open_from,open_until\n"
    "A,hub,50.9,4.4,BE,Europe/Brussels,30,,,\n"
    "B,depot,52.3,4.9,nl,Europe/Amsterdam,,daily,22:00,06:00\n",
    "lanes.csv": "lane_id,from_node,to_node,mode,accepts\nAB,A,B,truck,general|battery\nBA,B,A,van,\n",
    "departures.csv": "departure_id,lane_id,calendar_id,depart_time,cutoff_minutes,transit_minutes,transit_id,"
    "capacity_g,cost_per_parcel\n"
    "D1,AB,daily,25:30,60,180,road,1e6,1.25\n"
    "D2,BA,daily,08:05,,240.0,,,\n",
    "calendars.csv": "calendar_id,monday,sunday,start_on,end_on,holidays\ndaily,1,0,2025-01-01,2025-12-31,BE\n",
    "calendar_dates.csv": "calendar_id,date,runs\ndaily,2025-05-01,1\n",
    "transit.csv": "transit_id,quantile,factor\nroad,0.1,0.8\nroad,0.5,1\nroad,0.9,1.4\n",
    "zones.csv": "zone_id,country,postal_prefix,node_id,delivery_minutes,delivery_id,delivery_cost\n"
    "Z,NL,10-1 a,B,90,road,2.5\nW,NL,,B,,,\n",
    "services.csv": "service_id,due_days,late_cost,modes\nstd,3,10,\nfast,1,,truck|van\n",
    "closures.csv": "node_id,lane_id,from_at,until_at,capacity_factor,delay_minutes\n"
    "A,,2025-03-01T00:00+01:00,2025-03-02T00:00Z,,\n,AB,2025-03-01T00:00Z,2025-03-02T00:00Z,,30\n",
}


def write(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def notices_of(path: Path):
    """The notices of a reading, whether or not a feed comes out."""
    try:
        return read_feed(path).notices
    except InvalidInput as fault:
        return fault.notices


def test_a_good_feed_is_read_without_a_notice_and_with_its_defaults(tmp_path):
    """Every value is where the format puts it, and every empty cell has the documented default."""
    feed = read_feed(write(tmp_path / "feed", GOOD))
    assert feed.notices == ()
    assert feed.nodes.row(1, named=True) == {
        "node_id": "B",
        "name": "B",
        "kind": "depot",
        "lat": 52.3,
        "lon": 4.9,
        "country": "NL",
        "timezone": "Europe/Amsterdam",
        "handling_minutes": 0,
        "calendar_id": "daily",
        "open_from": 1320,
        "open_until": 1800,
        "capacity_per_hour": None,
        "line": 3,
    }
    assert feed.lanes["accepts"].to_list() == [["general", "battery"], ["general"]]
    departures = feed.departures.drop("departure_id", "lane_id", "calendar_id", "capacity_parcels").rows()
    assert departures == [(1530, 60, 180, "road", 1e6, 1.25, 0.0, 2), (485, 0, 240, None, None, 0.0, 0.0, 3)]
    assert feed.calendars.select("monday", "tuesday", "sunday", "holidays").rows() == [(True, False, False, "BE")]
    assert feed.zones["postal_prefix"].to_list() == ["101A", ""]
    assert feed.services.select("confidence", "late_cost", "unassigned_cost", "modes").rows() == [
        (0.95, 10.0, 500.0, []),
        (0.95, 20.0, 1000.0, ["truck", "van"]),
    ]
    assert feed.closures.select("from_at", "capacity_factor", "delay_minutes").rows() == [
        (to_minute(datetime(2025, 2, 28, 23, tzinfo=UTC)), 0.0, 0),
        (to_minute(datetime(2025, 3, 1, tzinfo=UTC)), 1.0, 30),
    ]
    assert feed.info.volumetric_divisor_mm3_per_g == 5000
    for table, schema in FEED.items():
        assert dict(getattr(feed, table).schema) == schema


def test_csv_parquet_and_zip_give_the_same_feed(tmp_path):
    """The form of the files does not change what they say; a Parquet row has the line its CSV would have."""
    folder = write(tmp_path / "feed", GOOD)
    packed = tmp_path / "feed.zip"
    with zipfile.ZipFile(packed, "w") as out:
        for name, text in GOOD.items():
            out.writestr(f"feed/{name}", text)
    columnar = write(tmp_path / "columnar", {"feed.json": GOOD["feed.json"]})
    for table in COLUMNS:
        pl.read_csv(folder / f"{table}.csv", try_parse_dates=True).write_parquet(columnar / f"{table}.parquet")
    by_csv, by_zip, by_parquet = read_feed(folder), read_feed(packed), read_feed(columnar)
    assert by_csv.sha256 == by_zip.sha256 != by_parquet.sha256
    for table in COLUMNS:
        assert getattr(by_csv, table).equals(getattr(by_zip, table)), table
        assert getattr(by_csv, table).equals(getattr(by_parquet, table)), table
    assert by_parquet.files["nodes"] == "nodes.parquet"


class Planted(NamedTuple):
    """A fault put into the good feed, and where it must be told."""

    code: str
    file: str
    change: Callable[[dict[str, Any]], object]
    line: int | None = None
    column: str | None = None
    value: str | None = None


def swap(file: str, old: str, new: str):
    def change(files) -> None:
        assert old in files[file]
        files[file] = files[file].replace(old, new, 1)

    return change


def put(file: str, text: str | bytes):
    return lambda files: files.update({file: text})


def add(file: str, row: str):
    return lambda files: files.update({file: files[file] + row + "\n"})


def encoded(file: str, encoding: str):
    return lambda files: files.update({file: files[file].encode(encoding)})


PLANTED = [
    Planted("missing_file", "lanes.csv", lambda files: files.pop("lanes.csv")),
    Planted("missing_file", "feed.json", lambda files: files.pop("feed.json")),
    Planted("unreadable_file", "feed.json", put("feed.json", "{")),
    Planted("unreadable_file", "feed.json", put("feed.json", "[]")),
    Planted("unreadable_file", "nodes.parquet", lambda f: (f.pop("nodes.csv"), f.update({"nodes.parquet": b"PAR1x"}))),
    Planted("empty_file", "zones.csv", put("zones.csv", "")),
    Planted("empty_file", "zones.csv", put("zones.csv", "\n\n  \n")),
    Planted("no_rows", "zones.csv", put("zones.csv", "zone_id,country,postal_prefix,node_id\n")),
    Planted("wrong_encoding", "zones.csv", encoded("zones.csv", "utf-16")),
    Planted("wrong_encoding", "zones.csv", encoded("zones.csv", "utf-16-le")),
    Planted(
        "wrong_separator",
        "zones.csv",
        put("zones.csv", "zone_id;country;postal_prefix;node_id\nZ;NL;;B\n"),
        1,
        None,
        "zone_id;country;postal_prefix;node_id",
    ),
    Planted("wrong_separator", "zones.csv", put("zones.csv", "zone_id\tnode_id\nZ\tB\n"), 1, None, "zone_id\tnode_id"),
    Planted("missing_column", "lanes.csv", swap("lanes.csv", "mode", "Mode"), 1, "mode"),
    Planted("duplicate_column", "lanes.csv", swap("lanes.csv", "accepts", "mode"), 1, None, "mode"),
    Planted("unknown_column", "lanes.csv", swap("lanes.csv", "accepts", "colour"), 1, None, "colour"),
    Planted("invalid_utf8", "services.csv", put("services.csv", b"service_id,name\na,x\nb,\xe9\n"), 3, None, "b,\\xe9"),
    Planted("nul_byte", "services.csv", add("services.csv", "x\0,,,"), 4, None, "x\\0,,,"),
    Planted("bad_quoting", "services.csv", add("services.csv", '"x,,,'), 4, None, '"x,,,'),
    Planted("too_few_fields", "services.csv", add("services.csv", "x,1"), 4, None, "x,1"),
    Planted("too_many_fields", "services.csv", add("services.csv", "x,1,,,,"), 4, None, "x,1,,,,"),
    Planted("missing_value", "nodes.csv", swap("nodes.csv", "BE,Europe/Brussels", "BE,"), 2, "timezone"),
    Planted("not_a_number", "nodes.csv", swap("nodes.csv", "50.9", '"50,9"'), 2, "lat", "50,9"),
    Planted("not_a_number", "nodes.csv", swap("nodes.csv", "50.9", "NaN"), 2, "lat", "NaN"),
    Planted("not_a_number", "departures.csv", swap("departures.csv", "1e6", "inf"), 2, "capacity_g", "inf"),
    Planted("out_of_range", "nodes.csv", swap("nodes.csv", "50.9", "90.1"), 2, "lat", "90.1"),
    Planted("out_of_range", "departures.csv", swap("departures.csv", "1.25", "-1"), 2, "cost_per_parcel", "-1"),
    Planted("out_of_range", "departures.csv", swap("departures.csv", "180", "0"), 2, "transit_minutes", "0"),
    Planted("out_of_range", "transit.csv", swap("transit.csv", "1.4", "0"), 4, "factor", "0"),
    Planted("not_whole", "departures.csv", swap("departures.csv", "240.0", "240.5"), 3, "transit_minutes", "240.5"),
    Planted("unknown_word", "nodes.csv", swap("nodes.csv", "hub", "Hub"), 2, "kind", "Hub"),
    Planted("unknown_word", "lanes.csv", swap("lanes.csv", "|battery", "|bombs"), 2, "accepts", "general|bombs"),
    Planted("bad_clock", "departures.csv", swap("departures.csv", "25:30", "25:61"), 2, "depart_time", "25:61"),
    Planted("bad_clock", "nodes.csv", swap("nodes.csv", "22:00", "24:00"), 3, "open_from", "24:00"),
    Planted("bad_date", "calendars.csv", swap("calendars.csv", "2025-12-31", "2025-02-30"), 2, "end_on", "2025-02-30"),
    Planted("bad_flag", "calendars.csv", swap("calendars.csv", "daily,1", "daily,yes"), 2, "monday", "yes"),
    Planted("bad_country", "nodes.csv", swap("nodes.csv", "BE", "BEL"), 2, "country", "BEL"),
    Planted("unknown_timezone", "nodes.csv", swap("nodes.csv", "Brussels", "Genk"), 2, "timezone", "Europe/Genk"),
    Planted("unknown_timezone", "nodes.csv", swap("nodes.csv", "Europe/Brussels", "../x"), 2, "timezone", "../x"),
    Planted("bad_timestamp", "closures.csv", swap("closures.csv", "2025-03-02T00:00Z", "soon"), 2, "until_at", "soon"),
    Planted(
        "naive_timestamp",
        "closures.csv",
        swap("closures.csv", "2025-03-02T00:00Z", "2025-03-02T00:00"),
        2,
        "until_at",
        "2025-03-02T00:00",
    ),
    Planted(
        "seconds_rounded",
        "closures.csv",
        swap("closures.csv", "2025-03-02T00:00Z", "2025-03-02T00:00:01Z"),
        2,
        "until_at",
        "2025-03-02T00:00:01Z",
    ),
    Planted("duplicate_id", "nodes.csv", add("nodes.csv", "A,hub,1,1,BE,UTC,,,,"), 4, "node_id", "A"),
    Planted("bad_feed_info", "feed.json", swap("feed.json", "EUR", "euro"), None, "currency", "euro"),
    Planted("two_forms", "zones.parquet", put("zones.parquet", b"")),
    Planted("unknown_file", "feed", put("notes.txt", ""), None, None, "notes.txt"),
    Planted("unknown_node_id", "lanes.csv", swap("lanes.csv", "B,truck", "X,truck"), 2, "to_node", "X"),
    Planted("unknown_node_id", "zones.csv", swap("zones.csv", "B,90", "X,90"), 2, "node_id", "X"),
    Planted("unknown_lane_id", "departures.csv", swap("departures.csv", "AB,", "XX,"), 2, "lane_id", "XX"),
    Planted("unknown_calendar_id", "departures.csv", swap("departures.csv", "daily", "x"), 2, "calendar_id", "x"),
    Planted("unknown_transit_id", "departures.csv", swap("departures.csv", "road", "sea"), 2, "transit_id", "sea"),
    Planted("unknown_transit_id", "zones.csv", swap("zones.csv", "road", "sea"), 2, "delivery_id", "sea"),
    Planted(
        "unknown_departure_id",
        "closures.csv",
        put("closures.csv", "departure_id,from_at,until_at\nD9,2025-03-01T00:00Z,2025-03-02T00:00Z\n"),
        2,
        "departure_id",
        "D9",
    ),
    Planted("open_hours_incomplete", "nodes.csv", swap("nodes.csv", "06:00", ""), 3, "open_until"),
    Planted("duplicate_zone", "zones.csv", add("zones.csv", "Y,nl,101A,B,,,"), 4, None, "NL 101A"),
    Planted("duplicate_quantile", "transit.csv", add("transit.csv", "road,0.50,1"), 5, None, "road 0.5"),
    Planted(
        "duplicate_date",
        "calendar_dates.csv",
        add("calendar_dates.csv", "daily,2025-05-01,0"),
        3,
        None,
        "daily 2025-05-01",
    ),
    Planted("transit_not_rising", "transit.csv", swap("transit.csv", "1.4", "0.4"), 4, "factor", "0.4"),
    Planted("transit_median", "transit.csv", swap("transit.csv", "0.5,1", "0.5,1.1"), 3, "factor", "road 1.1"),
    Planted("closure_target", "closures.csv", swap("closures.csv", "\nA,,", "\nA,AB,"), 2, None, "A AB"),
    Planted(
        "closure_span",
        "closures.csv",
        swap("closures.csv", "2025-03-02T00:00Z", "2025-01-02T00:00Z"),
        2,
        "until_at",
        "2025-01-02T00:00Z",
    ),
]


@pytest.mark.parametrize("fault", PLANTED, ids=lambda fault: f"{fault.code}-{fault.file}")
def test_a_planted_fault_is_told_where_it_stands(tmp_path, fault):
    """Each fault gives one notice with its code, file, line, column and value, in the severity the registry states."""
    files: dict[str, Any] = dict(GOOD)
    fault.change(files)
    found = [notice for notice in notices_of(write(tmp_path / "feed", files)) if notice.code == fault.code]
    assert [(n.file, n.line, n.column, n.value) for n in found] == [(fault.file, fault.line, fault.column, fault.value)]
    assert found[0].severity == NOTICES[fault.code].severity
    assert found[0].message and found[0].remedy


def test_a_bad_row_takes_along_what_hangs_on_it_and_nothing_else(tmp_path):
    """A node left out takes its lanes, their departures and closures with it, each told; the rest is read."""
    files = GOOD | {"nodes.csv": GOOD["nodes.csv"] + "C,hub,99,1,BE,UTC,,,,\n"}
    files |= {"lanes.csv": GOOD["lanes.csv"] + "AC,A,C,truck,\n"}
    files |= {"departures.csv": GOOD["departures.csv"] + "D3,AC,daily,08:00,,60,,,\n"}
    feed = read_feed(write(tmp_path / "feed", files))
    assert [(n.code, n.file, n.line) for n in feed.notices] == [
        ("out_of_range", "nodes.csv", 4),
        ("unknown_node_id", "lanes.csv", 4),
        ("unknown_lane_id", "departures.csv", 4),
    ]
    assert (feed.nodes.height, feed.lanes.height, feed.departures.height, feed.zones.height) == (2, 2, 2, 2)


@pytest.mark.parametrize(("cell", "code"), [("0", "out_of_range"), ("-5", "out_of_range"), ("many", "not_a_number")])
def test_a_capacity_per_hour_is_above_zero_or_empty(tmp_path, cell, code):
    """A node that may handle nothing is left out like any row with a bad number; an empty cell is no limit."""
    header, a, b = GOOD["nodes.csv"].splitlines()
    rows = f"{header},capacity_per_hour\n{a},1500.5\n{b},\nC,hub,1,1,BE,UTC,,,,,{cell}\n"
    feed = read_feed(write(tmp_path / "feed", GOOD | {"nodes.csv": rows}))
    assert feed.nodes["capacity_per_hour"].to_list() == [1500.5, None]
    assert [(n.severity, n.code, n.line, n.column, n.value) for n in feed.notices] == [
        ("error", code, 4, "capacity_per_hour", cell)
    ]


@pytest.mark.parametrize("column", ["capacity_g", "capacity_parcels"])
def test_a_negative_capacity_of_a_departure_is_an_error(tmp_path, column):
    """The departure is left out and told; zero is kept, and the validator's to tell."""
    rows = f"departure_id,lane_id,calendar_id,depart_time,transit_minutes,{column}\n"
    rows += "D1,AB,daily,08:00,60,-1\nD2,AB,daily,09:00,60,0\n"
    feed = read_feed(write(tmp_path / "feed", GOOD | {"departures.csv": rows}))
    assert feed.departures[column].to_list() == [0.0]
    assert [(n.code, n.line, n.column) for n in feed.notices] == [("out_of_range", 2, column)]


def test_lines_are_counted_past_blank_lines_quoted_line_ends_and_carriage_returns(tmp_path):
    """The line a notice names is the line an editor shows."""
    text = '\ufeffservice_id,name,due_days\r\n\r\na,"two\r\nlines",1\r\n\r\n,,\r\nb,x,soon\r\n"c","y","-1"'
    feed = read_feed(write(tmp_path / "feed", GOOD | {"services.csv": text}))
    assert feed.services.select("service_id", "name", "line").rows() == [("a", "two\r\nlines", 3)]
    assert [(n.code, n.line, n.value) for n in feed.notices] == [("not_a_number", 7, "soon"), ("out_of_range", 8, "-1")]


def test_one_row_with_three_faults_tells_three(tmp_path):
    """All faults of a row are told at once."""
    files = GOOD | {"nodes.csv": GOOD["nodes.csv"] + "C,huub,nan,1,BEL,UTC,,,,\n"}
    found = read_feed(write(tmp_path / "feed", files)).notices
    assert {notice.column for notice in found} == {"kind", "lat", "country"}
    assert {notice.line for notice in found} == {4}


def test_native_parquet_types_are_taken_and_unfit_ones_told(tmp_path):
    """Numbers of a Parquet file are read as they are; a list, or a half for a whole, is a fault of its row."""
    folder = write(tmp_path / "feed", {name: text for name, text in GOOD.items() if name != "services.csv"})
    pl.DataFrame({"service_id": [7, 8], "due_days": [2.0, 2.5], "name": [["a"], None]}).write_parquet(
        folder / "services.parquet"
    )
    feed = read_feed(folder)
    assert feed.services.is_empty()
    assert [(n.code, n.file, n.line, n.column) for n in feed.notices] == [
        ("column_type", "services.parquet", 2, "name"),
        ("not_whole", "services.parquet", 3, "due_days"),
    ]


def test_postal_prefixes_stored_as_numbers_are_told_once(tmp_path):
    """Numbers lose leading zeros, so one warning stands for the whole column."""
    folder = write(tmp_path / "feed", {name: text for name, text in GOOD.items() if name != "zones.csv"})
    zones = pl.DataFrame({"zone_id": ["a", "b"], "country": "NL", "postal_prefix": [10, 11], "node_id": "B"})
    zones.write_parquet(folder / "zones.parquet")
    found = read_feed(folder).notices
    assert [(n.code, n.line, n.column, n.count) for n in found] == [("numeric_postal_code", 2, "postal_prefix", 2)]


@pytest.mark.parametrize("what", ["nowhere", "a text file", "an empty folder", "all rows bad", "only a header"])
def test_only_when_nothing_can_be_done_reading_fails_and_says_why(tmp_path, what):
    """InvalidInput carries every notice and the next action."""
    path = tmp_path / "feed"
    if what == "a text file":
        path.write_text("hello")
    elif what == "an empty folder":
        path.mkdir()
    elif what == "all rows bad":
        write(path, GOOD | {"departures.csv": GOOD["departures.csv"].replace("daily", "never")})
    elif what == "only a header":
        write(path, GOOD | {"departures.csv": GOOD["departures.csv"].split("\n")[0] + "\n"})
    with pytest.raises(InvalidInput) as told:
        read_feed(path)
    assert "0 errors" not in str(told.value)
    assert "Next:" in str(told.value)
    codes = [notice.code for notice in told.value.notices]
    assert (
        codes
        == {
            "nowhere": [],
            "a text file": ["unreadable_file"],
            "an empty folder": ["missing_file"] * 4,
            "all rows bad": ["unknown_calendar_id"] * 2,
            "only a header": ["no_rows", "no_usable_row"],
        }[what]
    )


def test_a_folder_where_a_file_is_expected_is_told(tmp_path):
    """A folder called zones.csv costs the zones only."""
    folder = write(tmp_path / "feed", {name: text for name, text in GOOD.items() if name != "zones.csv"})
    (folder / "zones.csv").mkdir()
    assert [(n.code, n.file) for n in read_feed(folder).notices] == [("unreadable_file", "zones.csv")]


def test_files_beyond_the_limit_are_refused_unread(tmp_path):
    """A file over the limit is one notice, and the rest of the feed is read."""
    folder = write(tmp_path / "feed", GOOD)
    with (folder / "zones.csv").open("r+b") as file:
        file.truncate(tables.MAX_BYTES + 1)  # a hole: no disk is used
    assert [(n.code, n.file) for n in read_feed(folder).notices] == [("file_too_large", "zones.csv")]


def test_a_zip_bomb_and_stray_paths_are_told_and_do_no_harm(tmp_path):
    """What climbs out of an archive is left alone; what unpacks out of all proportion stops the reading."""
    sly, bomb = tmp_path / "sly.zip", tmp_path / "bomb.zip"
    with zipfile.ZipFile(sly, "w") as out:
        for name, text in GOOD.items():
            out.writestr(name, text)
        out.writestr("../nodes.csv", "x")
        out.writestr("/etc/zones.csv", "x")
    found = read_feed(sly).notices
    assert [(n.code, n.value) for n in found] == [
        ("zip_entry_ignored", "../nodes.csv"),
        ("zip_entry_ignored", "/etc/zones.csv"),
    ]
    assert not (tmp_path / "nodes.csv").exists()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as out, out.open("nodes.csv", "w") as member:
        for _ in range(archive.HARMLESS // (1 << 20) + 1):
            member.write(bytes(1 << 20))
    with pytest.raises(InvalidInput) as told:
        read_feed(bomb)
    assert [n.code for n in told.value.notices] == ["zip_too_large"]


def test_a_damaged_zip_is_told(tmp_path):
    """A zip whose bytes were changed is a fault of the zip."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("nodes.csv", GOOD["nodes.csv"] * 50)
    data = bytearray(packed.getvalue())
    data[60:70] = bytes(10)
    (tmp_path / "feed.zip").write_bytes(data)
    assert [n.code for n in notices_of(tmp_path / "feed.zip")] == ["unreadable_file"]


@pytest.mark.parametrize("name", ["zones.csv", "feed.json", "zones.parquet"])
@pytest.mark.parametrize("what", ["pipe", "endless device"])
def test_only_plain_files_are_read(tmp_path, name, what):
    """A pipe nobody writes to and a device without end, also behind a link, are told at once and left alone."""
    folder = write(tmp_path / "feed", {other: text for other, text in GOOD.items() if other.split(".")[0] not in name})
    if what == "pipe":
        os.mkfifo(folder / name)
    else:
        (folder / name).symlink_to("/dev/zero")
    (found,) = notices_of(folder)
    assert (found.code, found.file) == ("unreadable_file", name)
    assert "no plain file" in found.message


def test_a_pipe_for_a_feed_is_told(tmp_path):
    """A pipe in the place of the .zip is told, not waited for."""
    os.mkfifo(tmp_path / "feed.zip")
    (found,) = notices_of(tmp_path / "feed.zip")
    assert found.code == "unreadable_file" and "no plain file" in found.message


def test_the_mark_of_a_sample_is_no_stranger(tmp_path):
    """`sample` in feed.json is part of the format; another key is told."""
    info = '{"name": "n", "version": "1", "currency": "EUR", "sample": "rookery tiny, seed 1", "colour": "red"}'
    found = read_feed(write(tmp_path / "feed", GOOD | {"feed.json": info})).notices
    assert [(notice.code, notice.value) for notice in found] == [("unknown_column", "colour")]
