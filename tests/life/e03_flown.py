"""E03. The unit load device flies, told in XML; a scan from before it left comes days late; the bag is emptied."""

from __future__ import annotations

from e02_bagged import BAG, ULD
from life_scans import at, capture, epc, everybody_sees, history, publicly, scan, taken
from life_world import Life

XML = """\
<?xml version="1.0" encoding="UTF-8"?>
<epcis:EPCISDocument xmlns:epcis="urn:epcglobal:epcis:xsd:2" schemaVersion="2.0" creationDate="{landed}">
  <EPCISBody><EventList>{events}</EventList></EPCISBody>
</epcis:EPCISDocument>
"""
EVENT = """
    <ObjectEvent>
      <eventTime>{at}</eventTime><eventTimeZoneOffset>+00:00</eventTimeZoneOffset>
      <epcList><epc>urn:rookery:number:{uld}</epc></epcList>
      <action>OBSERVE</action>
      <bizStep>urn:epcglobal:cbv:bizstep:{step}</bizStep>
      <readPoint><id>urn:rookery:node:{node}</id></readPoint>
    </ObjectEvent>"""


def flight(life: Life) -> bytes:
    """What the airline's older system sends: the device left, and landed."""
    legs = ((6, "departing", "CAN-HUB"), (19, "arriving", "LEJ-HUB"))
    events = "".join(EVENT.format(at=at(life, hours), uld=ULD, step=step, node=node) for hours, step, node in legs)
    return XML.format(landed=at(life, 19), events=events).encode()


def test_it_flies(life: Life):
    """Neither parcel nor bag is scanned, only the device they lie in; sent twice, it flew once."""
    job = capture(life, "air", flight(life), content_type="application/xml")
    assert (job["success"], job["added"]) == (True, 2), job
    assert capture(life, "air", flight(life), content_type="application/xml")["added"] == 0
    tracker = everybody_sees(life, "in_transit", "arrived", "LEJ-HUB")
    assert [step["via"] for step in tracker["why"]["steps"][-2:]] == [[epc(BAG), f"urn:rookery:number:{ULD}"]] * 2
    flown = tracker["ridden"][[leg["mode"] for leg in tracker["legs"]].index("air")]
    assert flown == {"departed_at": at(life, 6), "arrived_at": at(life, 19)}
    assert publicly(life).json["legs"][1]["arrived_at"] == at(life, 19)


def test_a_scan_that_comes_late_takes_its_place(life: Life):
    """The driver's device was offline since then. The parcel does not go back; its history knows when it left."""
    late = {"number": life.number, "at": at(life, 2), "code": "departed", "node": "CAN-W1", "departure": "pick-up-18"}
    assert taken(scan(life, "road", late)) == (1, 0, 0)
    tracker = everybody_sees(life, "in_transit", "arrived", "LEJ-HUB")
    assert history(tracker) == ["accepted", "departed", "arrived", "bagged", "loaded", "departed", "arrived"]
    came = [step["recorded_at"] for step in tracker["why"]["steps"]]
    assert came.index(max(came)) == 1
    assert tracker["ridden"][0] == {"departed_at": at(life, 2), "arrived_at": at(life, 3)}
    assert [step["detail"] for step in publicly(life).json["steps"]] == history(tracker)


def test_the_bag_is_emptied(life: Life):
    """The hub takes the bag out of the device and the parcels out of the bag: a scan of it with its contents."""
    out = {"number": BAG, "at": at(life, 20), "code": "unloaded", "container": ULD, "node": "LEJ-HUB"}
    emptied = {
        "number": BAG, "at": at(life, 20.5), "code": "unbagged", "node": "LEJ-HUB",
        "contents": [life.number, life.their_number],
    }  # fmt: skip
    assert taken(scan(life, "hub", out, emptied)) == (2, 0, 0)
    everybody_sees(life, "in_transit", "unbagged", "LEJ-HUB")


def test_the_bag_goes_its_own_way(life: Life):
    """What is scanned of bag and device from now on is none of the parcels'."""
    back = [{"number": n, "at": at(life, 21), "code": "departed", "node": "LEJ-HUB"} for n in (BAG, ULD)]
    assert taken(scan(life, "air", *back)) == (2, 0, 0)
    everybody_sees(life, "in_transit", "unbagged", "LEJ-HUB")
