"""Output that is either whole or absent: written aside, then renamed into place."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rookery.terms.errors import Conflict


def refuse_foreign(target: Path, marker: str) -> None:
    """Raises Conflict when `target` is there and is neither an empty folder nor one that holds the file `marker`."""
    if target.exists() and not (target.is_dir() and (not any(target.iterdir()) or (target / marker).exists())):
        raise Conflict(
            "output.not_ours",
            f"{target} exists and is not an earlier output (no {marker} in it), so it is left alone.",
            "name another folder or remove it yourself",
        )


@contextmanager
def write_aside(target: Path, marker: str) -> Iterator[Path]:
    """A fresh folder beside `target` that takes its place when the block ends well, and vanishes when it does not.

    An existing `target` is replaced only when it is empty or holds the file `marker` (that is, when it is an earlier
    output of the same kind). Raises Conflict otherwise, before anything is written.
    """
    target = Path(target)
    refuse_foreign(target, marker)
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        yield aside
        aside.chmod(0o755)
        if target.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{target.name}.old.", dir=target.parent))
            target.rename(old / "was")
            aside.rename(target)
            shutil.rmtree(old, ignore_errors=True)
        else:
            aside.rename(target)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
