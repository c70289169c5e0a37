"""One order's ends looked up at once."""

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from rookery.network import place
from rookery.network.places import Places
from rookery.terms.frames import FEED, ORDERS, Feed, FeedInfo, empty

CODES = st.text("019A -", max_size=5)


def _feed(zones):
    nodes = pl.DataFrame({"node_id": ["N0", "N1", "N2"], "timezone": ["UTC"] * 3}, schema_overrides=None)
    frames = {name: empty(schema) for name, schema in FEED.items()}
    whole = {name: nodes.get_column(name, default=None) for name in FEED["nodes"]}
    frames["nodes"] = pl.DataFrame(
        {name: column if column is not None else [None] * 3 for name, column in whole.items()}, schema=FEED["nodes"]
    )
    rows = [dict.fromkeys(FEED["zones"]) | zone for zone in zones]
    frames["zones"] = pl.DataFrame(rows, schema=FEED["zones"])
    return Feed(FeedInfo("t", "1", "EUR"), **frames)


@given(
    st.lists(st.tuples(st.sampled_from(["BE", "DE"]), st.text("019A", max_size=3), st.integers(0, 2)), max_size=8),
    st.sampled_from([None, "N1", "N9"]),
    st.sampled_from([None, "BE", "de"]),
    st.none() | CODES,
)
def test_one_end_is_found_as_a_batch_finds_it(zones, node, country, postal):
    """Node, zone and not found are the same whether an order is placed alone or in a batch."""
    feed = _feed(
        [
            {"zone_id": f"z{i}", "country": c, "postal_prefix": prefix, "node_id": f"N{n}", "pickup_minutes": 0,
             "pickup_cost": 0.0, "delivery_minutes": 0, "delivery_cost": 0.0, "line": i}
            for i, (c, prefix, n) in enumerate(zones)
        ]
    )  # fmt: skip
    order = dict.fromkeys(ORDERS) | {
        "order_id": "o", "from_node": "N0", "to_node": node, "to_country": country, "to_postal_code": postal,
        "ready_at": 29_600_000, "weight_g": 1.0, "goods": "general", "pieces": 1, "line": 2,
    }  # fmt: skip
    parcels, _ = place(feed, pl.DataFrame([order], schema=ORDERS))
    found = Places.of(feed).find(node, country, postal)
    batch = (parcels["destination"][0], parcels["zone"][0])
    assert (found if found is not None else (-1, -1)) == (batch if batch[0] >= 0 else (-1, -1))
