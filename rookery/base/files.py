"""Output that is either whole or absent: written aside, then renamed into place. And what counts as a file to read."""

from __future__ import annotations

import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from rookery.terms.errors import Conflict

_MARKER_BYTES = 1 << 20  # of a marker that are looked at
_LEFT_BY_THE_DESKTOP = {".DS_Store", "Thumbs.db", "desktop.ini"}


@dataclass(frozen=True)
class Output:
    """A kind of folder this program writes, and how an earlier one is told from anything else.

    name: what it is called; marker: the file in it that says what it is; says_so: whether that file's bytes do;
    holds: every name it ever writes.
    """

    name: str
    marker: str
    says_so: Callable[[bytes], bool]
    holds: frozenset[str]

    def refuse_foreign(self, target: Path) -> None:
        """Raises Conflict when `target` cannot be replaced as a whole, or is neither empty nor an earlier output."""
        target = Path(target).resolve()
        if not target.exists():
            return
        foreign = self._foreign(target)
        if foreign:
            raise Conflict(
                "output.not_ours",
                f"{target} is there and is not an earlier {self.name} ({foreign}), so it is left alone.",
                "name another folder or remove it yourself",
            )
        if Path.cwd().is_relative_to(target) or target.is_mount():
            where = "a mount point" if target.is_mount() else "the folder this is called from, or above it"
            raise Conflict(
                "output.cannot_be_replaced",
                f"{target} is {where}, so it cannot be renamed away when the {self.name} takes its place.",
                f"name a folder inside it: {target / self.name}",
            )

    def _foreign(self, target: Path) -> str | None:
        """What shows that `target` is none of this kind; None when it is empty or an earlier one."""
        if not target.is_dir():
            return "it is no folder"
        names = {entry.name for entry in target.iterdir()}
        if not names:
            return None
        if why := irregular(target / self.marker):
            return f"{self.marker} in it {why}" if self.marker in names else f"no {self.marker} in it"
        with (target / self.marker).open("rb") as stream:
            if not self.says_so(stream.read(_MARKER_BYTES)):
                return f"its {self.marker} was not written by this program"
        strange = sorted(names - self.holds - _LEFT_BY_THE_DESKTOP)
        return f"it also holds {', '.join(strange[:3])}{' and more' if len(strange) > 3 else ''}" if strange else None


def json_says(key: str, begins: str) -> Callable[[bytes], bool]:
    """Whether bytes are a JSON object in which the text at `key` begins so."""

    def says_so(text: bytes) -> bool:
        try:
            return str(msgspec.json.decode(text, type=dict).get(key, "")).startswith(begins)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return False

    return says_so


def irregular(path: Path) -> str | None:
    """Why there is no file to be read at `path`, links followed; None when there is one.

    A pipe would be waited for without end, and a device has no end.
    """
    try:
        kind = path.stat().st_mode
    except OSError as fault:
        return f"cannot be read: {fault.strerror or fault}"
    if stat.S_ISDIR(kind):
        return "is a folder where a file is expected"
    return None if stat.S_ISREG(kind) else "is no plain file but a pipe, a socket or a device"


@contextmanager
def write_aside(target: Path, kind: Output) -> Iterator[Path]:
    """A fresh folder beside `target` that takes its place when the block ends well, and vanishes when it does not.

    An existing `target` is replaced only when it is empty or an earlier output of `kind`; it is put back when the new
    one cannot take its place. Raises Conflict otherwise, before anything is written.
    """
    target = Path(target).resolve()
    kind.refuse_foreign(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        yield aside
        aside.chmod(0o755)
        kind.refuse_foreign(target)  # somebody may have put something there meanwhile
        _swap(aside, target)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _swap(aside: Path, target: Path) -> None:
    """Renames `aside` to `target`; what was there goes when that is done, and comes back when it cannot be."""
    if not target.exists():
        aside.rename(target)
        return
    attic = Path(tempfile.mkdtemp(prefix=f".{target.name}.old.", dir=target.parent))
    was = attic / "was"
    try:
        target.rename(was)
        aside.rename(target)
    except BaseException:
        if was.exists() and not target.exists():
            was.rename(target)
        with suppress(OSError):
            attic.rmdir()
        raise
    shutil.rmtree(attic, ignore_errors=True)
