"""Sealing, opening and master keys: what was sealed opens only as it was, where it was, and with its own key."""

from __future__ import annotations

import base64
import copy
import pickle
import secrets
import stat

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.orders.addresses import Address
from rookery.orders.vault import Broken, Keyring, add_master_key
from rookery.orders.vault.keyring import FILE, VARIABLE, drop_master_keys
from rookery.orders.vault.rules import open_person, open_row, seal_person, seal_row, unwrap, wrap
from rookery.terms.errors import InvalidInput, Unavailable

KEY, NONCE = bytes(range(32)), bytes(12)
ADA = Address(name="Ada Example", lines=("Straße 1",), city="Berlin", postal_code="10115", country="DE")
texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=60)


def encoded(key: bytes) -> str:
    return base64.b64encode(key).decode()


@given(texts, texts, st.lists(texts, max_size=3), texts)
@settings(max_examples=100, deadline=None)
def test_what_is_sealed_opens_as_it_was(name, phone, lines, city):
    """Any text in any field comes back unchanged."""
    person = Address(name=name, phone=phone, lines=tuple(lines), city=city)
    assert open_person("per_a", seal_person("per_a", person, KEY, NONCE), KEY) == person


@given(st.integers(0, 10_000), st.integers(1, 255))
@settings(max_examples=100, deadline=None)
def test_a_changed_byte_does_not_open(place, change):
    """Whichever byte is changed, of nonce, text or tag, the seal is broken."""
    sealed = bytearray(seal_person("per_a", ADA, KEY, NONCE))
    sealed[place % len(sealed)] ^= change
    with pytest.raises(Broken):
        open_person("per_a", bytes(sealed), KEY)


def test_a_body_does_not_open_elsewhere():
    """Not as another person, nor as another schema version, nor with another key, nor cut short."""
    sealed = seal_person("per_a", ADA, KEY, NONCE)
    for attempt in (
        lambda: open_person("per_b", sealed, KEY),
        lambda: open_person("per_a", sealed, KEY, schema=2),
        lambda: open_person("per_a", sealed, bytes(32)),
        lambda: open_person("per_a", sealed[:-1], KEY),
        lambda: open_person("per_a", b"", KEY),
    ):
        with pytest.raises(Broken) as broken:
            attempt()
        assert "Ada" not in str(broken.value)


def test_a_wrapped_key_belongs_to_its_owner():
    """A data key unwraps for the person it was wrapped for and no other."""
    master = AESGCM(KEY)
    wrapped = wrap("per_a", bytes(32), master, NONCE)
    assert unwrap("per_a", wrapped, master) == bytes(32)
    with pytest.raises(Broken):
        unwrap("per_b", wrapped, master)


def test_a_kept_row_opens_as_its_own_row_only():
    """A row moved to another line of the upload is refused."""
    sealed = seal_row("upl_a:2", {"to_name": "Ada"}, AESGCM(KEY), NONCE)
    assert open_row("upl_a:2", sealed, AESGCM(KEY)) == {"to_name": "Ada"}
    with pytest.raises(Broken):
        open_row("upl_a:3", sealed, AESGCM(KEY))


def test_a_keyring_reads_several_versions_the_first_being_current():
    """`2:KEY,1:KEY` holds both and wraps with the second's."""
    ring = Keyring.parse(f"2:{encoded(KEY)}, 1:{encoded(bytes(32))}")
    assert ring.versions == [2, 1] and ring.current == 2
    assert Keyring.parse(encoded(KEY)).versions == [1]
    with pytest.raises(Unavailable):
        ring.master(3)


@pytest.mark.parametrize("text", ["", "abc", "x:AAAA", "0:AAAA", "1:" + "A" * 44 + ",1:" + "A" * 44, "1:!!!", "-1:A"])
def test_a_malformed_key_is_refused_and_not_shown(text):
    """What is wrong is told, the text never."""
    with pytest.raises(InvalidInput) as fault:
        Keyring.parse(text)
    assert not text or text not in str(fault.value)


def test_a_keyring_never_shows_or_leaves():
    """Neither repr nor str nor an error says a key, and it cannot be pickled or copied out."""
    key = secrets.token_bytes(32)
    ring = Keyring({1: key})
    for shown in (repr(ring), str(ring), f"{ring}", repr([ring]), repr({"keyring": ring})):
        assert encoded(key) not in shown and key.hex() not in shown and repr(key) not in shown
    for leave in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError):
            leave(ring)


def test_the_key_file_is_made_once_and_for_its_owner_only(tmp_path):
    """The first start makes it, 0600; the next reads the same key; nothing else is left in the folder."""
    first = Keyring.read({}, tmp_path)
    path = tmp_path / FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    text = path.read_text()
    sealed = wrap("per_a", KEY, first.master(1), NONCE)
    assert unwrap("per_a", sealed, Keyring.read({}, tmp_path).master(1)) == KEY
    assert path.read_text() == text and [entry.name for entry in tmp_path.iterdir()] == [FILE]


def test_the_environment_wins_over_the_file(tmp_path):
    """With the variable set no file is made."""
    assert Keyring.read({VARIABLE: "7:" + encoded(KEY)}, tmp_path).current == 7
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o666])
def test_a_key_file_that_others_may_read_is_refused(tmp_path, mode):
    """Group or world rights on the file stop the start, with what to do."""
    Keyring.read({}, tmp_path)
    (tmp_path / FILE).chmod(mode)
    with pytest.raises(InvalidInput, match="chmod 600"):
        Keyring.read({}, tmp_path)


def test_a_key_file_behind_a_link_is_refused(tmp_path):
    """A symbolic link in its place is not followed."""
    Keyring.read({}, tmp_path)
    (tmp_path / FILE).rename(tmp_path / "elsewhere")
    (tmp_path / FILE).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InvalidInput):
        Keyring.read({}, tmp_path)


def test_a_new_master_key_stands_before_the_old_ones(tmp_path):
    """After adding, both are held and the new one is current; after dropping, it alone."""
    Keyring.read({}, tmp_path)
    assert add_master_key(tmp_path).versions == [2, 1]
    assert add_master_key(tmp_path).versions == [3, 2, 1]
    assert drop_master_keys(tmp_path).versions == [3]
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600


def test_a_running_keyring_takes_part_in_a_rotation_beside_it(tmp_path):
    """It wraps with the new master key as soon as that is in the file, and opens what others wrapped with it."""
    running = Keyring.read({}, tmp_path)
    beside = add_master_key(tmp_path)
    sealed = wrap("per_a", KEY, beside.master(2), NONCE)
    assert running.current == 1 and unwrap("per_a", sealed, running.master(2)) == KEY
    drop_master_keys(tmp_path)
    assert running.for_wrapping()[0] == 2 and running.versions == [2]


def test_a_key_file_that_is_gone_wraps_nothing(tmp_path):
    """What is wrapped with a key that stands nowhere any more would be lost with the process: callers hear 503."""
    running = Keyring.read({}, tmp_path)
    (tmp_path / FILE).rename(tmp_path / "elsewhere")
    with pytest.raises(Unavailable):
        running.for_wrapping()
    (tmp_path / "elsewhere").rename(tmp_path / FILE)
    assert running.for_wrapping()[0] == 1
