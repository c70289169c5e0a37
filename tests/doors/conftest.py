"""A real server process over a throw-away data folder, for tests of the HTTP door."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from serving_world import THROW_AWAY, Served, serving


@pytest.fixture(scope="session")
def served() -> Iterator[Served]:
    """One server for the session: tests that use it must not mind what others left there."""
    with serving() as server:
        yield server


@pytest.fixture(scope="module")
def fragile() -> Iterator[Served]:
    """A server of a module's own, that may be broken: what PostgreSQL acknowledged outlives its death."""
    with serving(THROW_AWAY | {"synchronous_commit": "on"}) as server:
        yield server


@pytest.fixture(scope="session")
def admin(served: Served) -> str:
    """A key that may do everything."""
    return served.new_key("admin", party=served.new_party("Admins"))
