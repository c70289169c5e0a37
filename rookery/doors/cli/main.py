"""The console entry point: runs a command and turns every way it can end into a sentence and an exit code."""

from __future__ import annotations

import os
import re
import sys
from typing import NoReturn

from rookery.doors.cli.commands import app
from rookery.doors.cli.stopping import Stopped, deaf, watch_signals
from rookery.terms.errors import RookeryError

CORE = {"rookery", "holidays", "msgspec", "numba", "numpy", "polars", "rich", "typer", "tzdata"}
"""What is always installed; anything else may be an extra that is not."""
_UNDECODED = re.compile("[\udc80-\udcff]")  # how Python keeps bytes of a command's words that are no text
CRASHED = 70  # EX_SOFTWARE of sysexits.h


def main() -> None:
    """Console entry point. Exit codes: 0, 1, 2 as in the help; 70 a fault of the program; 128 + signal when stopped."""
    watch_signals()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    try:
        app(prog_name="rookery")
    except Stopped as stopped:
        deaf()
        sys.stderr.write("Stopped; nothing half-made was left.\n")
        raise SystemExit(128 + stopped.signum) from None
    except RookeryError as fault:
        from rookery.doors.cli.console import tell_error

        tell_error(fault)
        raise SystemExit(1) from None
    except OSError as fault:
        place = f" {fault.filename}" if fault.filename else ""
        sys.stderr.write(
            f"error: the system refused{place}: {fault.strerror or fault}.\n"
            "Next: check that the path is right, that you may write there, and that the disk is not full.\n"
        )
        raise SystemExit(1) from None
    except ModuleNotFoundError as fault:
        if os.environ.get("ROOKERY_TRACEBACK"):
            raise
        if (fault.name or "rookery").partition(".")[0] in CORE:
            _confess(fault)
        sys.stderr.write(
            f"error: {fault.name} is not installed, which this command needs.\n"
            "Next: pip install 'rookery[server,samples,pictures]', or ./run setup in a source checkout.\n"
        )
        raise SystemExit(1) from None
    except Exception as fault:
        if os.environ.get("ROOKERY_TRACEBACK"):
            raise
        if isinstance(fault, UnicodeEncodeError) and any(map(_UNDECODED.search, sys.argv)):
            sys.stderr.write(
                "error: a word of the command is no text in UTF-8.\nNext: write it in the terminal's own encoding.\n"
            )
            raise SystemExit(1) from None
        _confess(fault)


def _confess(fault: Exception) -> NoReturn:
    """A fault of the program itself, as one sentence. Raises SystemExit."""
    what = str(fault).strip().split("\n")[0][:200]
    sys.stderr.write(
        f"Rookery itself failed: {type(fault).__name__}: {what}\n"
        "Run it again with ROOKERY_TRACEBACK=1 to see where, and report it.\n"
    )
    raise SystemExit(CRASHED) from None


if __name__ == "__main__":
    main()
