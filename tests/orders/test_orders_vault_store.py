"""The vault in PostgreSQL: people sealed, opened, erased for good, kept apart by party, and keys re-wrapped."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from rookery.base.db import Database
from rookery.orders import vault
from rookery.orders.addresses import Address
from rookery.orders.vault import Erased, Expired, Keyring
from rookery.orders.vault.keyring import drop_master_keys
from rookery.orders.vault.keys import destroy_keys, digest_key, make_keys, rotating, wrapped_by_others
from rookery.terms.errors import Conflict, Unavailable
from rookery.terms.ids import new_id

NOW = datetime(2026, 9, 15, 12, tzinfo=UTC)
PEOPLE = [Address(name=f"Ada Example {n}", lines=("Straße 1",), city="Berlin", country="DE") for n in range(25)]
RING = Keyring({1: bytes(32)})
MERCHANT = frozenset({"merchant"})


@pytest.fixture
def keys(database: Database) -> Iterator[psycopg.Connection]:
    """The database of data keys, in autocommit."""
    with psycopg.connect(database.urls.keys, autocommit=True) as conn:
        vault.prepare(conn)
        yield conn


@pytest.fixture
def party() -> str:
    return new_id("pty", NOW)


def seal(database: Database, keys: psycopg.Connection, party: str, people=PEOPLE, ring: Keyring = RING) -> list[str]:
    with database.transaction(party, MERCHANT) as conn:
        return vault.seal_people(conn, keys, ring, party, False, people, NOW)


def opened(database: Database, keys: psycopg.Connection, party: str, ids: list[str], ring: Keyring = RING):
    with database.transaction(party, MERCHANT) as conn:
        return vault.open_people(conn, keys, ring, ids)


def test_people_come_back_in_order_and_alike_ones_stay_apart(database, keys, party):
    """Each gets an id of their own, also when two are alike, and opens as sealed."""
    ids = seal(database, keys, party, [*PEOPLE, PEOPLE[0]])
    assert len(set(ids)) == 26
    found = opened(database, keys, party, ids)
    assert [found[person] for person in ids] == [*PEOPLE, PEOPLE[0]]


def test_nothing_of_a_person_is_readable_in_the_database(database, keys, party):
    """Neither the bodies nor the keys' table hold a name."""
    ids = seal(database, keys, party)
    with database.transaction(party, MERCHANT) as conn:
        rows = conn.execute("select * from vault.people where person_id = any(%s)", (ids,)).fetchall()
    rows += keys.execute("select * from vault_keys.person_key where person_id = any(%s)", (ids,)).fetchall()
    assert len(rows) == 2 * len(ids)
    assert not any(b"Example" in bytes(cell) for row in rows for cell in row if isinstance(cell, bytes))


def test_another_party_sees_nobody_and_erases_nobody(database, keys, party):
    """Ids that are guessed open nothing, and erasing them does nothing."""
    ids = seal(database, keys, party)
    stranger = new_id("pty", NOW)
    assert opened(database, keys, stranger, ids) == {}
    with database.transaction(stranger, MERCHANT) as conn:
        assert vault.erase(conn, keys, ids, NOW) == []
    assert len(opened(database, keys, party, ids)) == len(ids)


def test_an_erased_person_stays_erased_in_a_restored_backup(database, keys, party):
    """Bodies that are put back after erasing read as erased: that is noted with the keys as well."""
    ids = seal(database, keys, party)
    with database.transaction(party, MERCHANT) as conn:
        backup = conn.execute("select * from vault.people where person_id = any(%s)", (ids,)).fetchall()
    with database.transaction(party, MERCHANT) as conn:
        assert vault.erase(conn, keys, ids[:20], NOW) == sorted(ids[:20])
    found = opened(database, keys, party, ids)
    assert [found[person] for person in ids[:20]] == [Erased(NOW)] * 20
    assert [found[person] for person in ids[20:]] == PEOPLE[20:]
    with database.transaction(party, MERCHANT) as conn:  # an older backup of the main database comes back
        conn.execute("delete from vault.people where party_id = %s", (party,))
        conn.execute("delete from vault.erased where party_id = %s", (party,))
        conn.cursor().executemany("insert into vault.people values (%s, %s, %s, %s, %s, %s)", backup)
    found = opened(database, keys, party, ids)
    assert [found[person] for person in ids[:20]] == [Erased(NOW)] * 20
    assert [found[person] for person in ids[20:]] == PEOPLE[20:]


