"""The hub that most parcels are still to pass is closed: one case, how soon every parcel in it has a new move, and how
soon those are booked by themselves; and what is left of it once it is open again.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import numpy as np
import polars as pl
import psycopg

from benchmarks.form import Result, Say, Show, Table
from benchmarks.live.booked import BATCH, Booked, await_looks, booked
from benchmarks.live.sizes import Size
from benchmarks.record.served import Served, serving
from benchmarks.tracking.parcels import unbound
from rookery.network import read_feed

CLOSED = timedelta(days=4)
"""So long that a weekend passes in it, on which some departures do not run."""
WITHIN_S = 5.0
"""After so many seconds each parcel is to have a new move."""
LOOK_S = 0.1
STILL_S = 15.0
"""When nothing new was seen for so long, nothing more comes."""
PATIENCE_S = 600.0
_SEEN: dict[str, Any] = {"epc": pl.String, "cases": pl.Int64, "moved": pl.Float64, "acted": pl.Float64}


def run(size: Size, say: Say) -> Result:
    """Book, hand over, close, watch."""
    with serving(size.sample, roomy=True) as served, unbound(served) as conn:
        made = booked(served, size.hub_orders, datetime.now(UTC), say)
        say("couriers accept them")
        handed_over(served, made)
        await_looks(conn, made.parcels)
        hub, through = busiest(served, made.legs)
        say(f"{hub} is closed, which {through.len():,} parcels are to pass")
        _, key = served.party("Control Example", "operator")
        asked = time.time()
        until = (datetime.now(UTC) + CLOSED).isoformat()
        entered = served.ask(key, "POST", "/closures", {"node_id": hub, "until_at": until, "reason": "benchmark"})
        accepted = time.time()
        closure_id = entered["closure"]["closure_id"]
        seen = watched(conn, closure_id, through, say)
        await_looks(conn, made.parcels)
        cases = _cases(conn)
        served.ask(key, "POST", f"/closures/{closure_id}/lift", {})
        left = left_over(conn, closure_id, sum(cases.values()), say)
        replans = conn.execute(
            "select state, coalesce(reason, ''), count(*) from planning.replan_shipments group by 1, 2"
        )
        refused = {(state, reason): many for state, reason, many in replans.fetchall()}
        conn.commit()
        unseen = through.filter(~through.is_in(seen["epc"].implode())).len()
    return _shown(size, entered, accepted, accepted - asked, through.len(), unseen, seen, cases, left, refused)


def handed_over(served: Served, made: Booked) -> None:
    """Every parcel is accepted by the courier of its first leg, where that leg begins."""
    first = made.legs.filter(pl.col("seq") == 1)
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    for part in first.partition_by("carrier_id", maintain_order=True):
        key = made.couriers[part["carrier_id"][0]]
        for some in part.iter_slices(BATCH):
            scans = some.select("number", node="from_node", at=pl.lit(now), code=pl.lit("accepted")).to_dicts()
            told = served.ask(key, "POST", "/scans", {"scans": scans, "vocabulary": "rookery"})
            if told["taken"] != len(scans):
                raise RuntimeError(f"of {len(scans)} scans {told['taken']} were taken: {told['results'][:1]}")


def busiest(served: Served, legs: pl.DataFrame) -> tuple[str, pl.Series]:
    """The hub that most parcels are to pass within the closure, none of them there yet; and these (epc)."""
    hubs = read_feed(served.feed).nodes.filter(pl.col("kind") == "hub")["node_id"]
    until = int((datetime.now(UTC) + CLOSED).timestamp() // 60)
    ahead = legs.filter(pl.col("from_node").is_in(hubs.implode()), pl.col("seq") > 1, pl.col("depart_at") < until)
    most = ahead.group_by("from_node").agg(pl.col("epc").n_unique()).sort("epc", "from_node").row(-1)
    return most[0], ahead.filter(pl.col("from_node") == most[0])["epc"].unique()


def watched(conn: psycopg.Connection, closure_id: str, through: pl.Series, say: Say) -> pl.DataFrame:
    """For each parcel that ever was in a case of the closure when it first had a move, and when it was acted on
    (seconds since 1970; null = never): _SEEN. It is watched until all that were to pass have both, or nothing changes.
    """
    moved: dict[str, float] = {}
    acted: dict[str, float] = {}
    before, changed, begun = None, time.monotonic(), time.monotonic()
    while time.monotonic() - changed < STILL_S and time.monotonic() - begun < PATIENCE_S:
        row = conn.execute(
            "select count(*), count(move), count(acted) from tracking.case_parcels where kind = 'closure'"
            " and cause = %s and not test",
            (f"closure:{closure_id}",),
        ).fetchone()
        if row != before:
            before, changed = row, time.monotonic()
            found = conn.execute(
                "select epc, move is not null, acted is not null from tracking.case_parcels"
                " where kind = 'closure' and cause = %s and not test and (move is not null or acted is not null)",
                (f"closure:{closure_id}",),
            ).fetchall()
            now = time.time()
            for epc, has_move, was_acted_on in found:
                if has_move:
                    moved.setdefault(epc, now)
                if was_acted_on:
                    acted.setdefault(epc, now)
        conn.commit()
        waits = conn.execute(
            "select exists (select from jobs.procrastinate_jobs where status in ('todo', 'doing')"
            " and task_name = 'rebooking.closure')"
        ).fetchone()
        conn.commit()
        if waits == (True,):
            changed = time.monotonic()
        elif all(epc in moved and epc in acted for epc in through):
            break
        time.sleep(LOOK_S)
    rows = conn.execute(
        "select epc, count(distinct case_id) from tracking.case_parcels where kind = 'closure' and cause = %s"
        " and not test group by epc",
        (f"closure:{closure_id}",),
    ).fetchall()
    conn.commit()
    say(f"{len(rows):,} parcels were in its case, {len(moved):,} with a move")
    return pl.DataFrame(
        [(epc, cases, moved.get(epc), acted.get(epc)) for epc, cases in rows], schema=_SEEN, orient="row"
    )


def left_over(conn: psycopg.Connection, closure_id: str, before: int, say: Say) -> tuple[int, int]:
    """After a closure was lifted, and all that was in its case was looked at anew: how many cases were opened since
    there were so many `before`, and how many parcels are in these.
    """
    say("it is open again")
    cause, begun = f"closure:{closure_id}", time.monotonic()
    while time.monotonic() - begun < PATIENCE_S:
        row = conn.execute(
            "select exists (select from tracking.case_parcels where kind = 'closure' and cause = %s and not test"
            "  and clear_at is null) or exists (select from tracking.moved where not test)",
            (cause,),
        ).fetchone()
        conn.commit()
        if row == (False,):
            break
        time.sleep(LOOK_S)
    else:
        raise RuntimeError(f"{closure_id} was lifted, and not all that was in its case was looked at anew")
    row = conn.execute(
        "select (select count(*) from tracking.cases where not test), (select count(*) from tracking.case_parcels"
        " where kind <> 'closure' and not test and clear_at is null)"
    ).fetchone()
    conn.commit()
    assert row is not None
    return row[0] - before, row[1]


def _cases(conn: psycopg.Connection) -> dict[str, int]:
    """How many cases there ever were, by kind."""
    rows = conn.execute(
        "select kind, count(*) from tracking.cases where not test group by kind order by kind"
    ).fetchall()
    conn.commit()
    return dict(rows)


def _shown(
    size: Size, entered: dict[str, Any], accepted: float, answered_s: float, through: int, unseen: int,
    seen: pl.DataFrame, cases: dict[str, int], left: tuple[int, int], replans: dict[tuple[str, str], int],
) -> Result:  # fmt: skip
    took = np.sort((seen["moved"].drop_nulls() - accepted).clip(lower_bound=0.0).to_numpy())
    acted = np.sort((seen["acted"].drop_nulls() - accepted).clip(lower_bound=0.0).to_numpy())
    name = "hub closed"
    no_move = seen.filter(pl.col("moved").is_null()).height
    others = {f"cases: {kind}": many for kind, many in cases.items()}
    done = sum(many for (state, _), many in replans.items() if state == "done")
    rows = [
        ("POST /closures answered after, s", answered_s),
        ("what it touches, as it tells", msgspec.json.encode(entered["effect"]).decode()),
        ("parcels that were to pass the hub", through), ("of these never in its case", unseen),
        ("parcels that were in its case", seen.height), ("of these without a better way", no_move), *others.items(),
        ("shipments booked on", done),
        *((f"shipments refused: {reason}", many) for (state, reason), many in replans.items() if state == "refused"),
    ]  # fmt: skip
    return Result(
        shows=[
            Show(f"{name}: parcels in its case with a new move", took.size, "parcels", f">= {size.hub_parcels}"),
            Show(f"{name}: cases opened beyond one", abs(sum(cases.values()) - 1), "cases", "<= 0"),
            Show(f"{name}: cases opened after it was lifted", left[0], "cases", "<= 1"),
            Show(f"{name}: parcels in these", left[1], "parcels"),
            Show(f"{name}: parcels that were to pass it and are not in the case", unseen, "parcels"),
            Show(f"{name}: parcels in the case without another way", no_move, "parcels"),
            *(Show(f"{name}: accepted to new move, {label}", _share(took, percent), "s",
                   f"<= {WITHIN_S:g}" if percent == 99 else None) for label, percent in _SHARES),
            *(Show(f"{name}: accepted to acted on by itself, {label}", _share(acted, percent), "s")
              for label, percent in _SHARES),
            Show(f"{name}: parcels acted on by themselves", acted.size, "parcels"),
        ],
        tables=[Table("a closed hub", ("what", "value"), rows,
                      "Departures hold whatever is booked; all parcels were handed over before, none had left.")],
    )  # fmt: skip


_SHARES = (("p50", 50), ("p99", 99), ("most", 100))


def _share(took: np.ndarray, percent: float) -> float:
    """Of sorted seconds the one that so many percent do not exceed."""
    return float(took[min(took.size - 1, int(percent / 100 * took.size))]) if took.size else 0.0
