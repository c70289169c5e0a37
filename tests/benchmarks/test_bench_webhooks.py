"""What the benchmark of webhooks counts could be wrong, and is found out then."""

from __future__ import annotations

import polars as pl
import pytest

from benchmarks.live.webhook_receiver import DOWN, FAILED, LOST_ANSWER, TAKEN
from benchmarks.live.webhooks import WRITES, compared

GOOD = [
    (DOWN, "e1", "a", 0), (FAILED, "e1", "a", 0), (TAKEN, "e2", "b", 0), (LOST_ANSWER, "e1", "a", 0),
    (TAKEN, "e1", "a", 0), (TAKEN, "e1", "a", 0), (TAKEN, "e3", "a", 1),
]  # fmt: skip
KEPT = pl.DataFrame(
    [("e1", "delivered", "a", None), ("e2", "delivered", "b", None), ("e3", "delivered", "a", None)],
    schema=["id", "state", "key", "error"],
    orient="row",
)


def counted(requests: list[tuple], kept: pl.DataFrame = KEPT) -> dict[str, int]:
    """The faults that are there."""
    rows = [(place, *request) for place, request in enumerate(requests)]
    found = compared(pl.DataFrame(rows, schema=WRITES, orient="row"), kept)
    return {what: many for what, many in found.items() if many}


def test_failures_lost_answers_and_repeats_under_one_id_are_no_faults() -> None:
    """As long as each message was taken, and each key's in order."""
    assert counted(GOOD) == {}


@pytest.mark.parametrize(
    ("requests", "fault"),
    [
        (GOOD[:-1], "skipped"),
        ([*GOOD, (TAKEN, "e9", "c", 0)], "told and never written"),
        ([*GOOD, (TAKEN, "e3b", "a", 1)], "told under two ids"),
        ([GOOD[-1], *GOOD[:-1]], "told before the one before was taken"),
        ([*GOOD[:4], GOOD[-1], *GOOD[4:-1]], "told before the one before was taken"),
    ],
)
def test_each_fault_is_counted(requests: list[tuple], fault: str) -> None:
    """A message that never came, one of nobody's, one under two ids, and one that came too early."""
    assert fault in counted(requests)


def test_what_came_and_was_not_written_is_a_fault() -> None:
    """A delivery that is still pending in the end, or dead."""
    pending = KEPT.with_columns(state=pl.Series(["delivered", "delivered", "next"]))
    assert counted(GOOD, pending) == {"not written as delivered": 1}
