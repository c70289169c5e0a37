"""What rehearsals tell: predicted against realised, who was late, what stood in queues, what was flown empty."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from rookery.flows.rehearsals.rehearsing import Rehearsal, Setting
from rookery.terms.calibration import MOST_DAYS, Calibration
from rookery.terms.time import DAY, from_minute
from rookery.twin.outcome import DELIVERED, FATES, Outcome
from rookery.twin.reliability import Measured, measured, reliability, rising

CALIBRATION = "calibration.json"
TABLES = ("orders", "runs", "services", "relations", "lanes", "nodes", "reliability", "scans")


@dataclass(frozen=True)
class Report:
    """A rehearsal as frames and figures; docs/reference/formats.md tells their columns."""

    summary: dict[str, Any]
    orders: pl.DataFrame
    runs: pl.DataFrame
    services: pl.DataFrame
    relations: pl.DataFrame
    lanes: pl.DataFrame
    nodes: pl.DataFrame
    reliability: pl.DataFrame
    scans: pl.DataFrame
    calibration: Calibration | None  # what the next plan can be told with; None where nothing was planned

    def write_files(self, folder: Path) -> None:
        """Write everything into a folder that is there."""
        for name in TABLES:
            getattr(self, name).write_parquet(folder / f"{name}.parquet")
        if self.calibration is not None:
            (folder / CALIBRATION).write_bytes(msgspec.json.format(msgspec.json.encode(self.calibration)))


def report_of(setting: Setting, rehearsal: Rehearsal) -> Report:
    """What the runs of one policy came to, with 95% intervals over the runs."""
    outcomes, parcels, plan = rehearsal.outcomes, setting.parcels, setting.plan.parcels
    pieces = parcels["pieces"].to_numpy().astype(np.float64)
    predicted = plan["on_time_probability"].to_numpy()
    realised = np.mean([outcome.on_time for outcome in outcomes], axis=0)
    orders = _orders(setting, outcomes, realised)
    runs = _runs(setting, rehearsal, pieces)
    table = reliability(predicted, realised, pieces)
    services = _grouped(orders, outcomes, parcels, pieces, ["service_id"])
    relations = _grouped(orders, outcomes, parcels, pieces, ["from_country", "to_country"])
    return Report(
        summary=_summary(setting, rehearsal, runs, table, predicted, pieces),
        orders=orders,
        runs=runs,
        services=services,
        relations=relations,
        lanes=_lanes(setting, rehearsal),
        nodes=_nodes(setting, outcomes),
        reliability=table,
        scans=rehearsal.scans,
        calibration=learnt(setting, rehearsal),
    )


def learnt(setting: Setting, rehearsal: Rehearsal) -> Calibration | None:
    """What these runs make of the plan's chances and promises; None where nothing is planned, or they are calibrated.

    A service's promises become later by as many whole days as it takes for them to be kept with its confidence.
    """
    plan, parcels = setting.plan, setting.parcels
    planned = np.flatnonzero((plan.parcels["status"] == "planned").to_numpy())
    if len(planned) == 0 or plan.manifest.get("calibration") is not None:
        return None
    pieces = parcels["pieces"].to_numpy()[planned]
    realised = np.mean([outcome.on_time[planned] for outcome in rehearsal.outcomes], axis=0)
    predicted = plan.parcels["on_time_probability"].to_numpy()[planned]
    points = rising(predicted, realised, pieces)
    service = plan.parcels["service_id"].fill_null("").to_numpy()[planned]
    confidence = parcels["confidence"].to_numpy()[planned]
    promised = _minutes(plan.parcels["promised_at"])[planned]
    later = {}
    for name in np.unique(service.astype(str)).tolist():
        mine = service == name
        asked = float(np.average(confidence[mine], weights=pieces[mine]))
        days = np.concatenate(
            [np.ceil((outcome.delivered_at[planned][mine] - promised[mine]) / DAY) for outcome in rehearsal.outcomes]
        )
        weight = np.tile(pieces[mine], len(rehearsal.outcomes))
        order = np.argsort(days, kind="stable")
        kept = np.cumsum(weight[order]) / weight.sum()
        needed = days[order][min(int(np.searchsorted(kept, asked - 1e-12)), len(days) - 1)]
        later[name] = int(np.clip(needed, 0, MOST_DAYS))
    return Calibration(
        feed_sha256=setting.feed.sha256,
        policy=rehearsal.policy,
        runs=len(rehearsal.seeds),
        seed=rehearsal.seeds[0],
        trouble=msgspec.to_builtins(rehearsal.trouble),
        predicted=tuple(points[0].tolist()),
        realised=tuple(points[1].tolist()),
        later_days={name: days for name, days in later.items() if days},
    )


def _minutes(instants: pl.Series) -> NDArray[np.int64]:
    return instants.dt.epoch("s").fill_null(0).to_numpy() // 60


def _kept(setting: Setting, outcome: Outcome) -> NDArray[np.bool_]:
    """(n) Who was delivered by the promised day end."""
    promised = setting.plan.parcels["promised_at"]
    return promised.is_not_null().to_numpy() & (outcome.delivered_at <= _minutes(promised))


def _orders(setting: Setting, outcomes: tuple[Outcome, ...], realised: NDArray) -> pl.DataFrame:
    """One row an order: what was predicted of it, and what came of it over the runs."""
    plan, parcels, nodes = setting.plan.parcels, setting.parcels, setting.feed.nodes
    delivered = np.array([outcome.fate == DELIVERED for outcome in outcomes])
    at = np.array([outcome.delivered_at for outcome in outcomes], np.float64)
    mean_at = np.divide(
        np.where(delivered, at, 0.0).sum(axis=0), delivered.sum(axis=0), out=np.zeros(len(parcels)),
        where=delivered.any(axis=0),
    )  # fmt: skip
    known = pl.Series(np.asarray(delivered.any(axis=0)))
    instant = pl.Series((mean_at * 60).round().astype(np.int64) * 1_000_000).cast(pl.Datetime("us"))

    def country(column: str) -> pl.Series:
        place = parcels[column].cast(pl.Int64)
        return nodes["country"].gather(pl.select(pl.when(place >= 0).then(place)).to_series())

    return pl.DataFrame(
        {
            "order_id": parcels["order_id"],
            "service_id": plan["service_id"],
            "from_country": country("origin"),
            "to_country": country("destination"),
            "pieces": parcels["pieces"],
            "predicted_on_time": plan["on_time_probability"],
            "on_time": realised,
            "delivered": delivered.mean(axis=0),
            "predicted_cost": plan["cost"],
            "cost": np.mean([outcome.cost for outcome in outcomes], axis=0),
            "missed": np.mean([outcome.missed for outcome in outcomes], axis=0),
            "expected_at": plan["expected_at"],
        }
    ).with_columns(delivered_at=pl.select(pl.when(known).then(instant.dt.replace_time_zone("UTC"))).to_series())


def _runs(setting: Setting, rehearsal: Rehearsal, pieces: NDArray) -> pl.DataFrame:
    """One row a run."""
    due = setting.parcels["due_at"].to_numpy()
    planned = max(float(pieces[(setting.plan.parcels["status"] == "planned").to_numpy()].sum()), 1.0)
    rows = []
    for seed, outcome in zip(rehearsal.seeds, rehearsal.outcomes):
        late = (outcome.fate == DELIVERED) & ~outcome.on_time
        hours = (outcome.delivered_at - due)[late] / 60
        fates = {name: float(pieces[outcome.fate == place].sum()) for place, name in enumerate(FATES)}
        rows.append(
            {
                "seed": seed,
                "on_time": float((outcome.on_time * pieces).sum() / pieces.sum()),
                "promise_kept": float(pieces[_kept(setting, outcome)].sum()) / planned,
                "cost": float(outcome.cost.sum()),
                **fates,
                "late": float(pieces[late].sum()),
                "hours_late": float(np.average(hours, weights=pieces[late])) if late.any() else 0.0,
                "missed": float((outcome.missed * pieces).sum()),
                "damaged": float(pieces[outcome.damaged].sum()),
                "queued": float(outcome.queued[:, 0].sum()),
                "queue_hours": float(outcome.queued[:, 1].sum() / 60),
            }
        )
    return pl.DataFrame(rows)


def _grouped(orders: pl.DataFrame, outcomes: tuple[Outcome, ...], parcels: pl.DataFrame, pieces, keys) -> pl.DataFrame:
    """On-time share, lateness and cost by the columns `keys` of the orders, with intervals over the runs."""
    groups = orders.select(keys).with_columns(group=pl.struct(keys).rank("dense").cast(pl.Int64) - 1)
    number = groups["group"].fill_null(0).to_numpy()
    count = int(number.max(initial=0)) + 1
    weight = np.bincount(number, pieces, count)
    due = parcels["due_at"].to_numpy()
    shares = np.array([np.bincount(number, pieces * outcome.on_time, count) / weight for outcome in outcomes])
    late = np.zeros(count)
    hours = np.zeros(count)
    for outcome in outcomes:
        which = (outcome.fate == DELIVERED) & ~outcome.on_time
        late += np.bincount(number[which], pieces[which], count)
        hours += np.bincount(number[which], (pieces * (outcome.delivered_at - due))[which] / 60, count)
    intervals = [measured(shares[:, place].tolist()) for place in range(count)]
    predicted = np.bincount(number, pieces * orders["predicted_on_time"].to_numpy(), count) / weight
    cost = np.bincount(number, orders["cost"].to_numpy(), count)
    return (
        groups.unique("group")
        .sort("group")
        .drop("group")
        .with_columns(
            parcels=pl.Series(weight),
            predicted_on_time=pl.Series(predicted),
            on_time=pl.Series([one.mean for one in intervals]),
            plus_minus=pl.Series([one.plus_minus for one in intervals], dtype=pl.Float64),
            late=pl.Series(late / len(outcomes)),
            hours_late=pl.Series(np.divide(hours, late, out=np.zeros(count), where=late > 0)),
            cost=pl.Series(cost),
        )
        .sort("parcels", descending=True)
    )


def _lanes(setting: Setting, rehearsal: Rehearsal) -> pl.DataFrame:
    """One row a lane that ran: what it carried in a run, in the mean, and how empty it was where it has a limit."""
    net = setting.net
    carried = rehearsal.carried
    each = pl.DataFrame(
        {
            "lane": net.runs["lane"],
            "departures": rehearsal.ran,
            "parcels": carried[:, 0],
            "kilograms": carried[:, 1],
            "seats": np.where(np.isfinite(net.seats), net.seats * rehearsal.ran, 0.0),
            "seated": np.where(np.isfinite(net.seats), carried[:, 0], 0.0),
        }
    )
    used = each.group_by("lane").agg(pl.all().sum()).filter(pl.col("parcels") > 0)
    lanes = setting.feed.lanes.select("lane_id", "from_node", "to_node", "mode").with_row_index("lane")
    return (
        used.join(lanes.cast({"lane": pl.Int32}), on="lane")
        .with_columns(empty=pl.when(pl.col("seats") > 0).then(1 - pl.col("seated") / pl.col("seats")))
        .select("lane_id", "from_node", "to_node", "mode", "departures", "parcels", "kilograms", "seats", "empty")
        .sort("parcels", "lane_id", descending=[True, False])
    )


def _nodes(setting: Setting, outcomes: tuple[Outcome, ...]) -> pl.DataFrame:
    """One row a node at which anything had to wait for hands, in the mean of the runs; the longest wait of any."""
    queued = np.mean([outcome.queued for outcome in outcomes], axis=0)
    longest = np.max([outcome.queued[:, 2] for outcome in outcomes], axis=0)
    return (
        setting.feed.nodes.select("node_id", "kind")
        .with_columns(
            queued=pl.Series(queued[:, 0]),
            minutes_each=pl.Series(
                np.divide(queued[:, 1], queued[:, 0], out=np.zeros(len(queued)), where=queued[:, 0] > 0)
            ),
            longest_minutes=pl.Series(longest),
        )
        .filter(pl.col("queued") > 0)
        .sort("queued", descending=True)
    )


def _summary(setting: Setting, rehearsal: Rehearsal, runs, table, predicted, pieces) -> dict[str, Any]:
    plan = setting.plan
    on_time, cost = measured(runs["on_time"].to_list()), measured(runs["cost"].to_list())
    held = table.filter(pl.col("share") >= 0.01)
    total = pieces.sum()
    told = plan.summary
    expected = float((predicted * pieces).sum() / total)
    return {
        "policy": rehearsal.policy,
        "runs": len(rehearsal.seeds),
        "seed": rehearsal.seeds[0],
        "trouble": msgspec.to_builtins(rehearsal.trouble),
        "incidents": setting.closed.closures.height - setting.feed.closures.height,
        "known_at": from_minute(setting.known_at).isoformat() if setting.news else None,
        "parcels": int(total),
        "predicted_on_time": expected,
        "on_time": _told(on_time),
        "off": 100 * (on_time.mean - expected),
        "promise_kept": _told(measured(runs["promise_kept"].to_list())),
        "largest_off_by_tenth": float(held["off"].abs().max()) if held.height else 0.0,  # type: ignore[arg-type]
        "currency": setting.feed.info.currency,
        "predicted_cost": told["cost"],
        "cost": _told(cost),
        "cost_off": 100 * (cost.mean / told["cost"] - 1) if told["cost"] else 0.0,
        **{name: _told(measured(runs[name].to_list())) for name in (*FATES, "late", "hours_late", "missed", "damaged")},
        **{name: _told(measured(runs[name].to_list())) for name in ("queued", "queue_hours")},
        "seconds_deciding": rehearsal.deciding,
        "seconds_moving": rehearsal.moving,
    }


def _told(figure: Measured) -> dict[str, float | None]:
    return {"mean": figure.mean, "plus_minus": figure.plus_minus}
