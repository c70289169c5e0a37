"""Quotes: the frontier of cost and promised date."""

import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

import rookery as rk

READY = datetime(2026, 9, 14, 8, tzinfo=UTC)


@pytest.fixture(scope="module")
def network(make_feed):
    """A to B by air (dear, a day), by road (two days) or by sea (cheap, five days, spread)."""
    ways = {"air": (900, 9.0, None), "truck": (2500, 4.0, None), "sea": (7000, 1.0, "wide")}
    return make_feed(
        nodes=[{"node_id": "A"}, {"node_id": "B"}, {"node_id": "C"}],
        lanes=[{"lane_id": mode, "from_node": "A", "to_node": "B", "mode": mode} for mode in ways],
        departures=[
            {
                "departure_id": mode,
                "lane_id": mode,
                "transit_minutes": minutes,
                "cost_per_parcel": cost,
                "transit_id": spread,
            }
            for mode, (minutes, cost, spread) in ways.items()
        ],
        transit=[
            {"transit_id": "wide", "quantile": q, "factor": f} for q, f in [(0.1, 0.8), (0.5, 1.0), (0.9, 1.5)]
        ],
        zones=[{"zone_id": "Z", "country": "BE", "postal_prefix": "10", "node_id": "B", "delivery_minutes": 300,
                "delivery_cost": 2.5}],
    )  # fmt: skip


@pytest.mark.parametrize("outcomes", [1, 8])
def test_every_later_offer_is_cheaper(network, outcomes):
    """The frontier falls: air, road, sea, each promised later and cheaper than the one before."""
    offers = rk.promise(network, origin="A", to="B", ready_at=READY, weight_g=500, outcomes=outcomes)
    assert [[leg.mode for leg in offer.legs] for offer in offers] == [["air"], ["truck"], ["sea"]]
    assert [offer.cost for offer in offers] == [9.0, 4.0, 1.0]
    assert all(a.promised_at < b.promised_at for a, b in pairwise(offers))
    assert all(0.95 <= offer.probability <= 1 for offer in offers)
    assert all(offer.promised_at.strftime("%H:%M") == "23:59" for offer in offers)


def test_more_confidence_means_a_later_date(network):
    """The spread of the sea lane moves its promised date with the confidence asked for."""
    dates = [
        rk.promise(network, origin="A", to="B", ready_at=READY, weight_g=500, confidence=p)[-1].promised_at
        for p in (0.5, 0.8, 0.99)
    ]
    half = rk.promise(network, origin="A", to="B", ready_at=READY, weight_g=500, confidence=0.5)[-1]
    assert 0.5 <= half.probability < 0.8, "the chance of the date promised, not the confidence asked for"
    assert dates == sorted(dates) and dates[0] < dates[-1]


def test_an_address_pays_and_waits_for_its_last_mile(network):
    """To a zone, cost and time of the last mile come on top."""
    node = rk.promise(network, origin="A", to="B", ready_at=READY, weight_g=500, outcomes=1)
    address = rk.promise(network, origin="A", to="BE:1050", ready_at=READY, weight_g=500, outcomes=1)
    assert address[0].cost == node[0].cost + 2.5
    assert address[0].expected_at == node[0].expected_at + timedelta(minutes=300)


def test_no_way_is_an_empty_frontier(network):
    """A place without lanes gets no offer, not an error."""
    assert rk.promise(network, origin="A", to="C", ready_at=READY, weight_g=500) == []


@pytest.mark.parametrize(
    ("wish", "kind", "word"),
    [
        ({"to": "X"}, rk.NotFound, "'X'"),
        ({"origin": "X"}, rk.NotFound, "'X'"),
        ({"to": "BE:99"}, rk.NotFound, "BE:99"),
        ({"confidence": 1.5}, rk.InvalidInput, "above 0 and up to 1"),
        ({"confidence": 0.0}, rk.InvalidInput, "above 0 and up to 1"),
        ({"outcomes": 0}, rk.InvalidInput, "between 1 and 64"),
        ({"horizon_days": 4000}, rk.InvalidInput, "between 1 and 3650"),
        ({"weight_g": -4}, rk.InvalidInput, "weight"),
        ({"goods": "dreams"}, rk.InvalidInput, "dreams"),
        ({"to": "A"}, rk.InvalidInput, "two different"),
        ({"ready_at": datetime(2026, 9, 14)}, rk.InvalidInput, "offset|zone"),
    ],
)
def test_senseless_quotes_are_refused(network, wish, kind, word):
    """Each wrong wish is an error that names it and the next action."""
    wishes = {"origin": "A", "to": "B", "ready_at": READY, "weight_g": 500} | wish
    with pytest.raises(kind) as told:
        rk.promise(network, **wishes)
    assert re.search(word, f"{told.value} {told.value.notices}")


def test_a_confidence_of_one_waits_for_the_last_outcome(network):
    """Certainty can be asked for, as a service can: the date holds after every outcome."""
    sure = rk.promise(network, origin="A", to="B", ready_at=READY, weight_g=500, confidence=1)
    nearly = rk.promise(network, origin="A", to="B", ready_at=READY, weight_g=500, confidence=0.5)
    assert sure[-1].probability == pytest.approx(1)
    assert sure[-1].promised_at > nearly[-1].promised_at


@pytest.mark.parametrize("outcomes", [1, 8])
@pytest.mark.parametrize("count", [60, 100])
def test_every_day_is_asked_however_many_there_are(make_feed, outcomes, count):
    """With a cheaper way for each of many days, every one of these days is an offer at its own price."""
    ways = range(1, count + 1)
    feed = make_feed(
        nodes=[{"node_id": "A"}, {"node_id": "B"}],
        lanes=[{"lane_id": f"l{day}", "from_node": "A", "to_node": "B"} for day in ways],
        departures=[
            {
                "departure_id": f"d{day}",
                "lane_id": f"l{day}",
                "transit_minutes": day * 1440,
                # the last is cheap, so that all others lie above the straight line between the ends
                "cost_per_parcel": 2.0 * count - day - (count if day == count else 0),
            }
            for day in ways
        ],
    )
    offers = rk.promise(feed, origin="A", to="B", ready_at=READY, weight_g=500, outcomes=outcomes)
    assert [offer.legs[0].departure_id for offer in offers] == [f"d{day}" for day in ways]


def test_a_day_that_a_clock_change_shortens_is_asked_too(make_feed):
    """The Sunday of 23 hours has its own offer between Saturday and Monday, though it lies above their line."""
    ready = datetime(2026, 3, 27, 8, tzinfo=UTC)
    ways = {"saturday": (1440, 10.0), "sunday": (2880, 9.5), "monday": (4320, 1.0)}
    feed = make_feed(
        nodes=[{"node_id": "A"}, {"node_id": "B", "timezone": "Europe/Brussels"}],
        lanes=[{"lane_id": name, "from_node": "A", "to_node": "B"} for name in ways],
        departures=[
            {"departure_id": name, "lane_id": name, "transit_minutes": minutes, "cost_per_parcel": cost}
            for name, (minutes, cost) in ways.items()
        ],
    )
    offers = rk.promise(feed, origin="A", to="B", ready_at=ready, weight_g=500, outcomes=1)
    assert [offer.legs[0].departure_id for offer in offers] == list(ways)
    assert [offer.promised_at.strftime("%d %H:%M") for offer in offers] == ["28 22:59", "29 21:59", "30 21:59"]
