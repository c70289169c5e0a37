"""`python -m rookery.doors.worker --data DIR`: a worker on the database of a data folder, until SIGTERM."""

from __future__ import annotations

import argparse
from pathlib import Path

from rookery.app import open_house
from rookery.base import jobs
from rookery.base.sealing import seal
from rookery.doors.http.telemetry import log
from rookery.doors.lifeline import end_with_parent
from rookery.doors.worker.running import run_worker
from rookery.terms.errors import Conflict


def main() -> None:
    """Starts PostgreSQL if nobody has, brings the database up to date, and works."""
    words = argparse.ArgumentParser(prog="rookery.doors.worker", description=__doc__)
    words.add_argument("--data", type=Path, required=True, help="the data folder")
    data: Path = words.parse_args().data
    end_with_parent()
    jobs.tick("audit.seal")(lambda desk: _seal(desk, data))
    with open_house(data, size=8) as house:
        run_worker(house.database, house.clock, house.parts)


def _seal(desk: jobs.Desk, data: Path) -> None:
    """Every minute: the lines of the audit trail written since are sealed; one that was cut is told."""
    try:
        seal(desk.database, desk.clock, data)
    except Conflict as fault:
        log(desk.clock.now(), fault.code, what=fault.what, action=fault.action)


if __name__ == "__main__":
    main()
