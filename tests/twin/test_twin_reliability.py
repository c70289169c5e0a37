"""Predicted against realised: tables, intervals and the line that is learnt."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.twin.reliability import measured, reliability, rising


def test_tenths_hold_everyone_once() -> None:
    """Each parcel counts in the tenth of its chance, certainty in the last; means are by pieces."""
    table = reliability(np.array([0.0, 0.05, 0.95, 1.0]), np.array([0.0, 0.1, 1.0, 0.5]), np.array([1, 3, 1, 1]))
    assert table["from"].to_list() == [0.0, 0.9] and table["parcels"].to_list() == [4, 2]
    assert table["realised"].to_list() == pytest.approx([0.075, 0.75])
    assert table["off"].to_list() == pytest.approx([100 * (0.075 - 0.0375), 100 * (0.75 - 0.975)])


def test_intervals_are_students() -> None:
    """Three runs with a known spread give the half width by hand; one run gives none; no run is an error."""
    assert measured([1.0]).plus_minus is None
    three = measured([1.0, 2.0, 3.0])
    assert (three.mean, three.plus_minus) == (2.0, pytest.approx(4.303 * 1.0 / 3**0.5))
    with pytest.raises(ValueError, match="no run"):
        measured([])


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.integers(1, 5)), min_size=1, max_size=60))
@settings(deadline=None)
def test_the_line_rises_and_keeps_the_mean(rows) -> None:
    """The points rise, lie within 0 to 1, and weighted by their parcels they keep the mean of what was realised."""
    predicted, realised, pieces = (np.array(column, float) for column in zip(*rows))
    x, y = rising(predicted, realised, pieces)
    assert (np.diff(x) > 0).all() and (np.diff(y) > 0).all()
    assert y.min() >= 0 and y.max() <= 1
    assert min(realised) - 1e-9 <= y.min() and y.max() <= max(realised) + 1e-9


def test_what_rises_already_is_kept_as_it_is() -> None:
    """A hundred chances that turn out half as likely are told half as likely."""
    predicted = np.linspace(0, 1, 101)
    x, y = rising(predicted, predicted / 2, np.ones(101))
    np.testing.assert_allclose(np.interp(predicted, x, y), predicted / 2, atol=0.005)
