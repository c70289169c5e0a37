"""Experiments in the twin: a plan made or taken, incidents laid over it, policies side by side, two held together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from rookery.base.files import Output, json_says, write_aside
from rookery.base.progress import Progress, silent
from rookery.flows.changes import ScaleVolume, apply_changes
from rookery.flows.planning import Plan, as_orders, plan
from rookery.flows.rehearsals.rehearsed import CALIBRATION, Report, report_of
from rookery.flows.rehearsals.rehearsing import Setting, rehearse, setting_of
from rookery.network import closures_outside
from rookery.terms.calibration import Calibration
from rookery.terms.errors import Conflict, InvalidInput, NotFound
from rookery.terms.frames import FEED, Feed, Orders
from rookery.terms.notice import Notice
from rookery.terms.time import to_minute
from rookery.twin.experiment import trouble_of
from rookery.twin.model import POLICIES, Experiment
from rookery.twin.reliability import measured

TWIN_FOLDER = Output(
    name="twin",
    marker="twin.json",
    says_so=json_says("program", "rookery twin"),
    holds=frozenset({*POLICIES, "twin.json", "twin.png"}),
)
PAIRED = ("on_time", "promise_kept", "cost", "late", "hours_late", "undelivered", "lost", "missed", "queue_hours")
"""Figures of a run that are held together, seed by seed."""


@dataclass(frozen=True)
class Trials:
    """An experiment that was run: one report a policy, in the order asked for, on the same plan and the same worlds."""

    experiment: Experiment
    setting: Setting
    reports: tuple[Report, ...]
    notices: tuple[Notice, ...] = ()

    @property
    def summary(self) -> dict[str, Any]:
        """All figures, for a program."""
        return {
            "experiment": self.experiment.name,
            "orders": self.setting.parcels.height,
            "trials": [report.summary for report in self.reports],
        }

    @property
    def judged_where_learnt(self) -> int:
        """The first seed of worlds apart from those in which the plan's calibration was learnt; 0 = these are apart."""
        learnt = self.setting.plan.manifest.get("calibration")
        if learnt is None:
            return 0
        begin, end = learnt["seed"], learnt["seed"] + learnt["runs"]
        apart = self.experiment.seed >= end or self.experiment.seed + self.experiment.runs <= begin
        return 0 if apart else end

    def write(self, out: Path) -> Path:
        """Write a folder for each policy to folder `out`, whole or not at all. Raises Conflict when it is another's."""
        with write_aside(out, TWIN_FOLDER) as folder:
            self.write_files(folder)
        return out

    def write_files(self, folder: Path) -> None:
        """Write a folder for each policy, and all figures, into a folder that is there."""
        for report in self.reports:
            (folder / report.summary["policy"]).mkdir()
            report.write_files(folder / report.summary["policy"])
        told = {"program": "rookery twin", "orders_sha256": self.setting.orders.sha256, **self.summary}
        (folder / "twin.json").write_bytes(msgspec.json.format(msgspec.json.encode(told)))


def run_experiment(
    feed: Feed,
    orders: Orders | pl.DataFrame | str | Path,
    experiment: Experiment,
    *,
    made: Plan | None = None,
    log: bool = False,
    threads: int | None = None,
    progress: Progress = silent,
) -> Trials:
    """Rehearse a plan under what an experiment says, once for each of its policies and always in the same worlds.

    made: the plan (default: one is made now, with the experiment's outcomes); log: keep the scans of the first run.
    Raises InvalidInput for an experiment that makes no sense here, NotFound for incidents of what the feed lacks,
    Conflict where the plan was made of something else.
    """
    orders = as_orders(orders)
    trouble = trouble_of(experiment)
    closed = _with_incidents(feed, experiment)
    if experiment.scale_volume != 1:
        if made is not None:
            raise InvalidInput(
                "twin.scaled_plan", "The experiment scales the orders, and the plan is one of the orders as they are.",
                "leave the plan out: one is made for the scaled orders",
            )  # fmt: skip
        orders = apply_changes(feed, orders, [ScaleVolume(experiment.scale_volume, experiment.seed)], 0, 0).orders
    if made is None:
        made = plan(feed, orders, outcomes=experiment.outcomes, threads=threads, progress=progress)
    setting = setting_of(
        feed, orders, made, closed=closed, known_at=experiment.known_at, threads=threads, progress=progress
    )
    reports = tuple(
        report_of(
            setting,
            rehearse(
                setting, policy, trouble=trouble, seed=experiment.seed, runs=experiment.runs,
                every_hours=experiment.every_hours, log=log, progress=progress,
            ),
        )
        for policy in dict.fromkeys(experiment.policies)
    )  # fmt: skip
    outside = closures_outside(closed.closures[feed.closures.height :], setting.net.start, setting.net.end, "incidents")
    told = (*made.notices, *orders.notices, *setting.notices, *((outside,) if outside else ()))
    return Trials(experiment, setting, reports, tuple(dict.fromkeys(told)))


