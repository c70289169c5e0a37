"""When a message that was not taken is sent again: soon at first, then ever later, for three days."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

DELAYS_S = (5, 30, 120, 600, 1800, 3600, 7200, 14_400, 28_800, 43_200)
"""After the first failure, the second ..; the last one for all that follow."""
JITTER = 0.2
"""Delays differ by so much up and down, so that what failed at once does not come again at once."""
TRIED = timedelta(hours=72)
"""From the first attempt on; then a message is dead, until somebody replays it."""
MOST_RETRY_AFTER_S = 3600.0
"""Longer than this nobody is waited for because it says so."""
IN_A_ROW = 5
"""Failures after which an endpoint counts as down, until one attempt succeeds: it gets one at a time."""
LONGEST_REST_S = 60.0


def next_attempt(
    event_id: str, attempts: int, first_at: datetime, now: datetime, retry_after_s: float
) -> datetime | None:
    """When to try again after `attempts` failures, the last of them now; None: never, it is dead.

    first_at: of the first attempt; retry_after_s: what the endpoint asked for, 0 = nothing. The last attempt falls at
    the end of the three days. Jitter follows from the id, so that it is the same whoever works it out.
    """
    if now >= first_at + TRIED:
        return None
    delay = DELAYS_S[min(attempts, len(DELAYS_S)) - 1] * (1 + JITTER * _spread(f"{event_id} {attempts}"))
    wait = max(delay, min(retry_after_s, MOST_RETRY_AFTER_S))
    return min(now + timedelta(seconds=wait), max(first_at + TRIED, now + timedelta(seconds=DELAYS_S[0])))


def rest_s(in_a_row: int) -> float:
    """How long an endpoint that is down is left alone before it is tried once: a second, then twice as long each
    time.
    """
    if in_a_row < IN_A_ROW:
        return 0.0
    return min(LONGEST_REST_S, 2.0 ** min(in_a_row - IN_A_ROW, 10))


def retry_after(text: str | None, now: datetime) -> float:
    """Seconds from a Retry-After header (RFC 9110, 10.2.3: seconds or a date); 0 when there is none, or it is none."""
    if not text:
        return 0.0
    if text.strip().isascii() and text.strip().isdigit():
        return min(float(text.strip()[:9]), MOST_RETRY_AFTER_S)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return min(max((at - now).total_seconds(), 0.0), MOST_RETRY_AFTER_S)


def _spread(text: str) -> float:
    """A number from -1 to 1 that the text stands for."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") / (1 << 31) - 1
