"""Batches of scans, as the live demo's couriers send them."""

from __future__ import annotations

import polars as pl

from rookery.doors.cli.live.carrying import BATCH, SENT, TROUBLE, batches
from rookery.twin.model import SHARES
from rookery.twin.sending import Muddle, muddle


def test_a_batch_tells_things_in_the_order_in_which_they_happened():
    """However scans were muddled on their way, a batch is one carrier's, and of one minute `arrived` comes before
    `damaged` and that before `out_for_delivery`; nothing is left out.
    """
    made = pl.DataFrame(
        [
            (f"{parcel:018d}", 10 + parcel % 3, code, "H", None, carrier)
            for carrier in ("BLUE", "RED", None) for parcel in range(400)
            for code in ("arrived", "damaged", "out_for_delivery")
        ],
        schema={name: kind for name, kind in SENT.items() if name != "sent_at"}, orient="row",
    )  # fmt: skip
    due = muddle(made, Muddle(out_of_order=0.5, unknown_code=0.1), 3)
    sent = list(batches(due))
    assert pl.concat(sent).sort(pl.all()).equals(due.sort(pl.all())) and len(sent) > 3
    places = {"arrived": 0, "damaged": 1, "out_for_delivery": 2}
    for batch in sent:
        assert batch["carrier"].n_unique() == 1 and batch.height <= BATCH
        told = [(at, places.get(code, 3)) for at, code in batch.select("at", "code").iter_rows()]
        assert told == sorted(told)


def test_everything_that_can_go_wrong_does_in_the_demo():
    """No trouble that the twin knows of is left out of the demo's world."""
    assert [name for name in SHARES if getattr(TROUBLE, name) == 0] == []
