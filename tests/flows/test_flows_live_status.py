"""How the live side is judged by the last sign of a part."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rookery.flows.live_status import BEHIND, PARTS, STALE, judged
from rookery.tracking.live_signs import Sign

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
LONG_AGO = NOW - timedelta(hours=1)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize(
    ("said", "state"),
    [
        ({}, "ok"),
        ({"fault": "DataError", "fault_at": LONG_AGO}, "ok"),  # over
        ({"failing_since": LONG_AGO}, "failing"),
        ({"failing_since": LONG_AGO, "busy_since": LONG_AGO}, "failing"),
        ({"busy_since": LONG_AGO}, "behind"),
        ({"waiting_since": LONG_AGO}, "behind"),
        ({"waiting_since": NOW, "busy_since": LONG_AGO}, "behind"),
        ({"waiting_since": NOW, "busy_since": NOW}, "ok"),
        ({"at": LONG_AGO}, "none"),
        ({"at": LONG_AGO, "failing_since": LONG_AGO}, "none"),
        ({"at": LONG_AGO, "started_at": LONG_AGO, "ended_at": LONG_AGO}, "none"),
    ],
)
def test_a_part_is_how_its_sign_says(part: Any, said: dict[str, Any], state: str) -> None:
    """An old sign counts for nothing, a failure for more than what waits, and a fault that is over for neither."""
    found, since = judged(Sign(**{"part": part, "at": NOW, **said}), NOW)
    assert (found, since) == (state, None if state == "ok" else LONG_AGO)


@pytest.mark.parametrize("part", PARTS)
def test_a_moment_is_no_trouble(part: Any) -> None:
    """What waits no longer than is usual is not behind, and a sign that is a little old still counts as it was."""
    at, since = NOW - STALE, NOW - STALE - BEHIND[part]
    assert judged(Sign(part=part, at=at, busy_since=since, waiting_since=since), NOW) == ("ok", None)
    assert judged(None, NOW) == ("none", None)
    told_to_end = Sign(part=part, at=NOW, started_at=LONG_AGO, ended_at=NOW)
    assert judged(told_to_end, NOW) == ("none", NOW)  # at once
