"""`rookery cases`: what someone must act on in a running network, and what would help."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from rookery.doors.cli.options import Json, examples
from rookery.doors.cli.publish import Test, system
from rookery.doors.cli.serve import Data

if TYPE_CHECKING:
    from rookery.flows.cases import Case, CaseParcel

cases_app = typer.Typer(help="Cases: what someone must act on.", no_args_is_help=True)

Most = Annotated[int, typer.Option("--most", min=1, max=1000, help="How many at most.")]


@cases_app.command(
    "list",
    epilog=examples(
        "rookery cases list", "rookery cases list --by newest --kind closure", "rookery cases list --all --json"
    ),
)
def list_cases(
    by: Annotated[Literal["value", "newest"], typer.Option(help="What is worth most first, or the newest.")] = "value",
    kind: Annotated[str | None, typer.Option(help="Of one kind: closure, chance_low, departure_missed ...")] = None,
    every: Annotated[bool, typer.Option("--all", help="Also those that are closed.")] = False,
    most: Most = 50,
    data: Data = None,
    test: Test = False,
    as_json: Json = False,
) -> None:
    """List cases: each cause once, with the parcels in it, their value, and the worst of their chances."""
    import typing

    from rich.table import Table

    from rookery.doors.cli import console
    from rookery.doors.cli.words import safe, utc
    from rookery.flows import cases

    kinds = typing.get_args(cases.Kind)
    if kind is not None and kind not in kinds:
        raise typer.BadParameter(f"{kind!r} is no kind; it is one of {', '.join(kinds)}", param_hint="--kind")
    with system(data, test) as ctx:
        ask = cases.WhichCases(limit=most, state="all" if every else None, kind=typing.cast(cases.Kind, kind), by=by)
        found = cases.list_cases(ctx, ask)
    if as_json:
        console.print_json({"cases": found.data, "more": found.next is not None})
        return
    if not found.data:
        console.out.print("There was never a case." if every else "Nobody need act on anything.")
        return
    table = Table(
        "case", "kind", "parcels", "value", "worst chance", "moves", "since (UTC)", "state", "reason", box=None
    )
    for case in found.data:
        table.add_row(
            case.case_id, case.kind, f"{case.parcels:,}", _money(case.value, case.currency), _chance(case.worst_chance),
            f"{case.moves:,}", utc(case.opened_at), _state(case), safe(case.reason),
        )  # fmt: skip
    console.out.print(table)
    if found.next is not None:
        console.out.print(f"... and more: --most {min(1000, 2 * most)}")


@cases_app.command(
    epilog=examples(
        "rookery cases show cas_01m8hyvan558x4225mfmdh7nwt",
        "rookery cases show cas_01m8hyvan558x4225mfmdh7nwt --left --json",
    )
)
def show(
    case_id: Annotated[str, typer.Argument(metavar="CASE_ID", help="As `rookery cases list` tells it.")],
    left: Annotated[bool, typer.Option("--left", help="Also the parcels that left it again.")] = False,
    most: Most = 20,
    data: Data = None,
    test: Test = False,
    as_json: Json = False,
) -> None:
    """Show a case: its reason, what is at stake, and its parcels with the way that is better than the booked one."""
    from rich.table import Table

    from rookery.doors.cli import console
    from rookery.doors.cli.words import safe, utc
    from rookery.flows import cases

    with system(data, test) as ctx:
        case = cases.get_case(ctx, case_id)
        found = cases.list_parcels(ctx, cases.WhichParcels(case_id=case_id, limit=most, left=left))
    if as_json:
        console.print_json({"case": case, "parcels": found.data, "more": found.next is not None})
        return
    console.out.print(f"[bold]{safe(case.reason)}[/]", soft_wrap=True)
    told = [
        ("kind, cause", f"{case.kind}, {case.cause}"),
        ("state", _state(case) + (f" since {utc(case.closed_at)} UTC: {case.closed_why}" if case.closed_at else "")),
        ("opened", f"{utc(case.opened_at)} UTC"),
        (
            "parcels",
            f"{case.parcels:,}, worth {_money(case.value, case.currency)}, worst chance {_chance(case.worst_chance)}",
        ),
        (
            "better ways",
            f"{case.moves:,}, worst chance with them {_chance(case.move_chance)}" if case.moves else "none",
        ),
    ]
    for name, words in told:
        console.out.print(f"{name:12} {words}", markup=False, soft_wrap=True)
    if found.data:
        table = Table("parcel", "chance", "was", "value", "better way", "reason", box=None)
        for one in found.data:
            way = _way(one) if one.closed_at is None else f"left: {one.closed_why}"
            row = (_chance(one.chance), _chance(one.chance_before), _money(one.value, one.currency), safe(way))
            table.add_row(one.number, *row, safe(one.reason))
        console.out.print(table)
    if found.next is not None:
        console.out.print(f"... and more: --most {min(1000, 2 * most)}")


def _state(case: Case) -> str:
    return case.state + (f" by {case.owner}" if case.owner else "")


def _money(value: float | None, currency: str | None) -> str:
    return "-" if value is None else f"{value:,.2f} {currency or ''}".strip()


def _chance(chance: float | None) -> str:
    from rookery.doors.cli.words import percent

    return "-" if chance is None else percent(chance)


def _way(parcel: CaseParcel) -> str:
    """The legs that are better than the booked ones, by their departures and where they lead."""
    if not parcel.move:
        return "as booked"
    return " > ".join(f"{leg.departure_id} to {leg.to_node}" for leg in parcel.move)
