"""RookeryError
   +- InvalidInput   what was handed in cannot be used (422)
   +- NotFound       a named thing does not exist (404)
   +- Conflict       the act would overwrite or contradict something (409)

Every error tells what is wrong, where, and the next action. Faults are collected: one error carries all of them.
"No itinerary" is not an error: it is a result with reasons.
"""

from __future__ import annotations

from collections.abc import Sequence

from rookery.terms.notice import Notice


class RookeryError(Exception):
    """What went wrong, with a stable `code` ("feed.unreadable") and the next action."""

    status = 500

    def __init__(self, code: str, what: str, action: str, notices: Sequence[Notice] = ()):
        super().__init__(f"{what} Next: {action}.")
        self.code, self.what, self.action, self.notices = code, what, action, tuple(notices)


class InvalidInput(RookeryError):
    """What was handed in cannot be used; `notices` holds every fault found."""

    status = 422


class NotFound(RookeryError):
    """A named thing does not exist."""

    status = 404


class Conflict(RookeryError):
    """The act would overwrite or contradict something that is there."""

    status = 409
