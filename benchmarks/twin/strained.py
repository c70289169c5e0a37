"""Full departures, queues and correlated trouble: how far chances are off, and what repairs them.

Learnt is on some seeds, judged on others. Every idea is told by the same plan's policies; only the last one plans anew.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.form import Result, Say, Show, Table
from benchmarks.twin.open_world import reliability_table
from benchmarks.twin.sizes import Size
from benchmarks.twin.worlds import alike, crowded, sampled
from rookery.flows.planning import Plan, plan
from rookery.flows.rehearsals.rehearsed import Report, learnt, report_of
from rookery.flows.rehearsals.rehearsing import Rehearsal, Setting, rehearse, setting_of
from rookery.terms.frames import Feed, Orders
from rookery.twin.model import CALM, ROUGH, Trouble
from rookery.twin.reliability import reliability

OVERALL, EACH = 1.0, 3.0
"""Percentage points by which repaired chances may be off, overall and in each tenth that holds 1% of the parcels."""
JUDGED_FROM = 10_000
"""First seed of the worlds that nothing is learnt from."""
DAYS = 14
STEPS: dict[str, Trouble] = {
    "full departures and queues": CALM,
    "... and transit times correlated 0.25": Trouble(correlation=0.25),
    "... 0.5": Trouble(correlation=0.5),
    "... 0.75": Trouble(correlation=0.75),
    "... 0.5, late departures, uneven handling": Trouble(correlation=0.5, delay_share=0.1, dwell_sigma=0.3),
    "... and everything else (rough)": ROUGH,
}
WIDER = (1.5, 2.0, 3.0)
"""Times as wide as the feed says that transit times are taken to be."""


def run(size: Size, say: Say) -> Result:
    """The error step by step, then three repairs of the last step."""
    feed, orders = sampled("country" if size.sample == "world" else size.sample, size.strained_orders,
                           lambda feed: crowded(feed, size.strained_share, size.strained_hands))  # fmt: skip
    orders = alike(orders)
    made = _planned(feed, orders, size)
    setting = setting_of(feed, orders, made, threads=size.threads)
    steps: list[tuple[str, Report]] = []
    for name, trouble in STEPS.items():
        say(f"{name}: {size.strained_runs} worlds")
        moved = rehearse(setting, "follow", trouble=trouble, seed=JUDGED_FROM, runs=size.strained_runs)
        steps.append((name, report_of(setting, moved)))
    say(f"learnt from {size.strained_runs} other worlds")
    taught = rehearse(setting, "follow", trouble=ROUGH, runs=size.strained_runs)
    judged = rehearse(setting, "follow", trouble=ROUGH, seed=JUDGED_FROM, runs=size.strained_runs)
    ideas = _ideas(setting, taught, judged)
    for idea in _wider(feed, orders, size, say):
        ideas.append(idea)
    repaired, after = _told_anew(feed, orders, made, setting, taught, size)
    before = steps[-1][1]
    name = f"strained, {made.summary['parcels']:,} parcels"
    told = after.summary
    return Result(
        shows=[
            *(Show(f"{name}: {step}: chances off by", abs(one.summary["off"]), "points") for step, one in steps),
            Show(f"{name}: before repair, worst tenth that holds 1%", before.summary["largest_off_by_tenth"], "points"),
            Show(f"{name}: after repair, chances off by", abs(told["off"]), "points", f"<= {OVERALL:g}"),
            Show(f"{name}: ... give or take", 100 * (told["on_time"]["plus_minus"] or 0.0), "points"),
            Show(f"{name}: after repair, worst tenth that holds 1%", told["largest_off_by_tenth"], "points",
                 f"<= {EACH:g}"),
            Show(f"{name}: promises kept, before and with confidence 0.95 asked for",
                 100 * before.summary["promise_kept"]["mean"], "%"),
            Show(f"{name}: promises kept, after repair", 100 * told["promise_kept"]["mean"], "%", ">= 95"),
        ],
        tables=[
            Table(
                "what independence hides",
                ("", "predicted %", "realised %", "+-", "off", "worst tenth", "cost off %", "missed", "queued"),
                [_step(step, one) for step, one in steps],
                f"{size.strained_runs} worlds from seed {JUDGED_FROM}; a tenth counts where it holds 1% of the parcels",
            ),
            Table(
                f"repairs of the last line, learnt from {size.strained_runs} other worlds",
                ("idea", "overall off", "worst tenth that holds 1%", "mean square error x 1000"),
                ideas,
                "the error is of each parcel's chance against the share of worlds in which it was on time",
            ),
            reliability_table("before", before),
            reliability_table(f"after ({repaired})", after),
        ],
    )  # fmt: skip


def _planned(feed: Feed, orders: Orders, size: Size, **options) -> Plan:
    return plan(
        feed, orders, outcomes=size.strained_outcomes, threads=size.threads, horizon_days=DAYS, seconds=30.0, **options
    )


def _step(name: str, report: Report) -> tuple:
    told = report.summary
    on_time = told["on_time"]
    return (
        name,
        100 * told["predicted_on_time"],
        100 * on_time["mean"],
        100 * (on_time["plus_minus"] or 0),
        told["off"],
        told["largest_off_by_tenth"],
        told["cost_off"],
        told["missed"]["mean"],
        told["queued"]["mean"],
    )


def _ideas(setting: Setting, taught: Rehearsal, judged: Rehearsal) -> list[tuple]:
    """Ways of telling the same plan's chances, learnt from the worlds of `taught`, judged in those of `judged`."""
    plan_, pieces = setting.plan.parcels, setting.parcels["pieces"].to_numpy()
    planned = (plan_["status"] == "planned").to_numpy()
    chance = plan_["on_time_probability"].to_numpy()
    seen, truth = (np.mean([one.on_time for one in each.outcomes], axis=0) for each in (taught, judged))
    line = learnt(setting, taught)
    assert line is not None
    a, b = _two_numbers(chance[planned], seen[planned])
    runs = len(taught.seeds)
    strength = 10.0  # worlds that the line counts for
    ways: dict[str, Callable[[], NDArray]] = {
        "as planned": lambda: chance,
        "one share taken off all": lambda: np.where(planned, chance * seen[planned].sum() / chance[planned].sum(), 0.0),
        f"log odds shifted and scaled ({a:.2f} + {b:.2f} x)": lambda: np.where(planned, _odds(chance, a, b), 0.0),
        "a rising line (kept)": lambda: np.where(planned, line.chances(chance), 0.0),
        f"each parcel's own rehearsals, drawn to the line by {strength:g} worlds":
            lambda: np.where(planned, (runs * seen + strength * line.chances(chance)) / (runs + strength), 0.0),
    }  # fmt: skip
    return [_judged(name, way(), truth, pieces) for name, way in ways.items()]


