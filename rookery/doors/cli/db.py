"""The commands `db`: how the database stands, upgrading it, backups."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rookery.doors.cli.options import Json, examples

db_app = typer.Typer(help="The system of record: state, upgrade, backup, restore.", no_args_is_help=True)

Data = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Where everything is kept; default: $ROOKERY_HOME, else ~/.local/share/rookery."),
]


@db_app.command(epilog=examples("rookery db status", "rookery db status --data /srv/rookery --json"))
def status(data: Data = None, as_json: Json = False) -> None:
    """Which migrations the database has, and which are to be applied.

    Changes nothing. Exit code 1 when it must be upgraded, or cannot be.
    """
    from rookery.app import data_folder
    from rookery.base.db import External, server
    from rookery.base.db import status as ask
    from rookery.doors.cli import console
    from rookery.terms.errors import NotFound

    with console.progress_bars() as progress:
        where = server(data_folder(data), progress)
        if not isinstance(where, External) and not where.folder.exists():
            raise NotFound(
                "database.none", f"There is no database in {where.data}.", f"rookery db upgrade --data {where.data}"
            )
        with where:
            found = ask(where.url())
    if as_json:
        answer = {"applied": found.applied, "pending": found.pending, "faults": found.faults, "current": found.current}
        console.print_json(answer)
    else:
        console.out.print(f"{len(found.applied)} migrations applied, {len(found.pending)} pending.")
        for name in found.pending:
            console.out.print(f"  pending  {name}", markup=False)
        for fault in found.faults:
            console.out.print(f"[red]fault[/] {fault}", soft_wrap=True)
        if found.pending and not found.faults:
            console.err.print("[bold]Next:[/] rookery db backup FILE, then rookery db upgrade.")
    if not found.current:
        raise typer.Exit(1)


@db_app.command(epilog=examples("rookery db upgrade", "rookery db upgrade --data /srv/rookery --json"))
def upgrade(data: Data = None, as_json: Json = False) -> None:
    """Make the database, or bring it up to this release. Nothing is done when it is.

    One migration is one transaction: one that fails leaves the database as it was before it.
    Two upgrades at once wait for each other.
    """
    from rookery.app import data_folder
    from rookery.base.db import server
    from rookery.base.db import upgrade as apply
    from rookery.doors.cli import console

    with console.progress_bars() as progress, server(data_folder(data), progress) as where:
        applied = apply(where.url(), progress)
    if as_json:
        console.print_json({"applied": applied})
        return
    for name in applied:
        console.out.print(f"applied  {name}", markup=False)
    console.out.print(f"{len(applied)} migrations applied." if applied else "Up to date.")


@db_app.command(
    epilog=examples(
        "rookery db backup rookery.dump", "rookery db backup /backups/monday.dump --data /srv/rookery --json"
    )
)
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="To be written; must not be there.", readable=False)],
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Write a backup, while the server may go on working.

    It holds everything but the keys of people's data: keep ROOKERY's key file and keys' database apart, or no restored
    name or address can be read; that is also why a person who was erased stays erased in every backup.
    """
    from rookery.app import data_folder
    from rookery.base.db import server
    from rookery.base.db.backup import backup as write
    from rookery.doors.cli import console

    with console.progress_bars() as progress, server(data_folder(data), progress) as where:
        made = write(where.urls(), file, progress)
    if as_json:
        console.print_json(made)
    else:
        console.out.print(f"Written to [bold]{file}[/]: {made.bytes:,} bytes.", soft_wrap=True)


@db_app.command(
    epilog=examples(
        "rookery db restore rookery.dump",
        "rookery db restore rookery.dump --yes",
        "rookery db restore /backups/monday.dump --data /srv/rookery --yes --json",
    )
)
def restore(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Backup that `rookery db backup` wrote.", readable=False)
    ],
    data: Data = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it. Without this, only what would be done is told.")] = False,
    as_json: Json = False,
) -> None:
    """Put a backup back in place of the database. Without --yes it only tells what would be replaced.

    The backup is read into a new database, which then takes the old one's name: when anything fails, the old one is
    as it was. The old one is kept beside it, and how to go back to it is told. Waybill numbers go on behind the last
    that the old one issued.
    """
    from rookery.app import data_folder
    from rookery.base.db import server
    from rookery.base.db.backup import restore as put_back
    from rookery.base.db.backup import restoring
    from rookery.doors.cli import console

    with console.progress_bars() as progress, server(data_folder(data), progress) as where:
        plan = restoring(where.urls(), file)
        done = put_back(where.urls(), file, progress) if yes else None
    pending, faults = plan.backup.pending, plan.backup.faults
    if as_json:
        told = {"database": plan.database, "database_bytes": plan.database_bytes, "rows": plan.rows,
                "connected": plan.connected, "pending": pending, "faults": faults, "restored": done is not None,
                "kept": done.kept if done else None, "undo": done.undo if done else None,
                "ranges": done.ranges if done else None}  # fmt: skip
        console.print_json(told)
        return
    say = console.out.print
    if done is None:
        say(f"Would replace database {plan.database} ({plan.database_bytes:,} bytes, about {plan.rows:,} rows).")
        say(f"The backup holds {len(plan.backup.applied)} migrations; {len(pending)} would be pending.")
        for fault in faults:
            say(f"[red]fault[/] {fault}", soft_wrap=True)
        if plan.connected:
            say(f"{plan.connected} connections are open: stop `rookery serve` first.")
        console.err.print("[bold]Next:[/] the same command with --yes.")
        return
    say(f"Restored. The former database is kept as [bold]{done.kept}[/].", soft_wrap=True)
    if done.ranges:
        noun = "range goes" if done.ranges == 1 else "ranges go"
        say(f"{done.ranges} {noun} on behind the waybill numbers that it issued: none is issued twice.", soft_wrap=True)
    say(f"To go back, as an administrator: {done.undo}", soft_wrap=True, markup=False)
    if pending:
        console.err.print("[bold]Next:[/] rookery db upgrade.")
