"""What the live demo says when the server's live side is not well: one line, in real time."""

from __future__ import annotations

from typing import Any

PATIENCE_S = 60.0
"""Seconds of the wall: what is behind, or gives no sign of life, for so long is told; what fails, at once."""
WHAT = {
    "live": "looking at parcels", "outlook": "keeping the outlook", "subscriptions": "telling subscribers",
    "webhooks": "telling endpoints",
}  # fmt: skip
WAITING = {
    "parcels_to_be_looked_at": "parcels wait in the queue", "parcels_to_be_entered": "parcels are not in the queue yet",
    "news_to_be_spread": "news wait",
}  # fmt: skip


class Trouble:
    """Sees since when parts are not well."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def line(self, told: dict[str, Any], steady_s: float, planning: bool = False) -> str:
        """The worst of what GET /live answers that is to be told, "" = nothing. steady_s: the machine's own clock;
        planning: a wave is waited for, so that no sign of life is told at once.
        """
        found = {"failing": "", "none": "", "behind": ""}
        for part in told["parts"]:
            name, state = part["part"], part["state"]
            if state == "ok":
                self._since.pop(name, None)
                continue
            passed_s = steady_s - self._since.setdefault(name, steady_s)
            if state == "failing" or passed_s > PATIENCE_S or (state == "none" and planning):
                found[state] = found[state] or _said(part, passed_s, planning)
        return next((line for line in found.values() if line), "")


def _said(part: dict[str, Any], passed_s: float, planning: bool) -> str:
    what = WHAT[part["part"]]
    if part["state"] == "failing":
        return f"The live side fails: {what}, {part['fault']}. See GET /live, and the server's log."
    if part["state"] == "none":
        waits = "; time stands still until a wave is planned" if planning else ""
        return f"No worker gives a sign of life: {what}, for {passed_s:.0f} s{waits}. See the server's log."
    waiting = "" if part["waiting"] is None else f", {part['waiting']:,} {WAITING[part['waiting_what']]}"
    return f"The live side is behind: {what}{waiting}, for {passed_s:.0f} s."
