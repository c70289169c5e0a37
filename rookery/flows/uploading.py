"""Files of orders: taken row by row, the good ones at once; the others come back as a sheet to be corrected.

A file may be handed in again, whole or corrected: orders that are there already are not taken twice.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import polars as pl
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Meta, Struct
from psycopg.rows import dict_row

from rookery.base import jobs
from rookery.base.audit import note
from rookery.base.jsonb import jsonb
from rookery.base.operations import Context, Who, operation
from rookery.base.paging import After, Limit, Page, page
from rookery.base.progress import Progress, silent
from rookery.flows.ordering import take_judged
from rookery.orders.corrections import fault_sheet, plain_references, row_refs, to_keep
from rookery.orders.intake import judge
from rookery.orders.sheets import read_sheet
from rookery.orders.vault.kept import drop_expired, keep_rows, kept_rows, row_ref
from rookery.orders.vault.keyring import Keyring
from rookery.orders.vault.keys import destroy_keys, find_keys, make_keys
from rookery.terms.errors import Conflict, InvalidInput, Later, NotFound, RookeryError
from rookery.terms.ids import new_id
from rookery.terms.notice import Fault, Notice

MOST_BYTES = 64 << 20
"""Of a file over HTTP, which is held in memory whole; `rookery orders import` reads larger ones."""
AT_ONCE = 10_000
"""Rows taken in one transaction."""
NONCE = 12
UploadId = Annotated[str, Meta(max_length=40, examples=["upl_01m8hyvan558x4225mfmdh7nwt"])]
Form = Literal["csv", "jsonl", "parquet"]


class Upload(Struct, frozen=True):
    """A file of orders, and what came of it. rows = taken + repeated + refused once it is done."""

    upload_id: str
    state: Literal["waiting", "reading", "done", "failed"]
    form: Form
    bytes: int
    rows: int
    taken: int
    repeated: int
    refused: int
    notices: list[Notice]
    fault: str | None
    metadata: dict[str, str]
    version: int
    created_at: datetime
    finished_at: datetime | None
    test: bool


_COLUMNS = ", ".join(Upload.__struct_fields__)


class UploadAsk(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file of orders, as it is."""

    content: bytes
    form: Form = "csv"


@operation(
    "uploads.create", kind="command", http="POST /order-uploads", scope="merchant", status=202,
    body="text/csv, application/jsonl, application/vnd.apache.parquet, application/octet-stream", most_bytes=MOST_BYTES,
)  # fmt: skip
def create(ctx: Context, ask: UploadAsk) -> Upload:
    """Hand in a file of orders (CSV, JSON lines or Parquet). It is read in the background: look at what came of it."""
    if not ask.content:
        raise InvalidInput("uploads.empty", "The file is empty.", "send the file as the request's body")
    now, upload_id = ctx.clock.now(), new_id("upl", ctx.clock.now())
    with ctx.keys() as keys:
        [key] = make_keys(keys, ctx.part(Keyring), [_content_of(upload_id)])
    nonce = secrets.token_bytes(NONCE)
    sealed = nonce + AESGCM(key).encrypt(nonce, ask.content, upload_id.encode())
    ctx.conn.execute(
        "insert into orders.uploads (upload_id, party_id, test, state, form, bytes, content, created_at)"
        " values (%s, %s, %s, 'waiting', %s, %s, %s, %s)",
        (upload_id, ctx.who.party_id, ctx.who.test, ask.form, len(ask.content), sealed, now),
    )
    jobs.defer(ctx.conn, "orders.intake", upload_id=upload_id, test=str(ctx.who.test))
    note(ctx, "uploads.create", upload_id, bytes=len(ask.content))
    return get_upload(ctx, upload_id)


class OneUpload(Struct, frozen=True, forbid_unknown_fields=True):
    """Names an upload."""

    upload_id: UploadId


@operation("uploads.get", kind="query", http="GET /order-uploads/{upload_id}", scope=("merchant", "operator"))
def get(ctx: Context, ask: OneUpload) -> Upload:
    """Look up what came of a file."""
    return get_upload(ctx, ask.upload_id)


def get_upload(ctx: Context, upload_id: str) -> Upload:
    """One upload. Raises NotFound, also for another party's."""
    with ctx.conn.cursor(row_factory=dict_row) as cursor:
        query = f"select {_COLUMNS} from orders.uploads where upload_id = %s"
        row = cursor.execute(query.encode(), (upload_id,)).fetchone()
    if row is None:
        raise NotFound("uploads.none", f"There is no upload {upload_id}.", "list yours: GET /order-uploads")
    return msgspec.convert(row, Upload)


