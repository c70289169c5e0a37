"""E02. The airline puts both parcels into a bag, the bag into a unit load device, and scans only that from then on."""

from __future__ import annotations

from typing import Any

from life_scans import at, capture, epc, events_of, everybody_sees, scan, taken
from life_world import Life

BAG, ULD = "340123450000000017", "AKE12345AB"
CONTEXT = "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"


def packed(life: Life) -> dict[str, Any]:
    """The airline's system speaks EPCIS: a document of one AggregationEvent."""
    event = {
        "type": "AggregationEvent", "eventTime": at(life, 4), "eventTimeZoneOffset": "+08:00", "action": "ADD",
        "parentID": epc(BAG), "childEPCs": [epc(life.number), epc(life.their_number)], "bizStep": "packing",
        "readPoint": {"id": "urn:rookery:node:CAN-HUB"},
    }  # fmt: skip
    return {
        "@context": [CONTEXT], "type": "EPCISDocument", "schemaVersion": "2.0", "creationDate": at(life, 4),
        "epcisBody": {"eventList": [event]},
    }  # fmt: skip


def test_the_hub_sees_them_come(life: Life):
    """Scanned on the belt of the hub."""
    numbers = (life.number, life.their_number)
    told = scan(life, "hub", *({"number": n, "at": at(life, 3), "code": "arrived", "node": "CAN-HUB"} for n in numbers))
    assert taken(told) == (2, 0, 0)
    everybody_sees(life, "in_transit", "arrived", "CAN-HUB")


def test_the_airline_bags_them(life: Life):
    """An EPCIS document; its job tells that one event was new, and the same document again that none was."""
    job = capture(life, "air", packed(life))
    assert (job["success"], job["events"], job["added"], job["errors"]) == (True, 1, 1, [])
    assert capture(life, "air", packed(life))["added"] == 0
    everybody_sees(life, "in_transit", "bagged", "CAN-HUB")


def test_a_faulty_document_is_refused_whole(life: Life):
    """Every fault is told, and where it is."""
    document = packed(life)
    document["epcisBody"]["eventList"].append({"type": "ObjectEvent", "eventTime": "yesterday", "action": "LOOK"})
    refused = life.air.post("/epcis/capture", document)
    assert (refused.status, refused.json["type"]) == (400, "epcisException:ValidationException")
    assert "$.epcisBody.eventList[1].action" in {fault["at"] for fault in refused.json["errors"]}


def test_each_shop_reads_of_the_bag_its_own_parcel(life: Life):
    """The same event, and of what is in it each sees what it may; whoever packed it sees all."""
    for shop, mine in (("shop", life.number), ("other_shop", life.their_number)):
        event = events_of(life, shop, mine)[-1]
        assert (event["type"], event["childEPCs"]) == ("AggregationEvent", [epc(mine)])
    assert {*events_of(life, "air", life.number)[-1]["childEPCs"]} == {epc(life.number), epc(life.their_number)}
    for stranger in ("other_shop", "rail"):
        assert [e for e in events_of(life, stranger, life.number) if e["type"] == "AggregationEvent"] == []
    assert all(
        event["epcList"] == [epc(life.number)] for event in events_of(life, "rail", life.number)
    )  # its own stray


def test_the_bag_goes_into_a_unit_load_device(life: Life):
    """By the simple door: a scan with the container it was put into. The parcels follow, two levels deep."""
    loaded = {"number": BAG, "at": at(life, 5), "code": "loaded", "container": ULD, "node": "CAN-HUB"}
    assert taken(scan(life, "air", loaded)) == (1, 0, 0)
    tracker = everybody_sees(life, "in_transit", "loaded", "CAN-HUB")
    assert tracker["why"]["steps"][-1]["via"] == [epc(BAG)]
