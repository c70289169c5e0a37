"""A folder of files or a .zip of one, opened alike; a .zip is unpacked aside, guarded against bombs and stray paths."""

from __future__ import annotations

import lzma
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from rookery.base.files import irregular
from rookery.base.notices import Code, Findings

MAX_UNPACKED = 4 << 30
MAX_RATIO = 250
"""A file that unpacks to more than this many times its packed size (and is large) is taken for a bomb."""
HARMLESS = 64 << 20
_DAMAGED = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError, ValueError, OSError)

ARCHIVE_CODES: dict[str, Code] = {
    "zip_entry_ignored": Code(
        "warning", "the path climbs out of the archive, is absolute or stands twice", "zip the plain files again"
    ),
    "zip_too_large": Code("error", "the archive unpacks to more than is read", "unpack it and name what comes out"),
    "unknown_file": Code("info", "the file is not part of the format and is ignored", "nothing, or correct its name"),
}


@contextmanager
def files_of(path: Path, wanted: Callable[[str], bool], findings: Findings) -> Iterator[dict[str, Path] | None]:
    """The wanted files of a folder or .zip, by name; None (and a finding) when it cannot be opened.

    Other files are told and left alone. The files of a .zip may lie in one folder inside it; they are unpacked aside
    and gone when the block ends. Over 4 GiB unpacked is refused, and so is what shrinks like a bomb.
    """
    if path.is_dir():
        yield _folder(path, wanted, findings)
        return
    if why := irregular(path):
        findings.add("unreadable_file", path.name, message=f"is neither a folder nor a readable .zip: {why}")
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="rookery-") as aside:
        try:
            with zipfile.ZipFile(path) as archive:
                files = _unpack(archive, path.name, wanted, Path(aside), findings)
        except _DAMAGED as fault:
            why = str(fault) or type(fault).__name__
            findings.add("unreadable_file", path.name, message=f"is neither a folder nor a readable .zip: {why}")
            files = None
        yield files


def _folder(path: Path, wanted: Callable[[str], bool], findings: Findings) -> dict[str, Path] | None:
    try:
        entries = {entry.name: entry for entry in sorted(path.iterdir()) if not _hidden(entry.name)}
    except OSError as fault:
        findings.add("unreadable_file", path.name, message=f"cannot be read: {fault.strerror or fault}")
        return None
    for name in entries:
        if not wanted(name):
            findings.add("unknown_file", path.name, value=name)
    return {name: entry for name, entry in entries.items() if wanted(name)}


def _unpack(
    archive: zipfile.ZipFile, source: str, wanted: Callable[[str], bool], aside: Path, findings: Findings
) -> dict[str, Path] | None:
    members: dict[PurePosixPath, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        inside = PurePosixPath(member.filename.replace("\\", "/"))
        if member.is_dir() or any(_hidden(part) and part != ".." for part in inside.parts):
            continue
        if inside.is_absolute() or ".." in inside.parts or inside in members:
            findings.add("zip_entry_ignored", source, value=member.filename)
        else:
            members[inside] = member
    tops = {inside.parts[0] if len(inside.parts) > 1 else "" for inside in members}
    folder = PurePosixPath(tops.pop()) if len(tops) == 1 else PurePosixPath()
    files: dict[str, Path] = {}
    left = MAX_UNPACKED
    for inside, member in members.items():
        name = str(inside.relative_to(folder))
        if "/" in name or not wanted(name):
            findings.add("unknown_file", source, value=name)
            continue
        limit = min(left, max(HARMLESS, MAX_RATIO * member.compress_size))
        files[name] = aside / name
        # the size an archive states may be a lie, so what really comes out is counted
        with archive.open(member) as packed, files[name].open("wb") as out:
            size = 0
            while chunk := packed.read(min(1 << 20, limit - size + 1)):
                size += len(chunk)
                if size > limit:
                    findings.add("zip_too_large", source, value=member.filename)
                    return None
                out.write(chunk)
        left -= size
    return files


def _hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"
