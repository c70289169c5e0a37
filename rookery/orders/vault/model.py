"""What the vault holds and gives: sealed people, opened ones, and those that were erased."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from rookery.terms.errors import RookeryError, Unavailable

PERSON, UPLOAD = "per", "upl"
SCHEMA = 1
"""How a person's body is written before it is sealed; counted up when that changes, and bound into the seal."""
NONCE, KEY = 12, 32
"""Bytes of a nonce (NIST SP 800-38D: 96 bits) and of a key (AES-256)."""


class Erased(Struct, frozen=True):
    """A person whose data key was destroyed, and when: nobody can read them again, in no copy."""

    at: datetime


class Expired(Struct, frozen=True):
    """A kept row that is no longer there, or never was the asker's."""


class Broken(RookeryError):
    """What was sealed does not open: it was changed, moved to another person, or the key is another one."""


def broken(what: str) -> Broken:
    """The error for a seal that does not open; `what` is an id, never a content."""
    return Broken(
        "vault.broken_seal",
        f"{what} does not open: what is stored was changed, or the key is not the one it was sealed with.",
        "name the key it was sealed with in ROOKERY_VAULT_KEY or the key file, or restore the row from a backup",
    )


def data_key_missing(people: int) -> Unavailable:
    """The error for people whose bodies are there and whose data keys are not, though nobody erased them."""
    whose = "1 person is" if people == 1 else f"{people:,} people are"
    return Unavailable(
        "vault.data_key_missing",
        f"The data key of {whose} not in the keys' database, though nobody erased them.",
        "put that database back (`rookery db restore-keys FILE`), or point ROOKERY_VAULT_KEYS_URL at it",
    )
