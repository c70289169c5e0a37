"""Cases held against what really happened, rule by rule. Pure; minutes are UTC.

What was really so of a parcel (`truth`), by what the twin did with it, whether or not anybody was told:

    chance_low        it was delivered after the promised instant, or not at all; at that instant
    departure_missed  it came to a node after the cut-off of the leg booked from there, and did not ride it; then
    scan_missing      it was lost, or was there in time to be handled and had not left an hour after its departure; then
    dwell             it stood at a node for more than a day and twice the wait that was booked; then
    damage, hold      it was scanned as damaged, as held at customs; then
    wrong_place       it came to a node that is on no leg of its booked route; then
    unknown_parcel    a number came that no parcel has (its sending); unknown_code: a code that no table has

A case of a missing scan is right, too, when nothing had really been scanned by the time it was opened, and in vain when
something had been and had only not been sent yet.
"""

from __future__ import annotations

from typing import Any

import polars as pl

from rookery.terms.time import DAY

HOUR = 60
SAME_RUN = 22 * HOUR
LATEST = 70
"""Minutes after what happened from which on a case is too late; of a chance, so many before the promised instant."""
KINDS = (
    "chance_low", "departure_missed", "scan_missing", "dwell", "wrong_place", "damage", "hold", "unknown_parcel",
    "unknown_code",
)  # fmt: skip
EVENTS: dict[str, Any] = {"kind": pl.String, "key": pl.String, "event": pl.Int64}
EPISODES: dict[str, Any] = {"kind": pl.String, "key": pl.String, "opened": pl.Int64, "closed": pl.Int64}
"""Each time that a parcel (its number; what is unknown: number, or party:code) got into a case, and left it."""
LOOKS: dict[str, Any] = {"number": pl.String, "chance": pl.Float64, "silent": pl.Boolean}
"""Chances as they were told, look after look; silent: a scan of the parcel was missing then."""
TENTHS = 10
VERDICTS = ("right", "in vain", "too early", "too late", "missed")
_WAITS = ("accepted", "arrived", "customs_cleared", "nobody_home")


def truth(
    scans: pl.DataFrame, legs: pl.DataFrame, handling: pl.DataFrame, lost: pl.Series, strange: pl.DataFrame, end: int
) -> pl.DataFrame:
    """What was really so up to minute `end`: EVENTS, one for each kind and key, the first.

    scans: all true ones (twin.live.SCANS); legs: as benchmarks.live.booked; handling: node_id, handling_minutes, as the
    network tells them; lost: numbers; strange: EVENTS of unknown numbers and codes.
    """
    delivered = scans.filter(code="delivered").select("number", delivered_at="at")
    promised = legs.group_by("number").agg(pl.col("promised_at").first()).join(delivered, on="number", how="left")
    late = promised.filter((pl.col("delivered_at") > pl.col("promised_at")).fill_null(True))
    stops = _stops(scans, legs, handling)
    not_ridden = stops.filter(~pl.col("ridden"))
    gone = legs.join(lost.to_frame("number"), on="number", how="semi").join(
        scans.filter(code="departed").group_by("number").agg(pl.col("departure").last()),
        left_on=["number", "departure_id"], right_on=["number", "departure"],
    )  # fmt: skip
    stuck = stops.filter(
        pl.col("ready") <= pl.col("cutoff_at"),
        (pl.col("left") > pl.col("depart_at") + HOUR).fill_null(True),
    )
    found = [
        _events("chance_low", late, "promised_at"),
        _events("departure_missed", not_ridden.filter(pl.col("came") > pl.col("cutoff_at")), "came"),
        _events("scan_missing", gone.with_columns(event=pl.col("arrive_at") + HOUR), "event"),
        _events("scan_missing", stuck.with_columns(event=pl.col("depart_at") + HOUR), "event"),
        _events("dwell", _dwelling(scans, legs, end), "event"),
        _events("damage", scans.filter(code="damaged"), "at"),
        _events("hold", scans.filter(code="customs_hold"), "at"),
        _events("wrong_place", _off_route(scans, legs), "at"),
        strange.select(pl.col(name).cast(kind) for name, kind in EVENTS.items()),
    ]
    return pl.concat(found).filter(pl.col("event") < end).group_by("kind", "key").agg(pl.col("event").min())


