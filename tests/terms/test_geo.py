"""Distances on the globe."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.terms.geo import EARTH_KM, great_circle_km

LAT, LON = st.floats(-90, 90), st.floats(-180, 180)


def test_quarter_and_half_of_the_globe():
    """Pole to equator is a quarter of a great circle, a place to its antipode a half."""
    np.testing.assert_allclose(great_circle_km(90, 0, [0, -90], [77, 0]), [np.pi / 2 * EARTH_KM, np.pi * EARTH_KM])


@given(LAT, LON, LAT, LON)
def test_there_is_as_far_as_back(lat, lon, lat_to, lon_to):
    """Distance is the same both ways, and nothing from a place to itself."""
    away = great_circle_km(lat, lon, lat_to, lon_to)
    assert away == pytest.approx(great_circle_km(lat_to, lon_to, lat, lon), abs=1e-6)
    assert great_circle_km(lat, lon, lat, lon) == 0 and 0 <= away <= np.pi * EARTH_KM + 1e-6
