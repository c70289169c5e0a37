"""Events overruled by who runs the network, where whoever captured them cannot or will not take them back."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from rookery.base.audit import note
from rookery.base.operations import Context, operation
from rookery.flows.capturing import refresh
from rookery.terms.errors import NotFound
from rookery.tracking.archive import Archive
from rookery.tracking.store import find_events, overrule


class Overruling(Struct, frozen=True, forbid_unknown_fields=True):
    """Names an event, as a tracker's `why` does. overruled: false takes an earlier overruling back."""

    event_id: Annotated[str, Meta(min_length=1, max_length=2000, examples=["urn:rookery:event:7"])]
    overruled: bool = True


class Overruled(Struct, frozen=True):
    """How many events that was, and how many parcels have another milestone now."""

    events: int
    parcels: int


@operation("events.overrule", kind="command", http="POST /events/overrule", scope="operator")
def overrule_event(ctx: Context, ask: Overruling) -> Overruled:
    """Have an event count no more, whoever captured it.

    For what its sender cannot take back itself: a device with a wrong clock, a courier that is gone. The event is kept
    and shown as withdrawn; the audit trail tells who overruled it. Events of an archived month are restored first.
    """
    with ctx.as_system() as conn:
        found = find_events(conn, ask.event_id, ctx.who.test)
        if not found:
            raise NotFound("events.none", "There is no such event.", "take its id from the tracker's why.steps")
        things = overrule(conn, found, ask.overruled, ctx.who.test)
        changed = refresh(conn, things, ctx.who.test, ctx.clock.now(), ctx.part(Archive))
    note(ctx, "events.overrule", ask.event_id[:200], overruled=ask.overruled, parcels=len(changed))
    return Overruled(len(found), len(changed))