def test_a_lost_key_is_no_erasure(database, keys, party):
    """Whose body is there, whose key is not, and whom nobody erased is told apart from the erased, and counted."""
    ids = seal(database, keys, party)
    with database.transaction(party, MERCHANT) as conn:
        vault.erase(conn, keys, ids[:1], NOW)
    destroy_keys(keys, ids[1:3])
    with pytest.raises(Unavailable, match="2 people") as told:
        opened(database, keys, party, ids)
    assert told.value.code == "vault.data_key_missing" and "ROOKERY_VAULT_KEYS_URL" in told.value.action
    assert opened(database, keys, party, [ids[0], *ids[3:]])[ids[0]] == Erased(NOW)


def test_an_erasure_cut_short_reads_as_erased_and_is_tidied_up(database, keys, party):
    """Killed after the keys' commit and before the main one: the person is erased; erasing again removes the body."""
    ids = seal(database, keys, party)
    with pytest.raises(ZeroDivisionError), database.transaction(party, MERCHANT) as conn:
        vault.erase(conn, keys, ids, NOW)
        raise ZeroDivisionError
    assert set(opened(database, keys, party, ids).values()) == {Erased(NOW)}
    with database.transaction(party, MERCHANT) as conn:
        assert vault.erase(conn, keys, ids, NOW) == sorted(ids)
        assert conn.execute("select from vault.people where party_id = %s", (party,)).rowcount == 0


def test_erasing_twice_keeps_the_first_date(database, keys, party):
    """The second call does no harm and the tombstone keeps its time."""
    ids = seal(database, keys, party)
    for at in (NOW, NOW + timedelta(days=1)):
        with database.transaction(party, MERCHANT) as conn:
            assert vault.erase(conn, keys, ids, at) == sorted(ids)
    assert set(opened(database, keys, party, ids).values()) == {Erased(NOW)}


def test_a_failed_transaction_leaves_no_body_and_no_harm(database, keys, party):
    """Keys without bodies stay behind and are nobody's."""
    ids: list[str] = []
    with pytest.raises(ZeroDivisionError), database.transaction(party, MERCHANT) as conn:
        ids += vault.seal_people(conn, keys, RING, party, False, PEOPLE, NOW)
        raise ZeroDivisionError
    assert opened(database, keys, party, ids) == {}


def test_a_tampered_body_is_told(database, keys, party):
    """Two people's bodies exchanged in the database do not open as each other."""
    one, two = seal(database, keys, party, PEOPLE[:2])
    with database.owner() as conn:
        conn.execute("alter table vault.people no force row level security")
        conn.execute(
            "update vault.people p set body = q.body from vault.people q where p.person_id = %s and q.person_id = %s",
            (one, two),
        )
        conn.execute("alter table vault.people force row level security")
    with pytest.raises(vault.Broken, match=one):
        opened(database, keys, party, [one, two])


def test_rotation_rewraps_all_keys_and_is_taken_up_where_it_stopped(fresh_database, party):
    """Stopped after a batch it goes on with the rest; then the old master key is not needed any more."""
    new = Keyring({2: secrets.token_bytes(32), 1: bytes(32)})
    with psycopg.connect(fresh_database.urls.keys, autocommit=True) as keys:
        vault.prepare(keys)
        ids = seal(fresh_database, keys, party)
        digest = digest_key(keys, RING)

        def stop(stage: str, done: int, total: int) -> None:
            assert total == 26
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            vault.rotate(keys, new, stop, batch=10)
        left = keys.execute("select count(*) from vault_keys.person_key where master_version = 1").fetchone()
        assert left == (16,)
        assert len(opened(fresh_database, keys, party, ids, new)) == 25
        assert vault.rotate(keys, new, batch=10) == 16
        assert vault.rotate(keys, new) == 0
        alone = Keyring({2: new._secrets[2]})
        assert [opened(fresh_database, keys, party, ids, alone)[person] for person in ids] == PEOPLE
        assert digest_key(keys, alone) == digest
        with pytest.raises(Unavailable):
            vault.rotate(keys, Keyring({3: bytes(32)}))


def test_connections_that_would_lose_keys_are_refused(database, keys, party):
    """A keys connection whose commit might be forgotten is a mistake of the caller's."""
    with psycopg.connect(database.urls.keys) as forgetful, pytest.raises(ValueError, match="autocommit"):
        seal(database, forgetful, party)
    with database.keys() as inside, pytest.raises(ValueError, match="transaction"):
        vault.rotate(inside, RING)


