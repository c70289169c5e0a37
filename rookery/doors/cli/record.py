"""Commands on the system of record itself: order files, waybill numbers, labels, the vault. No server need run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from rookery.doors.cli.keys import Test
from rookery.doors.cli.options import Json, OrderFile, examples
from rookery.doors.cli.serve import Data

numbers_app = typer.Typer(help="Waybill numbers: the ranges they come from.", no_args_is_help=True)
labels_app = typer.Typer(help="Labels.", no_args_is_help=True)
vault_app = typer.Typer(help="People's names and addresses: erased, and their keys rotated.", no_args_is_help=True)
Party = Annotated[str, typer.Option(help="Whose: a party's id, code or name.")]
IMPORT_EXAMPLES = examples(
    'rookery orders import orders.csv --party "Ada\'s Bookshop"',
    "rookery orders import orders.faults.csv --party SHOP     # the refused rows, corrected",
    "rookery orders import orders.parquet --party SHOP --dry-run --json",
)


def import_orders(
    orders: OrderFile,
    party: Party,
    faults: Annotated[
        Path | None, typer.Option(help="Where refused rows go; default: ORDERS with .faults.csv.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check only; nothing is taken.")] = False,
    test: Test = False,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Take a file of orders into the system of record: the good rows; the others into a file to be corrected.

    Handing the same file in again, whole or corrected, takes nothing twice. Exit code 1 when a row was refused.
    """
    from rookery.app import data_folder, open_house
    from rookery.base.operations import Who
    from rookery.doors.cli import console
    from rookery.flows.uploading import take_sheet
    from rookery.orders.intake import judge
    from rookery.orders.sheets import read_sheet
    from rookery.terms.ids import new_id

    with open_house(data_folder(data)) as house, console.progress_bars() as progress:
        with house.context() as ctx:
            from rookery.doors.cli.keys import party_named

            who = Who(party_named(ctx, party, new_party=False), "key_system", frozenset({"merchant"}), test)
        frame, notices = read_sheet(orders)
        console.tell_notices(notices)
        if dry_run:
            judged = judge(frame, progress=progress)
            told = {"rows": judged.raw.height, "good": judged.good.height, "refused": len(judged.faults)}
            _tell_faults(judged.faults, judged.raw["line"].to_list())
            if as_json:
                console.print_json(told)
            else:
                console.out.print(f"{told['good']:,} of {told['rows']:,} rows are good. Nothing was taken.")
            raise typer.Exit(1 if judged.faults else 0)
        outcome = take_sheet(lambda: house.context(who), frame, notices, new_id("upl", house.clock.now()), progress)
    where = faults or orders.with_name(f"{orders.name.removesuffix('.faults.csv').removesuffix('.csv')}.faults.csv")
    if outcome.sheet is not None:
        where.write_bytes(outcome.sheet)
    told = {
        "rows": outcome.rows, "taken": outcome.taken, "repeated": outcome.repeated, "refused": outcome.refused,
        "faults": str(where) if outcome.refused else None,
    }  # fmt: skip
    if as_json:
        console.print_json(told)
    else:
        noun = "order" if outcome.taken == 1 else "orders"
        words = f"{outcome.taken:,} {noun} taken, {outcome.repeated:,} were here already, {outcome.refused:,} refused."
        console.out.print(words)
        if outcome.refused:
            console.out.print(
                f"Correct {where} and import it: it says why each row was refused.", markup=False, soft_wrap=True
            )
    raise typer.Exit(1 if outcome.refused else 0)


def _tell_faults(faults: dict, lines: list[int], most: int = 20) -> None:
    from rookery.doors.cli import console

    for row in sorted(faults)[:most]:
        for fault in faults[row]:
            words = f"line {lines[row]}, {fault.at.removeprefix('$.')}: {fault.message}. {fault.remedy}."
            console.err.print(words, markup=False, soft_wrap=True)
    if len(faults) > most:
        console.err.print(f"... and {len(faults) - most:,} more rows.")


