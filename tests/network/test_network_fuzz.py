"""Whatever bytes a feed holds: a feed whose ids resolve or InvalidInput, and notices that point at real places."""

from __future__ import annotations

import io
import tempfile
import zipfile
from pathlib import Path

import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rookery.network import read_feed, validate_feed
from rookery.network.model import COLUMNS, NOTICES
from rookery.terms.errors import InvalidInput
from rookery.terms.frames import FEED, Feed
from rookery.terms.notice import Notice

GOOD = {
    "feed.json": b'{"name": "two hubs", "version": "1", "currency": "EUR"}',
    "nodes.csv": b"node_id,kind,lat,lon,country,timezone,calendar_id,open_from,open_until,capacity_per_hour\n"
    b"A,hub,50.9,4.4,BE,Europe/Brussels,,,,900\nB,depot,52.3,4.9,NL,Europe/Amsterdam,daily,22:00,06:00,\n",
    "lanes.csv": b"lane_id,from_node,to_node,mode,accepts\nAB,A,B,truck,general|battery\nBA,B,A,van,\n",
    "departures.csv": b"departure_id,lane_id,calendar_id,depart_time,transit_minutes,transit_id,capacity_g\n"
    b'D1,AB,daily,25:30,180,road,1e6\nD2,BA,daily,"08:05",240,,\n',
    "calendars.csv": b"calendar_id,monday,start_on,end_on,holidays\ndaily,1,2025-01-01,2025-12-31,BE\n",
    "calendar_dates.csv": b"calendar_id,date,runs\ndaily,2025-05-01,1\n",
    "transit.csv": b"transit_id,quantile,factor\nroad,0.1,0.8\nroad,0.5,1\n",
    "zones.csv": b"zone_id,country,postal_prefix,node_id,delivery_id\nZ,NL,10,B,road\n",
    "services.csv": b"service_id,due_days,late_cost,modes\nstd,3,10,\nfast,1,,truck|van\n",
    "closures.csv": b"node_id,from_at,until_at\nA,2025-03-01T00:00+01:00,2025-03-02T00:00Z\n",
}
NASTY = (
    b"",
    b'"',
    b'""',
    b",",
    b"\n",
    b"\r",
    b"\0",
    b"\xff",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"NaN",
    b"-1",
    b"1e999",
    b"99999999999999999999",
    b"25:61",
    b"2025-13-45",
    b"A",
    b"\xc3\xa9",
    b"../..",
    b"'",
    b"9999-12-31",
    b"0001-01-01",
    b"1970-01-01T00:00-15:59",
    b"America",
    b"|",
)
names = st.sampled_from(sorted(GOOD))
cuts = st.floats(0, 1)
edits = st.tuples(names, cuts, st.integers(0, 12), st.sampled_from(NASTY) | st.binary(max_size=6))
whole_files = st.tuples(names, st.binary(max_size=200))
quick = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def read(path: Path) -> tuple[Feed | None, tuple[Notice, ...]]:
    try:
        feed = read_feed(path)
    except InvalidInput as fault:
        assert fault.notices
        return None, fault.notices
    return feed, feed.notices + validate_feed(feed)


def assert_sound(feed: Feed | None, notices: tuple[Notice, ...], files: dict[str, bytes]) -> None:
    """The feed's ids resolve, its frames have their schemas, and each notice names a place that exists."""
    for notice in notices:
        assert notice.severity == NOTICES[notice.code].severity
        if notice.line is not None:
            text = files[notice.file]
            assert 1 <= notice.line <= 1 + text.count(b"\n") + text.count(b"\r")
        if notice.column is not None and notice.file != "feed.json":
            assert notice.column in [column.name for column in COLUMNS[notice.file.split(".")[0]]]
    if feed is None:
        return
    for table, schema in FEED.items():
        assert dict(getattr(feed, table).schema) == schema
    assert set(feed.lanes["from_node"]) | set(feed.lanes["to_node"]) <= set(feed.nodes["node_id"])
    assert set(feed.departures["lane_id"]) <= set(feed.lanes["lane_id"])
    calendars = set(feed.calendars["calendar_id"]) | set(feed.calendar_dates["calendar_id"])
    assert set(feed.departures["calendar_id"]) | set(feed.nodes["calendar_id"].drop_nulls()) <= calendars
    assert set(feed.zones["node_id"]) <= set(feed.nodes["node_id"])
    assert feed.departures["transit_minutes"].min() >= 1  # type: ignore[operator]
    assert feed.departures["line"].is_sorted()


def check(files: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, data in files.items():
            (Path(folder) / name).write_bytes(data)
        assert_sound(*read(Path(folder)), files)


@quick
@given(st.lists(edits, min_size=1, max_size=4))
def test_a_feed_with_bytes_changed_is_read_or_refused(changes):
    """Bytes cut out and put in anywhere cost rows or files, never a traceback."""
    files = dict(GOOD)
    for name, cut, length, new in changes:
        at = int(cut * len(files[name]))
        files[name] = files[name][:at] + new + files[name][at + length :]
    check(files)


@quick
@given(whole_files)
def test_a_feed_with_a_file_of_any_bytes_is_read_or_refused(change):
    """A file may hold anything at all."""
    check(GOOD | dict([change]))


@quick
@given(st.sampled_from(list(COLUMNS)), cuts, st.integers(0, 8), st.binary(max_size=8))
def test_a_damaged_parquet_file_is_told(table, cut, length, new):
    """Damaged Parquet never gets further than a notice."""
    packed = io.BytesIO()
    pl.read_csv(GOOD[f"{table}.csv"]).write_parquet(packed)
    data = packed.getvalue()
    at = int(cut * len(data))
    files = {name: text for name, text in GOOD.items() if name != f"{table}.csv"}
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            (Path(folder) / name).write_bytes(text)
        (Path(folder) / f"{table}.parquet").write_bytes(data[:at] + new + data[at + length :])
        read(Path(folder))


@quick
@given(cuts, st.integers(0, 40), st.binary(max_size=8))
def test_a_damaged_zip_is_read_or_refused(cut, length, new):
    """Damaged archives never get further than a notice."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as out:
        for name, text in GOOD.items():
            out.writestr(name, text)
    data = packed.getvalue()
    at = int(cut * len(data))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "feed.zip"
        path.write_bytes(data[:at] + new + data[at + length :])
        read(path)
