"""Documents whose capture failed by a fault of the program: captured again once it is mended, and kept for a while."""

from __future__ import annotations

from datetime import datetime, timedelta

import psycopg

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
        begun = conn.execute(
            "update tracking.captures set running = true, success = true, finished_at = null, errors = '[]'"
            " where capture_id = %s and test = %s and content is not null and not running returning capture_id",
            (ask.captureID, ctx.who.test),
        ).fetchone()
        job = get(ctx, ask)  # only now: whoever asked at the same moment has it running since
        if begun is not None:
            jobs.defer(conn, CAPTURE, capture_id=ask.captureID, test=str(ctx.who.test))
        elif not job.running:
            what = (
                f"Nothing is kept of {ask.captureID}: it was captured, its document is at fault, or it is too long ago."
            )
            raise Conflict("captures.not_kept", what, "see its errors, and have it sent again")
    if begun is not None:
        note(ctx, "captures.again", ask.captureID)
    return job


def forget(conn: psycopg.Connection, test: bool, now: datetime, most: int) -> int:
    """Forget documents whose capture failed 30 days ago, so many at most; what came of the capture stays. Returns how
    many; fewer than `most` = there are no more.
    """
    left = "content is not null and not running and finished_at < %(until)s"
    return conn.execute(  # said of both: one that is being captured again is waited for, and then it is none of these
        f"update tracking.captures set content = null where {left} and capture_id in (select capture_id"
        f" from tracking.captures where test = %(test)s and {left} limit %(most)s)".encode(),
        {"test": test, "until": now - KEPT, "most": most},
    ).rowcount
