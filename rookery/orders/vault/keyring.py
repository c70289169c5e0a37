"""The master keys: from the environment or a file that only its owner may read, never shown.

Written as base64 of 32 bytes, several as `version:key`, separated by commas or line ends; the first is the current one.
"""

from __future__ import annotations

import base64
import binascii
import os
import secrets
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from rookery.orders.vault.model import KEY
from rookery.terms.errors import InvalidInput, Unavailable

VARIABLE = "ROOKERY_VAULT_KEY"
FILE = "vault.key"


Stamp = tuple[int, int, int]
"""What changes when a key file does: its inode, time and size."""


class Keyring:
    """Master keys by version; `current` is the version that new data keys are wrapped with.

    One that was read from a file looks into it again when it changed, so that a running server takes part in a
    rotation that goes on beside it.
    """

    __slots__ = ("_held", "_path", "_secrets", "_stamp")

    def __init__(self, keys: Mapping[int, bytes], path: Path | None = None, stamp: Stamp | None = None):
        if not keys or any(len(key) != KEY for key in keys.values()):
            raise _bad_key("a master key must be 32 bytes")
        self._secrets = dict(keys)
        self._held = {version: AESGCM(key) for version, key in keys.items()}
        self._path, self._stamp = path, stamp

    def __repr__(self) -> str:
        return f"Keyring(versions={self.versions}, current={self.current})"

    __str__ = __repr__

    def __reduce__(self):
        raise TypeError("a keyring is never written anywhere")

    @property
    def versions(self) -> list[int]:
        """The versions held, the current one first."""
        return list(self._held)

    @property
    def current(self) -> int:
        """The version that new data keys are wrapped with, as far as is known."""
        return next(iter(self._held))

    def master(self, version: int) -> AESGCM:
        """The master key of a version; one that is not known is looked for in the file. Raises Unavailable."""
        if version not in self._held:
            self._look()
        held = self._held
        if version not in held:
            raise Unavailable(
                "vault.master_key_missing",
                f"Data keys are wrapped with master key {version}, which is not in the keyring.",
                f"add it to {VARIABLE} or {FILE} as {version}:KEY until `rookery vault rotate --finish` is through",
            )
        return held[version]

    def for_wrapping(self) -> tuple[int, AESGCM]:
        """The current version and its master key, as the file says now. Raises Unavailable."""
        self._look()
        return next(iter(self._held.items()))

    def _look(self) -> None:
        """Reads the key file again when it is another than was read."""
        if self._path is None:
            return
        try:
            if _stamp(self._path.stat()) == self._stamp:
                return
            text, stamp = _read_guarded(self._path)
            fresh = Keyring.parse(text)
        except (OSError, InvalidInput) as fault:
            # what is wrapped with a key that is in no file any more would be lost with this process
            why = fault.strerror if isinstance(fault, OSError) else str(fault)
            raise Unavailable(
                "vault.key_file", f"The key file {self._path} cannot be used: {why}", "restore it; then ask again"
            ) from None
        self._secrets, self._held, self._stamp = fresh._secrets, fresh._held, stamp

    @classmethod
    def parse(cls, text: str) -> Keyring:
        """A keyring from its text. Raises InvalidInput, which shows nothing of it."""
        keys: dict[int, bytes] = {}
        for place, entry in enumerate(text.replace("\n", ",").split(",")):
            if not (entry := entry.strip()):
                continue
            version, colon, key = entry.rpartition(":")
            if colon and not (version.isascii() and version.isdigit() and 0 < int(version) < 1 << 31):
                raise _bad_key(f"the version of key {place + 1} is no whole number from 1 on")
            number = int(version) if colon else 1
            if number in keys:
                raise _bad_key(f"version {number} stands twice")
            try:
                keys[number] = base64.b64decode(key, validate=True)
            except (binascii.Error, ValueError):
                raise _bad_key(f"key {place + 1} is no base64") from None
        return cls(keys)

    @classmethod
    def read(cls, environ: Mapping[str, str], folder: Path) -> Keyring:
        """The keyring of the environment, else of the key file in the data folder, which is made when there is none.

        Raises InvalidInput when a key is malformed, or others than the file's owner may read the file.
        """
        if text := environ.get(VARIABLE, "").strip():
            return cls.parse(text)
        path = Path(folder) / FILE
        if not path.exists():
            _make_first(path)
        return _of_file(path)


def add_master_key(folder: Path) -> Keyring:
    """Puts a new master key in front of the key file's others; the old ones stay until all data keys are re-wrapped.

    Raises InvalidInput as `Keyring.read` does.
    """
    path = Path(folder) / FILE
    text, _ = _read_guarded(path)
    newest = max(Keyring.parse(text).versions) + 1
    _replace(path, f"{newest}:{_fresh()}\n{text}")
    return _of_file(path)


def drop_master_keys(folder: Path) -> Keyring:
    """Leaves the current master key alone in the key file; to be called when all data keys are wrapped with it."""
    path = Path(folder) / FILE
    text, _ = _read_guarded(path)
    current, _, _ = text.strip().replace(",", "\n").partition("\n")
    _replace(path, current + "\n")
    return _of_file(path)


def _of_file(path: Path) -> Keyring:
    text, stamp = _read_guarded(path)
    return Keyring(Keyring.parse(text)._secrets, path, stamp)


def _make_first(path: Path) -> None:
    """The key file with one fresh key, whole or not at all; another process's, when that was quicker, stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = _beside(path, f"1:{_fresh()}\n")
    with suppress(FileExistsError):
        os.link(beside, path)
    beside.unlink()


def _replace(path: Path, text: str) -> None:
    """The key file as `text`, for good: data keys are wrapped with what it says from here on."""
    _beside(path, text).replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _beside(path: Path, text: str) -> Path:
    """A new file next to `path` that holds `text`, which nobody but its owner may read from its first moment on."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    return beside


def _fresh() -> str:
    return base64.b64encode(secrets.token_bytes(KEY)).decode()


def _stamp(about: os.stat_result) -> Stamp:
    return about.st_ino, about.st_mtime_ns, about.st_size


def _read_guarded(path: Path) -> tuple[str, Stamp]:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError as fault:
        raise InvalidInput(
            "vault.key_file", f"The key file {path} cannot be read: {fault.strerror}.", f"restore it, or set {VARIABLE}"
        ) from None
    with os.fdopen(handle) as stream:
        about = os.fstat(stream.fileno())
        if not stat.S_ISREG(about.st_mode) or about.st_mode & 0o077:
            raise InvalidInput(
                "vault.key_file_open",
                f"The key file {path} may be read by others than its owner.",
                f"chmod 600 {path}, and rotate the key if others could have read it",
            )
        return stream.read(), _stamp(about)


def _bad_key(why: str) -> InvalidInput:
    return InvalidInput(
        "vault.bad_key",
        f"The vault's master key cannot be used: {why}.",
        "give base64 of 32 random bytes, several as version:key with commas between",
    )
