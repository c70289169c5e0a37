"""The route code: where a parcel is sorted to, short enough to be printed large and read across a hall."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

from rookery.waybill.model import RouteCode

LONGEST = {"hub": 9, "depot": 9, "segment": 4}
"""Most characters of each part: what fits on the narrow label at 18 points."""
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def route_code(hubs: Sequence[str], depot: str, segment: str = "") -> RouteCode:
    """The route code of an itinerary: node ids of the hubs it passes (in order), of its depot, and the tour segment.

    The last hub is the one that counts: those before it sort by it. Ids are written in capitals, with letters, digits
    and hyphens alone. One that is too long keeps its beginning and ends in "~" and two characters worked out from the
    whole id, so that DE-BERLIN-NORTH and DE-BERLIN-NORD do not look alike; it is still for eyes only, and the number
    decides. A part that is missing is left out.
    """
    return RouteCode(
        hub=short(hubs[-1], LONGEST["hub"]) if hubs else "",
        depot=short(depot, LONGEST["depot"]),
        segment=short(segment, LONGEST["segment"]),
    )


def short(node: str, longest: int) -> str:
    """A node id in at most `longest` (>= 4) characters; equal ids give equal texts."""
    clean = "".join(letter for letter in node.upper() if letter == "-" or (letter.isascii() and letter.isalnum()))
    if len(clean) <= longest:
        return clean
    digest = zlib.crc32(clean.encode())
    return clean[: longest - 3].rstrip("-") + "~" + _ALPHABET[digest >> 5 & 31] + _ALPHABET[digest & 31]
