"""The demo: a world network, a day of orders, a plan, its check, its rehearsal, and something to look at."""

from __future__ import annotations

import time
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from rookery.base.files import Output, write_aside
from rookery.base.progress import Progress, silent
from rookery.doors.cli import console
from rookery.doors.cli.answer_tables import print_check
from rookery.doors.cli.figures import examples, planned_parcels
from rookery.doors.cli.page import GENERATOR, write_page
from rookery.doors.cli.plan_tables import print_plan
from rookery.doors.cli.twin_tables import print_trials
from rookery.doors.cli.words import seconds
from rookery.flows.checking import check
from rookery.flows.planning import Plan, plan
from rookery.flows.rehearsals.experimenting import Trials, run_experiment
from rookery.network import read_feed, sample_network
from rookery.network.sample import Size
from rookery.orders import read_orders, sample_orders, write_orders
from rookery.planning.check import CheckReport
from rookery.terms.frames import Feed, Orders
from rookery.twin.model import Experiment

SEED = 7
OUTCOMES = 8
MAP = ("map.png", "Map of the lanes used, as wide as their parcels")
HISTOGRAM = ("histogram.png", "Cost, days and on-time chance by service")
REHEARSAL = ("twin.png", "What was promised against what came of it in simulated days")
WORLDS = 3
TROUBLE = {"correlation": 0.5, "delay_share": 0.1}
"""Of the rehearsal: more than a plan assumes, so that there is something to see."""
DEMO = Output(
    name="demo",
    marker="index.html",
    says_so=lambda page: GENERATOR.encode() in page,
    holds=frozenset({"index.html", "feed", "orders.parquet", "plan", MAP[0], HISTOGRAM[0], REHEARSAL[0]}),
)


@dataclass(frozen=True)
class _Story:
    """What the demo has made."""

    feed: Feed
    orders: Orders
    plan: Plan
    report: CheckReport
    trials: Trials


def run_demo(out: Path, *, headless: bool, as_json: bool, size: Size = "world", count: int = 20_000) -> int:
    """Make everything under folder `out`, whole or not at all, and show it; the exit code.

    headless: plain lines instead of moving bars, and nothing is opened. as_json: tables go to stderr and stdout
    ends with one line: the plan's summary, `check_violations` and the `rehearsal`'s figures.
    """
    shown = console.err if as_json else console.out
    teller = _Teller(plain=headless or not console.err.is_terminal)
    with write_aside(out, DEMO) as folder:
        story = _live(folder, out, size, count, teller)
        with teller.stage("drawing pictures"):
            _picture(folder, story)
    shown.print()
    print_plan(story.plan, story.feed, story.orders, shown)
    print_check(story.report, shown)
    print_trials(story.trials, shown)
    _farewell(out, story, shown)
    if as_json:
        told = {"check_violations": len(story.report.violations), "rehearsal": story.trials.reports[0].summary}
        console.print_json({**story.plan.summary, **told})
    elif not headless and console.out.is_terminal:
        webbrowser.open((out / DEMO.marker).resolve().as_uri())
    return 1 if story.report.violations else 0


def _live(folder: Path, out: Path, size: Size, count: int, teller: _Teller) -> _Story:
    with teller.stage(f"drawing a {size} network, seed {SEED}") as progress:
        # files name what they were made from: where it will be, not where it is written aside
        feed = replace(read_feed(sample_network(size, SEED, folder / "feed", progress)), source=str(out / "feed"))
    with teller.stage(f"drawing {count:,} orders"):
        path = write_orders(sample_orders(feed, count, SEED), folder / "orders.parquet")
        orders = replace(read_orders(path), source=str(out / "orders.parquet"))
    with teller.stage("planning them (the first time, kernels are compiled)") as progress:
        made = plan(feed, orders, outcomes=OUTCOMES, progress=progress)
        made.write(folder / "plan")
    with teller.stage("deriving the plan again, independently") as progress:
        report = check(feed, orders, made, progress=progress)
    with teller.stage(f"rehearsing it in {WORLDS} simulated worlds") as progress:
        tried = Experiment(name="demo", policies=("follow", "itinerary"), runs=WORLDS, seed=SEED, trouble=TROUBLE)
        trials = run_experiment(feed, orders, tried, made=made, progress=progress)
    return _Story(feed, orders, made, report, trials)


def _picture(folder: Path, story: _Story) -> None:
    """Pictures as far as they can be drawn, and the page."""
    parcels = planned_parcels(story.plan, story.orders)
    drawn: list[tuple[Path, str]] = []
    try:
        from rookery.doors.cli.pictures import draw_histogram, draw_map
        from rookery.doors.cli.twin_picture import draw_trials
    except ImportError:
        console.err.print("No pictures: matplotlib is not installed. Next: pip install 'rookery\\[pictures]'.")
    else:
        if parcels.height:
            drawn.append((draw_map(story.feed, story.plan.legs, folder / MAP[0]), MAP[1]))
            drawn.append((draw_histogram(parcels, story.feed.info.currency, folder / HISTOGRAM[0]), HISTOGRAM[1]))
            drawn.append((draw_trials(story.trials, folder / REHEARSAL[0]), REHEARSAL[1]))
    itineraries = examples(parcels, story.plan.legs)
    write_page(folder / DEMO.marker, story.plan, story.feed, parcels, story.report, itineraries, drawn)


def _farewell(out: Path, story: _Story, shown: Console) -> None:
    order = story.plan.parcels["order_id"][0]
    shown.print(
        f"\nLook at [bold]{out / DEMO.marker}[/] (page), [bold]{out}/*.png[/] and [bold]{out / 'plan'}[/] (Parquet).\n"
        "Try next:\n"
        f"  rookery explain {out}/feed {out}/orders.parquet {order}\n"
        f"  rookery validate {out}/feed\n"
        "  rookery network sample --size tiny --out feed     # twelve nodes, to edit in a spreadsheet\n"
    )


class _Teller:
    """Tells on stderr what is being done: a moving bar, or a plain line where nothing should move."""

    def __init__(self, plain: bool):
        self.plain = plain

    @contextmanager
    def stage(self, name: str) -> Iterator[Progress]:
        """A part of the work; yields what to report its progress to."""
        begin = time.perf_counter()
        if self.plain:
            console.err.print(f"{name} ...")
            yield silent
            return
        with console.progress_bars() as progress:
            yield progress
        console.err.print(f"[green]✓[/] {name} [dim]{seconds(time.perf_counter() - begin)}[/]")
