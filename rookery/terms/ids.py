"""Ids. In a feed they are what users wrote, and engines work on dense integers instead (row numbers of the frames).
What the system of record keeps has prefixed ids: the kind, an underscore, 26 characters that sort by time of making.
"""

import re
import secrets
from datetime import datetime
from typing import NewType

import numpy as np

NodeId = NewType("NodeId", str)
LaneId = NewType("LaneId", str)
DepartureId = NewType("DepartureId", str)
OrderId = NewType("OrderId", str)

_DIGITS = np.frombuffer(b"0123456789abcdefghjkmnpqrstvwxyz", np.uint8)  # Crockford's base 32, small letters
_PLACES = np.array([16, 8, 4, 2, 1], np.uint8)
ID = re.compile(r"[a-z]{3}_[0-9a-hjkmnp-tv-z]{26}")


def new_ids(prefix: str, now: datetime, count: int) -> list[str]:
    """`count` new ids such as ord_01jz3x...: 48 bits of milliseconds since 1970, 80 random bits (as in a ULID)."""
    noise = np.zeros((count, 17), np.uint8)  # two bits before the 128 fill 26 digits of five
    noise[:, 1:7] = np.frombuffer(int(now.timestamp() * 1000).to_bytes(6, "big"), np.uint8)
    noise[:, 7:] = np.frombuffer(secrets.token_bytes(10 * count), np.uint8).reshape(count, 10)
    digits = np.unpackbits(noise, axis=1)[:, 6:].reshape(count, 26, 5) @ _PLACES
    text = _DIGITS[digits].tobytes().decode("ascii")
    return [f"{prefix}_{text[at : at + 26]}" for at in range(0, 26 * count, 26)]


def new_id(prefix: str, now: datetime) -> str:
    """One new id."""
    return new_ids(prefix, now, 1)[0]
