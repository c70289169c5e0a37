"""The command `twin`: a plan rehearsed, policies side by side, and two rehearsals held together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from rookery.doors.cli.options import Json, examples

if TYPE_CHECKING:
    from rookery.flows.rehearsals.experimenting import Trials
    from rookery.twin.model import Experiment

EXAMPLES = examples(
    "rookery twin feed/ orders.csv",
    "rookery twin feed/ orders.csv --trouble rough --runs 20 --out rehearsed/",
    "rookery twin feed/ orders.csv --policy follow --policy itinerary --runs 10 --json",
    "rookery twin feed/ orders.csv --plan plan/ --correlation 0.5 --runs 20",
    "rookery twin feed/ orders.csv --experiment experiments/closed_hub.toml --out closed/",
    "rookery twin compare closed/ rehearsed/",
)


def _known(names: list[str] | None) -> list[str] | None:
    """Refuses policies that there are not."""
    from rookery.twin.model import POLICIES

    for name in names or []:
        if name not in POLICIES:
            raise typer.BadParameter(f"{name!r} is none of {', '.join(POLICIES)}")
    return names


@dataclass(frozen=True)
class _Said:
    """What the options say of the experiment; None = nothing."""

    policies: list[str] | None
    runs: int | None
    seed: int | None
    every_hours: float | None
    outcomes: int | None
    trouble: str | None
    correlation: float | None


def twin(
    what: Annotated[
        list[Path], typer.Argument(metavar="FEED ORDERS | compare A B", help="What to rehearse, or two that were.")
    ],
    plan_dir: Annotated[
        Path | None,
        typer.Option("--plan", metavar="DIR", readable=False, help="A plan of these orders; default: one is made."),
    ] = None,
    policy: Annotated[
        list[str] | None,
        typer.Option(
            callback=_known, metavar="POLICY", help="How parcels choose; may be given several times. Default: follow."
        ),
    ] = None,
    experiment: Annotated[
        Path | None, typer.Option(metavar="FILE", readable=False, help="A .toml file that says what is tried.")
    ] = None,
    runs: Annotated[int | None, typer.Option(min=1, max=1_000, help="Worlds to move through. Default: 5.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of the first world; the same seed, the same worlds.")] = None,
    trouble: Annotated[
        Literal["calm", "rough"] | None, typer.Option(help="How much goes wrong beside what the feed tells.")
    ] = None,
    correlation: Annotated[
        float | None, typer.Option(min=0, max=1, help="Of what leaves a region on one day: 0 independent, 1 alike.")
    ] = None,
    every_hours: Annotated[
        float | None, typer.Option("--every", min=0.01, max=8760, help="Hours between two plans of `reoptimise`.")
    ] = None,
    outcomes: Annotated[
        int | None, typer.Option(min=1, max=64, help="Transit times a departure in the plan that is made. Default: 8.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write tables, scans and a picture; an earlier one is replaced.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Rehearse a plan: move its parcels through simulated days and hold what was promised against what came of it.

    follow: seats as planned, the policy for whoever misses one. itinerary: the planned legs, come what may.
    greedy: no plan, first come first served. reoptimise: everything planned anew every so many hours.
    `twin compare A B` holds two folders written with --out together, seed by seed.
    Exit code 1 when nothing was delivered.
    """
    if what[0] == Path("compare") and len(what) == 3 and not what[0].exists():
        _compare(what[1], what[2], as_json)
        return
    if len(what) != 2 or (what[0] == Path("compare") and not what[0].exists()):
        raise typer.BadParameter("give FEED and ORDERS, or `compare` and two folders")
    from rookery.base.files import write_aside
    from rookery.doors.cli import console
    from rookery.doors.cli.twin_tables import print_trials
    from rookery.flows.checking import read_plan
    from rookery.flows.rehearsals.experimenting import TWIN_FOLDER, run_experiment
    from rookery.network import read_feed
    from rookery.orders import read_orders

    said = _Said(policy, runs, seed, every_hours, outcomes, trouble, correlation)
    tried = _experiment(experiment, said, plan_dir)
    if out is not None:
        TWIN_FOLDER.refuse_foreign(out)  # now, rather than when the work is done
    with console.progress_bars() as progress:
        network, order_book = read_feed(what[0]), read_orders(what[1])
        made = read_plan(plan_dir) if plan_dir is not None else None
        trials = run_experiment(network, order_book, tried, made=made, log=out is not None, progress=progress)
        if out is not None:
            with write_aside(out, TWIN_FOLDER) as folder:
                trials.write_files(folder)
                draw(trials, folder / "twin.png")
    console.tell_notices((*network.notices, *trials.notices))
    if trials.judged_where_learnt:
        console.err.print(
            "[yellow]warning[/] the plan's calibration was learnt in some of these worlds; --seed "
            f"{trials.judged_where_learnt} judges it in others.",
            soft_wrap=True,
        )
    if as_json:
        console.print_json(console.rounded(trials.summary))
    else:
        print_trials(trials, console.out)
        told = f"Written to [bold]{out}[/]." if out else "[dim]--out DIR keeps tables, scans and a picture.[/]"
        console.out.print(told)
    if not any(report.summary["delivered"]["mean"] for report in trials.reports):
        raise typer.Exit(1)


def _experiment(file: Path | None, said: _Said, plan_dir: Path | None) -> Experiment:
    """The experiment of a file, with what the options say instead; or of the options alone."""
    from msgspec.structs import replace

    from rookery.twin.experiment import read_experiment
    from rookery.twin.model import Experiment

    if plan_dir is not None and said.outcomes is not None:
        raise typer.BadParameter("--outcomes is of a plan that is made; --plan gives one that is")
    given = read_experiment(file) if file is not None else Experiment(name="rehearsal")
    changes: dict[str, Any] = {
        name: value
        for name, value in (
            ("policies", tuple(said.policies) if said.policies else None),
            ("runs", said.runs),
            ("seed", said.seed),
            ("every_hours", said.every_hours),
            ("outcomes", said.outcomes),
            ("base", said.trouble),
        )
        if value is not None
    }
    if said.correlation is not None:
        changes["trouble"] = {**given.trouble, "correlation": said.correlation}
    return replace(given, **changes)


def _compare(a: Path, b: Path, as_json: bool) -> None:
    """Print what B gave less what A gave."""
    from rookery.doors.cli import console
    from rookery.doors.cli.twin_tables import print_pairs
    from rookery.flows.rehearsals.experimenting import compare_trials

    pairs = compare_trials(a, b)
    if as_json:
        console.print_json(console.rounded({"pairs": pairs}))
    else:
        print_pairs(pairs, console.out)


def draw(trials: Trials, path: Path) -> bool:
    """The picture, where matplotlib is installed."""
    from rookery.doors.cli import console

    try:
        from rookery.doors.cli.twin_picture import draw_trials
    except ImportError:
        console.err.print("No picture: matplotlib is not installed. Next: pip install 'rookery\\[pictures]'.")
        return False
    draw_trials(trials, path)
    return True
