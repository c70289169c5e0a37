"""RookeryError
   +- InvalidInput      what was handed in cannot be used (422)
   |   +- Unreadable    it is not even a document of the expected kind (400)
   |   +- NotAcceptable what is answered is nothing that the asker reads (406)
   |   +- TooLarge      it is larger than what is taken at once (413)
   +- NotKnown          who asks is not known (401)
   +- NotAllowed        who asks may not do this (403)
   +- NotFound          a named thing does not exist (404)
   +- Conflict          the act would overwrite or contradict something (409)
   |   +- Changed       what was to be changed is no longer what the asker saw (412)
   +- Later             the same may be asked again after some seconds
       +- TooMany       more was asked for than may be in this time (429)
       +- Unavailable   something that is needed is not there at the moment (503)

Every error tells what is wrong, where, and the next action. Faults are collected: one error carries all of them.
"No itinerary" is not an error: it is a result with reasons.
"""

from __future__ import annotations

from collections.abc import Sequence

from rookery.terms.notice import Fault, Notice


class RookeryError(Exception):
    """What went wrong, with a stable `code` ("feed.unreadable") and the next action.

    notices: every finding about files; faults: every finding about the document that was sent.
    """

    status = 500

    def __init__(self, code: str, what: str, action: str, notices: Sequence[Notice] = (), faults: Sequence[Fault] = ()):
        super().__init__(f"{what} Next: {action}.")
        self.code, self.what, self.action = code, what, action
        self.notices, self.faults = tuple(notices), tuple(faults)


class InvalidInput(RookeryError):
    """What was handed in cannot be used; `notices` holds every fault found."""

    status = 422


class Unreadable(InvalidInput):
    """What was handed in is not a document of the expected kind."""

    status = 400


class NotAcceptable(InvalidInput):
    """What is answered is nothing that the asker reads."""

    status = 406


class TooLarge(InvalidInput):
    """What was handed in is larger than what is taken at once."""

    status = 413


class NotKnown(RookeryError):
    """Who asks did not say who they are, or is not known."""

    status = 401


class NotAllowed(RookeryError):
    """Who asks may not do this."""

    status = 403


class NotFound(RookeryError):
    """A named thing does not exist."""

    status = 404


class Conflict(RookeryError):
    """The act would overwrite or contradict something that is there."""

    status = 409


class Changed(Conflict):
    """What was to be changed is no longer what the asker saw."""

    status = 412


class Later(RookeryError):
    """The same may be asked again after `retry_after_s` seconds."""

    def __init__(self, code: str, what: str, action: str, retry_after_s: int = 1):
        super().__init__(code, what, action)
        self.retry_after_s = retry_after_s


class TooMany(Later):
    """More was asked for than may be in this time."""

    status = 429


class Unavailable(Later):
    """Something that is needed is not there at the moment."""

    status = 503
