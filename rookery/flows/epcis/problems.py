"""What a subscriber is told of a query that could not be looked at: a problem document, as questions are answered with.

EPCIS 2.0 (OpenAPI, `querySubscriptionResults`; the query callback interface): an error on the server's side is sent
to `dest` in the form of answers 4xx and 5xx, with the query's name and the subscription's id.
"""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType

from rookery.terms.errors import RookeryError
from rookery.terms.notice import Fault

_CODES, _TYPES = "epcis.", "epcisException:"
_GOES_ON = "Nothing is skipped: it is tried again every minute, and all that came meanwhile is sent when that succeeds."


class SubscriptionProblem(Struct, frozen=True):
    """RFC 7807, with what a problem of an answer has besides; `type` tells it from an EPCISQueryDocument."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    action: str
    queryName: str
    subscriptionID: str
    errors: list[Fault] | UnsetType = UNSET


def problem_of(fault: Exception, query_name: str, subscription_id: str) -> SubscriptionProblem:
    """The problem that a fault is to a subscriber: in the standard's words where it is one of the query, else an
    ImplementationException that tells nothing of the inside.
    """
    title = "The query of a subscription could not be looked at"
    if isinstance(fault, RookeryError) and fault.code.startswith(_CODES):
        kind, faults = _TYPES + fault.code.removeprefix(_CODES), list(fault.faults)
        told = (fault.status, f"{fault.what} {_GOES_ON}", fault.code, fault.action)
    else:
        kind, faults = _TYPES + "ImplementationException", []
        action = "wait; if nothing comes for long, ask whoever runs this server, whose log tells the reason"
        told = (500, f"A fault of the server. {_GOES_ON}", "epcis.ImplementationException", action)
    return SubscriptionProblem(kind, title, *told, query_name, subscription_id, faults or UNSET)
