"""The HTTP server's process: `python -m rookery.doors.http HOST PORT DATA`. `rookery serve` starts and watches it."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from pathlib import Path

from granian import Granian  # type: ignore[attr-defined]
from granian.constants import Interfaces
from granian.http import HTTP1Settings

from rookery.doors.http.proxies import trusted_proxies
from rookery.doors.lifeline import end_with_parent
from rookery.terms.errors import InvalidInput

DATA = "ROOKERY_SERVED_DATA"
THREADS_LEAVE_S = 15
SWITCH_S = 0.0005
HEADERS_S, HEADERS_BYTES = 10, 64 << 10
"""How long a request's headers may take to come, and how large they may be."""


# acts work on a few hundred rows: handing these to other threads costs more than it saves. An operator's own word wins.
os.environ.setdefault("POLARS_MAX_THREADS", "1")


def application():
    """The application of one worker process, opened over the data folder that the environment names."""
    from rookery.app import open_house
    from rookery.doors.http.application import build
    from rookery.doors.http.server import Server
    from rookery.flows.quotes.desks import warm_up

    end_with_parent()
    # acts compute in threads beside the event loop: switched soon, so that an answer waits for no other's computing
    sys.setswitchinterval(SWITCH_S)
    trusted = trusted_proxies(os.environ)
    opened = open_house(Path(os.environ[DATA]), size=24, migrate=False)
    house = opened.__enter__()

    def close() -> None:
        opened.__exit__(None, None, None)

    threading.Thread(target=warm_up, name="warm-up", daemon=True).start()
    app = build(Server(house.database, house.clock, house.parts, trusted=trusted), close)
    gc.collect()
    gc.set_threshold(50_000, 20, 100)
    gc.freeze()  # what is here now stays: looking through it for garbage again and again would hold up answers
    return app


def _end_while_starting() -> None:
    """A worker process that is told to end before it listens for that ends at once: it serves nobody yet.

    Forked, it would have the handler of its parent, which is told of the signal in vain.
    """
    told = (signal.SIGTERM, signal.SIGINT)

    def hear() -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, told)

    def in_child() -> None:
        for signum in told:
            signal.signal(signum, signal.SIG_DFL)
        hear()

    os.register_at_fork(
        before=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, told), after_in_parent=hear, after_in_child=in_child
    )


def main() -> None:
    """Serve until told to stop; then what is under way is finished first."""
    host, port, data = sys.argv[1:]
    end_with_parent()
    os.environ[DATA] = data
    try:
        trusted_proxies(os.environ)
    except InvalidInput as fault:  # told once here, before any worker would say it again and again
        sys.exit(f"error: {fault}")
    _end_while_starting()
    Granian(
        "rookery.doors.http.__main__:application",
        address=host,
        port=int(port),
        interface=Interfaces.ASGI,
        factory=True,
        websockets=False,
        log_access=False,
        log_level="warning",  # type: ignore[arg-type]
        http1_settings=HTTP1Settings(header_read_timeout=1000 * HEADERS_S, max_buffer_size=HEADERS_BYTES),
        respawn_failed_workers=True,
        workers_kill_timeout=THREADS_LEAVE_S,
    ).serve()


if __name__ == "__main__":
    main()
