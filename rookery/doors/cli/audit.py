"""`rookery audit`: whether what was written down of who did what is still what was written."""

from __future__ import annotations

import typer

from rookery.doors.cli.options import Json, examples
from rookery.doors.cli.serve import Data

audit_app = typer.Typer(help="The audit trail: who did what, sealed.", no_args_is_help=True)


@audit_app.callback()
def _audit() -> None:
    """The audit trail: who did what, sealed."""


@audit_app.command(epilog=examples("rookery audit verify", "rookery audit verify --data ./rookery-data --json"))
def verify(data: Data = None, as_json: Json = False) -> None:
    """Check the whole audit trail against its seals; exit code 1 when something was changed, removed or slipped in.

    Lines that wait are sealed first. The key and the last seal's number lie beside the database, in audit.key and
    audit.anchor of the data folder: keep a copy of both elsewhere.
    """
    from rookery.app import data_folder, open_house
    from rookery.base import audit_check
    from rookery.doors.cli import console
    from rookery.doors.cli.words import count_of

    with open_house(data_folder(data)) as house:
        verdict = audit_check.verify(house.database, house.clock, house.data)
    if as_json:
        console.print_json(verdict)
    elif verdict.holds:
        lines, seals = count_of(verdict.lines, "line"), count_of(verdict.seals, "seal")
        left = f"{verdict.waiting:,} not sealed yet, {verdict.expired:,} kept no longer"
        console.out.print(f"The trail holds: {lines} under {seals} ({left}).")
    else:
        for found in verdict.findings:
            where = " ".join(
                f"{name} {number}" for name, number in (("seal", found.seal_no), ("line", found.audit_id)) if number
            )
            told = f"{found.code}: {found.what}" + (f" ({where})." if where else ".")
            console.out.print(told, markup=False, soft_wrap=True)
        told = ", ".join(f"{count:,} {code}" for code, count in sorted(verdict.counts.items()))
        console.err.print(
            f"The trail was tampered with: {told}. Next: keep the disk as it is, and compare with a backup.",
            soft_wrap=True,
        )
    if not verdict.holds:
        raise typer.Exit(1)
