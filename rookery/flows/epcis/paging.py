"""EPCIS lists a page at a time: what a page's token says, for whom and for which question it is good, until when."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from urllib.parse import quote, urlencode

import msgspec
from msgspec import Meta, Struct

from rookery.base.operations import Context
from rookery.base.signing import Signer
from rookery.flows.epcis.asking import refused
from rookery.terms.notice import Fault

GOOD_FOR = timedelta(hours=1)
_PURPOSE = "epcis.page"
PAGED = {
    "Link": 'The next page: <...>; rel="next". The last page has none.',
    "GS1-Next-Page-Token-Expires": "Until when the next page may be asked for.",
}
PerPage = Annotated[int, Meta(ge=1, le=1000, description="How many at most.")]
Token = Annotated[str, Meta(max_length=4000, pattern=r"^[A-Za-z0-9_-]*$", description="As the page before named it.")]


class Place(Struct, frozen=True):
    """Where in a list the next page begins: behind the key `last`; left: how many at most follow, None = all."""

    last: list[Any]
    left: int | None = None


class _Content(Struct, frozen=True, array_like=True):
    until: int  # seconds since 1970
    asker: str  # a digest of whom it was given to
    question: str  # a digest of who asked for what
    place: Place


def begin(ctx: Context, token: str, path: str, asked: Mapping[str, Any]) -> Place | None:
    """Where a token says to go on; None for the first page.

    Raises Unreadable for a token that was not given to this asker for this question, was altered, or has expired.
    """
    if not token:
        return None
    told = _opened(ctx, token)
    if told is None or told.question != _digest(ctx, path, asked):
        what = "it was not given to you for this question, or has expired"
        raise refused([Fault("query.nextPageToken", "bad_value", what, "follow `Link` as it stands, or begin anew")])
    return told.place


def is_good(ctx: Context, token: str) -> bool:
    """Whether a token was given to this asker and may still be used."""
    told = _opened(ctx, token)
    return told is not None and told.asker == _asker(ctx)


def onward(ctx: Context, path: str, asked: Mapping[str, Any], per_page: int, place: Place | None) -> dict[str, str]:
    """The headers that lead to the next page, none where there is none. asked: what stood in the query, and whatever
    else (no text) the token is to hold good for.
    """
    if place is None:
        return {}
    until = int((ctx.clock.now() + GOOD_FOR).timestamp())
    content = msgspec.json.encode(_Content(until, _asker(ctx), _digest(ctx, path, asked), place))
    token = ctx.part(Signer).sign(_PURPOSE, content)
    texts = [(name, value) for name, value in asked.items() if isinstance(value, str)]
    query = urlencode([*texts, ("perPage", per_page), ("nextPageToken", token)], quote_via=quote)
    return {
        "Link": f'<{path}?{query}>; rel="next"',
        "GS1-Next-Page-Token-Expires": datetime.fromtimestamp(until, UTC).isoformat().replace("+00:00", "Z"),
    }


def _opened(ctx: Context, token: str) -> _Content | None:
    content = ctx.part(Signer).open(_PURPOSE, token)
    told = None if content is None else msgspec.json.decode(content, type=_Content)
    return told if told is not None and told.until > ctx.clock.now().timestamp() else None


def _digest(ctx: Context, path: str, asked: Mapping[str, Any]) -> str:
    return _hashed([ctx.who.party_id, ctx.who.test, path, sorted(asked.items())])


def _asker(ctx: Context) -> str:
    return _hashed([ctx.who.party_id, ctx.who.test])


def _hashed(told: list[Any]) -> str:
    return hashlib.sha256(msgspec.json.encode(told)).hexdigest()[:32]
