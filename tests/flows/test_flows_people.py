"""Master keys rotated beside a running system of record: nobody is lost, and the former key goes last."""

import psycopg
import pytest
from record_cases import ADA, make_record

import rookery.app
from rookery.base.operations import Who
from rookery.flows.people import rotate_keys
from rookery.orders.vault.keyring import FILE, Keyring
from rookery.orders.vault.keys import destroy_keys, make_keys
from rookery.terms.errors import Conflict, NotFound, Unavailable


@pytest.fixture
def record(make_urls, tmp_path):
    """A system of record whose key file lies in tmp_path."""
    with make_record(make_urls, tmp_path) as made:
        yield made


def _versions(folder) -> list[int]:
    return Keyring.read({}, folder).versions


def _recipient(record, reference: str) -> str:
    return record.book(reference)["recipient_id"]


def test_people_of_a_running_server_outlive_a_rotation(record, tmp_path):
    """Whom it seals before, between and after the two steps of a rotation, a server started anew opens."""
    people = [_recipient(record, "A")]
    first = rotate_keys(record.database, tmp_path)
    assert (first.version, first.former, first.dropped, _versions(tmp_path)) == (2, [1], False, [2, 1])
    people.append(_recipient(record, "B"))
    last = rotate_keys(record.database, tmp_path, finish=True)
    assert (last.wrapped, last.former, last.dropped, _versions(tmp_path)) == (0, [1], True, [2])
    people.append(_recipient(record, "C"))
    record.parts = rookery.app.wire(tmp_path, record.database)
    for person in people:
        assert record.do("people.get", person_id=person)["address"]["name"] == ADA["name"]


def test_a_rotation_that_is_not_finished_makes_no_further_key(record, tmp_path):
    """Asked again it wraps what is left; finished twice it does nothing more."""
    for _ in range(2):
        assert rotate_keys(record.database, tmp_path).version == 2
    assert rotate_keys(record.database, tmp_path, finish=True).dropped
    assert not rotate_keys(record.database, tmp_path, finish=True).dropped
    assert rotate_keys(record.database, tmp_path).version == 3


def test_a_former_key_that_is_in_use_is_not_dropped(record, tmp_path):
    """Keys that a server with a keyring of its own wraps meanwhile keep the former master key in the file."""
    behind = Keyring(Keyring.read({}, tmp_path)._secrets)
    rotate_keys(record.database, tmp_path)

    def meanwhile(stage: str, done: int, total: int) -> None:
        with psycopg.connect(record.database.urls.keys, autocommit=True) as keys:
            make_keys(keys, behind, ["aaa"])  # behind the place that was come to

    _recipient(record, "A")
    with psycopg.connect(record.database.urls.keys, autocommit=True) as keys:
        make_keys(keys, behind, ["per_late"])
    with pytest.raises(Conflict, match="meanwhile"):
        rotate_keys(record.database, tmp_path, meanwhile, finish=True)
    assert _versions(tmp_path) == [2, 1] and (tmp_path / FILE).stat().st_mode & 0o077 == 0
    assert rotate_keys(record.database, tmp_path, finish=True).dropped


def test_an_operators_scope_opens_nobody_of_another_shipper(record):
    """A key of scopes merchant and operator opens its own people and nobody else's; an admin's opens them."""
    person = _recipient(record, "Z")
    both = Who("pty_both", "key_both", frozenset({"merchant", "operator"}))
    with pytest.raises(NotFound):
        record.do("people.get", both, person_id=person)
    admin = Who("pty_admin", "key_admin", frozenset({"admin"}))
    assert record.do("people.get", admin, person_id=person)["address"]["name"] == ADA["name"]


def test_whose_key_is_lost_is_not_said_to_be_erased(record):
    """Opening them is answered with 503 and what to do; they can still be erased, and then read as erased."""
    lost, other = _recipient(record, "A"), _recipient(record, "B")
    with psycopg.connect(record.database.urls.keys, autocommit=True) as keys:
        destroy_keys(keys, [lost])
    with pytest.raises(Unavailable) as told:
        record.do("people.get", person_id=lost)
    assert (told.value.status, told.value.code) == (503, "vault.data_key_missing")
    assert not record.do("people.get", person_id=other)["erased"]
    assert record.do("people.erase", person_id=lost)["erased"]
    assert record.do("people.get", person_id=lost) == {"person_id": lost, "address": None, "erased": True}
