"""Who asks: known by an API key, remembered for a moment, and kept from asking or guessing too often."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rookery.base.access.keys import Known
from rookery.base.clock import Clock
from rookery.base.operations import Who
from rookery.doors.http.limits import Buckets
from rookery.terms.errors import NotKnown

NOBODY = Who("", "", frozenset())
REMEMBERED_S = 1.5
"""How long a key is taken as known without asking again: what a revocation takes to be felt, with the asking itself."""
MOST_KNOWN = 10_000
_OFTEN = ("More than 2,000 requests a second came with this key.", "wait, or use batches")
_OFTEN_HERE = ("More than 200 requests a second came from this address.", "wait, or ask with a key")
_GUESSED = ("Too many wrong keys were sent from this address.", "wait as long as Retry-After says")
_IN_VAIN = ("Too much was asked in vain from this address.", "wait as long as Retry-After says")


@dataclass
class Callers:
    """Keys that were seen, and how often each caller asked. Used from the event loop alone.

    each: of one key. unknown: of one address, where no key is asked for. guesses: wrong keys of one address; misses:
    what one address asked for in vain where no key is asked for. Whoever guesses too often is answered 429 before any
    look.
    """

    clock: Clock
    each: Buckets = field(default_factory=lambda: Buckets(2000, 4000, _OFTEN))
    unknown: Buckets = field(default_factory=lambda: Buckets(200, 1000, _OFTEN_HERE))
    guesses: Buckets = field(default_factory=lambda: Buckets(0.5, 30, _GUESSED))
    misses: Buckets = field(default_factory=lambda: Buckets(1, 300, _IN_VAIN))
    _known: OrderedDict[bytes, tuple[float, Known]] = field(default_factory=OrderedDict)

    def anybody(self, address: str) -> Who:
        """Who asks where no key is asked for. Raises TooMany."""
        self.misses.look(address, time.monotonic())
        self.unknown.take(address, time.monotonic())
        return NOBODY

    def missed(self, address: str) -> None:
        """Somebody without a key asked for what is not there, or not for them."""
        self.misses.spend(address, time.monotonic())

    async def who(self, headers: Mapping[str, str], address: str, look_up: Callable[..., Awaitable[Any]]) -> Who:
        """Who asks, by their key. look_up: awaits `find_who` for a secret. Raises NotKnown, TooMany, Unavailable."""
        secret = secret_of(headers)
        mark, began = hashlib.sha256(secret.encode()).digest(), time.monotonic()
        seen, known = self._known.get(mark, (0.0, None))
        now = self.clock.now()
        if known is None or began - seen > REMEMBERED_S or (known.until is not None and known.until <= now):
            if known is None:  # keys seen good are never kept out by the guesses of others behind the same address
                self.guesses.look(address, began)
            try:
                known = await look_up(secret)
            except NotKnown:
                self._known.pop(mark, None)
                self.guesses.spend(address, began)
                raise
            self._known[mark] = (began, known)
            self._known.move_to_end(mark)
            if len(self._known) > MOST_KNOWN:
                self._known.popitem(last=False)
        self.each.take(known.who.key_id, began)
        return known.who


def secret_of(headers: Mapping[str, str]) -> str:
    """The API key of a request. Raises NotKnown when it has none, or two."""
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    given = [key.strip() for key in (bearer if scheme.lower() == "bearer" else "", headers.get("x-api-key", "")) if key]
    if len(given) != 1:
        what = "Two API keys were sent." if given else "No API key was sent."
        raise NotKnown("keys.missing", what, "send one as Authorization: Bearer KEY (rookery keys create makes one)")
    return given[0]
