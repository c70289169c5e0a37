"""Where the command line speaks: answers on stdout, everything else on stderr."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn

from rookery.base.progress import Progress as ProgressCall
from rookery.base.progress import silent
from rookery.doors.cli.words import safe
from rookery.terms.errors import RookeryError
from rookery.terms.notice import Notice

SHOWN = 20
"""How many notices are told one by one."""
PIPED_WIDTH = 120  # columns of a table that goes to a file or another program
COLOURS = {"error": "red", "warning": "yellow", "info": "blue"}
STAGES = {
    "sample network": "drawing a network",
    "timetable": "laying out departures",
    "plan": "planning",
    "prices": "pricing what is full",
    "seats": "giving seats",
    "improve": "improving",
    "reasons": "finding reasons",
    "policy": "writing policy tables",
    "certificate": "proving how good it is",
    "rides": "laying out policies",
    "rehearsal": "rehearsing",
    "check: departures": "laying out departures again",
    "check: optima": "finding optima again",
    "check: certificate": "proving the bound again",
}


def _console(stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, highlight=False, width=None if stream.isatty() else PIPED_WIDTH)


out = _console(stderr=False)
err = _console(stderr=True)


DECIMALS = 6


def rounded(answer: Any) -> Any:
    """An answer as plain lists and dicts, its numbers to six decimals: without the noise of sums of floats."""
    plain = msgspec.to_builtins(answer)
    if isinstance(plain, dict):
        return {name: rounded(value) for name, value in plain.items()}
    if isinstance(plain, list):
        return [rounded(value) for value in plain]
    return round(plain, DECIMALS) if isinstance(plain, float) else plain


def print_json(answer: Any) -> None:
    """One line of JSON on stdout."""
    sys.stdout.write(msgspec.json.encode(answer).decode() + "\n")
    sys.stdout.flush()


def stage_name(stage: str) -> str:
    """What a person is told of a stage; of one with a prefix ("before: plan") the prefix stays."""
    prefix, colon, name = stage.partition(": ")
    return STAGES.get(stage) or f"{prefix}{colon}{STAGES.get(name, name)}"


@contextmanager
def progress_bars(console: Console = err) -> Iterator[ProgressCall]:
    """Bars on stderr that a long piece of work moves; nobody is told anything when stderr is no terminal."""
    if not console.is_terminal:
        yield silent
        return
    bars = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=32),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    )
    tasks: dict[str, TaskID] = {}
    with bars:
        # moves while nothing is reported, so that a first call that compiles does not look stuck
        waiting = bars.add_task("[dim]working (the first time, kernels are compiled)", total=None)

        def show(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage_name(stage), total=total)
            elif done < bars.tasks[bars.task_ids.index(tasks[stage])].completed:  # it begins anew
                bars.reset(tasks[stage])
            bars.update(tasks[stage], completed=done, total=total)
            bars.update(waiting, visible=all(task.finished for task in bars.tasks if task.id != waiting))

        yield show


def tell_error(fault: RookeryError) -> None:
    """What is wrong, where, and the next action, on stderr."""
    err.print(f"[bold red]error[/] {escape(fault.code)}: {escape(fault.what)}")
    tell_notices(fault.notices)
    for one in fault.faults[:SHOWN]:
        remedy = f": {one.remedy}" if one.remedy else ""
        err.print(f"  {one.at.removeprefix('$.')}: {one.message}{remedy}", markup=False)
    err.print(f"[bold]Next:[/] {escape(fault.action)}.")


def tell_notices(notices: Sequence[Notice], console: Console = err, shown: int = SHOWN) -> None:
    """The first notices, the worst first, and how many there are of each code; infos are only counted.

    Nothing is printed when there is none.
    """
    rank = list(COLOURS)
    ordered = sorted(notices, key=lambda notice: rank.index(notice.severity))
    worth_telling = [notice for notice in ordered if notice.severity != "info"]
    for notice in worth_telling[:shown]:
        print_notice(notice, console)
    left = sum(notice.count for notice in worth_telling) - sum(notice.count for notice in worth_telling[:shown])
    if left:
        console.print(f"... and {left:,} more")
    if ordered:
        console.print(f"[dim]Notices: {', '.join(counts_by_code(ordered))}[/]")


def print_notice(notice: Notice, console: Console) -> None:
    """One notice: how bad, what, where, and what to do."""
    place = ":".join(str(part) for part in (notice.file, notice.line, notice.column) if part not in ("", None))
    value = "" if notice.value is None else f" [dim]({safe(repr(notice.value))})[/]"
    more = "" if notice.count == 1 else f" [dim]\\[and {notice.count - 1:,} more alike][/]"
    console.print(
        f"[{COLOURS[notice.severity]}]{notice.severity}[/] {notice.code} [bold]{safe(place)}[/]: "
        f"{safe(notice.message)}{value}. {safe(notice.remedy)}.{more}",
        soft_wrap=True,
    )


def counts_by_code(notices: Sequence[Notice]) -> list[str]:
    """How many findings there are of each code, in the order given: "3 unknown_column"."""
    counts: dict[str, int] = {}
    for notice in notices:
        counts[notice.code] = counts.get(notice.code, 0) + notice.count
    return [f"{count:,} {code}" for code, count in counts.items()]
