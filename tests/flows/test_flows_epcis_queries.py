"""Events asked for under /epcis: each sees its own part of them, page by page, and learns nothing of the rest."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from record_cases import Record
from tracking_cases import BAG, HOUSE, RIVAL, SHOP, STRANGER, World, at, make_world, pack, scan

from rookery.base.operations import OPERATIONS, Replied, Who
from rookery.flows.epcis import asking
from rookery.terms.errors import Conflict, NotAcceptable, NotFound, TooLarge, Unreadable
from rookery.tracking import queries
from rookery.tracking.epcis.contexts import Names
from rookery.tracking.epcis.documents import normalised
from rookery.tracking.epcis.hashing import event_hash, ni
from rookery.tracking.epcis.schema import document_faults

HASHED = {"rookery": "urn:rookery:epcis:"}
LGTIN = {"epcClass": "urn:epc:class:lgtin:4012345.012345.A", "quantity": 2}


@pytest.fixture(scope="module")
def world(make_urls, tmp_path_factory):
    """One world for all, each test with parcels of its own."""
    with make_world(make_urls, tmp_path_factory.mktemp("world")) as made:
        yield made


def ask(record: Record, act: str, who: Who, **asked: Any) -> tuple[Any, dict[str, str]]:
    """Asks as the door does, the reply in plain values and its headers."""
    op = OPERATIONS[act]
    with record.context(who, op.kind == "query") as ctx:
        reply = op.act(ctx, msgspec.convert(asked, op.ask))
    headers = dict(reply.headers) if isinstance(reply, Replied) else {}
    return msgspec.to_builtins(reply.reply if isinstance(reply, Replied) else reply), headers


def events(world: World, who: Who, act: str = "epcis.events.list", **parameters: Any) -> list[dict[str, Any]]:
    """All events that fit, however many pages."""
    fixed = {
        name: parameters.pop(name) for name in [*parameters] if name in ("perPage", "epc_format", "value", "query_name")
    }
    asked = {**fixed, "parameters": {name: [text] for name, text in parameters.items()}}
    found, token = [], ""
    while True:
        document, headers = ask(world.record, act, who, **asked, nextPageToken=token)
        assert document_faults(document) == []
        found += found_all(document)
        if "Link" not in headers:
            return found
        token = token_in(headers)


def found_all(document: dict[str, Any]) -> list[dict[str, Any]]:
    return document["epcisBody"]["queryResults"]["resultsBody"]["eventList"]


def token_in(headers: dict[str, str]) -> str:
    """The next page's token, as whoever follows the link sends it."""
    match = re.fullmatch(r'<([^>]+)>; rel="next"', headers["Link"])
    assert match
    return parse_qs(urlsplit(match[1]).query)["nextPageToken"][0]


def test_two_shippers_in_one_bag_see_each_its_own_parcel(world: World):
    """Of a bag's event a shipper gets its own parcel alone: no other EPC, no quantity, no hash to check a guess by."""
    mine, others = world.parcel(SHOP), world.parcel(RIVAL)
    event = pack(1, BAG, mine, others, childQuantityList=[LGTIN])
    world.capture(world.blue, event)
    context = (HASHED,)
    hashed = ni(event_hash(event, Names.of(context)))
    for who, epc, other in ((SHOP, mine, others), (RIVAL, others, mine)):
        (told,) = events(world, who, MATCH_anyEPC=epc)
        assert told["childEPCs"] == [epc]
        assert re.fullmatch(r"urn:rookery:event:\d+", told["eventID"])
        text = msgspec.json.encode(told).decode()
        assert other not in text and "uantity" not in text and BAG not in text and "sha-256" not in text
        assert events(world, who, MATCH_anyEPC=other) == []
        assert events(world, who, MATCH_anyEPC=epc, GE_quantity="0") == []
        assert events(world, who, EQ_eventID=hashed) == []
        with pytest.raises(NotFound):
            ask(world.record, "epcis.events.get", who, event_id=hashed)
        again, _ = ask(world.record, "epcis.events.get", who, event_id=told["eventID"])
        assert found_all(again) == [told]
    for who in (world.blue, HOUSE):
        (told,) = events(world, who, MATCH_anyEPC=mine)
        assert (told["parentID"], set(told["childEPCs"]), told["eventID"]) == (BAG, {mine, others}, hashed)
        assert told["childQuantityList"][0]["quantity"] == 2
        assert told.pop("@context")[-1] == HASHED
        assert normalised(told, context, ("eventID", "recordTime")) == normalised(event, context)


