"""Public acts about the live side itself: how its parts are, what waits for them, and the parcels that it leaves alone.

Parts live in a worker and give signs of life. Whether they are well is judged here, in real time, also where the
network's clock is a simulated one.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Literal, get_args

from msgspec import Meta, Struct, structs

from rookery.base import outbox
from rookery.base.audit import note
from rookery.base.clock import WALL
from rookery.base.operations import Context, operation
from rookery.base.paging import Limit, page
from rookery.base.webhooks import deliveries
from rookery.flows.parcels import Number, as_issued
from rookery.tracking import live_signs, set_aside
from rookery.tracking.epcis.identifiers import number_of, sscc_uri
from rookery.tracking.live_signs import Part, Sign
from rookery.tracking.set_aside import Aside

State = Literal["ok", "behind", "failing", "none"]
PARTS: tuple[Part, ...] = get_args(Part)
STARTED_AT = WALL.now()
"""Since when this process runs, in real time."""
STALE = timedelta(seconds=20)
"""A part that gave no sign of life for so long is gone, or stuck with its whole worker."""
BEHIND: dict[Part, timedelta] = {
    "live": timedelta(seconds=10),
    "outlook": timedelta(minutes=2),
    "subscriptions": timedelta(seconds=30),
    "webhooks": timedelta(seconds=10),
}
"""A part is behind at which something waits for longer, or that has been at one thing for longer."""


Waits = Literal["parcels_to_be_looked_at", "parcels_to_be_entered", "news_to_be_spread"]
WAITS: dict[Part, Waits] = {
    "live": "parcels_to_be_looked_at", "outlook": "parcels_to_be_entered", "webhooks": "news_to_be_spread"
}  # fmt: skip


class LivePart(Struct, frozen=True):
    """A part of the live side. state: none = no worker gives a sign of life of it; failing: what it does fails now,
    since `since`; behind: something waits, or is being done, since `since`, for too long. fault: the code of the last
    fault, also one that is over.

    waiting: so much waits for it, as it counted at `sign_at`; waiting_what: what this is, null = it counts nothing.
    parcels_to_be_looked_at: the queue that `parcels` counts as of now. parcels_to_be_entered: not in that queue yet;
    they did not move, and a new outlook was made: they are entered some at a time, to be looked up in it.
    news_to_be_spread: what `news` counts as of now. 100,000 = so many or more, of parcels to be looked at and of news.

    started_at: since when it runs in the worker that has it, null = not known. ended_at: that worker was told to end.
    broke_off_at: the last sign of life of the run before this one, which was not told to end: its worker was killed,
    crashed or lost the database, and was started again or another took over. Instants are real time.
    """

    part: Part
    state: State
    since: datetime | None
    sign_at: datetime | None
    fault: str | None
    fault_at: datetime | None
    waiting: int | None
    waiting_what: Waits | None
    started_at: datetime | None
    ended_at: datetime | None
    broke_off_at: datetime | None


class LiveOutlook(Struct, frozen=True):
    """The outlook in which parcels are looked up, as of when it was made, in the network's time."""

    version: str
    at: datetime
    age_s: float


class Backlog(Struct, frozen=True):
    """What waits, and for how many real seconds the first of it does; null = that is not known. count: up to 100,000,
    which tells so many or more.
    """

    count: int
    oldest_s: float | None


class Undelivered(Struct, frozen=True):
    """Messages that endpoints did not take yet, and for how many seconds of the network's time the oldest waits. count:
    up to 100,000, which tells so many or more.
    """

    count: int
    oldest_s: float | None


class Figures(Struct, frozen=True):
    """How the live side is, in one mode. parcels: those in the queue, to be looked at, whether they moved or were
    entered for another outlook's sake; one that moved twice since may count twice. outlook: null until one was made.
    news: to be spread to endpoints. set_aside: parcels that are, up to 100,000, which tells so many or more; they wait
    for nothing and are in no other count.
    """

    parts: list[LivePart]
    parcels: Backlog
    outlook: LiveOutlook | None
    news: Backlog
    messages: Undelivered
    set_aside: int


def states(ctx: Context) -> dict[Part, State]:
    """How each part is. As the system."""
    signs, now = live_signs.read(ctx.conn, ctx.who.test), WALL.now()
    return {part: judged(signs.get(part), now)[0] for part in PARTS}


def judged(sign: Sign | None, now: datetime) -> tuple[State, datetime | None]:
    """How a part is by its last sign at a real instant, and since when."""
    ended = sign is not None and sign.ended_at is not None and not sign.of_before
    if sign is None or ended or now - sign.at > STALE:
        return "none", None if sign is None else sign.at
    if sign.failing_since is not None:
        return "failing", sign.failing_since
    begun = [since for since in (sign.busy_since, sign.waiting_since) if since is not None]
    if begun and sign.at - min(begun) > BEHIND[sign.part]:  # as it was then: a sign that grows old is another matter
        return "behind", min(begun)
    return "ok", None


