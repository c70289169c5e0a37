"""What Rookery hands out and takes back unchanged: signed, so that it need not be kept."""

from __future__ import annotations

import base64
import binascii
import hmac
import os
import secrets
from contextlib import suppress
from pathlib import Path

VARIABLE = "ROOKERY_SIGNING_KEY"
FILE = "signing.key"
MAC = 16
"""Bytes of HMAC-SHA256 that are kept."""


class Signer:
    """Signs with one key: the environment's (hexadecimal, for several servers alike), else the data folder's own."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes):
        self._key = key

    def __repr__(self) -> str:
        return "Signer(...)"

    @classmethod
    def read(cls, folder: Path) -> Signer:
        """The signer of a data folder; its key is made when there is none, and only its owner may read it."""
        if told := os.environ.get(VARIABLE):
            return cls(bytes.fromhex(told))
        path = folder / FILE
        with suppress(FileExistsError):
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as stream:
                stream.write(secrets.token_bytes(32))
        return cls(path.read_bytes())

    def sign(self, purpose: str, content: bytes) -> str:
        """Content with its signature, as text of letters, digits, - and _."""
        mac = hmac.digest(self._key, purpose.encode() + b"\0" + content, "sha256")[:MAC]
        return base64.urlsafe_b64encode(mac + content).rstrip(b"=").decode()

    def derive(self, purpose: str, content: bytes) -> bytes:
        """32 bytes that follow from the key, and tell nothing about it: a secret that need not be kept."""
        return hmac.digest(self._key, purpose.encode() + b"\0" + content, "sha256")

    def open(self, purpose: str, text: str) -> bytes | None:
        """The content that was signed for this purpose; None when it was not."""
        try:
            whole = base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
        except (UnicodeEncodeError, binascii.Error, ValueError):
            return None
        mac = hmac.digest(self._key, purpose.encode() + b"\0" + whole[MAC:], "sha256")[:MAC]
        return whole[MAC:] if hmac.compare_digest(mac, whole[:MAC]) else None
