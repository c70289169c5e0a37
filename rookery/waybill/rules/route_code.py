"""The route code: where a parcel is sorted to, short enough to be printed large and read across a hall."""

from __future__ import annotations

import unicodedata
import zlib
from collections.abc import Sequence

from rookery.waybill.model import RouteCode

LONGEST = {"hub": 14, "depot": 14, "segment": 4}
"""Most characters of each part: what fits beside a segment, on the wide label at 18 points, on the narrow one at 14."""
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PLAIN = str.maketrans(
    {"ẞ": "SS", "Ø": "O", "Ł": "L", "Đ": "D", "Ð": "D", "Þ": "TH", "Æ": "AE", "Œ": "OE", "Ħ": "H", "Ŧ": "T", "Ŋ": "NG"}
)
"""Capitals that Unicode does not take apart into a plain letter and a mark."""


def route_code(hubs: Sequence[str], depot: str, segment: str = "") -> RouteCode:
    """The route code of an itinerary: node ids of the hubs it passes (in order), of its depot, and the tour segment.

    The last hub is the one that counts: those before it sort by it. Ids are written in capitals, with letters, digits
    and hyphens alone; letters with marks are written without (NÜRNBERG: NURNBERG). One that is too long, or has letters
    of which there is no plain spelling, keeps its beginning and ends in "~" and two characters worked out from the
    whole id, so that DE-BERLIN-NORTH-1 and DE-BERLIN-NORTH-2 do not look alike; it is still for eyes only, and the
    number decides. A part that is missing is left out.
    """
    return RouteCode(
        hub=short(hubs[-1], LONGEST["hub"]) if hubs else "",
        depot=short(depot, LONGEST["depot"]),
        segment=short(segment, LONGEST["segment"]),
    )


def short(node: str, longest: int) -> str:
    """A node id in at most `longest` (>= 4) characters; equal ids give equal texts."""
    capitals = unicodedata.normalize("NFKD", node.upper()).upper().translate(_PLAIN)
    clean = "".join(letter for letter in capitals if letter == "-" or (letter.isascii() and letter.isalnum()))
    lost = any(letter.isalnum() and not letter.isascii() for letter in capitals)
    if len(clean) <= longest and not lost:
        return clean
    digest = zlib.crc32((capitals if lost else clean).encode("utf-8", "replace"))
    return clean[: longest - 3].strip("-") + "~" + _ALPHABET[digest >> 5 & 31] + _ALPHABET[digest & 31]