class WhichUploads(Struct, frozen=True, forbid_unknown_fields=True):
    """A page of uploads, oldest first."""

    limit: Limit = 100
    after: After = ""


@operation("uploads.list", kind="query", http="GET /order-uploads", scope=("merchant", "operator"))
def list_uploads(ctx: Context, ask: WhichUploads) -> Page[Upload]:
    """List files of orders, oldest first."""
    with ctx.conn.cursor(row_factory=dict_row) as cursor:
        query = f"select {_COLUMNS} from orders.uploads where upload_id > %s and test = %s order by upload_id limit %s"
        rows = cursor.execute(query.encode(), (ask.after, ctx.who.test, ask.limit + 1)).fetchall()
    return page(msgspec.convert(rows, list[Upload]), ask.limit, lambda upload: upload.upload_id)


@operation(
    "uploads.faults", kind="query", http="GET /order-uploads/{upload_id}/faults", scope="merchant", media="text/csv"
)
def faults(ctx: Context, ask: OneUpload) -> bytes:
    """The rows that were refused, as a CSV file that says why; correct it and hand it in again.

    It holds no names or addresses: cells that say `kept` are taken from what was sent, for seven days.
    """
    upload = get_upload(ctx, ask.upload_id)
    if upload.state in ("waiting", "reading"):
        raise Conflict("uploads.not_read", "The file is still being read.", "ask again when its state is done")
    row = ctx.conn.execute("select fault_sheet from orders.uploads where upload_id = %s", (ask.upload_id,)).fetchone()
    return bytes(row[0]) if row is not None and row[0] is not None else b""


@jobs.task("orders.intake")
def read_upload(desk: jobs.Desk, upload_id: str, test: str) -> None:
    """The job: take the rows of an upload. Done again after a crash it goes on where it was: nothing is taken twice.

    What cannot be read makes the upload failed, and so does a fault of the program; what passes (the database away) is
    raised, to be tried again.
    """
    is_test = test == "True"
    with desk.context(is_test) as ctx:
        row = ctx.conn.execute(
            "update orders.uploads set state = 'reading', version = version + 1"
            " where upload_id = %s and state in ('waiting', 'reading') returning party_id, form, content", (upload_id,),
        ).fetchone()  # fmt: skip
    if row is None:
        _forget_file(desk, upload_id)  # whoever finished it may have been stopped before that
        return
    party_id, form, sealed = row[0], row[1], bytes(row[2] or b"")

    def contexts() -> Context:
        return Context(
            desk.database, desk.clock, Who(party_id, "key_system", frozenset({"merchant"}), is_test), desk.parts
        )

    try:
        with _as_file(_opened(desk, upload_id, sealed)) as path:
            frame, notices = read_sheet(path, f"orders.{form}")
        outcome = take_sheet(contexts, frame, notices, upload_id)
        _finish(desk, is_test, upload_id, "done", outcome, None)
    except Later:
        raise
    except InvalidInput as fault:
        _finish(desk, is_test, upload_id, "failed", Outcome(notices=fault.notices), str(fault))
    except RookeryError as fault:
        _finish(desk, is_test, upload_id, "failed", _taken_so_far(contexts, upload_id), str(fault))
    except (Exception, pl.exceptions.PanicException) as fault:  # the latter is no Exception
        told = (
            f"A fault of the program ({type(fault).__name__}) kept the file from being read to its end."
            " Next: save it as CSV and send it again; what was taken is not taken twice."
        )
        _finish(desk, is_test, upload_id, "failed", _taken_so_far(contexts, upload_id), told)
        raise RuntimeError(f"{type(fault).__name__} in {upload_id}") from None  # its words may hold a name


def _opened(desk: jobs.Desk, upload_id: str, sealed: bytes) -> bytes:
    """The file as it was sent. Raises NotFound when it cannot be opened any more."""
    with desk.database.keys() as keys:
        key = find_keys(keys, desk.parts[Keyring], [_content_of(upload_id)]).get(_content_of(upload_id))
    try:
        if key is not None:
            return AESGCM(key).decrypt(sealed[:NONCE], sealed[NONCE:], upload_id.encode())
    except (InvalidTag, ValueError):
        pass
    # as in a database put back from a backup of before the file was read: its key went when it was
    raise NotFound("uploads.gone", "The file is gone.", "send it again; what was taken of it is not taken twice")


