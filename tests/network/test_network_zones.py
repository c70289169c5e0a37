"""Zones: an address lies in the zone with its country's longest matching postal prefix."""

from __future__ import annotations

import hypothesis.strategies as st
import polars as pl
import pytest
from hypothesis import given, settings

from rookery.network.zones import find_zones

COUNTRIES = ["BE", "GB", "US"]
PREFIX = st.text("01AB", max_size=3)


def plain_zone(zones: list[tuple[str, str]], country: str | None, postal: str | None) -> int:
    """The zone of one address, read as the format is written."""
    code = (postal or "").upper().replace(" ", "").replace("-", "")
    fitting = [
        (-len(prefix), row)
        for row, (zone_country, prefix) in enumerate(zones)
        if country is not None and zone_country == country.upper() and code.startswith(prefix)
    ]
    return min(fitting)[1] if fitting else -1


@settings(max_examples=150, deadline=None)
@given(
    zones=st.lists(st.tuples(st.sampled_from(COUNTRIES), PREFIX), max_size=8),
    addresses=st.lists(
        st.tuples(
            st.sampled_from([*COUNTRIES, "be", "FR", None]), st.one_of(st.none(), st.text("01aAbB -", max_size=6))
        ),
        max_size=20,
    ),
)
def test_longest_prefix_wins(make_feed, zones, addresses):
    """Any set of zones gives every address the row a plain search gives, the first of two alike."""
    feed = make_feed(
        zones=[
            {"zone_id": f"z{i}", "country": country, "postal_prefix": prefix, "node_id": "n"}
            for i, (country, prefix) in enumerate(zones)
        ]
    )
    frame = pl.DataFrame(addresses, schema={"country": pl.String, "postal": pl.String}, orient="row")
    found = find_zones(feed.zones, frame["country"], frame["postal"])
    assert found.dtype == pl.Int32
    assert found.to_list() == [plain_zone(zones, *address) for address in addresses]


@pytest.mark.parametrize(
    ("country", "postal", "zone"),
    [
        ("NL", "1012 ab", 1),
        ("NL", "10-12", 1),
        ("NL", "9999", 0),
        ("NL", None, 0),
        ("BE", "1012", -1),
        (None, "1012", -1),
    ],
)
def test_addresses_as_people_write_them(make_feed, country, postal, zone):
    """Blanks, hyphens and small letters do not matter; the empty prefix is the whole country."""
    feed = make_feed(
        zones=[
            {"zone_id": "all", "country": "NL", "postal_prefix": "", "node_id": "n"},
            {"zone_id": "centre", "country": "NL", "postal_prefix": "1012", "node_id": "n"},
        ]
    )
    found = find_zones(feed.zones, pl.Series([country], dtype=pl.String), pl.Series([postal], dtype=pl.String))
    assert found.to_list() == [zone]
