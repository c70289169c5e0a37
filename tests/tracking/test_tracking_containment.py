"""Where a thing lay, worked out from claims: in one place at a time, whatever the order in which they came."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from rookery.tracking.containment import Claim, lay

BEGIN = datetime(2026, 3, 2, tzinfo=UTC)
claims = st.lists(
    st.builds(
        lambda hour, number, parent, put: Claim(BEGIN + timedelta(hours=hour), number, parent, put),
        st.integers(0, 12), st.integers(1, 10**6), st.sampled_from("ABC"), st.booleans(),
    ),
    max_size=12, unique_by=lambda claim: claim.event_no,
)  # fmt: skip


def holder(said: list[Claim], at: datetime) -> str | None:
    """By the plain reading: the last put that no later taking out of the same thing ended."""
    now = None
    for claim in sorted(said):
        if claim.at <= at:
            if claim.put:
                now = claim.parent
            elif claim.parent == now:
                now = None
    return now


@given(claims)
def test_intervals_say_at_every_minute_what_the_claims_say(said):
    """At any instant the interval that holds it names what the claims up to then leave the thing in."""
    found = lay(said)
    for half in range(30):
        at = BEGIN + timedelta(minutes=30 * half)
        within = [one.parent for one in found if one.from_at <= at and (one.until_at is None or at < one.until_at)]
        assert within == [parent for parent in [holder(said, at)] if parent is not None]


@given(claims, st.randoms())
def test_the_order_of_arrival_does_not_matter(said, luck):
    """Late claims lead to the same intervals as punctual ones."""
    late = list(said)
    luck.shuffle(late)
    assert lay(late) == lay(said)


def test_being_put_elsewhere_ends_the_stay():
    """A thing lies in one other at a time, also when nobody scanned it out."""
    one, two = Claim(BEGIN, 1, "A", True), Claim(BEGIN + timedelta(hours=1), 2, "B", True)
    assert [(stay.parent, stay.until_at, stay.until_event) for stay in lay([one, two])] == [
        ("A", two.at, 2), ("B", None, None),
    ]  # fmt: skip


def test_being_taken_out_of_what_it_is_not_in_changes_nothing():
    """A DELETE of another bag leaves the thing where it is."""
    assert lay([Claim(BEGIN, 1, "A", True), Claim(BEGIN + timedelta(hours=1), 2, "B", False)])[0].until_at is None
