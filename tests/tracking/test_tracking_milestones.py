"""What events mean, and where they leave a parcel."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from rookery.tracking.milestones import NOTHING, PARENT, STEPS, Meaning, Seen, State, fold, meaning, step
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