@pytest.mark.parametrize("rarer", [False, True])
def test_by_a_place_each_finds_its_own_whichever_way_it_is_looked_for(world: World, monkeypatch, rarer):
    """Through its parcels' events or through those of the place: a shipper gets of a bag its own parcel alone and of a
    rival's events none; a courier to whom both are granted captured none of them, and a stranger's key opens nothing.
    """
    monkeypatch.setattr(queries, "is_rarer", lambda *_: rarer)
    place = f"urn:rookery:node:{'BY' if rarer else 'THROUGH'}"
    mine, others = world.parcel(SHOP), world.parcel(RIVAL)
    bag = pack(3, BAG, mine, others, bizLocation={"id": place})
    alone = scan("arriving", 4, others, bizLocation={"id": place})
    world.capture(world.blue, bag, alone)
    world.capture(STRANGER, scan("storing", 5, mine, bizLocation={"id": place}))  # it has nothing to do with the parcel
    asked = {"EQ_bizLocation": place, "GE_eventTime": at(0), "LT_eventTime": at(24)}
    (told,) = events(world, SHOP, **asked)
    assert told["childEPCs"] == [mine] and "parentID" not in told and others not in msgspec.json.encode(told).decode()
    assert [one["type"] for one in events(world, RIVAL, perPage=1, **asked)] == ["ObjectEvent", "AggregationEvent"]
    assert events(world, world.red, **asked) == []
    assert len(events(world, world.blue, **asked)) == 2
    assert [one["bizStep"] for one in events(world, STRANGER, **asked)] == ["storing"]
    assert len(events(world, HOUSE, **asked)) == 3
    assert events(world, msgspec.structs.replace(SHOP, test=True), **asked) == []


def test_a_container_noted_alone_is_told_to_those_who_see_all(world: World):
    """rookery:container names a number: a reader of a part of the event does not get it, whatever its prefix."""
    mine, others = world.parcel(SHOP), world.parcel(RIVAL)
    for hours, prefix in ((3, "rookery"), (4, "own")):
        event = scan("departing", hours, mine, others, **{f"{prefix}:container": BAG, f"{prefix}:code": "7"})
        event["@context"] = [{prefix: "urn:rookery:epcis:"}]
        world.capture(world.blue, event)
        for who, sees in ((SHOP, False), (world.blue, True), (HOUSE, True)):
            (told,) = (one for one in events(world, who, MATCH_anyEPC=mine) if one["eventTime"] == event["eventTime"])
            assert told[f"{prefix}:code"] == "7" and (BAG in str(told)) == sees


def test_a_hash_that_was_sent_as_the_id_is_not_told_either(world: World):
    """Whoever names its event by its hash tells it to none but those who see all of it."""
    mine, others = world.parcel(SHOP), world.parcel(RIVAL)
    event = scan("departing", 2, mine, others, place="A")
    hashed = ni(event_hash(event, Names.of((HASHED,))))
    world.capture(world.blue, {**event, "eventID": hashed})
    (told,) = events(world, SHOP, MATCH_anyEPC=mine)
    assert told["eventID"].startswith("urn:rookery:event:")
    assert events(world, SHOP, EQ_eventID=hashed) == [] and len(events(world, world.blue, EQ_eventID=hashed)) == 1


