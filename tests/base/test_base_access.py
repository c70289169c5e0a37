"""Keys and parties: made, known, rotated, revoked, and seen by whom."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from rookery.base.access import keys
from rookery.base.clock import Clock
from rookery.base.db import Database
from rookery.base.operations import SYSTEM, Context, Who
from rookery.terms.errors import Conflict, InvalidInput, NotFound, NotKnown
from rookery.terms.ids import new_id

NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def open_as(database: Database):
    """A context for somebody: open_as(party_id, scope, test=False); Rookery itself by default."""

    def begin(party: str | None = None, scope: str = "merchant", test: bool = False) -> Context:
        who = SYSTEM if party is None else Who(party, "key_x", frozenset({scope}), test)
        return Context(database, Clock(lambda: NOW), who)

    return begin


@pytest.fixture
def party(open_as) -> str:
    with open_as() as ctx:
        return keys.create_party(ctx.conn, "Ada's Bookshop", NOW).party_id


def test_a_key_is_known_by_its_secret_alone(open_as, party):
    """The secret opens; what is kept of it does not tell it."""
    with open_as() as ctx:
        secret, made = keys.create_key(ctx.conn, party, ["merchant", "courier"] * 2, NOW, expires_at=NOW + DAY)
    with open_as("", "") as ctx:
        known = keys.find_who(ctx.conn, secret, NOW)
    assert known == keys.Known(Who(party, made.key_id, frozenset({"merchant", "courier"})), NOW + DAY)
    assert made.shown == secret[:12] and secret not in repr(made)


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s[:-1], lambda s: s + "A", lambda s: s.swapcase(), lambda s: " " + s, lambda s: "",
        lambda s: s[:-1] + "\0", lambda s: s.replace("live", "test"),
    ],
)  # fmt: skip
def test_nearly_right_is_wrong(open_as, party, change):
    """No other secret opens, however near."""
    with open_as() as ctx:
        secret, _ = keys.create_key(ctx.conn, party, ["merchant"], NOW)
        with pytest.raises(NotKnown):
            keys.find_who(ctx.conn, change(secret), NOW)


def test_expiry_and_revocation_count_by_the_clock(open_as, party):
    """A key opens until the instant it ends, and not at it."""
    with open_as() as ctx:
        secret, made = keys.create_key(ctx.conn, party, ["merchant"], NOW, expires_at=NOW + DAY)
        assert keys.find_who(ctx.conn, secret, NOW + DAY - timedelta(microseconds=1)).who.party_id == party
        with pytest.raises(NotKnown, match="expired"):
            keys.find_who(ctx.conn, secret, NOW + DAY)
        keys.revoke_key(ctx.conn, made.key_id, NOW + DAY / 2)
        assert keys.find_who(ctx.conn, secret, NOW).until == NOW + DAY / 2
        assert keys.revoke_key(ctx.conn, made.key_id, NOW + DAY).revoked_at == NOW + DAY / 2  # the earlier one counts
        with pytest.raises(NotKnown, match="revoked"):
            keys.find_who(ctx.conn, secret, NOW + DAY / 2)


def test_rotation_gives_the_like_and_ends_the_old(open_as, party):
    """The successor has the same scopes, mode and span; the old one goes on for as long as was said."""
    with open_as() as ctx:
        old, made = keys.create_key(ctx.conn, party, ["courier"], NOW, test=True, expires_at=NOW + DAY)
        new, after = keys.rotate_key(ctx.conn, made.key_id, NOW + DAY / 4, NOW + DAY / 2)
        assert (after.scopes, after.test, after.rotated_from) == (["courier"], True, made.key_id)
        assert after.expires_at == NOW + DAY / 4 + DAY
        assert keys.find_who(ctx.conn, old, NOW + DAY / 3).who.key_id == made.key_id
        with pytest.raises(NotKnown):
            keys.find_who(ctx.conn, old, NOW + DAY / 2)
        with pytest.raises(Conflict):
            keys.rotate_key(ctx.conn, made.key_id, NOW, NOW)
        assert keys.find_who(ctx.conn, new, NOW + DAY).who.key_id == after.key_id


def test_of_two_rotations_at_once_one_is_late(open_as, party):
    """A key gets one successor, however many ask at the same moment."""
    with open_as() as ctx:
        _, made = keys.create_key(ctx.conn, party, ["courier"], NOW)

    def rotate(_: int) -> bool:
        try:
            with open_as() as ctx:
                keys.rotate_key(ctx.conn, made.key_id, NOW, NOW + DAY)
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(rotate, range(4))) == 1


def test_all_that_is_wrong_with_a_key_is_told(open_as, party):
    """Unknown scopes by their place, an expiry that is past or absurd; an unknown party is not found."""
    with open_as() as ctx:
        with pytest.raises(InvalidInput) as refused:
            keys.create_key(ctx.conn, party, ["merchant", "Ada Example"], NOW, expires_at=NOW)
        assert [fault.at for fault in refused.value.faults] == ["$.scopes[1]", "$.expires_at"]
        assert "Ada" not in str(refused.value)
        for ends in (NOW - DAY, NOW + timedelta(days=40_000)):
            with pytest.raises(InvalidInput):
                keys.create_key(ctx.conn, party, ["merchant"], NOW, expires_at=ends)
        with pytest.raises(InvalidInput):
            keys.create_key(ctx.conn, party, [], NOW)
        with pytest.raises(NotFound):
            keys.create_key(ctx.conn, new_id("pty", NOW), ["merchant"], NOW)


def test_who_sees_which_keys_and_parties(open_as, party):
    """A party sees its own, in test mode those of test mode only; admins see all."""
    with open_as() as ctx:
        other = keys.create_party(ctx.conn, "Other", NOW).party_id
        _, mine = keys.create_key(ctx.conn, party, ["merchant"], NOW)
        _, tried = keys.create_key(ctx.conn, party, ["merchant"], NOW, test=True)
        _, theirs = keys.create_key(ctx.conn, other, ["merchant"], NOW)
    seen = {}
    for name, who in (
        ("live", (party,)), ("test", (party, "merchant", True)), ("other", (other,)), ("admin", (other, "admin")),
    ):  # fmt: skip
        with open_as(*who) as ctx:
            seen[name] = {key.key_id for key in keys.list_keys(ctx.conn)}
    assert seen["live"] == {mine.key_id, tried.key_id}
    assert seen["test"] == {tried.key_id}
    assert seen["other"] == {theirs.key_id}
    assert seen["admin"] >= {mine.key_id, tried.key_id, theirs.key_id}
    with open_as(other) as ctx:
        assert [found.party_id for found in keys.list_parties(ctx.conn)] == [other]


def test_only_admins_make_keys(open_as, party):
    """Not even by straight SQL does a party give itself a key, revive one, or see what is kept of its secret."""
    with open_as() as ctx:
        _, made = keys.create_key(ctx.conn, party, ["merchant"], NOW)
        keys.revoke_key(ctx.conn, made.key_id, NOW)
    with pytest.raises(psycopg.errors.InsufficientPrivilege), open_as(party) as ctx:
        keys.create_key(ctx.conn, party, ["admin"], NOW)
    with open_as(party) as ctx:
        assert ctx.conn.execute("update base.api_keys set revoked_at = null").rowcount == 0
    for statement in (b"update base.api_keys set scopes = '{admin}'", b"select secret_sha256 from base.api_keys"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege), open_as(party) as ctx:
            ctx.conn.execute(statement)


def test_codes_of_parties_are_their_own(open_as):
    """Two parties cannot be called the same in feeds."""
    code = new_id("pty", NOW)
    with open_as() as ctx:
        keys.create_party(ctx.conn, "One", NOW, code=code)
        with pytest.raises(Conflict):
            keys.create_party(ctx.conn, "Two", NOW, code=code)
