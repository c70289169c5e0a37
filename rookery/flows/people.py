"""People in the vault, for those who may see them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import psycopg
from msgspec import Meta, Struct

from rookery.base.audit import note
from rookery.base.db import Database
from rookery.base.operations import Context, operation
from rookery.base.progress import Progress, silent
from rookery.orders.addresses import Address, check_address, forget
from rookery.orders.intake_model import PlaceIn
from rookery.orders.vault.keyring import VARIABLE, Keyring, add_master_key, drop_master_keys
from rookery.orders.vault.keys import rotate
from rookery.orders.vault.store import erase, open_people
from rookery.terms.errors import NotFound
from rookery.terms.notice import Fault

PersonId = Annotated[str, Meta(max_length=40, examples=["per_01m8hyvan558x4225mfmdh7nwt"])]
MOST_ADDRESSES = 10_000


class OnePerson(Struct, frozen=True, forbid_unknown_fields=True):
    """Names a person."""

    person_id: PersonId


class Person(Struct, frozen=True):
    """Somebody who sends or receives; null once erased."""

    person_id: str
    address: Address | None
    erased: bool


@operation("people.get", kind="command", http="POST /people/{person_id}/open", scope="merchant", idempotent=False)
def open_person(ctx: Context, ask: OnePerson) -> Person:
    """Open a person of one of your orders; that it was opened, and by whom, is noted in the audit trail."""
    with ctx.keys() as keys:
        found = open_people(ctx.conn, keys, ctx.part(Keyring), [ask.person_id]).get(ask.person_id)
    if found is None:
        raise NotFound("people.none", f"There is no person {ask.person_id}.", "take the id of one of your orders")
    note(ctx, "people.open", ask.person_id)
    return Person(ask.person_id, found if isinstance(found, Address) else None, not isinstance(found, Address))


@operation("people.erase", kind="command", http="POST /people/{person_id}/erase", scope="merchant")
def erase_person(ctx: Context, ask: OnePerson) -> Person:
    """Erase a person for good: the data key is destroyed, and with it every copy in every backup.

    It cannot be undone.
    """
    erase_people(ctx, [ask.person_id])
    return Person(ask.person_id, None, True)


class AddressesAsk(Struct, frozen=True, forbid_unknown_fields=True):
    """Addresses to check."""

    addresses: Annotated[list[PlaceIn], Meta(min_length=1, max_length=MOST_ADDRESSES)]


class AddressResult(Struct, frozen=True, omit_defaults=True):
    """An address as it would be used, or everything wrong with it."""

    index: int
    usable: bool
    address: PlaceIn
    errors: list[Fault] = []
    warnings: list[Fault] = []


class AddressResults(Struct, frozen=True):
    """One result for each, in order."""

    results: list[AddressResult]


@operation("addresses.check", kind="query", http="POST /addresses/check", scope="merchant", most_bytes=8 << 20)
def check(ctx: Context, ask: AddressesAsk) -> AddressResults:
    """Check up to 10,000 addresses by the rules of their countries, without keeping them."""
    results = []
    for index, given in enumerate(ask.addresses):
        checked = check_address(
            Address(
                name=given.name or "",
                company=given.company or "",
                phone=given.phone or "",
                email=given.email or "",
                lines=given.lines,
                city=given.city or "",
                region=given.region or "",
                postal_code=given.postal_code or "",
                country=given.country or "",
            )
        )
        told = {name: value or None for name, value in msgspec.structs.asdict(checked.address).items()}
        place = PlaceIn(**{**told, "lines": checked.address.lines})  # type: ignore[arg-type]
        results.append(AddressResult(index, not checked.faults, place, list(checked.faults), list(checked.warnings)))
    return AddressResults(results)


def people_of(ctx: Context, party_id: str, reference: str) -> list[str]:
    """Sender and recipient of a party's order. Raises NotFound."""
    row = ctx.conn.execute(
        "select sender_id, recipient_id from orders.orders where party_id = %s and test = %s and reference = %s",
        (party_id, ctx.who.test, reference),
    ).fetchone()
    if row is None:
        raise NotFound("orders.none", f"{party_id} has no order {reference!r}.", "check the reference and the party")
    return [person_id for person_id in row if person_id is not None]


def erase_people(ctx: Context, person_ids: Sequence[str]) -> list[str]:
    """Erase people for good; returns the ids of those that were. Raises NotFound when none is known."""
    with ctx.keys() as keys:
        erased = erase(ctx.conn, keys, person_ids, ctx.clock.now())
    if not erased:
        raise NotFound("people.none", "None of these people is in the vault.", "take the ids of an order's people")
    forget()
    for person_id in erased:
        note(ctx, "people.erase", person_id)
    return erased


def rotate_keys(database: Database, folder: Path, progress: Progress = silent) -> tuple[int, int]:
    """A new master key, all data keys wrapped with it, the old ones dropped: (data keys wrapped, version).

    Where the environment holds the keys, its first one is taken as the new one, and the others are left to whoever set
    it. Stopped half-way, both master keys are there, and the next call goes on.
    """
    told = VARIABLE in os.environ
    keyring = Keyring.read(os.environ, folder)
    if not told and len(keyring.versions) == 1:
        keyring = add_master_key(folder)
    with psycopg.connect(database.urls.keys, autocommit=True) as keys:
        wrapped = rotate(keys, keyring, progress)
    if not told:
        drop_master_keys(folder)
    return wrapped, keyring.current
