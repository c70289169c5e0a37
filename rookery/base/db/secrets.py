"""The cluster's passwords, in libpq's own file format: no address ever holds one, and psql and pg_dump read it too."""

from __future__ import annotations

import os
import secrets
import tempfile
from pathlib import Path

from rookery.terms.errors import Conflict

FILE = "pgpass"
SUPERUSER = "postgres"


def password_file(data: Path, roles: tuple[str, ...], cluster: Path) -> Path:
    """data/pgpass (0600), made with a random password for each role when there is no cluster yet.

    Raises Conflict when it is gone and the cluster is there: nobody could get in.
    """
    path = data / FILE
    if path.exists():
        return path
    if cluster.exists():
        raise Conflict(
            "database.no_passwords",
            f"{path} is gone, and without it nobody can enter the database in {cluster}.",
            f"put {FILE} back from a copy of the data folder",
        )
    handle, aside = tempfile.mkstemp(prefix=f".{FILE}.", dir=data)  # 0600
    with os.fdopen(handle, "w") as stream:
        stream.writelines(f"*:*:*:{role}:{secrets.token_urlsafe(32)}\n" for role in roles)
        stream.flush()
        os.fsync(stream.fileno())
    Path(aside).replace(path)
    return path


def password(path: Path, role: str) -> str:
    """A role's password. Raises Conflict when the file has none."""
    for line in path.read_text().splitlines():
        parts = line.split(":")
        if len(parts) == 5 and parts[3] == role:
            return parts[4]
    raise Conflict("database.no_password", f"{path} has no line for {role}.", f"put {path.name} back from a copy")