def test_a_strangers_event_is_as_one_that_does_not_exist(world: World):
    """By its id, its number, or what it names: another party's event is answered in the same words as none at all."""
    event = scan("storing", 3, "urn:x:thing:1", place="X", eventID="urn:x:event:stranger")
    world.capture(STRANGER, event)
    with world.record.context(HOUSE, readonly=True) as ctx:
        row = ctx.conn.execute(
            "select event_no from tracking.events where event_id = 'urn:x:event:stranger'"
        ).fetchone()
    assert row and len(events(world, STRANGER, EQ_eventID="urn:x:event:stranger")) == 1
    assert events(world, STRANGER, EQ_eventID=f"urn:rookery:event:{row[0]}") == []  # it has an id of its own
    pairs = {"urn:x:event:stranger": "urn:x:event:none", f"urn:rookery:event:{row[0]}": "urn:rookery:event:99999999"}
    for there, nowhere in pairs.items():
        said = set()
        for one in (there, nowhere):
            with pytest.raises(NotFound) as refused:
                ask(world.record, "epcis.events.get", RIVAL, event_id=one)
            said.add((refused.value.code, str(refused.value)))
        assert said == {("epcis.NoSuchResourceException", str(refused.value))}
    for act in ("epcis.epcs.get", "epcis.epcs.events"):
        for one in ("urn:x:thing:1", "urn:x:thing:none"):
            with pytest.raises(NotFound, match="There is nothing of this name"):
                ask(world.record, act, RIVAL, value=one)
    assert "urn:x:thing:1" not in ask(world.record, "epcis.epcs.list", RIVAL, perPage=1000)[0]["member"]
    assert "urn:x:thing:1" in ask(world.record, "epcis.epcs.list", STRANGER, perPage=1000)[0]["member"]


def test_test_mode_sees_its_own_events_alone(world: World):
    """What is captured in test mode is in no live answer, nor the other way round."""
    trial = Who(world.blue.party_id, "key_trial", world.blue.scopes, test=True)
    world.capture(trial, scan("storing", 1, "urn:x:trial", eventID="urn:x:event:trial"))
    world.capture(world.blue, scan("storing", 1, "urn:x:live", eventID="urn:x:event:live"))
    assert [e["eventID"] for e in events(world, trial)] == ["urn:x:event:trial"]
    assert "urn:x:event:trial" not in [e["eventID"] for e in events(world, world.blue)]
    assert "urn:x:event:trial" not in [e["eventID"] for e in events(world, HOUSE)]


def test_a_courier_finds_others_events_of_its_parcels_by_the_thing(world: World):
    """What the first courier scanned the second one finds by the parcel, and not by listing all."""
    epc = world.parcel(SHOP)
    world.capture(world.blue, scan("departing", 4, epc, place="A", eventID="urn:x:event:blue"))
    assert [e["eventID"] for e in events(world, world.red, MATCH_epc=epc)] == ["urn:x:event:blue"]
    assert "urn:x:event:blue" not in [e["eventID"] for e in events(world, world.red)]
    assert "urn:x:event:blue" in [e["eventID"] for e in events(world, SHOP)]


def test_identifiers_are_written_as_links_or_as_they_were_sent(world: World):
    """EPC URNs come back as GS1 Digital Links unless they are to stay; URNs are not made, and that is said."""
    sent = "urn:epc:id:sgtin:4012345.098765.77"
    link = "https://id.gs1.org/01/04012345987652/21/77"
    event = scan("storing", 5, sent, bizLocation={"id": "urn:epc:id:sgln:4012345.00000.0"})
    world.capture(STRANGER, event)
    for wanted, epc, place in (
        ("No_Preference", sent, "urn:epc:id:sgln:4012345.00000.0"),
        ("Never_Translates", sent, "urn:epc:id:sgln:4012345.00000.0"),
        ("Always_GS1_Digital_Link", link, "https://id.gs1.org/414/4012345000009"),
    ):  # fmt: skip
        (told,) = events(world, STRANGER, MATCH_epc=link, epc_format=wanted)
        assert (told["epcList"], told["bizLocation"]["id"]) == ([epc], place)
    with pytest.raises(NotAcceptable) as refused:
        events(world, STRANGER, MATCH_epc=link, epc_format="Always_EPC_URN")
    assert (refused.value.status, refused.value.code) == (406, "epcis.NotAcceptableException")
    assert "company prefix" in str(refused.value)