def _judged(name: str, told: NDArray, truth: NDArray, pieces: NDArray) -> tuple:
    table = reliability(told, truth, pieces).filter(pl.col("share") >= 0.01)
    overall = 100 * float(((truth - told) * pieces).sum() / pieces.sum())
    worst = float(table["off"].abs().max() or 0.0)  # type: ignore[arg-type]
    return name, overall, worst, 1000 * float(((truth - told) ** 2 * pieces).sum() / pieces.sum())


FLOOR = 0.0005


def _odds(chance: NDArray, a: float, b: float) -> NDArray[np.float64]:
    held = np.clip(chance, FLOOR, 1 - FLOOR)
    return 1 / (1 + np.exp(-(a + b * np.log(held / (1 - held)))))


def _two_numbers(chance: NDArray, seen: NDArray) -> tuple[float, float]:
    """Shift and scale of the log odds with the least squared error, by a grid that closes in."""
    best, middle, reach = (0.0, 1.0), (0.0, 1.0), (4.0, 1.0)
    steps = [step / 4 for step in range(-4, 5)]
    for _ in range(6):
        pairs = [(middle[0] + reach[0] * i, middle[1] + reach[1] * j) for i in steps for j in steps]
        best = min(pairs, key=lambda pair: float(((_odds(chance, *pair) - seen) ** 2).sum()))
        middle, reach = best, (reach[0] / 3, reach[1] / 3)
    return best


def _wider(feed: Feed, orders: Orders, size: Size, say: Say) -> list[tuple]:
    """One knob: transit times taken to be so many times as wide, planned anew, moved through the world as it is."""
    found = []
    for times in WIDER:
        say(f"transit times taken to be {times:g} times as wide")
        wide = replace(
            feed, transit=feed.transit.with_columns((1 + (pl.col("factor") - 1) * times).clip(0.05).alias("factor"))
        )
        made = _planned(wide, orders, size)
        really = replace(setting_of(wide, orders, made, threads=size.threads), closed=feed)
        moved = rehearse(really, "follow", trouble=ROUGH, seed=JUDGED_FROM, runs=max(2, size.strained_runs // 2))
        pieces = really.parcels["pieces"].to_numpy()
        truth = np.mean([one.on_time for one in moved.outcomes], axis=0)
        chance = made.parcels["on_time_probability"].to_numpy()
        cost = np.mean([one.cost.sum() for one in moved.outcomes])
        name = f"transit times {times:g} x as wide, planned anew (then {100 * truth.mean():.1f}% on time, {cost:,.0f})"
        found.append(_judged(name, chance, truth, pieces))
    return found


def _told_anew(feed: Feed, orders: Orders, made: Plan, setting: Setting, taught: Rehearsal, size: Size):
    """The plan made again with what was learnt, and rehearsed in worlds that nothing was learnt from."""
    calibration = learnt(setting, taught)
    again = _planned(feed, orders, size, prices=made, calibration=calibration)
    anew = setting_of(feed, orders, again, threads=size.threads)
    moved = rehearse(anew, "follow", trouble=ROUGH, seed=JUDGED_FROM, runs=size.strained_runs)
    return "planned with the calibration", report_of(anew, moved)
