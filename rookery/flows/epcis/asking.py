"""What all questions under /epcis have in common: who may ask, how long looking may take, how refusals are told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from psycopg import errors as pg

from rookery.base.operations import Context
from rookery.terms.errors import TooLarge, Unreadable
from rookery.terms.notice import Fault
from rookery.tracking.epcis.contexts import STANDARD_CONTEXT
from rookery.tracking.queries import Sight

WHO = ("merchant", "courier", "station", "operator", "customs")
TAKES_AT_MOST_S = 10
_SEE_ALL = frozenset({"operator", "admin", "system"})
Collection = dict[str, Any]


def sight_of(ctx: Context) -> Sight:
    """Who asks, as the searches want to know it."""
    return Sight(ctx.who.party_id, bool(ctx.who.scopes & _SEE_ALL))


def refused(faults: list[Fault]) -> Unreadable:
    """The standard's answer to parameters that are none, with every fault."""
    first = faults[0]
    more = f", and {len(faults) - 1} more" if len(faults) > 1 else ""
    what = f"This cannot be asked: {first.at}: {first.message}{more}."
    return Unreadable("epcis.QueryParameterException", what, "mend what `errors` lists", faults=faults)


@contextmanager
def bounded(ctx: Context) -> Iterator[None]:
    """Within, a search that takes too long is the asker's to narrow. Raises TooLarge (QueryTooComplexException)."""
    ctx.conn.execute(f"set local statement_timeout = '{TAKES_AT_MOST_S}s'".encode())
    try:
        yield
    except pg.QueryCanceled:
        what = f"Looking for it took longer than the {TAKES_AT_MOST_S} seconds it may."
        action = "name a thing (MATCH_anyEPC), or a shorter time (GE_eventTime, LT_eventTime)"
        raise TooLarge("epcis.QueryTooComplexException", what, action) from None


def collection(members: list[str]) -> Collection:
    """A list of the standard's form."""
    return {"@context": STANDARD_CONTEXT, "type": "Collection", "member": members}
