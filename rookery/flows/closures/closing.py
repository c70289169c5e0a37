"""Public acts about closures: a node, lane or departure shut for a while, entered once, heeded by all that plans."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import Annotated

import polars as pl
from msgspec import Meta, Struct

from rookery.base import jobs
from rookery.base.audit import note
from rookery.base.operations import Context, operation
from rookery.base.paging import After, Limit, Page, page
from rookery.flows.closures.effects import Effect, as_row, effect_of, kept_apart
from rookery.flows.live_feed import MOST_DELAY, live_feed
from rookery.flows.planning import horizon_of
from rookery.flows.waves.room import count_anew
from rookery.network import live
from rookery.network.live import MOVED, Closure, leaving
from rookery.network.store import find_active
from rookery.terms.errors import InvalidInput
from rookery.terms.frames import Feed
from rookery.terms.ids import new_id
from rookery.terms.notice import Fault
from rookery.terms.time import DAY, from_minute, to_minute

READERS = ("merchant", "courier", "operator")
REPLAN = "rebooking.closure"
"""The job that re-books what a closure touches."""
_FARTHEST = 3650 * DAY
_THINGS = {"node_id": "nodes", "lane_id": "lanes", "departure_id": "departures"}
_SIMILAR = 3
_MOST_COMPARED = 1000
"""Names that are held against an unknown one letter by letter: some hundredths of a second."""
ClosureId = Annotated[str, Meta(max_length=40, examples=["clo_01m8hyvan558x4225mfmdh7nwt"])]
_Named = Annotated[str, Meta(min_length=1, max_length=200)]


class NewClosure(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is closed, from when until when, and what of it is left: exactly one node, lane or departure."""

    node_id: Annotated[_Named, Meta(examples=["LEJ-HUB"])] | None = None
    lane_id: _Named | None = None
    departure_id: _Named | None = None
    from_at: Annotated[datetime, Meta(tz=True, description="null: from now on.")] | None = None
    until_at: Annotated[datetime, Meta(tz=True, description="The first instant at which it is open again.")]
    capacity_factor: (
        Annotated[
            float, Meta(ge=0, le=1, description="What is left of the capacity; null: 0, or 1 where there is a delay.")
        ]
        | None
    ) = None
    delay_minutes: Annotated[
        int, Meta(ge=0, le=MOST_DELAY // timedelta(minutes=1), description="By how much later everything leaves.")
    ] = 0
    reason: Annotated[
        str, Meta(max_length=500, description="Read by all who take part: nothing about people.", examples=["Storm"])
    ] = ""
    replan: Annotated[bool, Meta(description="Let what it touches be re-booked at once.")] = True


class Entered(Struct, frozen=True):
    """A closure as it counts from now on, and what it touches. notices: what is odd about it."""

    closure: Closure
    effect: Effect
    notices: list[str]


@operation("closures.add", kind="command", http="POST /closures", scope="operator", status=201)
def add(ctx: Context, ask: NewClosure) -> Entered:
    """Close a node, a lane or a departure for a while.

    From now on quotes and waves go around it, and chances are looked up anew. What it touches is re-booked at once
    where there is another way, unless `replan` is false. Closures may overlap: factors multiply and delays add. Whole
    minutes count, and a closure is never shorter than was said. A delay that would make two runs of one departure leave
    at one time, as whole days do, is some minutes longer; a notice tells it.
    """
    network, now = live_feed(ctx), ctx.clock.now()
    begins = to_minute(now) if ask.from_at is None else to_minute(ask.from_at)
    ends = math.ceil(ask.until_at.timestamp() / 60)
    faults = [*_wrong_target(ask, network.feed), *_wrong_times(begins, ends, to_minute(now))]
    if faults:
        raise InvalidInput(
            "closures.invalid", "The closure cannot be entered.", "mend what `errors` lists", faults=faults
        )
    usual = 1.0 if ask.delay_minutes else 0.0  # as in a feed's closures
    closure = Closure(
        closure_id=new_id("clo", now),
        node_id=ask.node_id,
        lane_id=ask.lane_id,
        departure_id=ask.departure_id,
        from_at=from_minute(begins),
        until_at=from_minute(ends),
        capacity_factor=usual if ask.capacity_factor is None else ask.capacity_factor,
        delay_minutes=ask.delay_minutes,
        reason=ask.reason,
        replan=ask.replan,
        entered_at=now,
        entered_by=ctx.who.party_id,
    )
    closure = kept_apart(ctx, network.feed, closure)
    effect, before = effect_of(ctx, network.feed, closure), _touched(ctx, closure)
    live.add(ctx.conn, ctx.who.test, closure)
    _count_moved(ctx, network.feed_id, pl.concat([before, _touched(ctx, closure)]))
    if ask.replan:
        jobs.defer(ctx.conn, REPLAN, closure_id=closure.closure_id)
    named = {name: told for name in _THINGS if (told := getattr(ask, name)) is not None}
    note(ctx, "closures.add", closure.closure_id, **named)
    longer = _longer(ask.delay_minutes, closure.delay_minutes)
    return Entered(closure, effect, longer + _odd(closure, effect))


def _wrong_target(ask: NewClosure, feed: Feed) -> list[Fault]:
    """Faults unless exactly one thing is named, and for each name that the network does not have."""
    named = {name: told for name in _THINGS if (told := getattr(ask, name)) is not None}
    faults = []
    if len(named) != 1:
        what = f"{len(named)} things are named" if named else "nothing is named"
        faults.append(Fault("$", "closure_target", what, "give one of node_id, lane_id and departure_id"))
    for name, told in named.items():
        known = getattr(feed, _THINGS[name])[name]
        if told not in known:
            near = get_close_matches(told, _alike(told, known), _SIMILAR)
            remedy = f"did you mean {' or '.join(near)}?" if near else f"take a {name} of the active network"
            thing = name.removesuffix("_id")
            faults.append(Fault(f"$.{name}", f"unknown_{name}", f"the network has no such {thing}", remedy))
    return faults


def _alike(told: str, known: pl.Series) -> list[str]:
    """The names worth comparing with one that is unknown, letter by letter: there may be hundreds of thousands."""
    size = known.str.len_chars()
    found = known.filter((size * 7 >= len(told) * 3) & (size * 3 <= len(told) * 7))  # others are never alike enough
    if len(found) <= _MOST_COMPARED:
        return found.to_list()
    shares = [len(told) * part // 8 for part in range(1, 8)]
    name = pl.col("name").str
    ends = [check for many in shares if many for check in (name.starts_with(told[:many]), name.ends_with(told[-many:]))]
    alike = pl.sum_horizontal(check.cast(pl.Int32) for check in ends) if ends else pl.lit(0)
    return found.to_frame("name").with_columns(alike=alike).top_k(_MOST_COMPARED, by="alike")["name"].to_list()


def _wrong_times(begins: int, ends: int, now: int) -> list[Fault]:
    """Faults for a window that is none, is over, or that nobody means; all in UTC minutes."""
    faults = []
    if ends <= begins:
        faults.append(Fault("$.until_at", "closure_span", "it is not after from_at", "name a later instant"))
    if ends <= now:
        faults.append(Fault("$.until_at", "closure_over", "it has passed", "name an instant ahead"))
    for name, told in (("from_at", begins), ("until_at", ends)):
        if abs(told - now) > _FARTHEST:
            faults.append(Fault(f"$.{name}", "out_of_range", "it is more than ten years away", "correct the year"))
    return faults


def _longer(asked: int, taken: int) -> list[str]:
    """That a delay was made longer."""
    if taken == asked:
        return []
    what = f"With a delay of {asked} minutes runs of one departure would leave at one time: it is {taken} minutes."
    return [what]


def _odd(closure: Closure, effect: Effect) -> list[str]:
    """What whoever enters a closure probably did not expect."""
    if closure.capacity_factor == 1 and not closure.delay_minutes:
        what = "It leaves all capacity and delays nothing, so it changes nothing."
        return [f"{what} Lift it, and enter it with the capacity_factor or the delay that is meant."]
    if not effect.departures and not effect.shipments:
        days = f"the {effect.days} days that are looked at"
        what = f"No departure of {days} lies in its window, and no booked leg: it changes nothing there."
        return [f"{what} If other times are meant, lift it and enter it with these."]
    return []


class SomeClosures(Struct, frozen=True, forbid_unknown_fields=True):
    """A page of the list."""

    open: Annotated[bool, Meta(description="Only those that were not lifted and are not over.")] = False
    limit: Limit = 100
    after: After = ""


@operation("closures.list", kind="query", http="GET /closures", scope=READERS)
def list_closures(ctx: Context, ask: SomeClosures) -> Page[Closure]:
    """List closures, the newest first, those that are over included."""
    now = ctx.clock.now() if ask.open else None
    found = live.list_closures(ctx.conn, ctx.who.test, ask.after, ask.limit + 1, now)
    return page(found, ask.limit, lambda closure: closure.closure_id)


class OneClosure(Struct, frozen=True, forbid_unknown_fields=True):
    """Names a closure."""

    closure_id: ClosureId


@operation("closures.get", kind="query", http="GET /closures/{closure_id}", scope=READERS)
def get(ctx: Context, ask: OneClosure) -> Closure:
    """Get a closure."""
    return live.get(ctx.conn, ctx.who.test, ask.closure_id)


@operation("closures.lift", kind="command", http="POST /closures/{closure_id}/lift", scope="operator")
def lift(ctx: Context, ask: OneClosure) -> Closure:
    """Lift a closure: it counts no more, from now on.

    What was re-booked around it stays on its new way, and what was booked on a delayed departure counts as booked on
    it at the time at which it leaves again. Lifted again it stays as it is.
    """
    closure, active = live.get(ctx.conn, ctx.who.test, ask.closure_id), find_active(ctx.conn, ctx.who.test)
    before = _touched(ctx, closure) if active is not None else None
    if live.lift(ctx.conn, ctx.who.test, ask.closure_id, ctx.clock.now(), ctx.who.party_id):
        note(ctx, "closures.lift", ask.closure_id)
        if active is not None and before is not None:
            _count_moved(ctx, active.feed_id, pl.concat([before, _touched(ctx, closure)]))
    return live.get(ctx.conn, ctx.who.test, ask.closure_id)


def _touched(ctx: Context, closure: Closure) -> pl.DataFrame:
    """The dated departures in a closure's window, as they leave by the closures that count (network.live.MOVED); none
    where nothing is delayed.
    """
    feed, start = live_feed(ctx).feed, to_minute(ctx.clock.now())
    if feed.closures.filter(pl.col("delay_minutes") > 0).is_empty():
        return pl.DataFrame(schema=MOVED)
    return leaving(feed, as_row(closure), start, start + horizon_of(feed, None) * DAY)


def _count_moved(ctx: Context, feed_id: str, runs: pl.DataFrame) -> None:
    """Count anew what is booked on dated departures (network.live.MOVED, before a change and after it) of which one
    time is not the schedule: by every time they have.
    """
    moved = runs.filter(pl.col("scheduled_at") != pl.col("depart_at"))
    runs = runs.join(moved, on=["departure_id", "scheduled_at"], how="semi")
    times = pl.concat([runs.select("departure_id", depart_at=at) for at in ("scheduled_at", "depart_at")]).unique()
    if not times.is_empty():
        instant = (pl.col("depart_at") * 60_000_000).cast(pl.Datetime("us", "UTC"))
        count_anew(ctx, feed_id, times.with_columns(depart_at=instant))
