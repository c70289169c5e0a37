"""Cases opened, extended and closed by what was looked at."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import polars as pl
import psycopg

from rookery.base import jobs, outbox
from rookery.base.operations import Context
from rookery.network import live
from rookery.terms.errors import NotFound
from rookery.tracking import cases, chances, unknowns
from rookery.tracking.cases import Figured
from rookery.tracking.looked import FOUND, LOOKED
from rookery.tracking.rules import RULES, unknown_code, unknown_parcel
from rookery.tracking.rules.closure import follows
from rookery.tracking.rules.shape import GIVEN_UP, PARCEL
from rookery.tracking.unknowns import Told

LEGS: dict[str, Any] = {
    "epc": pl.String,
    "departure_id": pl.String,
    "lane_id": pl.String,
    "from_node": pl.String,
    "to_node": pl.String,
    "depart_at": pl.Datetime("us", "UTC"),
    "arrive_at": pl.Datetime("us", "UTC"),
}
"""Booked legs still ahead of parcels that are looked at."""
News = tuple[str, str, list[str], dict[str, Any]]
"""Of a case: the kind of news, the case, the shippers whom it concerns, and what is told."""
_TOUCHING = ("closures", "closures_thin", "closures_stood", "closed_departures")
TOUCHED: dict[str, Any] = {"epc": pl.String, **{name: LOOKED[name] for name in _TOUCHING}}
_KEY = ["kind", "epc", "per"]
_PER = pl.when(pl.col("kind") == "closure").then("cause").otherwise(pl.lit("")).alias("per")
"""A parcel is in one case of a kind; but in that of each closure."""
_LASTS = {"case_id": pl.String, "kind": pl.String, "epc": pl.String, "cause": pl.String, "lasts": pl.Boolean}


def judge(ctx: Context, looked: pl.DataFrame, now: datetime) -> None:
    """Open, extend and close cases by parcels as they were just looked at (LOOKED, each once); tell whom it concerns.

    As the system, in the transaction of the look. Judged again by the same, nothing changes.
    """
    conn, test = ctx.conn, ctx.who.test
    if looked.is_empty():
        return
    members = _with_force(conn, cases.members(conn, looked["epc"].to_list(), test), test, now)
    cases.hold(conn, members.filter("open")["case_id"].unique().to_list())
    found, lasting, gathered = _found(looked, members, now)
    if members.is_empty() and found.is_empty():
        return
    members = members.rename({"case_cause": "cause"}).with_columns(_PER)
    members = members.join(lasting, on=["case_id", "epc"], how="left").with_columns(pl.col("lasts").fill_null(False))
    gone, staying = members.filter(~pl.col("lasts")), members.filter("lasts")
    coming = _of_closures(found.join(staying, on=_KEY, how="anti"), gone)

    gone = gone.with_columns(_why_it_left(looked, gathered))
    cases.leave(conn, gone, now)
    cases.stay(conn, _facts(staying.filter("open").select("case_id", *_KEY), looked, found))
    opened, told = _let_in(ctx, coming, looked, now)
    no_reason = pl.lit(None, pl.String)
    recount = pl.concat(
        [
            gone.filter("open").select("case_id", why="closed_why"),
            staying.filter("open").select("case_id", why=no_reason),
            opened.select("case_id", why=no_reason),
        ]
    )
    # where some of the last were delivered and one mended, the case has mended: the greater word
    figured = cases.figure(conn, recount.group_by("case_id").agg(pl.col("why").max()).sort("case_id"), now)
    _tell(conn, figured, told, test, now)


def _with_force(conn: psycopg.Connection, members: pl.DataFrame, test: bool, now: datetime) -> pl.DataFrame:
    """Memberships (MEMBERS) with `case_in_force`: whether the closure that they are of is."""
    if members.filter(kind="closure").is_empty():
        return members.with_columns(case_in_force=pl.lit(False))
    in_force = "closure:" + live.in_force(conn, test, now)["closure_id"]
    return members.with_columns(case_in_force=pl.col("case_cause").is_in(in_force.implode()))


def _of_closures(coming: pl.DataFrame, gone: pl.DataFrame) -> pl.DataFrame:
    """Parcels that come into cases (FOUND with _KEY): what leaves a closure's case, as that is over, and is late still
    without another cause, is one case of that closure and not one each.
    """
    over = gone.filter(kind="closure").sort("case_id").unique("epc", keep="last").select("epc", over="cause")
    late = (pl.col("kind") == "chance_low") & (pl.col("cause") == PARCEL)
    coming = coming.join(over, on="epc", how="left", maintain_order="left")
    return coming.with_columns(cause=pl.when(late).then(pl.coalesce("over", "cause")).otherwise("cause")).drop("over")


def _found(looked: pl.DataFrame, members: pl.DataFrame, now: datetime) -> tuple[pl.DataFrame, pl.DataFrame, pl.Expr]:
    """What all rules find (FOUND with _KEY, each once); the memberships that last (case_id, epc, lasts); and what
    (kind, cause, epc) is gathered under a closure.
    """
    finds, lasting = [], []
    for rule in RULES:
        some = rule.find(looked, now).select(pl.lit(rule.kind).alias("kind"), *FOUND)
        finds.append(some)
        mine = members.filter(kind=rule.kind)
        if mine.is_empty():
            continue
        if rule.lasts is None:
            mine = mine.join(some.select("epc", case_cause="cause"), on=["epc", "case_cause"], how="semi")
        else:
            mine = rule.lasts(looked.join(mine, on="epc"), now)
        lasting.append(mine.select("case_id", "kind", "epc", cause="case_cause", lasts=pl.lit(True)))
    found = pl.concat(finds).with_columns(_PER)
    lasts = pl.concat(lasting) if lasting else pl.DataFrame(schema=_LASTS)
    # what a closure touches has no other case that follows from it
    under = pl.concat([table.filter(kind="closure").select("epc", "cause") for table in (found, lasts)])
    gathered = pl.lit(False) if under.is_empty() else follows(looked, under)
    return found.filter(~gathered), lasts.filter(~gathered).drop("kind", "cause"), gathered


def _why_it_left(looked: pl.DataFrame, gathered: pl.Expr) -> pl.Expr:
    """Why a parcel (kind, cause, epc, case_in_force) leaves a case: its end, that it was given up, a closure it is
    gathered under, that the closure which the case is of is over, or that all is well.
    """
    delivered = looked.filter(status="delivered")["epc"].implode()
    ended = looked.filter(pl.col("status").is_in(["cancelled", "return_to_sender"]))["epc"].implode()
    epc = pl.col("epc")
    return (
        pl.when(epc.is_in(delivered))
        .then(pl.lit("delivered"))
        .when(epc.is_in(ended))
        .then(pl.lit("ended"))
        .when(epc.is_in(looked.filter(GIVEN_UP)["epc"].implode()))
        .then(pl.lit("given_up"))
        .when(gathered)
        .then(pl.lit("gathered"))
        .when((pl.col("kind") == "closure") & ~pl.col("case_in_force"))
        .then(pl.lit("over"))
        .otherwise(pl.lit("mended"))
        .alias("closed_why")
    )


def _facts(rows: pl.DataFrame, looked: pl.DataFrame, found: pl.DataFrame) -> pl.DataFrame:
    """Rows (_KEY) with what is told of the parcel now; reason and since are null where its rule finds it not."""
    off_plan = pl.col("off_plan").fill_null(False) & (pl.col("legs") != "[]")
    facts = looked.select(
        "epc", "parcel_id", "owner_id", "number", "event_no", "chance", "chance_before", "value", "currency",
        move=pl.when(off_plan).then("legs"),
        move_cost=pl.when(off_plan).then("cost"),
        move_chance=pl.when(off_plan).then("chance"),
    )  # fmt: skip
    told = found.select(*_KEY, "reason", "since")
    return rows.join(facts, on="epc").join(told, on=_KEY, how="left")


def _let_in(
    ctx: Context, coming: pl.DataFrame, looked: pl.DataFrame, now: datetime
) -> tuple[pl.DataFrame, dict[str, list[str]]]:
    """Parcels (FOUND with _KEY) into the cases of their causes; these (cases.OPEN), and the shippers for whom a case so
    is a new one.
    """
    conn, test = ctx.conn, ctx.who.test
    if coming.is_empty():
        return pl.DataFrame(schema=cases.OPEN), {}
    causes = coming.group_by("kind", "cause").agg(pl.col("reason").min())
    opened = cases.open_cases(conn, _worded(conn, causes, test), test, now)
    rows = _facts(coming.select("cause", *_KEY), looked, coming).join(opened, on=["kind", "cause"])
    first = cases.first_of(conn, rows.select("case_id", "owner_id").unique(), test)
    cases.join(conn, rows, test, now)
    return opened, dict(first.group_by("case_id").agg(pl.col("owner_id").sort()).iter_rows())


def _worded(conn: psycopg.Connection, causes: pl.DataFrame, test: bool) -> pl.DataFrame:
    """Causes with a reason that holds for all in the case and for as long as it is open: what is, or was, closed, or
    which departure it is. What became of that so far stands with each parcel.
    """
    late = (pl.col("kind") == "chance_low") & pl.col("cause").str.starts_with("departure:")
    goes_by = "What goes by " + pl.col("cause").str.strip_prefix("departure:")
    goes_by += " will not be on time as surely as promised."
    causes = causes.with_columns(reason=pl.when(late).then(goes_by).otherwise("reason"))
    closed = []
    for kind, cause in causes.filter(pl.col("cause").str.starts_with("closure:")).select("kind", "cause").iter_rows():
        try:
            closure = live.get(conn, test, cause.removeprefix("closure:"))
        except NotFound:
            continue
        what = closure.node_id or closure.lane_id or closure.departure_id
        harm = "closed" if closure.capacity_factor == 0 else "delayed" if closure.delay_minutes else "restricted"
        why = f": {closure.reason.rstrip('.')}" if closure.reason else ""
        if kind == "closure":
            told = f"{what} is {harm} until {closure.until_at.astimezone(UTC):%Y-%m-%dT%H:%MZ}{why}."
        else:
            told = f"{what} was {harm}{why}. What was to pass it will not be on time as surely as promised."
        closed.append((kind, cause, told))
    words = pl.DataFrame(closed, schema={"kind": pl.String, "cause": pl.String, "told": pl.String}, orient="row")
    causes = causes.join(words, on=["kind", "cause"], how="left", maintain_order="left")
    return causes.with_columns(reason=pl.coalesce("told", "reason")).drop("told")


def _tell(
    conn: psycopg.Connection, figured: list[Figured], opened: dict[str, list[str]], test: bool, now: datetime
) -> None:
    """News of cases that were opened, or have come to concern somebody new, and of those that closed themselves.

    What they tell is the same for all whom it concerns: no figures, which are made of others' parcels too.
    """
    closed = [one.case_id for one in figured if one.closed]
    if not (opened or closed) or not outbox.wanted(conn, test, ("case.opened", "case.closed")):
        return
    whose = cases.shippers(conn, closed) if closed else {}
    rows = []
    for one in figured:
        if one.case_id in opened:
            rows.append(_opened(one, opened[one.case_id]))
        if one.closed:
            rows.append(_closed(one, whose.get(one.case_id, [])))
    tell_of_cases(conn, rows, test, now)


def _opened(one: Figured | Told, parties: list[str]) -> News:
    return "case.opened", one.case_id, parties, told_of(one)


def _closed(one: Figured | Told, parties: list[str]) -> News:
    return "case.closed", one.case_id, parties, told_of(one) | {"closed_why": one.closed_why}


def told_of(case: Any) -> dict[str, Any]:
    """What news of a case hold."""
    return {name: getattr(case, name) for name in ("case_id", "kind", "cause", "reason")}


def tell_of_cases(conn: psycopg.Connection, rows: list[News], test: bool, now: datetime) -> None:
    """Put news about cases into the outbox. As the system."""
    news = pl.DataFrame(
        [(test, kind, key, parties, now, msgspec.json.encode(told).decode()) for kind, key, parties, told in rows],
        schema=outbox.NEWS,
        orient="row",
    )
    outbox.add(conn, news)


def touched(legs: pl.DataFrame, standing: pl.DataFrame, closures: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """The closures that touch parcels' booked legs ahead (LEGS), or the nodes where they stand (epc, node_id); those of
    them that merely leave less room, those that touch no leg, and the departures of the legs that are touched: TOUCHED.

    closures: as network.live.in_force tells them. Of parcels that none touches there is no row. A closure touches what
    leaves in its window; one that closes a node also what arrives there meanwhile, or stands there now
    (docs/decisions/0003-closures.md). One that takes no room and no time touches nothing.
    """
    closures = closures.filter((pl.col("capacity_factor") < 1) | (pl.col("delay_minutes") > 0))
    if closures.is_empty():
        return pl.DataFrame(schema=TOUCHED)
    window = [pl.from_epoch(pl.col(name) * 60).dt.replace_time_zone("UTC") for name in ("from_at", "until_at")]
    nothing_runs = pl.col("capacity_factor") == 0
    thin = ~nothing_runs & (pl.col("delay_minutes") == 0)
    named = pl.col("node_id", "lane_id", "departure_id").name.prefix("at_")
    some = closures.select("closure_id", named, *window, shut=nothing_runs, thin=thin)
    standing = standing.with_columns(now=pl.lit(now), departure_id=pl.lit(None, pl.String))
    hits = [
        (legs, some, "departure_id", "at_departure_id", "depart_at"),
        (legs, some, "lane_id", "at_lane_id", "depart_at"),
        (legs, some, "from_node", "at_node_id", "depart_at"),
        (legs, some.filter("shut"), "to_node", "at_node_id", "arrive_at"),
        (standing, some.filter("shut"), "node_id", "at_node_id", "now"),
    ]
    found = [
        rows.join(which.drop_nulls(place), left_on=column, right_on=place)
        .filter(pl.col(at) >= pl.col("from_at"), pl.col(at) < pl.col("until_at"))
        .select("epc", "closure_id", "thin", "departure_id", stood=pl.lit(at == "now"))
        for rows, which, column, place, at in hits
    ]
    closure_id = pl.col("closure_id")
    stood = closure_id.filter("stood").unique()
    stood = stood.filter(~stood.is_in(closure_id.filter(~pl.col("stood")).implode()))
    told = [closure_id, closure_id.filter("thin"), stood, pl.col("departure_id").drop_nulls()]
    each = [one.unique().sort().alias(name) for name, one in zip(_TOUCHING, told)]
    return pl.concat(found).group_by("epc").agg(each)


@jobs.tick("cases.unknown")
def judge_unknown(desk: jobs.Desk) -> None:
    """Every minute: scans of numbers that no parcel has, and with codes that no table knows, become cases when nobody
    explained them in time; the cases of those that are understood by now close, and those of closures that are over.
    """
    for test in (False, True):
        with desk.context(test) as ctx:
            now = ctx.clock.now()
            _end_closures(ctx, now)
            told = unknowns.close_settled(ctx.conn, test, now)
            for kind, kept, find in (
                (unknown_parcel.KIND, unknowns.strays, unknown_parcel.find),
                (unknown_code.KIND, unknowns.unmapped, unknown_code.find),
            ):
                told += unknowns.open_unknown(ctx.conn, kind, find(kept(ctx.conn, kind, test), now), test, now)
            # no shipper has to do with what is not known: it is told to those who run the network
            if told and outbox.wanted(ctx.conn, test, ("case.opened", "case.closed")):
                rows = [_opened(one, []) if one.closed_why is None else _closed(one, []) for one in told]
                tell_of_cases(ctx.conn, rows, test, now)


def _end_closures(ctx: Context, now: datetime) -> None:
    """The cases of closures that are lifted or over close; what was in them is looked at anew, and so comes into other
    cases where it still is in trouble.
    """
    conn, test = ctx.conn, ctx.who.test
    in_force = live.in_force(conn, test, now)["closure_id"]
    ended = cases.others_open(conn, "closure", [f"closure:{one}" for one in in_force], test)
    if not ended:
        return
    epcs = cases.empty(conn, ended, now)
    figured = cases.figure(conn, pl.DataFrame({"case_id": ended, "why": "over"}), now)
    chances.enter(conn, test, epcs)
    _tell(conn, figured, {}, test, now)
