"""The commands `db`: how the database stands, upgrading it, backups."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from rookery.doors.cli.options import Json, examples

db_app = typer.Typer(help="The system of record: state, upgrade, backup, restore.", no_args_is_help=True)

_NOT_IN_IT = (
    "The keys of people's data are not in it: copy them apart with `rookery db backup-keys FILE`, and the data "
    "folder's vault.key, audit.key, audit.anchor and signing.key."
)

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

    with console.progress_bars() as progress, server(data_folder(data, new=True), progress) as where:
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

    It holds everything but the keys of people's data, which no restored name or address can be read without: keep
    vault.key apart, and copy the keys' database with `rookery db backup-keys`, or replicate it. That is also why a
    person who was erased stays erased in every backup.
    """
    from rookery.app import data_folder
    from rookery.base.db import server
    from rookery.base.db.backup import backup as write
    from rookery.doors.cli import console

    with console.progress_bars() as progress, server(data_folder(data), progress) as where:
        made = write(where.urls(), file, progress)
    if as_json:
        console.print_json({**asdict(made), "not_in_it": _NOT_IN_IT})
    else:
        console.out.print(f"Written to [bold]{file}[/]: {made.bytes:,} bytes.", soft_wrap=True)
        console.err.print(_NOT_IN_IT, soft_wrap=True, markup=False)


@db_app.command(
    "backup-keys",
    epilog=examples("rookery db backup-keys keys.dump", "rookery db backup-keys /apart/keys.dump --data ./d --json"),
)
def backup_keys(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="To be written; must not be there.", readable=False)],
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Copy the keys' database, while the server may go on working.

    Keep it apart from the backups, and for days only: for as long as a copy of the keys lives, whoever holds it, an
    older backup and vault.key reads people who were erased meanwhile.
    """
    from rookery.app import data_folder
    from rookery.base.db import server
    from rookery.doors.cli import console
    from rookery.orders.vault import backup_keys as write

    with console.progress_bars() as progress, server(data_folder(data), progress) as where:
        made = write(where.urls(), file, progress)
    if as_json:
        console.print_json(made)
    else:
        console.out.print(f"Written to [bold]{file}[/]: {made.bytes:,} bytes.", soft_wrap=True)
        console.err.print("Keep it apart from backups and for days only: it undoes erasures for as long as it lives.")


@db_app.command(
    "restore-keys",
    epilog=examples("rookery db restore-keys keys.dump", "rookery db restore-keys /apart/keys.dump --data ./d --json"),
)
def restore_keys(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Copy that `rookery db backup-keys` wrote.", readable=False)
    ],
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Add the keys that are missing from a copy of them; those that are there stay.

    Put the backup of the main database back first. Nobody comes back whom the copy, the keys' database or the main one
    knows as erased.
    """
    from rookery.app import data_folder
    from rookery.base.db import server
    from rookery.doors.cli import console
    from rookery.doors.cli.words import count_of
    from rookery.orders.vault import people_without_key
    from rookery.orders.vault import restore_keys as put_back

    with console.progress_bars() as progress, server(data_folder(data), progress) as where:
        done = put_back(where.urls(), file, progress)
        lost = people_without_key(where.urls(), progress)
    if as_json:
        console.print_json({**asdict(done), "people_without_key": lost, "warning": _warning(lost)})
        return
    console.out.print(f"Added {count_of(done.restored, 'data key')}; {done.there:,} were there already.")
    console.out.print(f"People known as erased, and not brought back: {done.erased:,}.")
    _warn(lost)


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
    that the old one issued. People whose data keys are not in the keys' database are counted.
    """
    from rookery.app import data_folder
    from rookery.base.db import server
    from rookery.base.db.backup import restore as put_back
    from rookery.base.db.backup import restoring
    from rookery.doors.cli import console
    from rookery.orders.vault import people_without_key

    with console.progress_bars() as progress, server(data_folder(data), progress) as where:
        plan = restoring(where.urls(), file)
        done = put_back(where.urls(), file, progress) if yes else None
        lost = people_without_key(where.urls(), progress) if done else 0
    pending, faults = plan.backup.pending, plan.backup.faults
    if as_json:
        told = {"database": plan.database, "database_bytes": plan.database_bytes, "rows": plan.rows,
                "connected": plan.connected, "pending": pending, "faults": faults, "restored": done is not None,
                "kept": done.kept if done else None, "undo": done.undo if done else None,
                "ranges": done.ranges if done else None, "people_without_key": lost if done else None,
                "warning": _warning(lost)}  # fmt: skip
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
    _warn(lost)


def _warning(lost: int) -> str | None:
    """What to do about people whose data keys are missing."""
    if not lost:
        return None
    whose = "1 person is" if lost == 1 else f"{lost:,} people are"
    return (
        f"The data key of {whose} not in the keys' database, so that nobody can read them; they were not erased. Next: "
        "rookery db restore-keys FILE (a copy that `rookery db backup-keys` wrote), or point ROOKERY_VAULT_KEYS_URL at "
        "the database that has them; vault.key must be the one of then, too."
    )


def _warn(lost: int) -> None:
    from rookery.doors.cli import console

    if told := _warning(lost):
        console.err.print(f"[bold red]warning[/] {told}", soft_wrap=True)
