"""Public acts about parties and keys."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

from msgspec import Meta, Struct

from rookery.base.access import keys
from rookery.base.access.keys import SCOPES, Key, Party
from rookery.base.audit import note
from rookery.base.operations import Context, operation
from rookery.base.paging import After, Limit, Page, page
from rookery.terms.errors import NotAllowed

Name = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"\S", examples=["Ada's Bookshop"])]
PartyId = Annotated[str, Meta(max_length=40, examples=["pty_01m8hyvan558x4225mfmdh7nwt"])]
KeyId = Annotated[str, Meta(max_length=40, examples=["key_01m8hyvan558x4225mfmdh7nwt"])]
Metadata = Annotated[
    dict[Annotated[str, Meta(max_length=40)], Annotated[str, Meta(max_length=500)]],
    Meta(max_length=50, description="Your own notes; kept and given back, never read."),
]


class NewParty(Struct, frozen=True, forbid_unknown_fields=True):
    """Somebody who will take part."""

    name: Name
    code: Annotated[str, Meta(min_length=1, max_length=100, description="What feeds call it: carrier_id.")] | None = (
        None
    )
    metadata: Metadata = {}


@operation("parties.create", kind="command", http="POST /parties", scope="admin", status=201)
def create_party(ctx: Context, ask: NewParty) -> Party:
    """Enter a party: a shipper, courier, hub or station."""
    if ctx.who.test:
        raise NotAllowed("parties.test_mode", "A key of test mode enters no party.", "use a live key")
    party = keys.create_party(ctx.conn, ask.name, ctx.clock.now(), code=ask.code, metadata=ask.metadata)
    note(ctx, "parties.create", party.party_id)
    return party


class Which(Struct, frozen=True, forbid_unknown_fields=True):
    """A page of a list."""

    limit: Limit = 100
    after: After = ""


@operation("parties.list", kind="query", http="GET /parties", scope=SCOPES)
def list_parties(ctx: Context, ask: Which) -> Page[Party]:
    """List parties: your own; all of them for operators."""
    return page(keys.list_parties(ctx.conn, ask.after, ask.limit + 1), ask.limit, lambda party: party.party_id)


class NewKey(Struct, frozen=True, forbid_unknown_fields=True):
    """A key for a party."""

    party_id: PartyId
    scopes: Annotated[list[Annotated[str, Meta(max_length=20)]], Meta(max_length=6, examples=[["merchant"]])]
    test: Annotated[bool, Meta(description="A key of test mode sees and makes test data only.")] = False
    expires_at: Annotated[datetime, Meta(tz=True)] | None = None


class MadeKey(Struct, frozen=True):
    """A key just made. The secret is shown here and never again."""

    key: str
    made: Key


@operation("keys.create", kind="command", http="POST /keys", scope="admin", status=201, idempotent=False)
def create_key(ctx: Context, ask: NewKey) -> MadeKey:
    """Make an API key; its secret is in this reply and nowhere else."""
    if ctx.who.test and not ask.test:
        raise NotAllowed("keys.test_mode", "A key of test mode makes keys of test mode only.", 'send "test": true')
    secret, made = keys.create_key(
        ctx.conn, ask.party_id, ask.scopes, ctx.clock.now(), test=ask.test, expires_at=ask.expires_at
    )
    note(ctx, "keys.create", made.key_id, scopes=made.scopes, party_id=made.party_id)
    return MadeKey(secret, made)


@operation("keys.list", kind="query", http="GET /keys", scope=SCOPES)
def list_keys(ctx: Context, ask: Which) -> Page[Key]:
    """List keys: your own; all of them for admins."""
    return page(keys.list_keys(ctx.conn, ask.after, ask.limit + 1), ask.limit, lambda key: key.key_id)


class Rotation(Struct, frozen=True, forbid_unknown_fields=True):
    """A new key in place of an old one."""

    key_id: KeyId
    keep_old_hours: Annotated[float, Meta(ge=0, le=720, description="How long the old key goes on.")] = 24


@operation(
    "keys.rotate", kind="command", http="POST /keys/{key_id}/rotate", scope="admin", status=201, idempotent=False
)
def rotate_key(ctx: Context, ask: Rotation) -> MadeKey:
    """Make a new key like an old one, which goes on for some hours."""
    now = ctx.clock.now()
    secret, made = keys.rotate_key(ctx.conn, ask.key_id, now, now + timedelta(hours=ask.keep_old_hours))
    note(ctx, "keys.rotate", made.key_id, rotated_from=ask.key_id)
    return MadeKey(secret, made)


class OneKey(Struct, frozen=True, forbid_unknown_fields=True):
    """Names a key."""

    key_id: KeyId


@operation("keys.revoke", kind="command", http="POST /keys/{key_id}/revoke", scope="admin")
def revoke_key(ctx: Context, ask: OneKey) -> Key:
    """Revoke a key at once."""
    if ask.key_id == ctx.who.key_id:
        raise NotAllowed("keys.own", "A key cannot revoke itself.", "use another admin's key")
    key = keys.revoke_key(ctx.conn, ask.key_id, ctx.clock.now())
    note(ctx, "keys.revoke", key.key_id)
    return key
