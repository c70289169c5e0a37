"""The server that all chapters of tests/life share."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from life_world import Life, soon
from receiving import Receiver, receiving

BROKEN = pytest.StashKey[str]()


@pytest.fixture(scope="session")
def life() -> Iterator[Life]:
    """A system of record that begins empty: no party, no network, no order."""
    data = Path(tempfile.mkdtemp(prefix="rookery-life-"))
    led = Life(data)
    try:
        led.serve()
        led.known["ready_at"] = soon()
        yield led
    finally:
        led.stop()
        shutil.rmtree(data, ignore_errors=True)


@pytest.fixture(scope="session")
def receivers() -> Iterator[list[Receiver]]:
    """Two shops' own servers, which are told what happens."""
    with receiving() as one, receiving() as other:
        yield [one, other]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Notes where the course broke off."""
    told = yield
    if told.failed:
        item.session.stash.setdefault(BROKEN, item.name)
    return told


@pytest.fixture(autouse=True)
def _unbroken(request: pytest.FixtureRequest) -> None:
    """What follows a fault would fail for its sake alone, so it is not read."""
    if (name := request.session.stash.get(BROKEN, None)) is not None:
        pytest.skip(f"the course broke off at {name}")
