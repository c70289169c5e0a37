"""A shop that listens: an endpoint on this machine that the server's webhooks are sent to, and counted at."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from rookery.doors.cli.live.asking import Asker
from rookery.doors.cli.live.figures import Figures

KINDS = ("parcel.rerouted", "parcel.chance", "case.opened", "case.closed")
NAME = "live demo"


class Listener:
    """Listens on a free port of this machine until it is closed."""

    def __init__(self, figures: Figures):
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                told = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
                self.send_response(204)
                self.end_headers()
                figures.webhooks += 1
                if told.get("type") == "parcel.rerouted" and figures.webhooks % 50 == 1:
                    figures.tell("a shop was told by webhook that its parcel goes another way")

            def log_message(self, format: str, *args: object) -> None:
                """Nothing: whoever watches sees the count."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, name="listening", daemon=True)
        self._thread.start()

    def enter(self, ask: Asker, key: str) -> None:
        """Have the server tell this address what happens to a shop's parcels; an address of an earlier start goes."""
        for endpoint in ask.pages(key, "/webhooks"):
            if endpoint["description"] == NAME:
                ask(key, "DELETE", f"/webhooks/{endpoint['endpoint_id']}")
        url = f"http://127.0.0.1:{self._server.server_address[1]}/"
        ask(key, "POST", "/webhooks", {"url": url, "kinds": list(KINDS), "description": NAME})

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()
