"""`rookery parties` and `rookery keys`: who takes part, and what they may do. They work on the data folder itself."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

import typer

from rookery.doors.cli.options import Json, examples, instant
from rookery.doors.cli.serve import Data

parties_app = typer.Typer(help="Who takes part: shippers, couriers, hubs, operators.", no_args_is_help=True)
keys_app = typer.Typer(help="API keys: made, listed, rotated, revoked.", no_args_is_help=True)
Test = Annotated[bool, typer.Option("--test", help="Of test mode: sees and makes test data only.")]


@parties_app.command(
    "create", epilog=examples('rookery parties create "Ada\'s Bookshop"', "rookery parties create Blue --code BLUE")
)
def create_party(
    name: str,
    code: Annotated[str | None, typer.Option(help="What feeds call it: a lane's carrier_id.")] = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Enter a party and print its id."""
    from rookery.app import data_folder, open_house
    from rookery.base.access import ops
    from rookery.doors.cli import console

    with open_house(data_folder(data, new=True)) as house, house.context() as ctx:
        party = ops.create_party(ctx, ops.NewParty(name, code))
    if as_json:
        console.print_json({"party": party.party_id, "name": name, "code": code})
    else:
        console.out.print(f"{party.party_id}  {name}", markup=False)


@parties_app.command("list", epilog=examples("rookery parties list"))
def list_parties(data: Data = None, as_json: Json = False) -> None:
    """List all parties."""
    from rookery.app import data_folder, open_house
    from rookery.base.access import keys
    from rookery.doors.cli import console

    with open_house(data_folder(data)) as house, house.context() as ctx:
        found = keys.list_parties(ctx.conn)
    if as_json:
        console.print_json({"parties": found})
    for party in () if as_json else found:
        console.out.print(f"{party.party_id}  {party.code or '-':12}  {party.name}", markup=False, soft_wrap=True)


@keys_app.command(
    "create",
    epilog=examples(
        "rookery keys create --party pty_01m8hyvan558x4225mfmdh7nwt --scope merchant",
        "rookery keys create --party BLUE --scope courier --expires 2027-01-01T00:00Z --json",
    ),
)
def create_key(
    party: Annotated[str, typer.Option(help="A party's id, its code, or a new party's name with --new-party.")],
    scope: Annotated[str, typer.Option(help="Comma between several: merchant courier station operator customs admin.")],
    new_party: Annotated[bool, typer.Option("--new-party", help="Enter the party first when there is none.")] = False,
    expires: Annotated[datetime | None, typer.Option(parser=instant, metavar="TIME", help="Default: never.")] = None,
    test: Test = False,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Make a key and show it, this once: it is kept as a hash."""
    from rookery.app import data_folder, open_house
    from rookery.base.access import ops
    from rookery.doors.cli import console

    scopes = [word.strip() for word in scope.split(",") if word.strip()]
    with open_house(data_folder(data, new=True)) as house, house.context() as ctx:
        party_id = party_named(ctx, party, new_party)
        made = ops.create_key(ctx, ops.NewKey(party_id, scopes, test, expires))
    if as_json:
        console.print_json({"key": made.key, "key_id": made.made.key_id, "party": party_id, "scopes": made.made.scopes})
    else:
        console.out.print(made.key, markup=False, soft_wrap=True)
        console.err.print(f"{made.made.key_id} of {party_id}. It is not shown again.", soft_wrap=True)


@keys_app.command("list", epilog=examples("rookery keys list"))
def list_keys(data: Data = None, as_json: Json = False) -> None:
    """List keys; their secrets are not kept."""
    from rookery.app import data_folder, open_house
    from rookery.base.access import keys
    from rookery.doors.cli import console

    with open_house(data_folder(data)) as house, house.context() as ctx:
        found, now = keys.list_keys(ctx.conn), house.clock.now()
    if as_json:
        console.print_json({"keys": found})
    for key in () if as_json else found:
        over = "revoked" if key.revoked_at and key.revoked_at <= now else ""
        over = over or ("expired" if key.expires_at and key.expires_at <= now else "")
        words = (
            f"{key.key_id}  {key.shown}…  {key.party_id}  {','.join(key.scopes)}{'  test' if key.test else ''}  {over}"
        )
        console.out.print(words.rstrip(), markup=False, soft_wrap=True)


@keys_app.command("rotate", epilog=examples("rookery keys rotate key_01m8hyvan558x4225mfmdh7nwt --keep-hours 48"))
def rotate_key(
    key_id: str,
    keep_hours: Annotated[float, typer.Option(min=0, max=720, help="How long the old key goes on.")] = 24,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Make a new key like an old one, which goes on for a while."""
    from rookery.app import data_folder, open_house
    from rookery.base.access import ops
    from rookery.doors.cli import console

    with open_house(data_folder(data)) as house, house.context() as ctx:
        made = ops.rotate_key(ctx, ops.Rotation(key_id, keep_hours))
        until = house.clock.now() + timedelta(hours=keep_hours)
    if as_json:
        console.print_json({"key": made.key, "key_id": made.made.key_id, "old_until": until})
    else:
        console.out.print(made.key, markup=False, soft_wrap=True)
        console.err.print(f"{key_id} goes on until {until:%Y-%m-%d %H:%M} UTC.", soft_wrap=True)


@keys_app.command("revoke", epilog=examples("rookery keys revoke key_01m8hyvan558x4225mfmdh7nwt"))
def revoke_key(key_id: str, data: Data = None, as_json: Json = False) -> None:
    """Revoke a key; a running server feels it within two seconds."""
    from rookery.app import data_folder, open_house
    from rookery.base.access import ops
    from rookery.doors.cli import console

    with open_house(data_folder(data)) as house, house.context() as ctx:
        key = ops.revoke_key(ctx, ops.OneKey(key_id))
    if as_json:
        console.print_json(key)
    else:
        console.out.print(f"{key_id} opens nothing any more.", markup=False)


def party_named(ctx, named: str, new_party: bool) -> str:
    """The id of a party named by id, code or name; entered now where that is wanted. Raises NotFound, Conflict."""
    from rookery.base.access import keys, ops
    from rookery.terms.errors import Conflict, NotFound

    known = keys.list_parties(ctx.conn, limit=100_000)
    for told in ("party_id", "code", "name"):
        found = [party.party_id for party in known if getattr(party, told) == named]
        if len(found) == 1:
            return found[0]
        if len(found) > 1:
            raise Conflict("parties.several", f"{len(found)} parties are called {named!r}.", "name it by its id")
    if not new_party:
        raise NotFound(
            "parties.none", f"There is no party {named!r}.", f"rookery parties create {named!r}, or add --new-party"
        )
    return ops.create_party(ctx, ops.NewParty(named)).party_id
