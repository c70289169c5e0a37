"""The live demo's one line about a live side that is not well."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from rich.console import Console

from rookery.doors.cli.live.dashboard import line, page
from rookery.doors.cli.live.figures import Figures, Wanted
from rookery.doors.cli.live.trouble import PATIENCE_S, Trouble
from rookery.flows.live_status import PARTS, WAITS


def told(**states: str) -> dict[str, Any]:
    parts = {"live": "ok", "outlook": "ok", "subscriptions": "ok", "webhooks": "ok", **states}
    counted: dict[str, Any] = {
        part: {"waiting": 1234 if part in WAITS else None, "waiting_what": WAITS.get(part)} for part in PARTS
    }
    return {"parts": [{"part": part, "state": state, "fault": "DataError", **counted[part]}
                      for part, state in parts.items()]}  # fmt: skip


def test_what_fails_is_told_at_once_and_what_is_behind_after_a_minute():
    """What fails comes first, then what is gone, then what is behind; a part that was well in between begins anew."""
    trouble = Trouble()
    assert trouble.line(told(), 0.0) == ""
    assert "DataError" in trouble.line(told(live="failing"), 1.0)
    assert trouble.line(told(), 2.0) == ""
    assert trouble.line(told(live="behind", webhooks="none"), 10.0) == ""
    assert trouble.line(told(live="behind", webhooks="none"), 10.0 + PATIENCE_S) == ""
    late = 11.0 + PATIENCE_S
    assert trouble.line(told(live="behind", webhooks="none"), late).startswith("No worker")
    assert "1,234 parcels wait in the queue, for" in trouble.line(told(live="behind"), late)
    assert trouble.line(told(), late) == ""
    assert trouble.line(told(live="behind"), late + 1) == ""
    assert trouble.line(told(outlook="failing", live="behind"), 1e6).startswith("The live side fails: keeping the")


def test_what_waits_is_told_by_its_kind():
    """Parcels in the queue, parcels that are not in it yet, and news are told apart; subscriptions count nothing."""
    said = {}
    for part in PARTS:
        trouble = Trouble()
        trouble.line(told(**{part: "behind"}), 0.0)
        said[part] = trouble.line(told(**{part: "behind"}), 1.0 + PATIENCE_S).split(": ")[1]
    assert said == {
        "live": "looking at parcels, 1,234 parcels wait in the queue, for 61 s.",
        "outlook": "keeping the outlook, 1,234 parcels are not in the queue yet, for 61 s.",
        "subscriptions": "telling subscribers, for 61 s.",
        "webhooks": "telling endpoints, 1,234 news wait, for 61 s.",
    }


def test_a_wave_that_nobody_plans_is_told_at_once():
    """While a wave is waited for, no sign of life of any worker is told without patience: time stands still."""
    nobody = told(live="none", outlook="none", subscriptions="none", webhooks="none")
    assert Trouble().line(nobody, 5.0) == ""
    assert "time stands still" in Trouble().line(nobody, 5.0, planning=True)
    assert Trouble().line(told(live="behind"), 5.0, planning=True) == ""


def test_the_page_has_one_line_more_while_there_is_trouble():
    """On the page it stands beneath the header, in the lines at their end; without trouble there is none."""
    figures = Figures(Wanted(Path("demo-live")))

    def shown() -> str:
        console = Console(width=120, height=40, file=io.StringIO(), record=True)
        console.print(page(figures, "demo-live/data"))
        return console.export_text()

    assert "live side" not in shown() + line(figures)
    figures.trouble = "The live side is behind: looking at parcels [1], for 61 s."
    assert figures.trouble in shown() and line(figures).endswith(figures.trouble)
    assert len(shown().splitlines()) == 40
