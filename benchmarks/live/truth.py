"""Cases held against the truth: the twin moves booked parcels through days in which things go wrong, couriers' scans
come muddled through the acts, nobody is booked on, and every ten minutes what moved is looked at.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import msgspec
import polars as pl
from msgspec.structs import replace

from benchmarks.form import Result, Say, Show, Table
from benchmarks.live.booked import WAVE, asked, legs_of, orders_on
from benchmarks.live.judged import EPISODES, LOOKS, TENTHS, VERDICTS, apart, in_time, reliability, told, truth, verdicts
from benchmarks.live.sizes import Size
from rookery.app import open_house
from rookery.base import sets
from rookery.base.access.keys import create_party
from rookery.base.clock import Clock
from rookery.base.jobs import TASKS, Desk
from rookery.base.operations import OPERATIONS, SYSTEM, Context, Who
from rookery.base.performing import perform
from rookery.flows.casing import judge_unknown
from rookery.flows.living import turning
from rookery.flows.living.outlooks import Outlooks
from rookery.flows.publishing import NewFeed, publish
from rookery.flows.waving import PLAN_WAVE
from rookery.network import expand, read_feed, sample_network
from rookery.network.store import pack
from rookery.terms.frames import Feed
from rookery.terms.time import DAY, from_minute, to_minute
from rookery.twin.live import BOOKINGS, Live
from rookery.twin.model import Trouble
from rookery.twin.rolling import Rolling
from rookery.twin.sending import FOREIGN, STRANGE_CODES, Muddle, muddle

BEGINS = datetime(2026, 9, 15, 12, 0, tzinfo=UTC)
STEP = 10
"""Minutes between looks."""
REFRESH = 6 * 60
"""Minutes between looks at whether a new outlook is called for."""
SEED = 7
BATCH = 2_000
TROUBLE = Trouble(
    correlation=0.5, dwell_sigma=0.3, delay_share=0.1, delay_minutes=60.0, cancel_share=0.01, bad_day_share=0.02,
    lost_share=0.002, damaged_share=0.003, misrouted_share=0.002, failed_attempt_share=0.04,
)  # fmt: skip
"""Invented shares, so large that each rule has something to find."""
AT_BORDER = replace(TROUBLE, hold_share=0.2, hold_minutes=720.0)
"""Nobody is held within a country: holds are looked for on a small network with customs on its ways."""
ORDERS, ORDERS_ACROSS = 11, 3
"""Seeds of orders; of the latter half go over the border of the small network."""
MUDDLE = Muddle()
_CHANGED = (
    "select kind, number, (extract(epoch from opened_at) / 60)::bigint, (extract(epoch from closed_at) / 60)::bigint,"
    " chance from tracking.case_parcels where not test and (opened_at >= %(now)s or closed_at >= %(now)s)"
)
_TOLD = (
    "select p.number, c.chance, exists(select from tracking.case_parcels k where k.epc = c.epc and k.test = c.test"
    " and k.kind = 'scan_missing' and k.closed_at is null)"
    " from tracking.chances c join orders.parcels p on p.parcel_id = c.parcel_id where not c.test"
    " and c.looked_at >= %(now)s and c.chance is not null and c.status not in ('delivered', 'cancelled')"
)
_UNKNOWN = (
    "select kind, cause, (extract(epoch from opened_at) / 60)::bigint, (extract(epoch from closed_at) / 60)::bigint"
    " from tracking.cases where not test and kind in ('unknown_parcel', 'unknown_code')"
)


@dataclass
class Days:
    """A house at a time of its own, the world outside it, and what came of both."""

    desk: Desk
    feed: Feed
    twin: Live
    couriers: dict[str, Who]
    now: list[datetime]
    legs: pl.DataFrame = field(default_factory=pl.DataFrame)
    scans: list[pl.DataFrame] = field(default_factory=list)  # true ones
    sent: list[pl.DataFrame] = field(default_factory=list)
    episodes: dict[tuple[str, str, int], int | None] = field(default_factory=dict)
    chances: dict[str, float] = field(default_factory=dict)  # by number, when its first case of a low chance opened
    told: list[pl.DataFrame] = field(default_factory=list)  # LOOKS
    looked: int = 0

    def do(self, name: str, who: Who, **ask: Any) -> Any:
        """Perform an act as the HTTP door would."""
        op, body = OPERATIONS[name], msgspec.json.encode(ask)
        context = Context(self.desk.database, self.desk.clock, who, self.desk.parts, op.kind == "query")
        return msgspec.json.decode(perform(op, context, msgspec.convert(ask, op.ask), body).body)


def run(size: Size, say: Say) -> Result:
    """Book, let the days pass, judge."""
    with days_in("tiny", AT_BORDER) as days:
        held = passed(days, size.border_parcels, size.twin_days, say, ORDERS_ACROSS).filter(kind="hold")
    with days_in(size.sample, TROUBLE) as days:
        others = passed(days, size.twin_parcels, size.twin_days, say).filter(pl.col("kind") != "hold")
    return _shown(size, days, told(pl.concat([others, held])), days.twin.truth(), pl.concat(days.sent))


def passed(days: Days, parcels: int, many: int, say: Say, seed: int = ORDERS) -> pl.DataFrame:
    """Verdicts (benchmarks.live.judged) on so many parcels after so many days. seed: of the orders."""
    booked(days, parcels, say, seed)
    say(f"{many} days pass")
    pass_time(days, many)
    end = to_minute(days.now[0])
    with days.desk.context(readonly=True) as ctx:
        unknown = ctx.conn.execute(_UNKNOWN).fetchall()
    rows = [(kind, key, opened, closed) for (kind, key, opened), closed in days.episodes.items()]
    rows += [(kind, _unknown_key(kind, cause), opened, closed) for kind, cause, opened, closed in unknown]
    episodes = pl.DataFrame(rows, schema=EPISODES, orient="row").filter(pl.col("kind") != "closure")
    scans, sent = pl.concat(days.scans), pl.concat(days.sent)
    done = days.twin.truth()
    handling = days.feed.nodes.select("node_id", pl.col("handling_minutes").cast(pl.Int64))
    lost = done.filter(state="lost")["number"]
    events = truth(scans, days.legs, handling, lost, strange(days, sent), end)
    first = sent.group_by("number", "at", "code").agg(pl.col("sent_at").min())
    return verdicts(events, episodes, first)


@contextmanager
def days_in(sample: Literal["tiny", "country"], trouble: Trouble) -> Iterator[Days]:
    """A house in a folder of its own with a sample network and a courier for each of its carriers."""
    with tempfile.TemporaryDirectory(prefix="rookery-truth-") as name:
        folder, now = Path(name), [BEGINS]
        folder.chmod(0o711)  # PostgreSQL may run as another user and must pass through
        feed_folder = sample_network(sample, SEED, folder / "feed")
        feed = read_feed(feed_folder)
        clock = Clock(lambda: now[0])
        with open_house(folder / "data", clock=clock, size=4) as house:
            with house.context() as ctx:
                publish(ctx, NewFeed(pack(feed_folder), activate=True))
            couriers = {}
            for carrier in feed.lanes["carrier_id"].unique().drop_nulls().sort():
                with house.context() as ctx:
                    party = create_party(ctx.conn, carrier, BEGINS, code=carrier).party_id
                couriers[carrier] = Who(party, f"key_{carrier}", frozenset({"courier"}))
            rolling = Rolling(feed, to_minute(BEGINS), trouble, SEED, expand)
            desk = Desk(house.database, clock, house.parts)
            yield Days(desk, feed, Live(rolling, trouble, SEED), couriers, now)


def booked(days: Days, many: int, say: Say, seed: int) -> None:
    """Orders handed in, booked by a wave, and told to whoever moves them."""
    orders = orders_on(days.feed, many, days.now[0], seed)
    shop = Who("pty_shop", "key_shop", frozenset({"merchant"}))
    for some in asked(orders):
        days.do("orders.batch", shop, orders=some)
    plan_id = days.do("waves.plan", SYSTEM, **WAVE)["plan_id"]
    TASKS[PLAN_WAVE](days.desk, plan_id=plan_id)
    with days.desk.context(readonly=True) as ctx:
        days.legs = legs_of(ctx.conn)
    say(f"{days.legs['number'].n_unique():,} parcels are booked")
    references = days.legs.select("number", "reference").unique("number", maintain_order=True)
    places = references.join(orders, left_on="reference", right_on="order_id")
    days.twin.add(places.select("number", "node", "start_at", "minutes"))
    days.twin.tell(days.legs.select(*BOOKINGS))


def pass_time(days: Days, many: int) -> None:
    """So many days, a step at a time: scans come in, what moved is looked at, and what cases that changes is noted."""
    unsent, begin = pl.DataFrame(), to_minute(BEGINS)
    for minute in range(begin + STEP, begin + many * DAY + 1, STEP):
        days.now[0] = from_minute(minute)
        made = days.twin.advance(minute)
        if made.height:
            days.scans.append(made)
            # what happens to a parcel within one minute happens in order
            new = muddle(made.with_columns(second=pl.int_range(pl.len()).over("number", "at")), MUDDLE, SEED)
            unsent = pl.concat([unsent, new]) if unsent.height else new
        if unsent.height:
            due = unsent.filter(pl.col("sent_at") < minute)
            unsent = unsent.filter(pl.col("sent_at") >= minute)
            send(days, due)
        look(days, refreshed=(minute - begin) % REFRESH == STEP)
        note(days)


def send(days: Days, due: pl.DataFrame) -> None:
    """Scans in the order of their sending, each courier its own."""
    if due.is_empty():
        return
    days.sent.append(due)
    for part in due.partition_by("carrier", maintain_order=True):
        who = days.couriers[part["carrier"][0]]
        at = pl.from_epoch(pl.col("at") * 60 + pl.col("second")).dt.strftime("%Y-%m-%dT%H:%M:%SZ")
        for some in part.select("number", at.alias("at"), "code", "node", "departure").iter_slices(BATCH):
            scans = [{name: it for name, it in row.items() if it is not None} for row in some.to_dicts()]
            days.do("scans.create", who, scans=scans, vocabulary="rookery")


def look(days: Days, refreshed: bool) -> None:
    """At all that moved, or should have been seen by now."""
    outlooks: Outlooks = days.desk.parts[Outlooks]
    if refreshed:
        outlooks.build(days.desk, False, at_once=True)
    busy = True
    while busy:
        busy = outlooks.enter_next(days.desk, False)
        looked = turning.turn(days.desk, False, lambda: outlooks.current(False))
        days.looked += looked
        busy |= looked > 0
    judge_unknown(days.desk)


def note(days: Days) -> None:
    """Which parcels came into cases and left them at this step, and what chances were told."""
    with days.desk.context(readonly=True) as ctx:
        rows = ctx.conn.execute(_CHANGED, {"now": days.now[0]}).fetchall()
        days.told.append(sets.read(ctx.conn, _TOLD, LOOKS, {"now": days.now[0]}))
    for kind, number, opened, closed, chance in rows:
        days.episodes[kind, number, opened] = closed
        if kind == "chance_low" and chance is not None:
            days.chances.setdefault(number, chance)


def strange(days: Days, sent: pl.DataFrame) -> pl.DataFrame:
    """What nobody can know of what was sent: kind, key, event."""
    parties = {carrier: who.party_id for carrier, who in days.couriers.items()}
    keyed = sent.with_columns(party=pl.col("carrier").replace_strict(parties, return_dtype=pl.String))
    numbers = keyed.filter(pl.col("number").str.starts_with(FOREIGN)).select(
        kind=pl.lit("unknown_parcel"), key="number", event="sent_at"
    )
    codes = keyed.filter(pl.col("code").is_in(STRANGE_CODES)).select(
        kind=pl.lit("unknown_code"), key=pl.concat_str("party", pl.lit(":"), "code"), event="sent_at"
    )
    return pl.concat([numbers, codes])


def _unknown_key(kind: str, cause: str) -> str:
    return cause[-18:] if kind == "unknown_parcel" else cause.removeprefix("code:")


def _shown(size: Size, days: Days, rows: list[dict[str, Any]], done: pl.DataFrame, sent: pl.DataFrame) -> Result:
    shows = []
    for row in rows:
        name = f"cases of {row['kind']}"
        shows += [Show(f"{name}: {what}", row[what], "") for what in ("precision", "recall") if row[what] is not None]
        if row["p50"] is not None:
            shows.append(Show(f"{name}: opened ahead of it, p50", row["p50"], "h"))
    promised = days.legs.group_by("number").agg(pl.col("promised_at").first())
    came, looks = in_time(promised, done, to_minute(days.now[0])), pl.concat(days.told)
    if (far := apart(looks, came)) is not None:
        shows.append(Show("chances told: root mean square from what came of them", far, ""))
    facts = [
        ("parcels booked", days.legs["number"].n_unique()), ("scans sent", sent.height), ("looks", days.looked),
        *done.group_by("state").len().sort("state").iter_rows(),
        ("legs not ridden as booked", int(done["missed"].sum())),
        *_calibrated(days, came),
    ]  # fmt: skip
    shares, leads = ("precision", "recall"), ("p10", "p50", "p90")
    judged = [(row["kind"], *(row[verdict] for verdict in VERDICTS), *_rounded(row, shares)) for row in rows]
    ahead = [(row["kind"], *_rounded(row, leads)) for row in rows if row["p50"] is not None]
    return Result(
        shows=shows,
        tables=[
            Table(f"{size.twin_days} days of the twin", ("what", "value"), facts),
            Table("parcels in cases, by rule", ("rule", *VERDICTS, *shares), judged,
                  "What counts as true of each rule stands in benchmarks/live/judged.py; too late is right, too."),
            Table("hours from the opening of a case to what it is about", ("rule", *leads), ahead,
                  "Of a chance to the promised instant, of all else to what has happened: below zero when it had."),
            _tenths(reliability(looks, came)),
        ],
    )  # fmt: skip


def _calibrated(days: Days, came: pl.DataFrame) -> list[tuple[str, float]]:
    """Of parcels whose chance was told to be low: that chance in the mean, and how many of them came in time.

    Both should be alike: a case of a chance of 60% is in vain six times in ten.
    """
    low = pl.DataFrame(list(days.chances.items()), schema={"number": pl.String, "chance": pl.Float64}, orient="row")
    low = low.join(came, on="number")
    if low.is_empty():
        return []
    mean, share = low.select(pl.col("chance").mean(), pl.col("in_time").mean()).row(0)
    return [
        ("chance in the mean when it was first told as low", mean),
        ("share of these that came in time", share),
    ]


def _tenths(told: pl.DataFrame) -> Table:
    """What came of chances, by what was told."""
    every, silent = ("chance", "in_time"), ("silent_chance", "silent_in_time")
    rows = [
        (f"{row['tenth'] / TENTHS:.1f} to {(row['tenth'] + 1) / TENTHS:.1f}", row["looks"], row["parcels"],
         *_rounded(row, every), row["silent_looks"], *_rounded(row, silent))
        for row in told.iter_rows(named=True)
    ]  # fmt: skip
    return Table(
        "chances told and what came of them, all looks",
        ("chance", "looks", "parcels", "told, mean", "in time", "a scan missing", "told then", "in time then"), rows,
        "Parcels whose promised instant has passed; told rightly, both are alike. The last three: looks at which a scan"
        " of the parcel was missing.",
    )  # fmt: skip


def _rounded(row: dict[str, Any], names: Sequence[str]) -> list[float | str]:
    return ["-" if row[name] is None else round(row[name], 3) for name in names]