def _some_events(world: World, who: Who, step: str, count: int) -> set[str]:
    names = {f"urn:x:event:{step}:{n}" for n in range(count)}
    # all at the same instant: pages go on by the events' numbers
    world.capture(who, *(scan("holding", 6, f"urn:x:{name}", eventID=name) for name in sorted(names)))
    return names


def test_pages_hold_each_event_once_while_others_come(world: World):
    """Pages of any size, with events of one instant, while new ones are captured: none twice, none left out."""
    names = _some_events(world, STRANGER, "paged", 23)
    asked = {"parameters": {"EQ_bizStep": ["holding"]}, "perPage": 5}
    found: list[str] = []
    document, headers = ask(world.record, "epcis.events.list", STRANGER, **asked)
    while True:
        found += [event["eventID"] for event in found_all(document)]
        if "Link" not in headers:
            break
        assert headers["GS1-Next-Page-Token-Expires"].endswith("Z")
        world.capture(STRANGER, scan("holding", 90 + len(found), "urn:x:new", eventID=f"urn:x:event:new:{len(found)}"))
        document, headers = ask(world.record, "epcis.events.list", STRANGER, **asked, nextPageToken=token_in(headers))
    assert len(found) == len(set(found)) and names <= set(found)


def test_a_token_is_good_for_its_asker_and_its_question_alone(world: World):
    """Another's token, an altered one, one of another question and an expired one are refused in the same words."""
    _some_events(world, STRANGER, "token", 8)
    asked = {"parameters": {"EQ_bizStep": ["holding"]}, "perPage": 3}
    _, headers = ask(world.record, "epcis.events.list", STRANGER, **asked)
    token = token_in(headers)
    altered = token[:-3] + ("AAA" if token[-3:] != "AAA" else "BBB")
    other = {"parameters": {"EQ_bizStep": ["holding|storing"]}, "perPage": 3}
    tries = [(RIVAL, asked, token), (STRANGER, asked, altered), (STRANGER, other, token), (STRANGER, asked, "x"),
             (Who(STRANGER.party_id, "k", STRANGER.scopes, test=True), asked, token)]  # fmt: skip
    for who, question, tried in tries:
        with pytest.raises(Unreadable) as refused:
            ask(world.record, "epcis.events.list", who, **question, nextPageToken=tried)
        assert refused.value.code == "epcis.QueryParameterException"
        assert [fault.at for fault in refused.value.faults] == ["query.nextPageToken"]
    assert (
        len(
            found_all(
                ask(world.record, "epcis.events.list", STRANGER, **{**asked, "perPage": 4}, nextPageToken=token)[0]
            )
        )
        == 4
    )
    ask(world.record, "epcis.pages.end", STRANGER, token=token)
    for gone in (altered, "x"):
        with pytest.raises(NotFound):
            ask(world.record, "epcis.pages.end", STRANGER, token=gone)
    before = world.record.now
    try:
        world.record.now = before + timedelta(hours=2)
        with pytest.raises(Unreadable):
            ask(world.record, "epcis.events.list", STRANGER, **asked, nextPageToken=token)
    finally:
        world.record.now = before


def test_the_first_few_are_so_many_over_all_pages(world: World):
    """eventCountLimit counts over pages; maxEventCount refuses where there are more, and tells what to do."""
    _some_events(world, STRANGER, "limit", 9)
    limited = {"EQ_bizStep": "holding", "orderBy": "eventTime"}
    assert len(events(world, STRANGER, **limited, eventCountLimit="7", perPage=3)) == 7
    assert len(events(world, STRANGER, **limited, eventCountLimit="3", perPage=3)) == 3
    with pytest.raises(TooLarge) as refused:
        events(world, STRANGER, **limited, maxEventCount="2")
    assert refused.value.code == "epcis.QueryTooLargeException"
    assert len(events(world, STRANGER, **limited, maxEventCount="1000")) >= 9


