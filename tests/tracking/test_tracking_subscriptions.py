"""When subscriptions report, and the order in which what came is looked at."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.base.clock import Clock
from rookery.base.db import Database
from rookery.base.jobs import Desk
from rookery.tracking import subscriptions
from rookery.tracking.schedule import Schedule, faults_of, next_due

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)  # a Monday
RANGES = {
    "month": (1, 12),
    "dayOfMonth": (1, 28),
    "dayOfWeek": (1, 7),
    "hour": (0, 23),
    "minute": (0, 59),
    "second": (0, 59),
}
OF = {
    "month": lambda at: at.month, "dayOfMonth": lambda at: at.day, "dayOfWeek": lambda at: at.isoweekday(),
    "hour": lambda at: at.hour, "minute": lambda at: at.minute, "second": lambda at: at.second,
}  # fmt: skip


@st.composite
def fields(draw: st.DrawFn) -> dict[str, tuple[str, set[int]]]:
    """All six fields, each as it is written and with the values that this means."""
    told: dict[str, tuple[str, set[int]]] = {}
    for name, (first, last) in RANGES.items():
        texts, values = [], set()
        for _ in range(draw(st.integers(1, 3))):
            begin = draw(st.integers(first, last))
            end = draw(st.integers(begin, last))
            text, meant = draw(
                st.sampled_from(
                    [
                        (str(begin), {begin}),
                        (f"[{begin}-{end}]", {*range(begin, end + 1)}),
                        (f"{begin}/5", {*range(begin, (31 if name == "dayOfMonth" else last) + 1, 5)}),
                    ]
                )
            )
            texts.append(text)
            values |= meant
        told[name] = (",".join(texts), values)
    return told


instants = st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))


@given(fields(), instants, st.data())
def test_a_schedule_is_next_due_at_the_first_instant_that_all_fields_allow(
    told: dict[str, tuple[str, set[int]]], after: datetime, data: st.DataObject
) -> None:
    """It matches them all, lies behind, and nothing between does; whoever asks just before it hears of it again."""
    schedule = Schedule(**{name: text for name, (text, _) in told.items()})
    due = next_due(schedule, after)
    assert due is not None and due > after  # each of these days comes within the years looked at

    def fits(at: datetime) -> bool:
        return all(OF[name](at) in values for name, (_, values) in told.items())

    assert fits(due) and due.microsecond == 0
    first = after.replace(microsecond=0) + timedelta(seconds=1)
    seconds = int((due - first).total_seconds())
    for _ in range(20 if seconds else 0):
        assert not fits(first + timedelta(seconds=data.draw(st.integers(0, seconds - 1))))
    assert next_due(schedule, due - timedelta(microseconds=1)) == due


@pytest.mark.parametrize(
    ("written", "due"),
    [
        ({"hour": "1", "minute": "5"}, datetime(2026, 3, 3, 1, 5, tzinfo=UTC)),
        ({"hour": "8"}, datetime(2026, 3, 3, 8, tzinfo=UTC)),
        ({"second": "0/30"}, datetime(2026, 3, 2, 8, 0, 30, tzinfo=UTC)),
        ({"minute": "*"}, datetime(2026, 3, 2, 8, 1, tzinfo=UTC)),
        ({"dayOfWeek": "7"}, datetime(2026, 3, 8, tzinfo=UTC)),
        ({"dayOfWeek": "1", "month": "6", "hour": "[9-17]"}, datetime(2026, 6, 1, 9, tzinfo=UTC)),
        ({"month": "2", "dayOfMonth": "29"}, datetime(2028, 2, 29, tzinfo=UTC)),
        ({"month": "2", "dayOfMonth": "29", "dayOfWeek": "3"}, datetime(2040, 2, 29, tzinfo=UTC)),
    ],
)
def test_what_a_schedule_leaves_out_is_any_or_the_first(written: dict[str, str], due: datetime) -> None:
    """Coarser than the finest field any value is meant, finer the first: once a day is once."""
    assert faults_of(Schedule(**written), NOW, "$") == []
    assert next_due(Schedule(**written), NOW) == due


@pytest.mark.parametrize(
    ("written", "at"),
    [
        ({"hour": "24", "minute": "60"}, {"$.hour", "$.minute"}),
        ({"dayOfWeek": "0", "month": "[5-2]"}, {"$.dayOfWeek", "$.month"}),
        ({"second": "0/0"}, {"$.second"}),
        ({"minute": "5,"}, {"$.minute"}),
        ({"minute": "٥"}, {"$.minute"}),
        ({"dayOfMonth": "30", "month": "2"}, {"$"}),
        ({}, {"$"}),
    ],
)
def test_what_is_wrong_with_a_schedule_is_told_all_at_once(written: dict[str, str], at: set[str]) -> None:
    """Each field with its place; a time that never comes is none."""
    assert {fault.at for fault in faults_of(Schedule(**written), NOW, "$")} == at


@pytest.fixture
def desk(fresh_database: Database) -> Desk:
    return Desk(fresh_database, Clock(lambda: NOW))


def enter(conn: Any, *numbers: int, test: bool = False) -> None:
    frame = pl.DataFrame({"event_no": numbers, "event_at": [NOW.isoformat()] * len(numbers)})
    subscriptions.enter(conn, test, frame)


def subscribe(conn: Any, place: int, test: bool = False) -> None:
    subscriptions.add(
        conn,
        subscriptions.Subscription(
            subscription_id=f"sub_{place}", party_id="pty_shop", test=test, scopes=["merchant"], sees_all=False,
            query_name="q", endpoint_id="whk", epc_format="No_Preference", schedule=None, report_if_empty=False,
            initial_record_time=None, created_at=NOW, begins=place, place=place, recalled_at=None, recalled_no=None,
            due_at=None, until_place=None, told=False,
        ),
    )  # fmt: skip


def test_whoever_commits_late_comes_late_and_is_not_passed_over(desk: Desk) -> None:
    """What was numbered first in the database and committed last has the last place, behind whatever was looked at."""
    with desk.context() as ctx:
        begins = subscriptions.begin_here(ctx.conn, False)
        subscribe(ctx.conn, begins)
    with desk.context() as slow:
        enter(slow.conn, 1, 2)
        with desk.context() as quick:
            enter(quick.conn, 3)
        with desk.context() as turn:
            subscriptions.settle(turn.conn, False)
            keys, place = subscriptions.came(turn.conn, False, begins, None, 10)
        assert [number for number, _ in keys] == [3] and place is not None
    with desk.context() as turn:
        subscriptions.settle(turn.conn, False)
        keys, last = subscriptions.came(turn.conn, False, place, None, 10)
    assert [number for number, _ in keys] == [1, 2] and last is not None and last > place


def test_what_was_under_way_when_a_subscription_began_comes_behind_it(desk: Desk) -> None:
    """What could not be seen yet is not counted among what came before."""
    with desk.context() as slow:
        enter(slow.conn, 1)
        with desk.context() as other:
            enter(other.conn, 2)
        with desk.context() as ctx:
            begins = subscriptions.begin_here(ctx.conn, False)
            subscribe(ctx.conn, begins)
    with desk.context() as turn:
        subscriptions.settle(turn.conn, False)
        keys, _ = subscriptions.came(turn.conn, False, begins, None, 10)
    assert [number for number, _ in keys] == [1]


def test_what_lies_behind_every_subscription_is_removed_and_nothing_else(desk: Desk) -> None:
    """As far as the one that has come least far; without any, all of it. Live and test apart."""
    with desk.context() as ctx:
        begins = subscriptions.begin_here(ctx.conn, False)
        for number in (1, 2, 3):
            enter(ctx.conn, number)
        subscribe(ctx.conn, begins + 1)
        subscribe(ctx.conn, begins + 2)
    with desk.context(test=True) as ctx:
        enter(ctx.conn, 9, test=True)

    def left(test: bool = False) -> list[int]:
        with desk.context(test) as ctx:
            while subscriptions.settle(ctx.conn, test):
                pass
        with desk.context(test) as ctx:
            subscriptions.settle(ctx.conn, test)
            rows = ctx.conn.execute("select event_nos[1] from tracking.arrivals where test = %s order by seq", (test,))
            return [row[0] for row in rows]

    assert left() == [2, 3] and left(test=True) == []
    with desk.context() as ctx:
        assert subscriptions.remove(ctx.conn, f"sub_{begins + 1}") and not subscriptions.remove(ctx.conn, "sub_none")
    assert left() == [3]


def test_a_batch_is_looked_at_whole(desk: Desk) -> None:
    """As many batches as hold so many events, and the one that goes beyond."""
    with desk.context() as ctx:
        begins = subscriptions.begin_here(ctx.conn, False)
        subscribe(ctx.conn, begins)
        for numbers in ([1, 2, 3], [4, 5, 6], [7]):
            enter(ctx.conn, *numbers)
    with desk.context() as ctx:
        subscriptions.settle(ctx.conn, False)
        keys, place = subscriptions.came(ctx.conn, False, begins, None, 4)
        rest, _ = subscriptions.came(ctx.conn, False, place or 0, None, 4)
        assert ([no for no, _ in keys], [no for no, _ in rest]) == ([1, 2, 3, 4, 5, 6], [7])
        assert subscriptions.came(ctx.conn, False, begins, begins, 4) == ([], None)
