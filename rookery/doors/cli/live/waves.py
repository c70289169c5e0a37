"""Waves on schedule: what waits is planned while simulated time stands still, and the couriers are told."""

from __future__ import annotations

import time
from typing import Any

from rookery.base.clock import Driver
from rookery.doors.cli.live.asking import Asker
from rookery.doors.cli.live.figures import Figures

LOOK_S = 0.1
PLANNING = "planning a wave"
ENDED = ("done", "failed")
SETTINGS: dict[str, Any] = {"outcomes": 8, "seconds": 4}


def plan_wave(ask: Asker, operator: str, driver: Driver, figures: Figures) -> dict[str, Any]:
    """Plan a wave and wait for it with the clock paused: the wave as it ended."""
    before, begin = figures.doing, time.monotonic()
    figures.doing = PLANNING
    driver.pause()
    try:
        wave = ask(operator, "POST", "/waves", SETTINGS)
        while wave["state"] not in ENDED:
            time.sleep(LOOK_S)
            driver.run_on(60)
            wave = ask(operator, "GET", f"/waves/{wave['plan_id']}")
        figures.waves += 1
        figures.wave_s = time.monotonic() - begin
        if wave["state"] == "failed":
            figures.tell(f"a wave failed: {wave['fault']}")
            return wave
        booked, rerouted, unassigned = (wave[name] or 0 for name in ("booked", "rerouted", "unassigned"))
        figures.booked, figures.rerouted = figures.booked + booked, figures.rerouted + rerouted
        figures.unassigned = unassigned
        figures.tell(f"a wave booked {booked:,} and sent {rerouted:,} another way")
        return wave
    finally:
        figures.doing = before
