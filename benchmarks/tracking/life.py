"""A parcel's life in events, once for everybody: what happens to twenty parcels that travel together, and when.

Rows of `LIFE` are (who, business step, disposition, node, hours): who is "each" of the twenty, the "bag", or "in" and
"out" when all of them are put into the bag or taken out; node counts on from the parcels' first.
"""

from __future__ import annotations

from typing import NamedTuple

SPAN_H = 100.0
"""No life takes longer."""


class Step(NamedTuple):
    """One thing that happens, to whom, where and when; bag: the how manieth it is of theirs."""

    who: str
    step: str
    disposition: str
    node: int
    hours: float
    bag: int = 0


LIFE = (
    Step("each", "collecting", "in_progress", 0, 0.0),
    Step("each", "arriving", "in_progress", 1, 4.0),
    Step("in", "packing", "in_progress", 1, 6.0),
    Step("bag", "departing", "in_transit", 1, 8.0),
    Step("bag", "arriving", "in_progress", 2, 20.0),
    Step("out", "unpacking", "in_progress", 2, 22.0),
    Step("each", "inspecting", "conformant", 2, 24.0),
    Step("each", "staging_outbound", "in_progress", 2, 28.0),
    Step("in", "packing", "in_progress", 2, 30.0, 1),
    Step("bag", "departing", "in_transit", 2, 32.0, 1),
    Step("bag", "arriving", "in_progress", 3, 60.0, 1),
    Step("out", "unpacking", "in_progress", 3, 62.0, 1),
    Step("each", "unloading", "in_progress", 3, 64.0),
    Step("each", "loading", "in_transit", 4, 72.0),
    Step("each", "transporting", "in_transit", 4, 80.0),
    Step("each", "receiving", "in_progress", 5, 84.0),
)
"""What is stored: a parcel is named in twelve events, and four more are of the bags it lies in."""

BAGS = 6
QUICK = (
    Step("each", "collecting", "in_progress", 0, 0.0),
    *(
        step
        for bag in range(BAGS)
        for step in (
            Step("in", "packing", "in_progress", bag, 2.0 + 10 * bag, bag),
            Step("bag", "departing", "in_transit", bag, 3.0 + 10 * bag, bag),
            Step("out", "unpacking", "in_progress", bag + 1, 10.0 + 10 * bag, bag),
        )
    ),
    Step("bag", "arriving", "in_progress", 5, 49.0, 4),
    Step("bag", "arriving", "in_progress", 6, 59.0, 5),
    Step("each", "transporting", "in_transit", 7, 70.0),
    Step("each", "receiving", "in_progress", 7, 76.0),
)
"""What is handed in: of 80 events of a group 12 put twenty parcels into a bag or take them out."""


def bags_of(life: tuple[Step, ...]) -> int:
    """How many bags a group needs."""
    return 1 + max(step.bag for step in life)


def events_of(life: tuple[Step, ...], group: int) -> int:
    """Events of a group of so many parcels."""
    return sum(group if step.who == "each" else 1 for step in life)