def _with_incidents(feed: Feed, experiment: Experiment) -> Feed:
    """The feed with an experiment's incidents laid over its closures. Raises with all that is wrong with them."""
    known = {"node_id": feed.nodes, "lane_id": feed.lanes, "departure_id": feed.departures}
    faults, rows = [], []
    for number, incident in enumerate(experiment.incidents):
        target = next(name for name in known if getattr(incident, name) is not None)
        value = getattr(incident, target)
        if value not in known[target][target]:
            faults.append(f"incidents[{number}] names {target} {value!r}, which the feed does not have")
        if incident.until_at <= incident.from_at:
            faults.append(f"incidents[{number}] ends before it begins")
        factor = incident.capacity_factor
        if factor is not None and not 0 <= factor < float("inf"):
            faults.append(f"incidents[{number}].capacity_factor is {factor:g} and should be 0 or more")
        if not 0 <= incident.delay_minutes <= 525_600:
            faults.append(f"incidents[{number}].delay_minutes is {incident.delay_minutes} and should be 0 to 525,600")
        rows.append(
            {
                **{name: getattr(incident, name) for name in known},
                "from_at": to_minute(incident.from_at),
                "until_at": to_minute(incident.until_at),
                "capacity_factor": factor if factor is not None else (1.0 if incident.delay_minutes else 0.0),
                "delay_minutes": incident.delay_minutes,
                "reason": incident.reason,
                "line": number + 1,
            }
        )
    if faults:
        raise InvalidInput(
            "experiment.incidents", f"The experiment does not fit this feed: {'; '.join(faults)}.",
            "mend the incidents; nothing was run",
        )  # fmt: skip
    news = pl.DataFrame(rows, schema=FEED["closures"])
    return replace(feed, closures=pl.concat([feed.closures, news]))


@dataclass(frozen=True)
class Pair:
    """Two trials in the same worlds: what B gave less what A gave, seed by seed, with 95% intervals."""

    a: str
    b: str
    seeds: int
    differences: dict[str, dict[str, float | None]]


def compare_trials(a: str | Path, b: str | Path) -> list[Pair]:
    """Hold two folders of `rookery twin --out` together, policy by policy (or the one of each), by common seeds.

    Raises NotFound where a folder holds no trial, InvalidInput where they are of different orders or share no seed.
    """
    trials = [_read_trials(folder) for folder in (a, b)]
    one, other = (told for told, _ in trials)
    if any(one.get(name) != other.get(name) for name in ("orders", "orders_sha256")):
        raise InvalidInput(
            "twin.other_orders", f"{a} is about {one['orders']:,} orders, {b} about {other['orders']:,} others.",
            "run both on the same orders",
        )  # fmt: skip
    one, other = (runs for _, runs in trials)
    both = [name for name in one if name in other]
    names = [(name, name) for name in both] or [(x, y) for x in one for y in other]
    return [
        _paired(f"{Path(a).resolve().name}: {x}", one[x], f"{Path(b).resolve().name}: {y}", other[y]) for x, y in names
    ]  # fmt: skip


def _paired(a: str, one: pl.DataFrame, b: str, other: pl.DataFrame) -> Pair:
    joined = one.join(other, on="seed", suffix="_b")
    if joined.is_empty():
        raise InvalidInput("twin.no_seed", f"{a} and {b} share no seed.", "run both with the same --seed")
    return Pair(
        a, b, joined.height,
        {
            name: {"a": float(joined[name].mean()), "b": float(joined[f"{name}_b"].mean()),  # type: ignore[arg-type]
                   **msgspec.to_builtins(measured((joined[f"{name}_b"] - joined[name]).to_list()))}
            for name in PAIRED
        },
    )  # fmt: skip


def _read_trials(folder: str | Path) -> tuple[dict[str, Any], dict[str, pl.DataFrame]]:
    folder = Path(folder)
    marker = folder / TWIN_FOLDER.marker
    if not marker.is_file():
        raise NotFound("twin.none_here", f"{folder} holds no trial (no twin.json).", "name a folder given to --out")
    try:
        told = msgspec.json.decode(marker.read_bytes(), type=dict)
        runs = {
            name: pl.read_parquet(folder / name / "runs.parquet").select("seed", *PAIRED)
            for name in POLICIES
            if (folder / name).is_dir()
        }
        if not isinstance(told.get("orders"), int):
            raise ValueError("twin.json does not say of how many orders it is")
    except (OSError, ValueError, msgspec.DecodeError, pl.exceptions.PolarsError) as fault:
        raise InvalidInput("twin.damaged", f"{folder} cannot be read: {fault}.", "run the experiment again") from fault
    if not runs:
        raise NotFound("twin.none_here", f"{folder} holds no trial of any policy.", "name a folder given to --out")
    return told, runs


def read_calibration(path: str | Path, feed: Feed) -> Calibration:
    """A calibration as `rookery twin --out` wrote it, for plans of `feed`.

    Raises NotFound when there is none, InvalidInput when it cannot be used, Conflict for one of another feed.
    """
    path = Path(path)
    path = path / CALIBRATION if (path / CALIBRATION).is_file() else path  # the folder of a policy does as well
    if not path.is_file():
        raise NotFound("calibration.none_here", f"There is no calibration {path}.", "name DIR/follow/calibration.json")
    try:
        told = msgspec.json.decode(path.read_bytes(), type=Calibration)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as fault:
        raise InvalidInput(
            "calibration.unreadable", f"{path} is no calibration: {str(fault).splitlines()[0]}.",
            "take one that `rookery twin --out` wrote",
        ) from fault  # fmt: skip
    strange = sorted(set(told.later_days) - {"", *feed.services["service_id"]})
    if strange:
        raise InvalidInput(
            "calibration.unknown_service", f"{path} names services that the feed lacks: {', '.join(strange)}.",
            "correct later_days, or rehearse again",
        )  # fmt: skip
    if told.feed_sha256 != feed.sha256:
        raise Conflict(
            "calibration.other_feed", f"{path} was learnt on another version of the feed.",
            "rehearse a plan of this one: rookery twin FEED ORDERS --out DIR",
        )  # fmt: skip
    return told