def _events(kind: str, rows: pl.DataFrame, at: str) -> pl.DataFrame:
    return rows.select(pl.lit(kind).alias("kind"), key="number", event=pl.col(at).cast(pl.Int64))


def _off_route(scans: pl.DataFrame, legs: pl.DataFrame) -> pl.DataFrame:
    """Arrivals of parcels at nodes where none of their legs begins or ends."""
    route = pl.concat([legs.select("number", node=end) for end in ("from_node", "to_node")])
    return scans.filter(code="arrived").join(route, on=["number", "node"], how="anti")


def _stops(scans: pl.DataFrame, legs: pl.DataFrame, handling: pl.DataFrame) -> pl.DataFrame:
    """Legs of which parcels were there: when they `came`, and were to be `ready`, when they `left` from there (null =
    not), and whether they rode it as booked.
    """
    came = (
        scans.filter(pl.col("code").is_in(["accepted", "arrived"]))
        .group_by("number", "node")
        .agg(came=pl.col("at").min(), handled=(pl.col("code") == "arrived").any())
        .join(handling, left_on="node", right_on="node_id", how="left")
        .with_columns(ready=pl.col("came") + pl.when("handled").then("handling_minutes").otherwise(0))
    )
    left = (
        scans.filter(code="departed")
        .group_by("number", "node")
        .agg(left=pl.col("at").min(), rode=pl.col("departure").first())
    )
    at = ["number", "from_node"]
    stops = legs.join(came, left_on=at, right_on=["number", "node"])
    stops = stops.join(left, left_on=at, right_on=["number", "node"], how="left")
    same = (pl.col("rode") == pl.col("departure_id")) & (pl.col("left") - pl.col("depart_at")).is_between(0, SAME_RUN)
    return stops.with_columns(ridden=same.fill_null(False))


def _dwelling(scans: pl.DataFrame, legs: pl.DataFrame, end: int) -> pl.DataFrame:
    """Parcels that stood for too long, with the minute from which on it was (`event`)."""
    rows = scans.sort("number", "at", maintain_order=True).with_columns(
        until=pl.col("at").shift(-1).over("number").fill_null(end)
    )
    rows = rows.filter(pl.col("code").is_in(_WAITS)).join(
        legs.select("number", "depart_at", node="from_node"), on=["number", "node"], how="left"
    )
    planned = (pl.col("depart_at") - pl.col("at")).fill_null(0)
    rows = rows.with_columns(event=pl.col("at") + pl.max_horizontal(2 * planned, pl.lit(DAY)))
    return rows.filter(pl.col("until") > pl.col("event"))