def figures(ctx: Context) -> Figures:
    """How the live side is. As the system."""
    conn, test, now = ctx.conn, ctx.who.test, WALL.now()
    signs = live_signs.read(conn, test)
    outlook = signs.get("outlook")
    made = None
    if outlook is not None and outlook.outlook is not None and outlook.outlook_at is not None:
        age_s = (ctx.clock.now() - outlook.outlook_at).total_seconds()
        made = LiveOutlook(outlook.outlook, outlook.outlook_at, max(0.0, round(age_s, 1)))
    moved, (news, first, _) = live_signs.moved(conn, test), outbox.waiting(conn, test)
    messages, since = deliveries.undelivered(conn, test)
    return Figures(
        parts=[_told(part, signs.get(part), now) for part in PARTS],
        parcels=Backlog(moved.much, _waits_s(signs.get("live"), moved.first, now)),
        outlook=made,
        news=Backlog(news, _waits_s(signs.get("webhooks"), first, now)),
        messages=Undelivered(messages, None if since is None else _seconds(ctx.clock.now() - since)),
        set_aside=set_aside.count(conn, test),
    )


def _told(part: Part, sign: Sign | None, now: datetime) -> LivePart:
    state, since = judged(sign, now)
    if sign is None:
        return LivePart(part, state, None, None, None, None, None, WAITS.get(part), None, None, None)
    run = (None, None, None) if sign.of_before else (sign.started_at, sign.ended_at, sign.broke_off_at)
    return LivePart(part, state, since, sign.at, sign.fault, sign.fault_at, sign.waiting, WAITS.get(part), *run)


def _waits_s(sign: Sign | None, first: int | None, now: datetime) -> float | None:
    """For how long the first in a queue waits, which a part told of when it gave a sign of life."""
    if first is None:
        return 0.0
    if sign is None:
        return None
    # what was not there at that sign came after it
    since = sign.waiting_since if sign.first_place == first and sign.waiting_since is not None else sign.at
    return _seconds(now - since)


def _seconds(passed: timedelta) -> float:
    return max(0.0, round(passed.total_seconds(), 1))


class AsideParcel(Struct, frozen=True):
    """A parcel that is left alone, since every look at it fails. fault: the code of the last, at `at`; times: so often
    in a row it was left alone; until_at: it is looked at again then, or as soon as it moves.
    """

    epc: str
    number: str | None
    parcel_id: str | None
    at: datetime
    until_at: datetime
    fault: str
    times: int


class LiveStatus(Figures, frozen=True):
    """How the live side is, in one mode, with a page of the parcels that are set aside, by identifier; `next` is what
    to send as `after` for more, null when this was all. server_started_at: since when the server process that answers
    runs, in real time.
    """

    server_started_at: datetime
    parcels_set_aside: list[AsideParcel]
    next: str | None


class WhichAside(Struct, frozen=True, forbid_unknown_fields=True):
    """A page of the parcels that are set aside."""

    limit: Limit = 100
    after: Annotated[str, Meta(max_length=300, pattern=r"^[ -~]*$", description="`next` of the page before.")] = ""


@operation("live.status", kind="query", http="GET /live", scope="operator")
def live_status(ctx: Context, ask: WhichAside) -> LiveStatus:
    """Look up how the live side is: its parts, what waits for them, and the parcels that it leaves alone.

    Live and test data apart, as the key is. `/ready` and `/metrics` tell parts of the same.
    """
    with ctx.as_system() as conn:
        now = figures(ctx)
        found = page(set_aside.page(conn, ctx.who.test, ask.after, ask.limit + 1), ask.limit, lambda one: one.epc)
    aside = _named(ctx, found.data)
    return LiveStatus(**structs.asdict(now), server_started_at=STARTED_AT, parcels_set_aside=aside, next=found.next)


def _named(ctx: Context, found: list[Aside]) -> list[AsideParcel]:
    numbers = [number_of(one.epc) for one in found]
    rows = ctx.conn.execute(
        "select number, parcel_id from orders.parcels where test = %s and number = any(%s)", (ctx.who.test, numbers)
    )
    parcels = dict(rows.fetchall())
    return [
        AsideParcel(one.epc, number, parcels.get(number), one.at, one.until_at, one.fault, one.times)
        for one, number in zip(found, numbers, strict=True)
    ]


class AskAgain(Struct, frozen=True, forbid_unknown_fields=True):
    """Names parcels that are set aside by their numbers; null = all that are and do not wait to be looked at again
    already, the first 10,000 of them.
    """

    numbers: Annotated[list[Number], Meta(min_length=1, max_length=1000)] | None = None


class LookedAgain(Struct, frozen=True):
    """So many parcels are looked at again; these numbers of what was asked are of none that is set aside. left: so many
    more are set aside, and do not wait to be looked at again: ask once more for them. 100,000 = so many or more.
    """

    entered: int
    not_set_aside: list[str]
    left: int


@operation("live.again", kind="command", http="POST /live/again", scope="operator")
def look_again(ctx: Context, ask: AskAgain) -> LookedAgain:
    """Have parcels that are set aside looked at again now, when what was wrong is mended.

    At most 10,000 a call: `left` tells how many more there are. One at which a look fails once more is set aside again,
    for another day.
    """
    numbers = None if ask.numbers is None else list(dict.fromkeys(map(as_issued, ask.numbers)))
    epcs = None if numbers is None else {sscc_uri(number): number for number in numbers}
    with ctx.as_system() as conn:
        now = ctx.clock.now()
        entered = set(set_aside.enter_again(conn, ctx.who.test, epcs, now))
        left = set_aside.left(conn, ctx.who.test, now)
    note(ctx, "live.again", str(len(entered)))
    others = [] if epcs is None else [number for epc, number in epcs.items() if epc not in entered]
    return LookedAgain(len(entered), others, left)
