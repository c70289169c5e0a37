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
from rookery.orders.vault.keys import rotate, rotating, wrapped_by_others
from rookery.orders.vault.store import erase, open_people
from rookery.orders.vault.store import people_of as named_by
from rookery.terms.errors import Conflict, NotFound
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
    _refuse_others(ctx, ask.person_id)
    with ctx.keys() as keys:
        found = open_people(ctx.conn, keys, ctx.part(Keyring), [ask.person_id]).get(ask.person_id)
    if found is None:
        raise NotFound("people.none", f"There is no person {ask.person_id}.", "take the id of one of your orders")
    note(ctx, "people.open", ask.person_id)
    return Person(ask.person_id, found if isinstance(found, Address) else None, not isinstance(found, Address))


def _refuse_others(ctx: Context, person_id: str) -> None:
    """Raises NotFound for a person of another party's order, whatever scopes the asker has; admins may."""
    known = ctx.conn.execute(
        "select from vault.people where person_id = %(id)s and (party_id = %(party)s or %(all)s)"
        " union all select from vault.erased where person_id = %(id)s and (party_id = %(party)s or %(all)s)",
        {"id": person_id, "party": ctx.who.party_id, "all": bool(ctx.who.scopes & {"admin", "system"})},
    )
    if known.rowcount == 0:
        raise NotFound("people.none", f"There is no person {person_id}.", "take the id of one of your orders")


@operation("people.erase", kind="command", http="POST /people/{person_id}/erase", scope="merchant")
def erase_person(ctx: Context, ask: OnePerson) -> Person:
    """Erase a person for good: the data key is destroyed, and with it every copy in every backup.

    It cannot be undone.
    """
    _refuse_others(ctx, ask.person_id)
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
    """Sender and recipient of a party's order, and who was to receive it before. Raises NotFound."""
    found = named_by(ctx.conn, party_id, ctx.who.test, reference)
    if found is None:
        raise NotFound("orders.none", f"{party_id} has no order {reference!r}.", "check the reference and the party")
    return found


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


class Rotated(Struct, frozen=True):
    """What a rotation did: data keys wrapped anew, the current master key's version, and the former versions, which
    nothing is wrapped with any more once it was finished. dropped: whether they are gone from the key file.
    """

    wrapped: int
    version: int
    former: list[int]
    dropped: bool


def rotate_keys(database: Database, folder: Path, progress: Progress = silent, finish: bool = False) -> Rotated:
    """A new master key, and all data keys wrapped with it; with `finish` no new one, and the former ones are dropped.

    Former master keys stay until then: what running servers wrapped with them while the new one was made must open.
    They go only when no data key is wrapped with them. Stopped half-way the next call goes on. Where the environment
    holds the keys, its first one is the new one, and whoever set it takes the others out. Raises Conflict when another
    rotation is under way, or data keys are being wrapped with a former master key.
    """
    told = VARIABLE in os.environ
    with psycopg.connect(database.urls.keys, autocommit=True) as keys, rotating(keys):
        keyring = Keyring.read(os.environ, folder)
        if not told and not finish and len(keyring.versions) == 1:
            keyring = add_master_key(folder)
        former = keyring.versions[1:]
        wrapped = rotate(keys, keyring, progress)
        if finish and (left := wrapped_by_others(keys, keyring)):
            raise Conflict(
                "vault.still_used",
                f"{left:,} data keys were wrapped with a former master key meanwhile.",
                "start servers whose environment holds the former key anew, then finish again",
            )
        if finish and former and not told:
            drop_master_keys(folder)
    return Rotated(wrapped, keyring.current, former, finish and bool(former) and not told)
