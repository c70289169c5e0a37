"""Documents whose capture failed by a fault of the program: captured again once it is mended, and kept for a while."""

from __future__ import annotations

from datetime import datetime, timedelta

import psycopg
from msgspec import structs

from rookery.base import jobs
from rookery.base.audit import note
from rookery.base.operations import Context, operation
from rookery.flows.epcis.captures import CAPTURE, CaptureJob, OneCapture, get
from rookery.terms.errors import Conflict

KEPT = timedelta(days=30)
"""So long such a document is kept after its capture failed."""


@operation("epcis.captures.again", kind="command", http="POST /epcis/capture/{captureID}/again", scope="operator")
def capture_again(ctx: Context, ask: OneCapture) -> CaptureJob:
    """Capture a document again whose capture failed by a fault of the program, once that is mended.

    As whoever sent it, by a job. Such a document is kept for 30 days; of what is itself at fault nothing is kept. Asked
    twice, it is captured once. Raises NotFound, and Conflict (captures.not_kept) where nothing is left to capture.
    """
    with ctx.as_system() as conn:
        job = get(ctx, ask)
        waits = conn.execute(
            "update tracking.captures set running = true, success = true, finished_at = null, errors = '[]'"
            " where capture_id = %s and test = %s and content is not null and not running returning capture_id",
            (ask.captureID, ctx.who.test),
        ).fetchone()
        if waits is None:
            if job.running:
                return job
            what = (
                f"Nothing is kept of {ask.captureID}: it was captured, its document is at fault, or it is too long ago."
            )
            raise Conflict("captures.not_kept", what, "see its errors, and have it sent again")
        jobs.defer(conn, CAPTURE, capture_id=ask.captureID, test=str(ctx.who.test))
    note(ctx, "captures.again", ask.captureID)
    return structs.replace(job, running=True, success=True, finishedAt=None, errors=[])


def forget(conn: psycopg.Connection, test: bool, now: datetime, most: int) -> int:
    """Forget documents whose capture failed 30 days ago, so many at most; what came of the capture stays. Returns how
    many; fewer than `most` = there are no more.
    """
    return conn.execute(
        "update tracking.captures set content = null where capture_id in (select capture_id from tracking.captures"
        " where test = %s and content is not null and not running and finished_at < %s limit %s)",
        (test, now - KEPT, most),
    ).rowcount
