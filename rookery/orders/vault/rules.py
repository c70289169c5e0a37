"""Sealing and opening, pure: AES-256-GCM, one data key a person, wrapped by a master key.

A sealed text is nonce, then ciphertext with its tag. What it belongs to is bound in as associated data, so that a row
moved to another person does not open. Nonces are random and each data key seals few texts (NIST SP 800-38D, 8.3).
"""

from __future__ import annotations

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from rookery.orders.addresses.model import Address
from rookery.orders.vault.model import NONCE, SCHEMA, broken

_encode = msgspec.json.Encoder().encode
_decode_address = msgspec.json.Decoder(Address).decode


def wrap(owner: str, data_key: bytes, master: AESGCM, nonce: bytes) -> bytes:
    """A data key sealed by the master key, for its owner (a person's or an upload's id) alone."""
    return nonce + master.encrypt(nonce, data_key, owner.encode())


def unwrap(owner: str, wrapped: bytes, master: AESGCM) -> bytes:
    """The data key of an owner. Raises Broken."""
    return _opened(master, wrapped, owner.encode(), f"the data key of {owner}")


def seal_person(person_id: str, person: Address, data_key: bytes, nonce: bytes, schema: int = SCHEMA) -> bytes:
    """A person's name and address, sealed for this id and schema version."""
    return nonce + AESGCM(data_key).encrypt(nonce, _encode(person), _bound(person_id, schema))


def open_person(person_id: str, body: bytes, data_key: bytes, schema: int = SCHEMA) -> Address:
    """The person of a sealed body. Raises Broken."""
    return _decode_address(_opened(AESGCM(data_key), body, _bound(person_id, schema), person_id))


def seal_row(row_ref: str, cells: dict[str, str], data_key: AESGCM, nonce: bytes) -> bytes:
    """The cells of a faulty row of an upload, sealed for this row."""
    return nonce + data_key.encrypt(nonce, _encode(cells), row_ref.encode())


def open_row(row_ref: str, body: bytes, data_key: AESGCM) -> dict[str, str]:
    """The cells of a kept row. Raises Broken."""
    return msgspec.json.decode(_opened(data_key, body, row_ref.encode(), f"row {row_ref}"), type=dict[str, str])


def _bound(person_id: str, schema: int) -> bytes:
    return f"{person_id}/{schema}".encode()


def _opened(key: AESGCM, sealed: bytes, bound: bytes, what: str) -> bytes:
    try:
        return key.decrypt(sealed[:NONCE], sealed[NONCE:], bound)
    except (InvalidTag, ValueError):
        raise broken(what) from None