def _taken_so_far(contexts: Callable[[], Context], upload_id: str) -> Outcome:
    with contexts() as ctx:
        return Outcome(taken=_count_taken(ctx, upload_id))


@dataclass(frozen=True)
class Outcome:
    """What came of the rows of a file: how many, and the sheet of those refused."""

    rows: int = 0
    taken: int = 0
    repeated: int = 0
    refused: int = 0
    sheet: bytes | None = None
    notices: tuple[Notice, ...] = ()
    warnings: int = 0


def take_sheet(
    contexts: Callable[[], Context],
    frame: pl.DataFrame,
    notices: tuple[Notice, ...],
    upload_id: str,
    progress: Progress = silent,
) -> Outcome:
    """Take the rows of an order file (as `read_sheet` gives them) for a party, 10,000 in a transaction.

    contexts: opens a context of the party for each transaction. Good rows go on; what the others hold of people is kept
    in the vault for seven days under `upload_id`.
    """
    with contexts() as ctx, ctx.keys() as keys:
        who, refs = ctx.who, row_refs(frame)
        kept = (
            kept_rows(ctx.conn, keys, ctx.part(Keyring), who.party_id, who.test, refs, ctx.clock.now()) if refs else {}
        )
    judged = judge(frame, kept, progress, notices)
    refused: dict[int, list[Fault]] = dict(judged.faults)
    height = judged.good.height
    for first in range(0, height, AT_ONCE):
        progress("taking orders", first, height)
        some = replace(judged, good=judged.good.slice(first, AT_ONCE))
        with contexts() as ctx:
            refused |= take_judged(ctx, some, upload_id).faults
    progress("taking orders", height, height)
    with contexts() as ctx:
        sheet = None
        if refused:
            back = sorted(refused)
            refs = {line: row_ref(upload_id, line) for line in judged.raw["line"].to_list()}
            sheet = fault_sheet(judged, refused, refs)
            with ctx.keys() as keys:
                keep_rows(
                    ctx.conn, keys, ctx.part(Keyring), ctx.who.party_id, ctx.who.test, upload_id,
                    to_keep(judged, back), ctx.clock.now(), plain_references(judged, back),
                )  # fmt: skip
        taken = _count_taken(ctx, upload_id)
    rows = judged.raw.height
    return Outcome(rows, taken, rows - taken - len(refused), len(refused), sheet, judged.notices, len(judged.warnings))


def _count_taken(ctx: Context, upload_id: str) -> int:
    row = ctx.conn.execute(
        "select count(*) from orders.orders where upload_id = %s and party_id = %s", (upload_id, ctx.who.party_id)
    ).fetchone()
    return row[0] if row else 0


def _finish(desk: jobs.Desk, test: bool, upload_id: str, state: str, outcome: Outcome, fault: str | None) -> None:
    """Write what came of it; the file itself is forgotten, and its key with it."""
    with desk.context(test) as ctx:
        ctx.conn.execute(
            "update orders.uploads set state = %s, rows = %s, taken = %s, repeated = %s, refused = %s,"
            " notices = %s, fault_sheet = %s, fault = %s, content = null, finished_at = %s, version = version + 1"
            " where upload_id = %s",
            (
                state, outcome.rows, outcome.taken, outcome.repeated, outcome.refused,
                jsonb(outcome.notices), outcome.sheet, fault, desk.clock.now(), upload_id,
            ),
        )  # fmt: skip
    _forget_file(desk, upload_id)


def _forget_file(desk: jobs.Desk, upload_id: str) -> None:
    with desk.database.keys() as keys:
        destroy_keys(keys, [_content_of(upload_id)])


def _content_of(upload_id: str) -> str:
    """Whose data key an uploaded file is sealed with; its kept rows have their own."""
    return f"{upload_id}/file"


@contextmanager
def _as_file(content: bytes) -> Iterator[Path]:
    """A file in memory alone, where the system has such: what it holds of people is never on a disk."""
    if hasattr(os, "memfd_create"):
        handle = os.memfd_create("orders")
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            yield Path(f"/proc/self/fd/{handle}")
    else:
        with tempfile.NamedTemporaryFile(prefix="rookery-") as file:
            file.write(content)
            file.flush()
            yield Path(file.name)


@jobs.tick("uploads.expired")
def forget_expired(desk: jobs.Desk) -> None:
    """Every minute: kept rows of uploads go when their seven days are over, and their keys with them."""
    for test in (False, True):
        with desk.context(test) as ctx, ctx.keys() as keys:
            drop_expired(ctx.conn, keys, desk.clock.now())
