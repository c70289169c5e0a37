"""Distances on the globe."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

EARTH_KM = 6371.0
"""Mean radius of the earth."""


def great_circle_km(lat: ArrayLike, lon: ArrayLike, lat_to: ArrayLike, lon_to: ArrayLike) -> NDArray[np.float64]:
    """Great-circle distances between points in degrees (haversine); arrays of shapes that broadcast, kilometres."""
    phi, psi = np.radians(lat), np.radians(lat_to)
    half = np.sin((psi - phi) / 2) ** 2
    half = half + np.cos(phi) * np.cos(psi) * np.sin((np.radians(lon_to) - np.radians(lon)) / 2) ** 2
    return 2 * EARTH_KM * np.arcsin(np.sqrt(np.clip(half, 0, 1)))