@numbers_app.command(
    "add",
    epilog=examples(
        "rookery numbers add --company-prefix 9521234 --shared",
        "rookery numbers add --kind s10 --service CX --country BE --first 1000 --last 999999 --party POST",
    ),
)
def add_numbers(
    kind: Annotated[Literal["sscc", "s10", "carrier"], typer.Option()] = "sscc",
    company_prefix: Annotated[str | None, typer.Option(help="GS1 company prefix, 7 to 10 digits.")] = None,
    extension: Annotated[int, typer.Option(min=0, max=9, help="First digit of the SSCC.")] = 0,
    service: Annotated[str | None, typer.Option(help="S10 service indicator, two letters.")] = None,
    country: Annotated[str | None, typer.Option(help="S10 country of issue, two letters.")] = None,
    prefix: Annotated[str, typer.Option(help="What a carrier's numbers begin with.")] = "",
    digits: Annotated[int | None, typer.Option(min=1, max=18, help="Digits of a carrier's serials.")] = None,
    check: Annotated[Literal["mod10", "none"], typer.Option(help="Check digit of a carrier's numbers.")] = "none",
    first: Annotated[int, typer.Option(min=0, help="First serial.")] = 0,
    last: Annotated[int | None, typer.Option(min=0, help="Last serial; default: all there are.")] = None,
    shared: Annotated[bool, typer.Option("--shared", help="All parties get numbers of it.")] = False,
    party: Annotated[str | None, typer.Option(help="Whose range it is; default: the operator's.")] = None,
    test: Test = False,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Enter a range of waybill numbers. It can overlap no other, and is never given back."""
    from msgspec import structs

    from rookery.app import data_folder, open_house
    from rookery.base.operations import SYSTEM
    from rookery.doors.cli import console
    from rookery.doors.cli.keys import party_named
    from rookery.flows.numbering import NewRange
    from rookery.flows.numbering import add_range as add

    with open_house(data_folder(data, new=True)) as house, house.context(structs.replace(SYSTEM, test=test)) as ctx:
        owner = party_named(ctx, party, new_party=False) if party is not None else None
        made = add(
            ctx,
            NewRange(
                kind=kind, party_id=owner, company_prefix=company_prefix, extension=extension, service=service,
                country=country, prefix=prefix, digits=digits, check=check, first=first, last=last, shared=shared,
            ),
        )  # fmt: skip
    if as_json:
        console.print_json(made)
    else:
        console.out.print(f"{made.range_id}: {made.left:,} numbers that begin with {made.prefix}", markup=False)


@numbers_app.command("list", epilog=examples("rookery numbers list"))
def list_numbers(test: Test = False, data: Data = None, as_json: Json = False) -> None:
    """List the ranges, and how much of each is left."""
    from msgspec import structs

    from rookery.app import data_folder, open_house
    from rookery.base.operations import SYSTEM
    from rookery.doors.cli import console
    from rookery.flows.numbering import Nothing, list_ranges

    with open_house(data_folder(data)) as house, house.context(structs.replace(SYSTEM, test=test), True) as ctx:
        found = list_ranges(ctx, Nothing()).data
    if as_json:
        console.print_json({"ranges": found})
    for row in () if as_json else found:
        words = f"{row.range_id}  {row.kind:8}{row.prefix}{'#' * row.digits}{row.suffix}  {row.left:,} left"
        console.out.print(words + ("  shared" if row.shared else f"  {row.party_id}"), markup=False, soft_wrap=True)


@labels_app.command(
    "print",
    epilog=examples(
        "rookery labels print --party SHOP --out labels.pdf",
        "rookery labels print --party SHOP --plan pln_01m8hyvan558x4225mfmdh7nwt --form zpl --out labels.zpl",
        "rookery labels print --party SHOP --shipment shp_01m8hyvan558x4225mfmdh7nwt --full --out one.pdf",
    ),
)
def print_labels(
    party: Party,
    out: Annotated[Path, typer.Option(help="The file to write; for PNG a folder.")],
    shipment: Annotated[list[str] | None, typer.Option(help="These shipments; may be given several times.")] = None,
    plan: Annotated[str | None, typer.Option(help="All shipments that a wave routed.")] = None,
    again: Annotated[bool, typer.Option("--again", help="Also those printed before.")] = False,
    form: Annotated[Literal["pdf", "png", "zpl", "zpl-z64"], typer.Option(help="zpl-z64: ZPL, much shorter.")] = "pdf",
    size: Annotated[Literal["100x150", "76x130"], typer.Option(help="Millimetres.")] = "100x150",
    full: Annotated[bool, typer.Option("--full", help="The recipient in full; default: masked.")] = False,
    template: Annotated[str | None, typer.Option(help="A label template of the party.")] = None,
    test: Test = False,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Print the labels of a party's booked parcels that were not printed yet, or of those named."""
    from rookery.app import data_folder, open_house
    from rookery.base.operations import Who
    from rookery.doors.cli import console
    from rookery.doors.cli.keys import party_named
    from rookery.flows.labelling import PrintAsk, print_batch
    from rookery.terms.errors import Conflict
    from rookery.waybill.drawing.bitmap import merged

    if out.exists() and not (form == "png" and out.is_dir()):
        raise Conflict("labels.there", f"{out} is there already.", "name another file")
    with open_house(data_folder(data)) as house, console.progress_bars() as progress:
        with house.context() as ctx:
            who = Who(party_named(ctx, party, new_party=False), "key_system", frozenset({"merchant"}), test)
        ask = PrintAsk(parcel_ids=[], form=form, size=size, full=full, template=template)
        batches = print_batch(
            lambda: house.context(who), ask, shipments=shipment, plan_id=plan, again=again, progress=progress
        )
        pages: list[bytes] = []
        count, notices = 0, []
        for printed, parcels in batches:  # each is committed when the next is asked for
            if form == "png":
                out.mkdir(exist_ok=True)
                for parcel_id, file in zip(parcels, printed.files):
                    (out / f"{parcel_id}.png").write_bytes(file)
            elif form == "pdf":
                pages += printed.files
                out.write_bytes(merged(pages))
            else:
                with out.open("ab") as stream:
                    stream.writelines(file + b"\n" for file in printed.files)
            count += len(parcels)
            notices += printed.notices
    console.tell_notices(notices)
    if as_json:
        console.print_json({"labels": count, "out": str(out) if count else None})
    else:
        told = f"{count:,} {'label' if count == 1 else 'labels'} in {out}." if count else "There is no label to print."
        console.out.print(told, markup=False, soft_wrap=True)


@vault_app.command(
    "erase",
    epilog=examples(
        "rookery vault erase per_01m8hyvan558x4225mfmdh7nwt --yes",
        "rookery vault erase --party SHOP --reference A-1001",
    ),
)
def erase(
    people: Annotated[list[str] | None, typer.Argument(metavar="[PERSON]...")] = None,
    party: Annotated[str | None, typer.Option(help="With --reference: whose order it is.")] = None,
    reference: Annotated[str | None, typer.Option(help="The people of this order.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without, only tell what would be erased.")] = False,
    test: Test = False,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Erase people for good: their data keys are destroyed, and with them every copy in every backup.

    It cannot be undone, so that without --yes nothing is done.
    """
    from msgspec import structs

    from rookery.app import data_folder, open_house
    from rookery.base.operations import SYSTEM
    from rookery.doors.cli import console
    from rookery.doors.cli.keys import party_named
    from rookery.flows.people import erase_people, people_of

    with open_house(data_folder(data)) as house, house.context(structs.replace(SYSTEM, test=test)) as ctx:
        ids = list(people or [])
        if reference is not None:
            if party is None:
                raise typer.BadParameter("--reference needs --party: references are a party's own")
            ids += people_of(ctx, party_named(ctx, party, new_party=False), reference)
        if not ids:
            raise typer.BadParameter("name people by id, or an order by --party and --reference")
        erased = erase_people(ctx, ids) if yes else ids
    if as_json:
        console.print_json({"erased" if yes else "would_erase": erased})
    else:
        told = "erased for good" if yes else "would be erased for good; add --yes to do it"
        console.out.print(f"{', '.join(erased)}: {told}.", markup=False, soft_wrap=True)


@vault_app.command("rotate", epilog=examples("rookery vault rotate", "rookery vault rotate --finish"))
def rotate(
    finish: Annotated[bool, typer.Option("--finish", help="Drop the former master keys; no new one is made.")] = False,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Make a new master key and wrap every data key with it; it can be stopped and goes on where it was.

    Servers may go on meanwhile: they take the new key up by themselves. The former master keys stay until --finish,
    which wraps what is left and drops them once nothing is wrapped with them.
    """
    from rookery.app import data_folder, open_house
    from rookery.doors.cli import console
    from rookery.flows.people import rotate_keys

    with open_house(data_folder(data)) as house, console.progress_bars() as progress:
        done = rotate_keys(house.database, house.data, progress, finish)
    if as_json:
        console.print_json(done)
        return
    console.out.print(f"{done.wrapped:,} data keys were wrapped with master key {done.version}.")
    former = ", ".join(map(str, done.former))
    if former and done.dropped:
        console.out.print(f"Nothing is wrapped with {former} any more; dropped from the key file.")
    elif former and finish:
        console.err.print(
            f"[bold]Next:[/] nothing is wrapped with {former} any more: take it out of ROOKERY_VAULT_KEY."
        )
    elif former:
        console.err.print(f"[bold]Next:[/] rookery vault rotate --finish drops what is not needed any more: {former}.")
