"""Ids of the system of record."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from rookery.terms.ids import ID, new_ids

WHEN = st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))


@given(WHEN, st.integers(0, 50))
def test_ids_have_their_form_and_are_all_different(now, count):
    """As many as asked for, each of the one form, no two alike."""
    made = new_ids("ord", now, count)
    assert len(set(made)) == count and all(ID.fullmatch(one) for one in made)


@given(WHEN, st.integers(1, 10**9))
def test_ids_sort_by_the_time_they_were_made(now, later_ms):
    """What is made a millisecond or more later sorts later."""
    [first], [second] = new_ids("ord", now, 1), new_ids("ord", now + timedelta(milliseconds=later_ms), 1)
    assert first < second
