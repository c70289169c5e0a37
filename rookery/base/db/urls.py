"""Where a system of record is: the addresses of its two databases, and what every connection to them asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

MAIN = "rookery"
"""The database that holds everything but the keys; the only one that backups hold."""
KEYS = "rookery_keys"
"""The database of people's data keys: outside all backups, so that a key destroyed is destroyed everywhere."""
OWNER = "rookery"
APP = "rookery_app"
"""The role under which the server works: it owns nothing and row-level security binds it."""


@dataclass(frozen=True)
class Urls:
    """libpq URLs: of the main database, of the keys, and for `maintain` of a database from which others are made and
    renamed, under a role that may do so and that row-level security does not bind.
    """

    main: str
    keys: str
    maintain: str


class Server(Protocol):
    """A PostgreSQL that Rookery uses: its own (Cluster) or somebody else's (External)."""

    def start(self) -> Server: ...

    def stop(self) -> None: ...

    def mend(self) -> bool: ...

    def url(self, database: str = MAIN, role: str = OWNER) -> str: ...

    def urls(self) -> Urls: ...