def verdicts(events: pl.DataFrame, episodes: pl.DataFrame, sent: pl.DataFrame) -> pl.DataFrame:
    """What is to be said of each kind and key with a case or an event: kind, key, verdict, lead (minutes from the
    opening of the case to what happened; null = nothing to be ahead of).

    sent: true scans with number, at and `sent_at`, the minute of their first sending. Too early: opened, and closed
    again before it happened, so that none was open then. Too late is right, too, in what `told` divides.
    """
    known = episodes.join(events, on=["kind", "key"], how="left")
    hidden = (
        known.filter(kind="scan_missing")
        .join(sent, left_on="key", right_on="number")
        .filter(pl.col("at") <= pl.col("opened"), pl.col("sent_at") > pl.col("opened"))
        .select("kind", "key", "opened", hidden=pl.lit(True))
        .unique()
    )
    known = known.join(hidden, on=["kind", "key", "opened"], how="left").with_columns(pl.col("hidden").fill_null(False))
    lasts = pl.col("closed").is_null() | (pl.col("closed") >= pl.col("event"))
    covers = pl.col("event").is_not_null() & lasts.fill_null(False)
    silent = (pl.col("kind") == "scan_missing") & ~pl.col("hidden")
    each = known.with_columns(covers=covers, silent=silent).group_by("kind", "key").agg(
        pl.col("event").first(),
        opened=pl.col("opened").filter("covers").min(),
        first=pl.col("opened").min(),
        silent=pl.col("silent").any(),
    )  # fmt: skip
    right = pl.col("opened").is_not_null() | pl.col("silent")
    bound = pl.when(pl.col("kind") == "chance_low").then(-LATEST).otherwise(LATEST)
    judged = each.with_columns(
        lead=pl.col("event") - pl.col("opened"),
        verdict=pl.when(right & (pl.col("opened") > pl.col("event") + bound).fill_null(False))
        .then(pl.lit("too late"))
        .when(right)
        .then(pl.lit("right"))
        .when(pl.col("event").is_not_null())
        .then(pl.lit("too early"))
        .otherwise(pl.lit("in vain")),
    )
    missed = events.join(each, on=["kind", "key"], how="anti").select(
        "kind", "key", verdict=pl.lit("missed"), lead=pl.lit(None, pl.Int64)
    )
    return pl.concat([judged.select("kind", "key", "verdict", "lead"), missed])


def told(judged: pl.DataFrame) -> list[dict[str, Any]]:
    """By kind: counts by verdict, precision, recall (nan where there is nothing to divide by), lead in hours."""
    rows = []
    for kind in KINDS:
        some = judged.filter(kind=kind)
        count = {verdict: some.filter(verdict=verdict).height for verdict in VERDICTS}
        good = count["right"] + count["too late"]
        opened, true = good + count["in vain"] + count["too early"], good + count["missed"] + count["too early"]
        lead = some.filter(pl.col("verdict").is_in(["right", "too late"]))["lead"].drop_nulls() / HOUR
        rows.append({
            "kind": kind, **count,
            "precision": good / opened if opened else None,
            "recall": good / true if true else None,
            **{f"p{share}": lead.quantile(share / 100) for share in (10, 50, 90)},
        })  # fmt: skip
    return rows


def in_time(promised: pl.DataFrame, done: pl.DataFrame, end: int) -> pl.DataFrame:
    """Which parcels came in time, of those whose promised instant was before minute `end`: number, in_time.

    promised: number, promised_at; done: number, delivered_at (null = not yet).
    """
    rows = promised.filter(pl.col("promised_at") < end).join(done, on="number")
    return rows.select("number", in_time=(pl.col("delivered_at") <= pl.col("promised_at")).fill_null(False))


def reliability(looks: pl.DataFrame, came: pl.DataFrame) -> pl.DataFrame:
    """Chances told (LOOKS) by tenths, beside what came of the parcels (`in_time`): tenth (0..9), looks, parcels,
    chance (told, in the mean), in_time (share of looks), and as silent_looks, silent_chance, silent_in_time the same
    of those at which a scan was missing (null = none). Told rightly, chance and in_time are alike in each row.
    """
    rows = looks.join(came, on="number").with_columns(
        tenth=(pl.col("chance") * TENTHS).floor().clip(0, TENTHS - 1).cast(pl.Int64)
    )
    silent = pl.col("silent")
    return (
        rows.group_by("tenth")
        .agg(
            looks=pl.len(),
            parcels=pl.col("number").n_unique(),
            chance=pl.col("chance").mean(),
            in_time=pl.col("in_time").mean(),
            silent_looks=silent.sum(),
            silent_chance=pl.col("chance").filter(silent).mean(),
            silent_in_time=pl.col("in_time").filter(silent).mean(),
        )
        .sort("tenth")
    )


def apart(looks: pl.DataFrame, came: pl.DataFrame) -> float | None:
    """How far a chance told is from what came of it: the root of the mean square, 0 to 1; None where none was told."""
    rows = looks.join(came, on="number")
    return rows.select(((pl.col("chance") - pl.col("in_time")) ** 2).mean().sqrt()).item()
