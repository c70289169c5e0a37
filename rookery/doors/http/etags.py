"""ETags: the version of a thing, so that nobody changes what has changed since they read it."""

from __future__ import annotations

import re
from typing import Any

from rookery.terms.errors import Changed, InvalidInput
from rookery.terms.notice import Fault

_ETAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e]*"')


def etag_of(reply: Any) -> str | None:
    """The ETag of a reply that has a version: this, or what it says itself where figures change without a new one."""
    if isinstance(own := getattr(reply, "etag", None), str):
        return f'"{own}"'
    version = reply.get("version") if isinstance(reply, dict) else getattr(reply, "version", None)
    return f'"{version}"' if isinstance(version, int) else None


def seen_already(if_none_match: str | None, etag: str) -> bool:
    """Whether If-None-Match names this ETag (RFC 9110, 13.1.2: weakly compared)."""
    return if_none_match is not None and (
        if_none_match.strip() == "*" or etag in (found.removeprefix("W/") for found in _ETAG.findall(if_none_match))
    )


def version_seen(if_match: str | None, taken: bool) -> int | None:
    """The version that If-Match asks for; None when it asks for none, as `*` does.

    Raises InvalidInput where an operation heeds none or several are named, Changed for what no thing's ETag can be
    (RFC 9110, 13.1.1: weak ones match nothing). Of "3.0a1b2c3d" the version is 3: what follows tells figures, which
    change by themselves and stand in nobody's way.
    """
    if if_match is None:
        return None
    if not taken or len(_ETAG.findall(if_match)) > 1:
        what = "one ETag only is taken" if taken else "no If-Match is heeded here"
        fault = Fault("header.If-Match", "not_taken", what, "send the ETag you read" if taken else "leave it out")
        raise InvalidInput("if_match.not_taken", f"If-Match: {what}.", "mend what `errors` lists", faults=[fault])
    if if_match.strip() == "*":
        return None
    found = re.fullmatch(r'"(\d{1,9})(?:\.[0-9a-f]{8})?"', if_match.strip())
    if found is None:
        raise Changed("if_match.other", "If-Match names an ETag that this cannot have.", "read it again")
    return int(found[1])
