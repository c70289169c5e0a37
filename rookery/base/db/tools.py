"""PostgreSQL's own programs, run on a database: a password never stands among their words, which anybody may list."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import IO

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from rookery.base.db.binaries import programs
from rookery.terms.errors import RookeryError

_TICK_S = 0.1
_CHUNK_BYTES = 8 << 20
_UNKNOWN_BEFORE_17 = b"SET transaction_timeout = 0;\n"


class BackupFailed(RookeryError):
    """pg_dump or pg_restore ended with an error; nothing was replaced."""


def run(command: Sequence[str], url: str, tell: Callable[[], None]) -> None:
    """Runs one of PostgreSQL's programs on a database, told of as it goes."""
    words, environment = _addressed(command, url)
    with tempfile.TemporaryFile("w+") as said:
        child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=said, stderr=said, env=environment)
        try:
            while True:
                with suppress(subprocess.TimeoutExpired):
                    child.wait(_TICK_S)
                    break
                tell()
        finally:
            if child.poll() is None:  # stopped from outside
                child.kill()
                child.wait()
        _refuse_failed(command[0], bool(child.returncode), said)


def _addressed(command: Sequence[str], url: str) -> tuple[list[str], dict[str, str]]:
    """A program's words and environment for a database; no password stands among the words, which anybody may list."""
    named = conninfo_to_dict(url)
    password = named.pop("password", None)
    environment = {**os.environ, **({"PGPASSWORD": str(password)} if password else {})}
    return [str(programs() / command[0]), *command[1:], f"--dbname={make_conninfo('', **named)}"], environment


def _refuse_failed(program: str, failed: bool, said: IO[str]) -> None:
    if failed:
        said.seek(0)
        raise BackupFailed(
            "backup.failed",
            f"{program} ended with an error: {first_error(said.read())}. Nothing was replaced.",
            "mend what it tells (is the disk full?), then try again",
        )


def first_error(words: str) -> str:
    """The first error among a program's words, or else the last of them. A row's values stand in others."""
    lines = words.strip().splitlines() or ["it said nothing"]
    return next((line for line in lines if "rror:" in line or "ERROR:" in line), lines[-1])


def pour(command: Sequence[str], url: str, tell: Callable[[], None]) -> None:
    """Has psql run the SQL that a command writes, up to the first error.

    Not pg_restore by itself: it sets what servers before 17 do not know.
    """
    words, environment = _addressed(["psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--no-password"], url)
    with tempfile.TemporaryFile("w+") as said:
        writer = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=said, env=environment)
        reader = subprocess.Popen(
            [programs() / command[0], *command[1:]], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said
        )
        assert reader.stdout is not None and writer.stdin is not None
        try:
            with suppress(BrokenPipeError), writer.stdin as sql_in:  # psql ends at the first error
                chunk = reader.stdout.read(_CHUNK_BYTES).replace(_UNKNOWN_BEFORE_17, b"", 1)  # it stands in the head
                while chunk:
                    sql_in.write(chunk)
                    tell()
                    chunk = reader.stdout.read(_CHUNK_BYTES)
            reader.stdout.close()
            ended = [reader.wait(), writer.wait()]
        finally:
            for child in (reader, writer):
                if child.poll() is None:  # stopped from outside
                    child.kill()
                    child.wait()
        _refuse_failed(command[0], any(ended), said)
