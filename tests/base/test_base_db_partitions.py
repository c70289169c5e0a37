"""Monthly partitions: made ahead, dropped when over for longer than kept, and no row lost on the way."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.base.db import partitions
from rookery.base.db.partitions import AHEAD, tend

NOW = datetime(2026, 11, 15, 12, tzinfo=UTC)


@pytest.fixture
def history(fresh_database):
    """A partitioned table with a default partition, kept for two months, and nothing else to tend."""
    with fresh_database.owner() as conn:
        conn.execute(
            "create table base.history (id bigint generated always as identity, at timestamptz not null, what text,"
            " primary key (id, at)) partition by range (at);"
            " create table base.history_other partition of base.history default;"
            " delete from base.partitioned; insert into base.partitioned values ('base.history', 2)"
        )
        yield conn


def add(conn, *days):
    for day in days:
        conn.execute("insert into base.history (at, what) values (%s, %s)", [f"{day}T00:00Z", day])


def places(conn):
    return dict(conn.execute("select what, tableoid::regclass::text from base.history").fetchall())


def test_months_are_made_ahead_once(history):
    """This month and the next three get a partition; a second call finds them there."""
    made = tend(history, NOW).made
    assert made == tuple(f"base.history_{month}" for month in ("2026_11", "2026_12", "2027_01", "2027_02"))
    assert tend(history, NOW).made == ()
    assert tend(history, datetime(2026, 12, 1, tzinfo=UTC)).made == ("base.history_2027_03",)


def test_rows_that_came_early_are_moved(history):
    """Rows that lay in the default partition move to their month's; those of other months stay; none is lost."""
    add(history, "2026-10-31", "2026-11-01", "2026-11-30", "2026-12-01", "2031-01-01")
    tend(history, NOW)
    add(history, "2026-11-02")
    assert places(history) == {
        "2026-10-31": "base.history_other",
        "2026-11-01": "base.history_2026_11",
        "2026-11-30": "base.history_2026_11",
        "2026-12-01": "base.history_2026_12",
        "2031-01-01": "base.history_other",
        "2026-11-02": "base.history_2026_11",
    }


def test_months_over_are_dropped(history):
    """A month goes when it is over for more than is kept, with its rows; the ones before that stay."""
    tend(history, NOW)
    add(history, "2026-11-01", "2026-12-01")
    assert tend(history, datetime(2027, 1, 31, tzinfo=UTC)).dropped == ()
    assert tend(history, datetime(2027, 2, 1, tzinfo=UTC)).dropped == ("base.history_2026_11",)
    assert set(places(history)) == {"2026-12-01"}


def test_the_audit_trail_is_tended(fresh_database):
    """Rookery's own history tables, as base.partitioned names them, get their partitions; their rows stay guarded."""
    with fresh_database.owner() as conn:
        made = tend(conn, NOW).made
        named = conn.execute("select count(*) from base.partitioned").fetchone()
    assert named is not None and len(made) == named[0] * (AHEAD + 1)
    assert "base.audit_2026_11" in made
    with fresh_database.transaction("pty_1", frozenset({"merchant"})) as conn:
        direct = "select has_table_privilege('base.audit_2026_11', 'select')"
        assert conn.execute(direct).fetchone() == (False,)


@given(st.dates(min_value=datetime(1990, 1, 1).date()), st.integers(-200, 200), st.integers(-200, 200))
def test_months_add_up(day, one, two):
    """Going on by some months and then by others is going on by their sum; there is no thirteenth month."""
    month = day.replace(day=1)
    if month.year < 9900:
        assert partitions._plus(partitions._plus(month, one), two) == partitions._plus(month, one + two)
