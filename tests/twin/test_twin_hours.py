"""When work is over: the twin's reading of opening hours against the planner's, which it shares no code with."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.planning.engine.catch import ready_times
from rookery.terms.time import NEVER
from rookery.twin.engine.arrays import Hours
from rookery.twin.engine.hours import worked_off


@st.composite
def spells(draw) -> list[tuple[int, int]]:
    """Disjoint spells in order, none touching the next."""
    edges = sorted(draw(st.sets(st.integers(0, 60), min_size=2, max_size=8)))
    return list(zip(edges[::2], edges[1::2]))


@settings(deadline=None, max_examples=500, derandomize=True)
@given(open_=spells(), arrive=st.integers(0, 70), minutes=st.integers(0, 30))
def test_both_read_opening_hours_alike(open_, arrive, minutes) -> None:
    """Work is over at the same minute whichever of the two counts it, or never for both."""
    opens, closes = (np.array(side, np.int64) for side in zip(*open_))
    always = np.zeros(1, np.bool_)
    begins = np.array([0, len(opens)], np.int64)
    total = np.concatenate([[0], np.cumsum(closes - opens)])[:-1].astype(np.int64)
    theirs = ready_times(
        np.zeros(1, np.int32), np.array([[arrive]], np.int64), np.array([minutes], np.int64), begins, opens, closes,
        total, always, int(NEVER),
    )  # fmt: skip
    ours = worked_off(Hours(always, begins, opens, closes), 0, arrive, minutes, int(NEVER))
    assert ours == theirs[0, 0]


def test_who_never_shuts_is_done_at_once() -> None:
    """A node that is always open needs the handling minutes and no more."""
    hours = Hours(np.ones(1, np.bool_), np.zeros(2, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64))
    assert worked_off(hours, 0, 100, 25, int(NEVER)) == 125