def test_every_fault_of_a_question_is_told_at_once(world: World):
    """An unknown parameter, bad values and one that stands twice come back together, as the standard's exception."""
    with pytest.raises(Unreadable) as refused:
        events(world, SHOP, EQ_bizstep="x", GE_eventTime="yesterday", EQ_action="MOVE")
    assert (refused.value.status, refused.value.code) == (400, "epcis.QueryParameterException")
    assert {fault.at for fault in refused.value.faults} == {"query.EQ_bizstep", "query.GE_eventTime", "query.EQ_action"}
    with pytest.raises(Unreadable, match="twice"):
        ask(world.record, "epcis.events.list", SHOP, parameters={"EQ_action": ["ADD", "ADD"]})


def test_a_search_that_takes_too_long_is_the_askers_to_narrow(world: World, monkeypatch):
    """It ends, and says what would make it shorter."""
    monkeypatch.setattr(asking, "TAKES_AT_MOST_S", 0.01)
    with (
        pytest.raises(TooLarge, match="shorter time") as refused,
        world.record.context(HOUSE, readonly=True) as ctx,
        asking.bounded(ctx),
    ):
        ctx.conn.execute("select count(*) from generate_series(1, 1000000000)")
    assert (refused.value.status, refused.value.code) == (413, "epcis.QueryTooComplexException")


def test_a_named_query_is_answered_by_its_name(world: World):
    """Named once it is listed, looked up, asked and forgotten; another party may use the same name for its own."""
    query = {"EQ_bizStep": ["loading"], "orderBy": "eventTime", "orderDirection": "ASC"}
    world.capture(STRANGER, *(scan("loading", hour, f"urn:x:l{hour}", eventID=f"urn:x:l{hour}") for hour in (9, 7, 8)))
    kept, headers = ask(world.record, "epcis.queries.create", STRANGER, name="my loads / 1", query=query)
    assert kept == {"name": "my loads / 1", "query": query}
    assert headers["Location"] == "/epcis/queries/my%20loads%20%2F%201"
    ask(world.record, "epcis.queries.create", RIVAL, name="my loads / 1", query={})
    with pytest.raises(Conflict) as refused:
        ask(world.record, "epcis.queries.create", STRANGER, name="my loads / 1", query={})
    assert refused.value.code == "epcis.ResourceAlreadyExistsException"
    assert ask(world.record, "epcis.queries.get", STRANGER, query_name="my loads / 1")[0]["query"] == query
    found = events(world, STRANGER, "epcis.queries.events", query_name="my loads / 1", perPage=2)
    assert [event["eventID"] for event in found] == ["urn:x:l7", "urn:x:l8", "urn:x:l9"]
    document, headers = ask(world.record, "epcis.queries.events", STRANGER, query_name="my loads / 1", perPage=2)
    assert document["epcisBody"]["queryResults"]["queryName"] == "my loads / 1"
    ask(world.record, "epcis.queries.delete", STRANGER, query_name="my loads / 1")
    for act in ("epcis.queries.get", "epcis.queries.delete", "epcis.queries.events"):
        with pytest.raises(NotFound) as gone:
            ask(world.record, act, STRANGER, query_name="my loads / 1")
        assert gone.value.code == "epcis.NoSuchNameException"
    # named anew with another meaning: the old token is no longer good
    ask(world.record, "epcis.queries.create", STRANGER, name="my loads / 1", query={})
    with pytest.raises(Unreadable):
        ask(world.record, "epcis.queries.events", STRANGER, query_name="my loads / 1", nextPageToken=token_in(headers))
    assert ask(world.record, "epcis.queries.get", RIVAL, query_name="my loads / 1")[0]["query"] == {}


