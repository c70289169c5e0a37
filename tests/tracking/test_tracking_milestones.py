"""What events mean, and where they leave a parcel."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.tracking.milestones import (
    LIFE,
    NOTHING,
    PARENT,
    STEPS,
    Meaning,
    Seen,
    State,
    fold,
    in_order,
    meaning,
    step,
)
from rookery.tracking.model import DETAILS, STATUSES, fits

BEGIN = datetime(2026, 3, 2, tzinfo=UTC)


def seen(hour: int, status: str | None, detail: str | None = None, against: str | None = None) -> Seen:
    return Seen(BEGIN + timedelta(hours=hour), hour, status, detail, None, against)


def test_every_step_means_a_status_that_its_detail_may_stand_beside():
    """The table of business steps uses the words of the model alone."""
    for said in STEPS.values():
        assert said.status in STATUSES and (
            said.detail is None or (said.detail in DETAILS and fits(said.status, said.detail))
        )


@pytest.mark.parametrize(
    "form", ["departing", "https://ref.gs1.org/cbv/BizStep-departing", "urn:epcglobal:cbv:bizstep:departing"]
)
def test_a_step_means_the_same_in_every_form(form):
    """Short word, web address and URN are one word."""
    assert meaning({"bizStep": form}, 0) == Meaning("in_transit", "departed")


@pytest.mark.parametrize("event", [{}, {"bizStep": "other"}, {"bizStep": "https://example.com/own"}, {"bizStep": None}])
def test_what_says_nothing_means_nothing(event):
    """A step nobody gave a meaning to is kept and moves nothing: nothing is guessed."""
    assert meaning(event, 0) == NOTHING


def test_a_couriers_code_goes_before_the_step():
    """What a code table made of a code is what the event means."""
    event = {"bizStep": "holding", "rookery:status": "delivery_failed", "rookery:detail": "nobody_home"}
    assert meaning(event, 0) == Meaning("delivery_failed", "nobody_home")
    assert meaning({**event, "rookery:status": "flying"}, 0).status == "on_hold"


@pytest.mark.parametrize("word", ["packing", "unpacking", "loading", "unloading"])
def test_a_container_does_not_move_by_being_filled(word):
    """Putting parcels into a bag is news of the parcels, not of the bag."""
    assert meaning({"bizStep": word}, PARENT) == NOTHING and meaning({"bizStep": word}, 2).status == "in_transit"


def test_delivered_stands():
    """What is scanned after delivery changes nothing, and says so; going back does."""
    state = fold(State(), [seen(1, "delivered"), seen(2, "in_transit", "departed")])
    assert state.status == "delivered" and step(state, seen(3, "in_transit"))[1] == "after_its_end"
    assert step(state, seen(4, "return_to_sender"))[0].status == "return_to_sender"


def test_a_parcel_that_goes_back_goes_back_until_its_sender_has_it():
    """Whatever it is seen doing on the way, and then nothing more."""
    state = fold(State(), [seen(1, "return_to_sender"), seen(2, "in_transit", "departed")])
    assert (state.status, state.detail) == ("return_to_sender", "return_in_transit")
    state = fold(state, [seen(3, "delivered")])
    assert (state.status, state.detail) == ("return_to_sender", "returned_to_sender")
    assert step(state, seen(4, "out_for_delivery"))[1] == "after_its_end"


def test_a_label_printed_again_does_not_take_a_parcel_back():
    """Once it was seen, an announcement is older news."""
    state = fold(State(), [seen(1, "picked_up"), seen(2, "pre_transit", "label_created")])
    assert state.status == "picked_up" and step(state, seen(3, "pre_transit"))[1] == "before_what_is_known"


def test_what_does_not_count_leaves_no_trace():
    """Withdrawn events and strangers' scans, and those that say nothing, change nothing."""
    state = fold(State(), [seen(1, "picked_up"), seen(2, "delivered", None, "withdrawn"), seen(3, None)])
    assert (state.status, state.at) == ("picked_up", BEGIN + timedelta(hours=1))


# of one instant

Told = tuple[str | None, str | None, str | None]
"""Status, detail, why it does not count."""
SEEN: dict[str, Any] = {
    "epc": pl.String, "at": pl.Datetime("us", "UTC"), "event_no": pl.Int64, "status": pl.String, "detail": pl.String,
    "against": pl.String, "batch_no": pl.Int64,
}  # fmt: skip


def recorded(
    batches: Sequence[Sequence[Told]], hours: Any = lambda batch, nth: 0, together: bool = True
) -> pl.DataFrame:
    """Events of one parcel, as if the batches, each as it was sent, had been captured in this order; in any order.

    together: it is known what was sent with what.
    """
    rows = []
    for number, batch in enumerate(batches):
        first = len(rows) + 1
        for nth, (status, detail, against) in enumerate(batch):
            at = BEGIN + timedelta(hours=hours(number, nth))
            rows.append(("p", at, len(rows) + 1, status, detail, against, first if together else None))
    random.Random(len(rows)).shuffle(rows)
    return pl.DataFrame(rows, schema=SEEN, orient="row")


