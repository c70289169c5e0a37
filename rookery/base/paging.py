"""Lists, a page at a time: the cursor is the last id seen, so that what is added meanwhile shifts nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Generic, TypeVar

from msgspec import Meta, Struct

COUNTED = 100_000
"""What waits is counted up to so many, for whoever watches: this number tells so many or more."""
Item = TypeVar("Item")
Limit = Annotated[int, Meta(ge=1, le=1000, description="How many at most.")]
After = Annotated[str, Meta(max_length=64, pattern=r"^[ -~]*$", description="`next` of the page before.")]


class Page(Struct, Generic[Item], frozen=True):
    """Some of a list; `next` is what to send as `after` for more, null when this was all."""

    data: list[Item]
    next: str | None


def page(found: Sequence[Item], limit: int, cursor_of: Callable[[Item], str]) -> Page[Item]:
    """A page of what was found when one more than `limit` was looked for."""
    shown = list(found[:limit])
    return Page(shown, cursor_of(shown[-1]) if len(found) > limit else None)