def test_those_who_run_the_network_have_named_queries_of_their_own(world: World):
    """An operator's list holds its own queries and nobody else's, over pages."""
    ask(world.record, "epcis.queries.create", STRANGER, name="theirs", query={})
    for number in range(5):
        ask(world.record, "epcis.queries.create", HOUSE, name=f"ours {number}", query={})
    names, token = [], ""
    while True:
        page, headers = ask(world.record, "epcis.queries.list", HOUSE, perPage=2, nextPageToken=token)
        names += [one["name"] for one in page]
        if "Link" not in headers:
            break
        token = token_in(headers)
    assert names == [f"ours {number}" for number in range(5)]


def test_a_named_query_with_faults_is_not_kept(world: World):
    """Its faults are told with their places, and the standard's own name is nobody's."""
    with pytest.raises(Unreadable) as refused:
        ask(world.record, "epcis.queries.create", SHOP, name="bad", query={"EQ_bizStep": "shipping", "what": 1})
    assert {fault.at for fault in refused.value.faults} == {"$.query.EQ_bizStep", "$.query.what"}
    with pytest.raises(NotFound):
        ask(world.record, "epcis.queries.get", SHOP, query_name="bad")
    with pytest.raises(Conflict):
        ask(world.record, "epcis.queries.create", SHOP, name="SimpleEventQuery", query={})


def test_whoever_would_subscribe_where_events_are_listed_hears_where_to(world: World):
    """WebSockets are not offered, nor anything but a query's name; the remedy names the right door."""
    ask(world.record, "epcis.queries.create", SHOP, name="mine", query={})
    with pytest.raises(Unreadable, match="nothing is subscribed to here") as refused:
        ask(world.record, "epcis.queries.events", SHOP, query_name="mine", parameters={"stream": ["true"]})
    assert "POST /epcis/queries/{query_name}/subscriptions" in refused.value.faults[0].remedy


def test_resources_lead_down_to_events(world: World):
    """From the top to a word, and from the word to its events, over pages; what was never seen is not there."""
    top, _ = ask(world.record, "epcis.resources.list", SHOP)
    assert top["type"] == "Collection" and {"events", "eventTypes", "queries", "capture"} <= {*top["member"]}
    walker = Who("pty_walker", "key_walker", frozenset({"courier"}))
    for hour, step in enumerate(["picking", "packing", "loading"]):
        more = {"disposition": "in_progress", "bizLocation": {"id": f"urn:rookery:node:N{hour}"}}
        world.capture(walker, scan(step, hour, f"urn:x:w{hour}", place=f"N{hour}", **more))
    expected = {
        "eventTypes": ["ObjectEvent"], "epcs": ["urn:x:w0", "urn:x:w1", "urn:x:w2"],
        "bizSteps": ["loading", "packing", "picking"], "bizLocations": [f"urn:rookery:node:N{n}" for n in range(3)],
        "readPoints": [f"urn:rookery:node:N{n}" for n in range(3)], "dispositions": ["in_progress"],
    }  # fmt: skip
    for resource, values in expected.items():
        found, token = [], ""
        while True:
            page, headers = ask(world.record, f"epcis.{resource}.list", walker, perPage=2, nextPageToken=token)
            found += page["member"]
            if "Link" not in headers:
                break
            token = token_in(headers)
        assert found == values
        for value in values:
            assert ask(world.record, f"epcis.{resource}.get", walker, value=value)[0]["member"] == ["events"]
            told = events(world, walker, f"epcis.{resource}.events", value=value)
            assert len(told) == (3 if len(values) == 1 else 1)
        with pytest.raises(NotFound):
            ask(world.record, f"epcis.{resource}.get", walker, value="urn:x:never")
    assert events(world, walker, "epcis.bizSteps.events", value="loading", LT_eventTime="2026-03-02T00:00:00Z") == []


def test_every_scope_may_ask_and_no_other(world: World):
    """The acts are for all who have to do with parcels."""
    for name, op in OPERATIONS.items():
        if name.startswith(("epcis.events.list", "epcis.queries", "epcis.resources", "epcis.epcs")):
            assert op.scopes == {"merchant", "courier", "station", "operator", "customs", "admin"}
