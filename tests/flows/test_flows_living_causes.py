"""What one departure does to the chances of many parcels is one case: on real PostgreSQL."""

from __future__ import annotations

from typing import Any

import pytest
from living_cases import make_live


@pytest.fixture
def live(make_urls: Any, tmp_path: Any):
    with make_live(make_urls, tmp_path) as made:
        yield made


def test_a_departure_that_nothing_was_heard_of_is_one_case_of_all_that_were_to_go_by_it(live):
    """Their chances fall, as nobody knows whether they are aboard; the scan of leaving mends the case."""
    silent = [live.book() for _ in range(3)]
    live.look_out()
    live.turn()
    for number in silent:
        live.scan(live.blue, number, "accepting", 1, "A")
    live.turn()
    live.at(13)
    assert live.turn() == 3
    lows = [(one["cause"], one["state"], one["parcels"]) for one in live.rows("cases") if one["kind"] == "chance_low"]
    assert lows == [("departure:AH1@2026-03-02T17:00Z", "open", 3)]
    for number in silent:
        live.scan(live.blue, number, "departing", 9, "A", **{"rookery:departure": "AH1"})
    live.turn()
    lows = [
        (one["cause"], one["state"], one["closed_why"]) for one in live.rows("cases") if one["kind"] == "chance_low"
    ]
    assert lows == [("departure:AH1@2026-03-02T17:00Z", "closed", "mended")]
