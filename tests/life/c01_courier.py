"""C01. Couriers see the parcels of their own legs, and of those nothing that is not theirs to know."""

from __future__ import annotations

from life_world import Life


def numbers(life: Life, who: str) -> set[str]:
    return {parcel["parcel_id"] for parcel in getattr(life, who).get("/parcels?limit=1000").json["data"]}


def pieces(*shipments: dict) -> set[str]:
    return {parcel["parcel_id"] for shipment in shipments for parcel in shipment["parcels"]}


def test_each_courier_sees_the_parcels_of_its_legs(life: Life):
    """The road carries all of them; the airline those that fly; the railway the others."""
    flying = pieces(life.shipment, life.by_reference["B-1"])
    by_rail = pieces(life.booked_order, *(life.by_reference[name] for name in ("B-3", "F-1", "F-2", "F-3", "F-4")))
    assert numbers(life, "road") == flying | by_rail == numbers(life, "shop")
    assert numbers(life, "air") == flying
    assert numbers(life, "rail") == by_rail
    assert numbers(life, "other_shop") == set()


def test_a_courier_sees_its_own_leg_and_not_the_others(life: Life):
    """From where to where, until when: of the whole route only what is its to carry."""
    seen = life.air.get(f"/parcels/{life.shipment['parcels'][0]['parcel_id']}").json
    assert [(leg["carrier_id"], leg["from_node"], leg["to_node"]) for leg in seen["legs"]] == [
        ("AIR-B", "CAN-HUB", "LEJ-HUB")
    ]
    assert seen["weight_g"] == 800


def test_a_courier_sees_nobody_s_name_price_or_order(life: Life):
    """Neither what stands beside the parcel nor the way there: to a courier it is not there, or not allowed."""
    page = life.road.get("/parcels?limit=1000").body
    assert not any(word in page for word in (b"Example", b"per_", b"cost", b"Berlin,", b"901820"))
    assert life.road.get(f"/shipments/{life.shipment_id}").status == 403
    assert life.road.get("/orders").status == 403
    assert life.road.post(f"/people/{life.ada}/open", {}).status == 403
    assert life.road.post("/labels", {"parcel_ids": [life.shipment["parcels"][0]["parcel_id"]]}).status == 403
    assert life.other_shop.post(f"/people/{life.ada}/open", {}).status == 404


def test_guessing_gets_nobody_further(life: Life):
    """A parcel of others is as unknown as one that never was: the answers are alike."""
    theirs = life.rail.get(f"/parcels/{life.shipment['parcels'][0]['parcel_id']}")
    nobody_s = life.rail.get("/parcels/pcl_01m8hyvan558x4225mfmdh7nwt")
    assert (theirs.status, theirs.json["code"]) == (nobody_s.status, nobody_s.json["code"]) == (404, "parcels.none")
    by_number = life.rail.get(f"/parcels?number={life.shipment['parcels'][0]['number']}")
    assert by_number.json["data"] == []