def left(seen: pl.DataFrame) -> State:
    """Where the events leave the parcel, no place and no number told."""
    rows = (
        in_order(seen).select("at", "event_no", "status", "detail", place=pl.lit(None), against="against").iter_rows()
    )
    state = fold(State(), (Seen(*row) for row in rows))
    return State(state.status, state.detail, state.at)


def words_of(status: str, detail: str | None) -> str:
    return detail if status == "in_transit" and detail in LIFE else status


MEANINGS = [(word, None) if word in STATUSES else ("in_transit", word) for word in LIFE]
said = st.sampled_from([*((*one, None) for one in MEANINGS), (None, None, None), ("delivered", None, "withdrawn")])
batches_of = st.lists(st.lists(said, min_size=1, max_size=4), min_size=1, max_size=5)


def test_the_order_of_life_has_every_status_and_knows_its_details():
    """Each status once, in the order of the milestones as far as they are on the straight way, and details that are."""
    assert len(set(LIFE)) == len(LIFE) and set(STATUSES) <= set(LIFE)
    assert all(fits("in_transit", word) for word in LIFE if word not in STATUSES)
    straight = [
        word for word in LIFE if word in ("pre_transit", "picked_up", "in_transit", "out_for_delivery", "delivered")
    ]
    assert straight == [word for word in STATUSES if word in straight]


@given(batches_of, st.integers(1, 3))
def test_of_one_instant_a_batch_stands_as_it_was_sent(batches, instants):
    """Whatever else is told of that instant, a batch's own order is kept; and event time goes before everything."""
    seen = recorded(batches, lambda batch, nth: (batch + nth) % instants)
    ordered = in_order(seen)
    assert sorted(ordered.rows()) == sorted(seen.rows())
    assert ordered["at"].is_sorted()
    for _, mine in ordered.group_by("at", "batch_no"):
        assert mine["event_no"].is_sorted()


@given(st.lists(st.sampled_from(MEANINGS), min_size=1, max_size=6))
def test_of_what_nobody_knows_with_what_it_was_sent_the_order_of_the_trade_counts(meanings):
    """Events kept before their batches were: their numbers follow no order in which they were sent."""
    ordered = in_order(recorded([[(status, detail, None) for status, detail in meanings]], together=False))
    places = [LIFE.index(words_of(*one)) for one in ordered.select("status", "detail").iter_rows()]
    assert places == sorted(places)


@given(batches_of, st.randoms())
def test_which_batch_was_recorded_first_does_not_matter_at_one_instant(batches, luck):
    """Batches that tell of the same instant leave a parcel alike in whatever order they came."""
    other = list(batches)
    luck.shuffle(other)
    assert left(recorded(batches)) == left(recorded(other))


@given(st.lists(st.sampled_from(MEANINGS), min_size=1, max_size=6))
def test_single_events_of_one_instant_stand_in_the_order_of_the_trade(meanings):
    """Batches of one event each: the order of LIFE, in whatever order they came."""
    ordered = in_order(recorded([[(status, detail, None)] for status, detail in meanings]))
    places = [LIFE.index(words_of(*one)) for one in ordered.select("status", "detail").iter_rows()]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("one", "another", "end"),
    [
        (("on_hold", "damaged"), ("in_transit", "arrived"), ("on_hold", "damaged")),
        (("in_transit", "damaged"), ("in_transit", "departed"), ("in_transit", "damaged")),
        (("in_transit", "departed"), ("in_transit", "arrived"), ("in_transit", "departed")),
        (("out_for_delivery", None), ("in_transit", "departed"), ("out_for_delivery", None)),
        (("delivered", None), ("on_hold", "damaged"), ("delivered", None)),
        (("in_transit", "customs_cleared"), ("on_hold", "customs_hold"), ("in_transit", "customs_cleared")),
        (("delivered", None), ("return_to_sender", None), ("return_to_sender", None)),
        (("delivery_failed", None), ("available_for_pickup", "in_locker"), ("available_for_pickup", "in_locker")),
    ],
)  # fmt: skip
def test_of_two_batches_of_one_instant_the_later_step_tells(one, another, end):
    """What goes wrong is not lost behind the movement it befell, and takes nothing back that was reached."""
    for batches in ([[(*one, None)], [(*another, None)]], [[(*another, None)], [(*one, None)]]):
        state = left(recorded(batches))
        assert (state.status, state.detail) == end


def test_a_batch_that_tells_it_otherwise_is_believed():
    """In one batch the order of sending counts, not that of the trade; in two the trade's does."""
    damaged, arrived = ("on_hold", "damaged", None), ("in_transit", "arrived", None)
    assert left(recorded([[damaged, arrived]])).detail == "arrived"
    assert left(recorded([[damaged], [arrived]])).detail == "damaged"


def test_what_was_recorded_last_tells_where_the_trade_knows_no_order():
    """Two batches of one instant with the same step of the trade: the number decides."""
    hold, inspected = ("on_hold", "security_check", None), ("on_hold", "customs_inspection", None)
    assert left(recorded([[hold], [inspected]])).detail == "customs_inspection"
    assert left(recorded([[inspected], [hold]])).detail == "security_check"