def test_kept_rows_come_back_to_their_party_until_they_expire(database, keys, party):
    """Seven days the row opens, for its own party; then neither the row nor any copy of it."""
    upload, rows = new_id("upl", NOW), {2: {"to_name": "Ada"}, 17: {"to_phone": "1"}}
    refs = [vault.row_ref(upload, 2), vault.row_ref(upload, 17), vault.row_ref(upload, 3), "nonsense"]
    with database.transaction(party, MERCHANT) as conn:
        vault.keep_rows(conn, keys, RING, party, False, upload, rows, NOW)
        backup = conn.execute("select * from vault.kept_row where upload_id = %s", (upload,)).fetchall()
    with database.transaction(party, MERCHANT) as conn:
        found = vault.kept_rows(conn, keys, RING, party, False, refs, NOW + timedelta(days=6))
    assert found == {refs[0]: rows[2], refs[1]: rows[17], refs[2]: Expired(), refs[3]: Expired()}
    stranger = new_id("pty", NOW)
    with database.transaction(stranger, MERCHANT) as conn:
        assert set(vault.kept_rows(conn, keys, RING, stranger, False, refs, NOW).values()) == {Expired()}
    with database.transaction(party, MERCHANT) as conn:
        assert vault.drop_expired(conn, keys, NOW + timedelta(days=6)) == 0
        assert vault.drop_expired(conn, keys, NOW + timedelta(days=7)) == 2
        conn.cursor().executemany("insert into vault.kept_row values (%s, %s, %s, %s, %s, %s, %s)", backup)
        assert set(vault.kept_rows(conn, keys, RING, party, False, refs, NOW).values()) == {Expired()}


def test_people_sealed_beside_a_rotation_are_kept(fresh_database, party, tmp_path):
    """A server that read its keys before: whom it seals after the rotation opens once the old key is dropped."""
    running = Keyring.read({}, tmp_path)
    with psycopg.connect(fresh_database.urls.keys, autocommit=True) as keys:
        vault.prepare(keys)
        before = seal(fresh_database, keys, party, ring=running)
        rotated = vault.add_master_key(tmp_path)
        assert vault.rotate(keys, rotated) == 25
        after = seal(fresh_database, keys, party, ring=running)
        assert wrapped_by_others(keys, rotated) == 0
        drop_master_keys(tmp_path)
        started_anew = Keyring.read({}, tmp_path)
        found = opened(fresh_database, keys, party, before + after, started_anew)
        assert [found[person] for person in before + after] == PEOPLE * 2


def test_a_rotation_waits_for_keys_that_are_being_made(fresh_database, tmp_path):
    """Keys wrapped a moment ago and not committed yet are counted before an old master key is dropped."""
    running = Keyring.read({}, tmp_path)
    with psycopg.connect(fresh_database.urls.keys, autocommit=True) as keys:
        vault.prepare(keys)
        counted: list[int] = []
        with fresh_database.keys() as under_way:
            make_keys(under_way, running, ["per_slow"])
            rotated = vault.add_master_key(tmp_path)
            counting = threading.Thread(target=lambda: counted.append(wrapped_by_others(keys, rotated)))
            counting.start()
            counting.join(0.2)
            assert counted == []
        counting.join()
        assert counted == [1]


def test_two_rotations_at_once_are_refused(fresh_database):
    """Two that each put a new master key into the file would lose one: the second is told to wait."""
    url = fresh_database.urls.keys
    with (
        psycopg.connect(url, autocommit=True) as one,
        psycopg.connect(url, autocommit=True) as two,
        rotating(one),
        pytest.raises(Conflict),
        rotating(two),
    ):
        pass


def test_making_keys_again_gives_the_same_ones(database, keys, party):
    """Whoever was killed between the keys' commit and the main one does the same again."""
    owners = [new_id("per", NOW) for _ in range(3)]
    first = make_keys(keys, RING, owners[:2])
    assert make_keys(keys, RING, owners)[:2] == first
    upload = new_id("upl", NOW)
    for _ in range(2):
        with database.transaction(party, MERCHANT) as conn:
            vault.keep_rows(conn, keys, RING, party, False, upload, {2: {"to_name": "Ada"}}, NOW)
    with database.transaction(party, MERCHANT) as conn:
        ref = vault.row_ref(upload, 2)
        assert vault.kept_rows(conn, keys, RING, party, False, [ref], NOW) == {ref: {"to_name": "Ada"}}
