"""`rookery archive`: months of tracking events that lie in files instead of the database, and back."""

from __future__ import annotations

from datetime import date
from typing import Annotated

import typer

from rookery.doors.cli.options import Json, examples
from rookery.doors.cli.serve import Data

archive_app = typer.Typer(help="Old tracking events in files: moved there, checked, put back.", no_args_is_help=True)


@archive_app.command(
    epilog=examples("rookery archive run --keep-months 12 --dry-run", "rookery archive run --keep-months 12 --json")
)
def run(
    keep_months: Annotated[int, typer.Option(min=1, max=1200, help="Months that stay, besides the present one.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell only which months, rows and bytes.")] = False,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Move tracking events of old months from the database into files of the data folder.

    Parcels are followed as before. A server may go on meanwhile. Stopped or killed, it loses nothing and leaves nothing
    twice; run again, it goes on.
    """
    from rookery.app import data_folder, open_house
    from rookery.doors.cli import console
    from rookery.doors.cli.words import count_of
    from rookery.flows.archive import archiving
    from rookery.tracking.archive import Archive

    with open_house(data_folder(data)) as house, console.progress_bars() as progress:
        if dry_run:
            months = archiving.waiting(house.database, house.clock, keep_months)
        else:
            folder = house.parts[Archive].folder
            months = archiving.run(house.database, house.clock, folder, keep_months, progress)
    if as_json:
        console.print_json({"dry_run": dry_run, "months": months})
        return
    for month in months:
        _tell(month)
    noun = count_of(len(months), "month")
    console.out.print(f"{noun} would be archived; nothing was changed." if dry_run else f"{noun} archived.")


@archive_app.command("list", epilog=examples("rookery archive list", "rookery archive list --json"))
def list_months(data: Data = None, as_json: Json = False) -> None:
    """List the archived months: events, the things they name, bytes of their files."""
    from rookery.app import data_folder, open_house
    from rookery.doors.cli import console
    from rookery.flows.archive import archiving

    with open_house(data_folder(data)) as house:
        months = archiving.listed(house.database)
    if as_json:
        console.print_json({"months": months})
        return
    for month in months:
        _tell(month)
    if not months:
        console.out.print("No month is archived.")


@archive_app.command(epilog=examples("rookery archive verify", "rookery archive verify --data ./rookery-data --json"))
def verify(data: Data = None, as_json: Json = False) -> None:
    """Check every archived file against the hash it was noted with; exit code 1 when one is missing or was changed.

    Files that are no part of the archive are told, and are no fault.
    """
    from rookery.app import data_folder, open_house
    from rookery.doors.cli import console
    from rookery.flows.archive import archiving
    from rookery.tracking.archive import Archive

    with open_house(data_folder(data)) as house, console.progress_bars() as progress:
        found = archiving.verify(house.database, house.parts[Archive].folder, progress)
    wrong = [one for one in found if one.what != "unknown"]
    if as_json:
        console.print_json({"holds": not wrong, "findings": found})
    else:
        for one in found:
            console.out.print(f"{one.what:8} {one.file}", markup=False, soft_wrap=True)
        if not wrong:
            console.out.print("Every archived file is as it was written.")
    if wrong:
        console.err.print("[bold]Next:[/] bring the folder archive/tracking back from a copy.")
        raise typer.Exit(1)


@archive_app.command(epilog=examples("rookery archive restore 2026-01"))
def restore(
    month: Annotated[str, typer.Argument(metavar="MONTH", help="An archived month, as 2026-01.")],
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Put an archived month's events back into the database, and drop its files."""
    from rookery.app import data_folder, open_house
    from rookery.doors.cli import console
    from rookery.flows.archive import archiving
    from rookery.tracking.archive import Archive

    try:
        begins = date.fromisoformat(f"{month}-01")
    except ValueError:
        raise typer.BadParameter(f"{month!r} is no month; write it like 2026-01", param_hint="MONTH") from None
    with open_house(data_folder(data)) as house, console.progress_bars() as progress:
        done = archiving.restore(house.database, house.parts[Archive].folder, begins, progress)
    if as_json:
        console.print_json(done)
    else:
        _tell(done)
        console.out.print("These are in the database again.")


def _tell(month) -> None:
    from rookery.doors.cli import console

    told = f"{month.month}  {month.events:>12,} events  {month.epcs:>12,} things named  {month.bytes:>15,} bytes"
    console.out.print(told + (f"  in {month.files} files" if month.files else ""), markup=False, soft_wrap=True)
