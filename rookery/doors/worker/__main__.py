"""`python -m rookery.doors.worker --data DIR`: a worker on the database of a data folder, until SIGTERM."""

from __future__ import annotations

import argparse
from pathlib import Path

from rookery.app import open_house
from rookery.doors.worker.running import run_worker


def main() -> None:
    """Starts PostgreSQL if nobody has, brings the database up to date, and works."""
    words = argparse.ArgumentParser(prog="rookery.doors.worker", description=__doc__)
    words.add_argument("--data", type=Path, required=True, help="the data folder")
    with open_house(words.parse_args().data, size=4) as house:
        run_worker(house.database, house.clock, house.parts)


if __name__ == "__main__":
    main()
