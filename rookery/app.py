"""The composition root: the only place where parts are wired together. A door opens a house and acts through it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msgspec import structs

import rookery.base.access.ops
import rookery.flows.accepting
import rookery.flows.cases
import rookery.flows.chances
import rookery.flows.closures.closing
import rookery.flows.epcis.captures
import rookery.flows.epcis.events
import rookery.flows.epcis.queries
import rookery.flows.epcis.recapturing
import rookery.flows.epcis.resources
import rookery.flows.epcis.subscriptions
import rookery.flows.forgetting
import rookery.flows.labelling
import rookery.flows.live_status
import rookery.flows.numbering
import rookery.flows.ordering
import rookery.flows.overruling
import rookery.flows.parcels
import rookery.flows.people
import rookery.flows.public_tracking
import rookery.flows.publishing
import rookery.flows.quotes.quoting
import rookery.flows.rebooking.acts
import rookery.flows.reordering
import rookery.flows.scan_codes
import rookery.flows.scanning
import rookery.flows.shipments
import rookery.flows.trackers
import rookery.flows.uploading
import rookery.flows.waving
import rookery.flows.webhooks
from rookery.base import jobs
from rookery.base.clock import WALL, Clock, clock_in
from rookery.base.db import MAIN, Database, server, status, upgrade
from rookery.base.db.external import MAIN_URL
from rookery.base.operations import SYSTEM, Context, Who
from rookery.base.progress import Progress, silent
from rookery.base.signing import Signer
from rookery.flows.living.outlooks import Outlooks
from rookery.flows.public_tracking import Guesses
from rookery.flows.quotes.desks import Desks
from rookery.network.store import Feeds
from rookery.orders.vault.keyring import Keyring
from rookery.orders.vault.keys import prepare
from rookery.terms.errors import InvalidInput, NotFound, Unavailable
from rookery.tracking.archive import Archive

_LOCK = 0x72656479  # "redy": the advisory lock of whoever makes a database ready


@dataclass(frozen=True)
class House:
    """A running system of record: its database, its clock and its parts."""

    data: Path
    database: Database
    clock: Clock
    parts: dict[type, Any]

    def context(self, who: Who = SYSTEM, readonly: bool = False) -> Context:
        """What one act works with; a context manager."""
        return Context(self.database, self.clock, who, self.parts, readonly)


def data_folder(given: Path | None, new: bool = False) -> Path:
    """Where everything is kept: as told, else ROOKERY_HOME, else the user's data folder.

    new: it may be made now. Raises InvalidInput where there is no home folder, and NotFound where there is no system of
    record and none is to be made: the folder's name may be mistyped.
    """
    folder = _named(given)
    if not new and not (folder / "postgres").is_dir() and MAIN_URL not in os.environ:
        raise NotFound(
            "data.none_here", f"There is no system of record in {folder}.", "check --data; `rookery serve` makes one"
        )
    return folder


def _named(given: Path | None) -> Path:
    if given is not None:
        return given.resolve()
    if os.environ.get("ROOKERY_HOME"):
        return Path(os.environ["ROOKERY_HOME"]).resolve()
    home = os.environ.get("XDG_DATA_HOME") or (os.environ.get("HOME") and f"{os.environ['HOME']}/.local/share")
    if not home:
        raise InvalidInput("data.no_folder", "There is no home folder to keep data in.", "name one: --data DIR")
    return Path(home) / "rookery"


@contextmanager
def open_house(
    data: Path, *, clock: Clock | None = None, size: int = 8, migrate: bool = True, progress: Progress = silent
) -> Iterator[House]:
    """The system of record in a data folder: PostgreSQL started or attached to, migrated, and left when done.

    clock: by default the folder's own, which is simulated where it has a file of one (base/clock.py).
    """
    clock = clock or clock_in(data)
    postgres = server(data, progress)
    postgres.start()
    try:
        if migrate:
            upgrade(postgres.url(MAIN), progress)
        with Database.open(postgres, size=size) as database:
            if migrate:
                make_ready(database, clock)
            yield House(data, database, clock, wire(data, database))
    finally:
        postgres.stop()


def make_ready(database: Database, clock: Clock = WALL) -> None:
    """What a migrated database needs before its first act: tables of keys and of jobs, numbers to try out with.

    One program does it at a time; doing it again changes nothing.
    """
    with database.owner() as owner:
        owner.execute("select pg_advisory_lock(%s)", (_LOCK,))  # until the connection ends
        with database.keys() as keys:
            prepare(keys)
        jobs.install(owner)
        for test in (False, True):
            with Context(database, clock, structs.replace(SYSTEM, test=test)) as ctx:
                rookery.flows.numbering.add_demonstration_ranges(ctx)


def refuse_unready(database: Database) -> None:
    """Raises Unavailable while a database lacks a migration, or what make_ready gives it."""
    missing = [f"migration {name}" for name in status(database.urls.main).pending]
    with database.owner() as owner:
        if owner.execute("select to_regprocedure('jobs.defer(text, text, text, jsonb)')").fetchone() == (None,):
            missing.append("the tables of jobs")
    with database.keys() as keys:
        if keys.execute("select to_regclass('vault_keys.person_key')").fetchone() == (None,):
            missing.append("the table of keys")
    if missing:
        what = f"The database is not set up yet; it lacks {', '.join(missing)}."
        raise Unavailable("database.not_set_up", what, "wait for whoever sets it up, or run: rookery db upgrade", 2)


def wire(data: Path, database: Database) -> dict[type, Any]:
    """The parts that acts ask for, by class."""
    feeds = Feeds()
    return {
        Feeds: feeds,
        Guesses: Guesses(),
        Desks: Desks(feeds),
        Outlooks: Outlooks(),
        Keyring: Keyring.read(os.environ, data),
        Signer: Signer.read(data),
        Archive: Archive(data / "archive" / "tracking"),
    }


ACTS = (
    rookery.base.access.ops,
    rookery.flows.accepting,
    rookery.flows.cases,
    rookery.flows.chances,
    rookery.flows.closures.closing,
    rookery.flows.epcis.captures,
    rookery.flows.epcis.recapturing,
    rookery.flows.epcis.events,
    rookery.flows.epcis.queries,
    rookery.flows.epcis.resources,
    rookery.flows.epcis.subscriptions,
    rookery.flows.labelling,
    rookery.flows.live_status,
    rookery.flows.numbering,
    rookery.flows.ordering,
    rookery.flows.overruling,
    rookery.flows.parcels,
    rookery.flows.people,
    rookery.flows.public_tracking,
    rookery.flows.publishing,
    rookery.flows.quotes.quoting,
    rookery.flows.rebooking.acts,
    rookery.flows.scan_codes,
    rookery.flows.scanning,
    rookery.flows.shipments,
    rookery.flows.trackers,
    rookery.flows.uploading,
    rookery.flows.waving,
    rookery.flows.webhooks,
)
"""Modules that enter acts into the table; importing them is what does it."""
