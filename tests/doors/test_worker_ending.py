"""A worker is told to end once, and by what it would have heard otherwise the second time, whenever a signal comes."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from rookery.doors.worker.ending import SIGNALS, Ending


@pytest.fixture
def heard() -> Iterator[list[int]]:
    """What the process hears that is not for a worker, instead of ending."""
    came: list[int] = []
    before = {signum: signal.signal(signum, lambda signum, _frame: came.append(signum)) for signum in SIGNALS}
    yield came
    for signum, handler in before.items():
        signal.signal(signum, handler)


@pytest.mark.parametrize("after", [1, 2])
def test_a_signal_that_comes_while_it_is_entered_counts(
    heard: list[int], monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    """As soon as it hears the first kind it is told, and the second of either kind goes where it went before."""
    put, places = signal.signal, 0

    def put_and_raise(signum: signal.Signals, handler: signal.Handlers) -> object:
        nonlocal places
        replaced = put(signum, handler)
        places += 1
        if places == after:
            signal.raise_signal(signum)
        return replaced

    monkeypatch.setattr(signal, "signal", put_and_raise)
    with Ending() as ending:
        monkeypatch.undo()
        assert ending.told and heard == []
        for signum in SIGNALS:
            signal.raise_signal(signum)
        assert heard == [*SIGNALS]


def test_a_handler_that_was_not_set_from_python_keeps_it_from_nothing(
    heard: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It cannot be put back: the system's own stands in its place, so that a second signal ends the process."""
    monkeypatch.setattr(signal, "getsignal", lambda signum: None)
    with Ending() as ending:
        signal.raise_signal(signal.SIGTERM)
        assert ending.told
        monkeypatch.undo()
        assert [signal.getsignal(signum) for signum in SIGNALS] == [signal.SIG_DFL] * 2
    assert heard == []
