"""Approximate positions of centres, for maps: the middle of the PIN region in the centre's code, a little apart.

The positions are general knowledge, good to about 100 km; nothing that is planned depends on them.
"""

from __future__ import annotations

import zlib

import numpy as np
import polars as pl

from examples.india_express.extract import ENDS

MIDDLE = (22.5, 79.0)
# First two digits of the PIN -> latitude, longitude of about the middle of that region.
REGIONS = {
    "11": (28.6, 77.2), "12": (28.7, 76.5), "13": (29.9, 76.9), "14": (31.0, 75.6), "15": (30.3, 74.9),
    "16": (30.7, 76.8), "17": (31.6, 77.0), "18": (32.7, 74.9), "19": (34.1, 74.8), "20": (27.6, 78.8),
    "21": (25.5, 81.3), "22": (26.2, 82.0), "23": (25.4, 82.8), "24": (29.0, 79.0), "25": (29.2, 77.7),
    "26": (28.4, 80.2), "27": (26.6, 83.2), "28": (26.7, 78.2), "30": (26.7, 75.6), "31": (24.7, 74.2),
    "32": (25.9, 76.5), "33": (28.4, 74.6), "34": (26.4, 72.6), "36": (22.0, 71.0), "37": (23.3, 69.9),
    "38": (23.2, 72.6), "39": (21.5, 73.0), "40": (18.9, 73.0), "41": (18.0, 74.4), "42": (20.2, 74.2),
    "43": (19.5, 76.2), "44": (20.8, 78.5), "45": (22.8, 75.7), "46": (23.1, 77.4), "47": (25.0, 78.4),
    "48": (23.6, 80.5), "49": (21.4, 82.0), "50": (17.6, 79.0), "51": (14.7, 78.4), "52": (16.0, 80.2),
    "53": (17.4, 82.3), "56": (13.0, 77.6), "57": (13.2, 75.9), "58": (15.9, 75.9), "59": (16.0, 74.6),
    "60": (12.4, 79.8), "61": (10.7, 79.3), "62": (9.6, 78.1), "63": (11.8, 78.3), "64": (11.0, 76.9),
    "67": (11.3, 75.9), "68": (9.8, 76.4), "69": (8.8, 76.8), "70": (22.6, 88.4), "71": (23.0, 87.8),
    "72": (22.6, 87.2), "73": (25.7, 88.3), "74": (23.5, 88.4), "75": (20.8, 85.9), "76": (20.6, 84.0),
    "77": (22.2, 84.6), "78": (26.4, 92.5), "79": (25.5, 93.0), "80": (25.4, 85.2), "81": (24.8, 86.7),
    "82": (24.2, 85.3), "83": (23.0, 85.4), "84": (26.2, 85.3), "85": (25.6, 86.8),
}  # fmt: skip


def positions(codes: list[str], corridors: pl.DataFrame) -> pl.DataFrame:
    """code, lat, lon of every centre: by its PIN; without a PIN ("IND000000...") near the centres it trades with."""
    placed = {code: _by_pin(code) for code in codes if code[3:5] in REGIONS}
    neighbours: dict[str, set[str]] = {}
    for source, destination in corridors.select(ENDS).iter_rows():
        neighbours.setdefault(source, set()).add(destination)
        neighbours.setdefault(destination, set()).add(source)
    adrift = [code for code in codes if code not in placed]
    while adrift:  # a centre without a PIN may hang on another one: those with a placed neighbour first
        beside = {code: [placed[n] for n in sorted(neighbours.get(code, ())) if n in placed] for code in adrift}
        found = {code: _apart(code, tuple(np.mean(near, axis=0)), 0.1) for code, near in beside.items() if near}
        placed |= found or {code: _apart(code, MIDDLE, 1.0) for code in adrift}
        adrift = [code for code in codes if code not in placed]
    return pl.DataFrame(
        [(code, *np.round(placed[code], 5).tolist()) for code in codes], schema=["code", "lat", "lon"], orient="row"
    )


def _by_pin(code: str) -> tuple[float, float]:
    """Region, then sorting district (3 digits), post office (6 digits) and centre, each step a smaller nudge."""
    district = _apart(code[:6], REGIONS[code[3:5]], 0.5)
    return _apart(code, _apart(code[:9], district, 0.12), 0.015)


def _apart(name: str, around: tuple[float, float], degrees: float) -> tuple[float, float]:
    """A point within `degrees` of `around`, always the same one for a name."""
    hashed = zlib.crc32(name.encode())
    north, east = (hashed & 0xFFFF) / 0xFFFF, (hashed >> 16) / 0xFFFF
    return around[0] + degrees * (2 * north - 1), around[1] + degrees * (2 * east - 1)
