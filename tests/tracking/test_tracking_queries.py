"""What a query finds is what a plain reading of the events says, whatever is asked and whoever asks, page by page."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rookery.tracking import known, queries, query_statements, store
from rookery.tracking.capture import batch_of
from rookery.tracking.epcis.documents import Sent
from rookery.tracking.queries import Sight
from rookery.tracking.query_parameters import parse
from rookery.tracking.query_terms import Own
from rookery.tracking.reading import event_of

NOW = datetime(2026, 3, 20, 12, 0, tzinfo=UTC)
NS_A, NS_B = "https://ns.example.org/a/", "https://ns.example.org/b/"
CONTEXTS: list[tuple[Any, ...]] = [({"ex": NS_A},), ({"e2": NS_A},), ({"ex": NS_B},), ()]
EPCS = [f"https://id.gs1.org/00/09520000000000000{n}" for n in range(8)]
URNS = ["urn:epc:id:sgtin:4012345.098765.1", "urn:epc:id:sgtin:4012345.098765.2", "urn:epc:id:sgtin:4012345.012345.1"]
LINKS = {  # what those URNs are, written out by hand
    URNS[0]: "https://id.gs1.org/01/04012345987652/21/1",
    URNS[1]: "https://id.gs1.org/01/04012345987652/21/2",
    URNS[2]: "https://id.gs1.org/01/04012345123456/21/1",
}
BAG = "https://id.gs1.org/00/395200000000000017"
CLASSES = ["urn:epc:class:lgtin:4012345.012345.A", "https://example.com/class/b"]
STEPS = ["shipping", "arriving", "https://example.com/step/own"]
WORDS = ["in_transit", "https://ref.gs1.org/cbv/Disp-damaged", "urn:epcglobal:cbv:disp:active"]
PLACES = [
    "https://id.gs1.org/414/4012345000009",
    "https://id.gs1.org/414/4012345000009/254/dock",
    "urn:rookery:node:HUB",
]
OWNERS = {
    0: "pty_shop",
    1: "pty_shop",
    2: "pty_rival",
    3: "pty_rival",
}  # whose parcels EPCS[n] are; others are nobody's
GRANTED = {"pty_red": {0, 2}}
PARTIES = ("pty_blue", "pty_red", "pty_shop", "pty_rival", "pty_stranger")
MATCHED = {
    "MATCH_epc": ("epcList", "childEPCs"), "MATCH_parentID": ("parentID",), "MATCH_inputEPC": ("inputEPCList",),
    "MATCH_outputEPC": ("outputEPCList",),
    "MATCH_anyEPC": ("epcList", "childEPCs", "parentID", "inputEPCList", "outputEPCList"),
}  # fmt: skip
MATCHED_CLASSES = {
    "MATCH_epcClass": ("quantityList", "childQuantityList"), "MATCH_inputEPCClass": ("inputQuantityList",),
    "MATCH_outputEPCClass": ("outputQuantityList",),
    "MATCH_anyEPCClass": ("quantityList", "childQuantityList", "inputQuantityList", "outputQuantityList"),
}  # fmt: skip


@dataclass(frozen=True)
class Kept:
    """An event as it was sent, who captured it, when, and its number."""

    event: dict[str, Any]
    context: tuple[Any, ...]
    party: str
    record_at: datetime
    number: int


def _some(rng: random.Random, pool: list[Any], most: int = 3) -> list[Any]:
    return rng.sample(pool, rng.randint(0, min(most, len(pool))))


def _quantities(rng: random.Random) -> list[dict[str, Any]]:
    return [
        {"epcClass": one, "quantity": rng.choice([1, 5, 7.5]), **rng.choice([{}, {"uom": "KGM"}])}
        for one in _some(rng, CLASSES, 2)
    ]


def _event(rng: random.Random, number: int) -> tuple[dict[str, Any], tuple[Any, ...]]:
    context = rng.choice(CONTEXTS)
    prefix = next(iter(context[0]), "ex") if context else "ex"
    kind = rng.choice(["ObjectEvent", "AggregationEvent", "TransformationEvent"])
    # several events share an instant: order and pages must hold all the same
    at = datetime(2026, 3, 2, tzinfo=UTC) + timedelta(hours=rng.randint(0, 40))
    event: dict[str, Any] = {"type": kind, "eventTime": at.isoformat(), "eventTimeZoneOffset": "+00:00"}
    things = EPCS + URNS
    if kind == "ObjectEvent":
        event |= {"action": rng.choice(["ADD", "OBSERVE"]), "epcList": _some(rng, things)}
        event |= {"quantityList": _quantities(rng)} if rng.random() < 0.4 else {}
    elif kind == "AggregationEvent":
        event |= {"action": "ADD", "parentID": BAG, "childEPCs": _some(rng, things)}
        event |= {"childQuantityList": _quantities(rng)} if rng.random() < 0.4 else {}
    else:
        event |= {
            "transformationID": rng.choice(["urn:x:t1", "urn:x:t2", LINKS[URNS[0]]]),
            "inputEPCList": _some(rng, things),
        }
        event |= {"outputEPCList": _some(rng, things), "inputQuantityList": _quantities(rng)}
    if rng.random() < 0.7:
        event["bizStep"] = rng.choice(STEPS)
    if rng.random() < 0.6:
        event["disposition"] = rng.choice(WORDS)
    if rng.random() < 0.3:
        event["persistentDisposition"] = {"set": _some(rng, WORDS), "unset": _some(rng, WORDS)}
    for name in ("readPoint", "bizLocation"):
        if rng.random() < 0.6:
            event[name] = {"id": rng.choice(PLACES)}
    if rng.random() < 0.3:
        event["bizTransactionList"] = [
            {
                "type": rng.choice(["po", "https://ref.gs1.org/cbv/BTT-po", "inv"]),
                "bizTransaction": f"urn:x:b{number % 3}",
            }
        ]
        event["sourceList"] = [{"type": "possessing_party", "source": f"urn:x:s{number % 2}"}]
    if rng.random() < 0.3:
        event["sensorElementList"] = [{
            "sensorMetadata": {"deviceID": f"urn:x:d{number % 2}", "time": at.isoformat()},
            "sensorReport": [
                {"type": "Temperature", "value": rng.choice([1, 20.5, 30]), "uom": rng.choice(["CEL", "FAH"])},
                {"type": "Humidity", "booleanValue": rng.random() < 0.5, "stringValue": rng.choice(["a", "b"])},
            ],
        }]  # fmt: skip
    if rng.random() < 0.4:
        event[f"{prefix}:temp"] = rng.choice([1, 2.5, "2.5", "warm", True, "2026-03-02T05:00:00Z", ["x", 3]])
        event[f"{prefix}:outer"] = {f"{prefix}:inner": rng.choice(["x", "y", 4]), "list": [{f"{prefix}:deep": "z"}]}
    if rng.random() < 0.2:
        event["ilmd"] = {f"{prefix}:lot": rng.choice(["L1", "L2"])}
    if rng.random() < 0.15:
        event["errorDeclaration"] = {
            "declarationTime": (at + timedelta(days=1)).isoformat(),
            "reason": rng.choice(["incorrect_data", "urn:x:r"]),
            "correctiveEventIDs": rng.sample(["urn:x:e1", "urn:x:e2", "ni:///sha-256;aa?ver=CBV2.0"], 2),
        }  # fmt: skip
    if rng.random() < 0.5:
        event["eventID"] = f"urn:x:event:{number}"
    return event, context


@pytest.fixture(scope="module")
def kept(make_database):
    """A database with some hundred events of five parties, and the events as they were sent."""
    database, rng, all_kept = make_database(), random.Random(20260320), []
    parcels = pl.DataFrame([{"epc": EPCS[n], "parcel_id": f"pcl_{n}", "owner_id": who} for n, who in OWNERS.items()])
    for party in PARTIES[:4] * 2:
        made = [_event(rng, len(all_kept) + place) for place in range(45)]
        batch = batch_of([Sent(e, c, f"$[{i}]") for i, (e, c) in enumerate(made)], party, False, NOW)
        assert not batch.faults
        at = NOW - timedelta(hours=rng.randint(0, 200), microseconds=rng.randint(0, 10**6))
        with database.transaction("pty_system", frozenset({"system"})) as conn:
            added = store.add(conn, batch, party_id=party, test=False, now=at, capture_id=None)
            store.add_things(conn, batch, added, party_id=party, test=False, standing=1, parcels=parcels)
        all_kept += [Kept(*made[i], party, at, number) for i, number in added.iter_rows()]
    with database.transaction("pty_system", frozenset({"system"})) as conn:
        for party, parcel in [(who, n) for who, those in GRANTED.items() for n in those]:
            conn.execute(
                "insert into orders.parcel_party values (%s, %s, 'courier', %s, false, %s)",
                (f"pcl_{parcel}", party, OWNERS[parcel], NOW),
            )
    return database, all_kept


# a plain reading, that knows nothing of how it is done


def _seen(asker: str, one: Kept, epc: str) -> bool:
    if asker in ("operator", one.party):
        return True
    owned = EPCS.index(epc) if epc in EPCS else None
    return owned in OWNERS and (OWNERS[owned] == asker or owned in GRANTED.get(asker, ()))


def _shown(asker: str, one: Kept) -> tuple[dict[str, Any], bool, bool] | None:
    """The event as the asker sees it; whether whole; whether it is its own: captured, or naming a parcel it ships."""
    event, hidden, seen = dict(one.event), 0, []
    for name in ("epcList", "childEPCs", "inputEPCList", "outputEPCList", "parentID"):
        if name not in event:
            continue
        those = [event[name]] if name == "parentID" else event[name]
        left = [epc for epc in those if _seen(asker, one, epc)]
        hidden += len(those) - len(left)
        seen += left
        if name != "parentID":
            event[name] = left
        elif not left:
            del event[name]
    captured = asker in ("operator", one.party)
    if not captured and not seen:
        return None
    if hidden:
        for name in ("quantityList", "childQuantityList", "inputQuantityList", "outputQuantityList"):
            event.pop(name, None)
        if "errorDeclaration" in event:
            ids = [i for i in event["errorDeclaration"]["correctiveEventIDs"] if not i.startswith("ni:")]
            event["errorDeclaration"] = {**event["errorDeclaration"], "correctiveEventIDs": ids}
    own = captured or any(OWNERS.get(EPCS.index(epc)) == asker for epc in seen if epc in EPCS)
    return event, not hidden, own


def _short(word: str) -> str:
    return word.rsplit("-", 1)[-1].rsplit(":", 1)[-1] if "gs1.org" in word or "epcglobal" in word else word


def _compare(test: str, left: Any, right: Any) -> bool:
    return {"EQ": left == right, "GE": left >= right, "GT": left > right, "LE": left <= right, "LT": left < right}[test]


def _field(holder: Any, one: Kept, name: str) -> list[Any]:
    """The values of an own field in an object: by the name as written, or by the full name."""
    if not isinstance(holder, dict):
        return []
    spaces = one.context[0] if one.context else {}
    found = []
    for key, value in holder.items():
        prefix, _, local = key.partition(":")
        if key == name or (name.startswith("https:") and prefix in spaces and spaces[prefix] + local == name):
            found += value if isinstance(value, list) else [value]
    return found


def _objects(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, list):
        return [deep for item in value for deep in _objects(item)]
    if isinstance(value, dict):
        return [value, *[deep for item in value.values() for deep in _objects(item)]]
    return []


def _own_fits(test: str, values: list[Any], text: str) -> bool:
    if test == "EXISTS":
        return bool(values)
    told = text.split("|")
    for value in values:
        if test == "EQ":
            if isinstance(value, bool):
                fits = str(value).lower() in told
            elif isinstance(value, str):
                fits = value in told
            else:
                fits = isinstance(value, int | float) and any(_as_number(one) == value for one in told)
        elif "T" in text:
            fits = isinstance(value, str) and "T" in value and _compare(test, _time(value), _time(text))
        else:
            number = None if isinstance(value, bool) else _as_number(value)
            fits = number is not None and _compare(test, number, float(text))
        if fits:
            return True
    return False


def _as_number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _fits(one: Kept, event: dict[str, Any], captured: bool, name: str, text: str) -> bool:
    values = text.split("|")
    declaration = event.get("errorDeclaration")
    reports = [r for element in event.get("sensorElementList", []) for r in element["sensorReport"]]
    devices = [element["sensorMetadata"] for element in event.get("sensorElementList", [])]
    quantities = [q for key in MATCHED_CLASSES["MATCH_anyEPCClass"] for q in event.get(key, [])]
    if name in MATCHED:
        things = [e for key in MATCHED[name] for e in (event.get(key) or []) if key != "parentID"]
        things += [event["parentID"]] if "parentID" in MATCHED[name] and "parentID" in event else []
        wanted = [LINKS.get(value, value) for value in values if "idpat" not in value]
        kinds = ["https://id.gs1.org/01/04012345987652/21/"] if any("idpat" in value for value in values) else []
        return any(LINKS.get(e, e) in wanted or any(LINKS.get(e, e).startswith(k) for k in kinds) for e in things)
    if name in MATCHED_CLASSES:
        classes = [q["epcClass"] for key in MATCHED_CLASSES[name] for q in event.get(key, [])]
        return captured and bool({*classes} & {*values})
    simple = {
        "eventType": lambda: event["type"] in values,
        "EQ_action": lambda: event.get("action") in values,
        "EQ_bizStep": lambda: event.get("bizStep") in values,
        "EQ_disposition": lambda: _short(event.get("disposition", "")) in map(_short, values),
        "EQ_persistentDisposition_set": lambda: bool(
            {_short(w) for w in event.get("persistentDisposition", {}).get("set", [])} & {*map(_short, values)}
        ),
        "EQ_readPoint": lambda: event.get("readPoint", {}).get("id") in values,
        "WD_readPoint": lambda: any(
            event.get("readPoint", {}).get("id", "") == v
            or event.get("readPoint", {}).get("id", "").startswith(v + "/254/")
            for v in values
        ),
        "EQ_bizLocation": lambda: event.get("bizLocation", {}).get("id") in values,
        "EQ_transformationID": lambda: event.get("transformationID") in [LINKS.get(v, v) for v in values],
        "GE_eventTime": lambda: _time(event["eventTime"]) >= _time(text),
        "LT_eventTime": lambda: _time(event["eventTime"]) < _time(text),
        "GE_recordTime": lambda: one.record_at >= _time(text),
        "LT_recordTime": lambda: one.record_at < _time(text),
        "EXISTS_errorDeclaration": lambda: declaration is not None or text == "false",
        "GE_errorDeclarationTime": lambda: bool(declaration) and _time(declaration["declarationTime"]) >= _time(text),
        "LT_errorDeclarationTime": lambda: bool(declaration) and _time(declaration["declarationTime"]) < _time(text),
        "EQ_errorReason": lambda: bool(declaration) and declaration["reason"] in values,
        "EQ_correctiveEventID": lambda: bool(declaration) and bool({*declaration["correctiveEventIDs"]} & {*values}),
        "EQ_eventID": lambda: event.get("eventID") in values,
        "EQ_bizTransaction_po": lambda: any(
            _short(t["type"]) == "po" and t["bizTransaction"] in values for t in event.get("bizTransactionList", [])
        ),
        "EQ_source_possessing_party": lambda: any(s["source"] in values for s in event.get("sourceList", [])),
        "EQ_type": lambda: any(r["type"] in values for r in reports),
        "EQ_deviceID": lambda: any(d["deviceID"] in values for d in devices),
        "GE_time": lambda: any(_time(d["time"]) >= _time(text) for d in devices),
        "EQ_stringValue": lambda: any(r.get("stringValue") in values for r in reports),
        "EQ_booleanValue": lambda: any(r.get("booleanValue") is (text == "true") for r in reports),
        "EXISTS_sensorElementList": lambda: bool(devices),
        "HASATTR_readPoint": lambda: False,
    }
    if name in simple:
        return simple[name]()
    test, rest = name.split("_", 1)
    if rest == "quantity" or rest == "quantity_KGM":
        counted = [q["quantity"] for q in quantities if rest == "quantity" or q.get("uom") == "KGM"]
        return any(_compare(test, q, float(v)) for q in counted for v in values)
    if rest == "value_CEL":
        return any(_compare(test, r["value"], float(v)) for r in reports if r.get("uom") == "CEL" for v in values)
    if rest.startswith("INNER_"):
        own = [value for key, value in event.items() if ":" in key]
        found = [v for value in own for holder in _objects(value) for v in _field(holder, one, rest[6:])]
        return _own_fits(test, found, text)
    if rest.startswith("ILMD_"):
        return _own_fits(test, _field(event.get("ilmd"), one, rest[5:]), text)
    return _own_fits(test, _field(event, one, rest), text)


def _lists(*pool: str) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(pool), min_size=1, max_size=3, unique=True).map("|".join)


_TIMES = st.integers(0, 45).map(lambda h: (datetime(2026, 3, 2, tzinfo=UTC) + timedelta(hours=h)).isoformat())
_NUMBERS = st.sampled_from(["1", "2.5", "5", "7.5", "20.5", "30"])
_THINGS = _lists(*EPCS, *URNS, LINKS[URNS[0]], BAG, "urn:epc:idpat:sgtin:4012345.098765.*")
_OWN_VALUES = _lists("1", "2.5", "warm", "true", "x", "3")
PARAMETERS: dict[str, st.SearchStrategy[str]] = {
    "eventType": _lists("ObjectEvent", "AggregationEvent", "TransformationEvent", "https://example.com/Own"),
    "EQ_action": _lists("ADD", "OBSERVE", "DELETE"),
    "EQ_bizStep": _lists(*STEPS, "storing"),
    "EQ_disposition": _lists("in_transit", "damaged", "active", "https://ref.gs1.org/cbv/Disp-active"),
    "EQ_persistentDisposition_set": _lists("in_transit", "damaged", "active"),
    **dict.fromkeys(["EQ_readPoint", "WD_readPoint", "EQ_bizLocation"], _lists(*PLACES, "urn:x:nowhere")),
    "EQ_transformationID": _lists("urn:x:t1", URNS[0], "urn:x:t3"),
    **dict.fromkeys(["GE_eventTime", "LT_eventTime", "GE_time"], _TIMES),
    **dict.fromkeys(
        ["GE_recordTime", "LT_recordTime"], st.integers(0, 220).map(lambda h: (NOW - timedelta(hours=h)).isoformat())
    ),
    "EXISTS_errorDeclaration": st.sampled_from(["", "true", "false"]),
    **dict.fromkeys(
        ["GE_errorDeclarationTime", "LT_errorDeclarationTime"],
        st.integers(0, 70).map(lambda h: (datetime(2026, 3, 2, tzinfo=UTC) + timedelta(hours=h)).isoformat()),
    ),
    "EQ_errorReason": _lists("incorrect_data", "urn:x:r"),
    "EQ_correctiveEventID": _lists("urn:x:e1", "urn:x:e2", "ni:///sha-256;aa?ver=CBV2.0"),
    "EQ_eventID": _lists(*[f"urn:x:event:{n}" for n in range(60)]),
    **dict.fromkeys(MATCHED, _THINGS),
    **dict.fromkeys(MATCHED_CLASSES, _lists(*CLASSES)),
    "EQ_bizTransaction_po": _lists("urn:x:b0", "urn:x:b1"),
    "EQ_source_possessing_party": _lists("urn:x:s0", "urn:x:s1"),
    "EQ_type": _lists("Temperature", "Humidity", "https://gs1.org/voc/Mass"),
    "EQ_deviceID": _lists("urn:x:d0", "urn:x:d1"),
    "EQ_stringValue": _lists("a", "b"),
    "EQ_booleanValue": st.sampled_from(["true", "false"]),
    "EXISTS_sensorElementList": st.just(""),
    "HASATTR_readPoint": st.just("a"),
    **{f"{test}_{field}": _NUMBERS for test in ("EQ", "GT", "GE", "LT", "LE") for field in ("quantity", "value_CEL")},
    "GE_quantity_KGM": _NUMBERS,
    **{f"EQ_{name}": _OWN_VALUES for name in ("ex:temp", f"{NS_A}temp", "INNER_ex:inner", f"INNER_{NS_A}inner")},
    **{f"{test}_{name}": _NUMBERS for test in ("GE", "LT") for name in ("ex:temp", f"{NS_B}temp", "INNER_ex:inner")},
    "GE_ex:temp ": st.just("2026-03-02T04:00:00Z"),
    "EXISTS_ex:outer": st.just(""),
    f"EXISTS_INNER_{NS_A}deep": st.just("true"),
    "EQ_ILMD_ex:lot": _lists("L1", "L2"),
    f"EXISTS_ILMD_{NS_A}lot": st.just(""),
}  # fmt: skip
PARAMETERS[f"GE_{NS_A}temp"] = PARAMETERS.pop("GE_ex:temp ")


@st.composite
def _queries(draw: st.DrawFn) -> dict[str, str]:
    names = draw(st.lists(st.sampled_from(sorted(PARAMETERS)), min_size=0, max_size=3, unique=True))
    asked = {name: draw(PARAMETERS[name]) for name in names}
    order = draw(st.sampled_from([None, "eventTime", "recordTime", "ex:temp"]))
    if order is not None:
        asked |= {"orderBy": order, "orderDirection": draw(st.sampled_from(["ASC", "DESC"]))}
    return asked


def _expected(all_kept: list[Kept], asker: str, asked: dict[str, str]) -> dict[int, tuple[dict[str, Any], bool]]:
    filters = {name: text for name, text in asked.items() if not name.startswith("order")}
    by_thing = any(name in MATCHED or name in MATCHED_CLASSES or name == "EQ_eventID" for name in filters)
    found = {}
    for one in all_kept:
        shown = _shown(asker, one)
        if shown is None or not (shown[2] or by_thing):
            continue
        captured = asker in ("operator", one.party)
        if all(_fits(one, shown[0], captured, name, text) for name, text in filters.items()):
            found[one.number] = shown[:2]
    return found


def _pages(database, asker: str, asked: dict[str, str], limit: int) -> list[Any]:
    query, faults = parse(asked)
    assert not faults
    scopes = frozenset({"operator" if asker == "operator" else "courier"})
    sight = Sight("pty_house" if asker == "operator" else asker, asker == "operator")
    found, after = [], None
    while True:
        with database.transaction(sight.party_id, scopes, readonly=True) as conn:
            page = queries.page(conn, query, sight, limit, after)
        assert len(page.events) <= limit
        found += page.events
        if page.last is None:
            return found
        after = msgspec.json.decode(msgspec.json.encode(page.last))  # as a token keeps it


_LIKE = {"deadline": None, "suppress_health_check": [HealthCheck.function_scoped_fixture]}


@pytest.mark.parametrize("name", sorted(PARAMETERS))
@settings(max_examples=12, **_LIKE)
@given(asker=st.sampled_from(["operator", *PARTIES]), data=st.data())
def test_each_parameter_finds_what_a_plain_reading_finds(kept, name, asker, data):
    """One parameter alone, with values that fit some events: the same events as by reading them all."""
    _holds(kept, asker, {name: data.draw(PARAMETERS[name])}, 1000)


@settings(max_examples=120, **_LIKE)
@given(
    asker=st.sampled_from(["operator", *PARTIES]), asked=_queries(), limit=st.sampled_from([3, 17, 1000]),
    few=st.sampled_from([1, query_statements.FEW]), rarer=st.booleans(),
)  # fmt: skip
def test_a_query_finds_what_a_plain_reading_finds(kept, asker, asked, limit, few, rarer):
    """Whoever asks, whatever is asked, in pages of any size, whether the asker captured few events or many, whether the
    search goes through its parcels' events or through those of a step or place: the same events, none twice, none
    skipped, shown alike.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(query_statements, "FEW", few)
        patch.setattr(queries, "is_rarer", lambda *_: rarer)
        _holds(kept, asker, asked, limit)


def _holds(kept, asker: str, asked: dict[str, str], limit: int) -> None:
    database, all_kept = kept
    found = _pages(database, asker, asked, limit)
    expected = _expected(all_kept, asker, asked)
    numbers = [one.number for one in found]
    assert len(numbers) == len(set(numbers))
    assert set(numbers) == set(expected), asked
    for one in found:
        event, context = event_of(one, "Never_Translates")
        told, whole = expected[one.number]
        assert one.whole is whole
        assert event.pop("recordTime")
        shown_id = event.pop("eventID")
        told = dict(told)
        if "eventID" in told:
            assert shown_id == told.pop("eventID")
        else:
            assert shown_id.startswith("ni:///sha-256;" if whole else f"urn:rookery:event:{one.number}")
        assert event == told
        assert context == next(k.context for k in all_kept if k.number == one.number)


@pytest.mark.parametrize("direction", ["ASC", "DESC"])
@pytest.mark.parametrize("order", ["eventTime", "recordTime"])
def test_events_come_in_the_order_asked_for(kept, order, direction):
    """By event time or record time, up or down, over the borders of pages."""
    database, all_kept = kept
    by_number = {one.number: one for one in all_kept}
    found = _pages(database, "operator", {"orderBy": order, "orderDirection": direction}, 7)
    times = [
        by_number[one.number].record_at if order == "recordTime" else _time(by_number[one.number].event["eventTime"])
        for one in found
    ]
    assert times == sorted(times, reverse=direction == "DESC")


def test_events_are_ordered_by_a_field_of_ones_own(kept):
    """Numbers by their size; events without the field stand together at the end."""
    database, all_kept = kept
    by_number = {one.number: one.event for one in all_kept}
    found = _pages(database, "operator", {"orderBy": "ex:temp", "EQ_ex:temp": "1|2.5"}, 5)
    numbers = [by_number[one.number]["ex:temp"] for one in found]
    numbers = [number for number in numbers if not isinstance(number, str | list | bool)]
    assert numbers == sorted(numbers, reverse=True) and len(numbers) > 3


@pytest.mark.parametrize("asker", ["operator", *PARTIES])
def test_lists_of_what_is_known_hold_what_the_events_hold(kept, asker):
    """Each word, place and thing of the events that are one's own, in order, over pages; nothing of others'."""
    database, all_kept = kept
    shown = [s[0] for one in all_kept if (s := _shown(asker, one)) is not None and s[2]]
    things = [
        one
        for event in shown
        for key in ("epcList", "childEPCs", "inputEPCList", "outputEPCList")
        for one in event.get(key, [])
    ]
    if asker != "operator":  # of others' events one's own parcels, though others' may be granted
        own = [one for one in all_kept if one.party == asker]
        things = [
            t
            for one in own
            for key in ("epcList", "childEPCs", "inputEPCList", "outputEPCList")
            for t in one.event.get(key, [])
        ]
        things += [e for e in EPCS for one in all_kept if _named(one, e) and OWNERS.get(EPCS.index(e)) == asker]
        shown_parents = [one.event for one in own]
    else:
        shown_parents = shown
    things += [event["parentID"] for event in shown_parents if "parentID" in event]
    expected = {
        "type": {event["type"] for event in shown},
        "biz_step": {event["bizStep"] for event in shown if "bizStep" in event},
        "disposition": {_short(event["disposition"]) for event in shown if "disposition" in event},
        "read_point": {event["readPoint"]["id"] for event in shown if "readPoint" in event},
        "biz_location": {event["bizLocation"]["id"] for event in shown if "bizLocation" in event},
        "epc": {LINKS.get(one, one) for one in things},
    }
    sight = Sight("pty_house" if asker == "operator" else asker, asker == "operator")
    for what, values in expected.items():
        found: list[str] = []
        with database.transaction(sight.party_id, frozenset({"operator" if sight.sees_all else "courier"})) as conn:
            while more := known.known(conn, what, sight, 2, found[-1] if found else ""):
                found += more
        assert found == sorted(values), (asker, what)


def _named(one: Kept, epc: str) -> bool:
    return any(epc in one.event.get(key, []) for key in ("epcList", "childEPCs", "inputEPCList", "outputEPCList"))


def test_things_are_listed_by_leaps_alike(kept, monkeypatch):
    """A party with many events gets the same list of things another way."""
    database, _ = kept
    sight = Sight("pty_blue", False)
    lists = []
    for few in (known.FEW, 0):
        monkeypatch.setattr(known, "FEW", few)
        with database.transaction("pty_blue", frozenset({"courier"})) as conn:
            lists.append(known.known(conn, known.EPC, sight, 1000))
    assert lists[0] == lists[1] and lists[0]


def test_whether_more_fit_than_may(kept):
    """maxEventCount is exceeded by one more than that many, not by that many."""
    database, all_kept = kept
    query, _ = parse({"eventType": "ObjectEvent"})
    count = sum(one.event["type"] == "ObjectEvent" for one in all_kept)
    with database.transaction("pty_house", frozenset({"operator"})) as conn:
        sight = Sight("pty_house", True)
        assert queries.exceeds(conn, query, sight, count - 1)
        assert not queries.exceeds(conn, query, sight, count)


def test_the_rarer_of_both_is_gone_through(make_database):
    """A step or place with fewer events than the asker's parcels have; never for whoever sees all, where a thing is
    named, or where no index has the order.
    """
    database, day = make_database(), datetime(2026, 3, 2, tzinfo=UTC)
    parcels = pl.DataFrame([{"epc": EPCS[n], "parcel_id": f"pcl_{n}", "owner_id": who} for n, who in OWNERS.items()])
    said = [(EPCS[0], "arriving", PLACES[0])] * 400 + [(EPCS[2], "packing", PLACES[2])] * 12
    said += [(EPCS[7], "loading", PLACES[1])] * 800  # of nobody's
    events = [
        {"type": "ObjectEvent", "eventTime": (day + timedelta(minutes=place)).isoformat(), "bizStep": step,
         "eventTimeZoneOffset": "+00:00", "action": "OBSERVE", "epcList": [epc], "bizLocation": {"id": node}}
        for place, (epc, step, node) in enumerate(random.Random(7).sample(said, len(said)))
    ]  # fmt: skip
    batch = batch_of([Sent(event, (), f"$[{i}]") for i, event in enumerate(events)], "pty_blue", False, NOW)
    with database.transaction("pty_system", frozenset({"system"})) as conn:
        added = store.add(conn, batch, party_id="pty_blue", test=False, now=NOW, capture_id=None)
        store.add_things(conn, batch, added, party_id="pty_blue", test=False, standing=1, parcels=parcels)
    with database.owner() as conn:
        conn.execute("analyze tracking.events, tracking.event_epcs")

    def rarer(asker: str, asked: dict[str, str], after: list[Any] | None = None) -> bool:
        query, faults = parse(asked)
        assert not faults
        scopes = frozenset({"operator" if asker == "operator" else "merchant"})
        with database.transaction(asker, scopes, readonly=True) as conn:
            return queries.is_rarer(conn, query, Sight(asker, asker == "operator"), after)

    none = {"EQ_bizStep": "departing"}
    assert rarer("pty_shop", none)
    span = {"GE_eventTime": day.isoformat(), "LT_eventTime": (day + timedelta(days=1)).isoformat()}
    later = [(day + timedelta(hours=12)).isoformat(), 7]
    for after in (None, later):
        for within in ({}, span):
            assert rarer("pty_shop", {"EQ_bizStep": "packing", **within}, after)
            assert rarer("pty_shop", {"EQ_bizStep": "packing|departing", **within}, after)
            both = {"EQ_bizStep": "loading", "EQ_bizLocation": PLACES[2]}
            assert rarer("pty_shop", {**both, **within}, after)  # one of both is enough
            assert not rarer("pty_shop", {"EQ_bizStep": "loading", **within}, after)
            assert not rarer("pty_rival", {"EQ_bizStep": "arriving", **within}, after)
    for also in ({"MATCH_epc": EPCS[0]}, {"orderBy": "recordTime"}, {"EQ_eventID": "urn:x:e"}):
        assert not rarer("pty_shop", {**none, **also})
    assert not rarer("operator", none)
    assert not rarer("pty_shop", {"EQ_action": "ADD"})


def test_a_page_of_large_events_ends_early(kept, monkeypatch):
    """Events that name very many things fill a page sooner; none is lost, and the first is always there."""
    database, all_kept = kept
    monkeypatch.setattr(queries, "MOST_THINGS", 1)
    assert {one.number for one in _pages(database, "operator", {}, 1000)} == {one.number for one in all_kept}


@pytest.mark.parametrize(
    ("asked", "codes"),
    [
        ({"EQ_bizSteps": "x"}, {"unknown_parameter"}),
        ({"EQ_field": "x", "GE_": "1", "": ""}, {"unknown_parameter"}),
        ({"GE_eventTime": "2026-03-02T10:00:00"}, {"bad_value"}),
        ({"GE_eventTime": "2026-03-02T10:00:00 01:00", "LT_eventTime": "yesterday"}, {"bad_value"}),
        ({"GE_eventTime": "0001-01-01T00:00:00+14:00"}, {"bad_value"}),
        ({"EQ_action": "ADD|MOVE"}, {"bad_value"}),
        ({"EQ_bizStep": ""}, {"bad_value"}),
        ({"EQ_bizStep": "a||b"}, {"bad_value"}),
        ({"GE_quantity": "many", "EQ_quantity": "1|x", "GE_value_CEL": "1e999"}, {"bad_value"}),
        ({"eventCountLimit": "3"}, {"missing_value"}),
        ({"eventCountLimit": "3", "maxEventCount": "4", "orderBy": "eventTime"}, {"contradiction"}),
        ({"eventCountLimit": "0", "maxEventCount": "1.5"}, {"bad_value"}),
        ({"orderBy": "size", "orderDirection": "UP"}, {"bad_value"}),
        ({"EXISTS_errorDeclaration": "perhaps"}, {"bad_value"}),
        ({"MATCH_epc": "urn:epc:idpat:sgtin:*.*.*"}, {"bad_value"}),
        ({"@context": "x"}, {"bad_value"}),
        ({"EQ_bizStep": "|".join(map(str, range(1001)))}, {"too_many"}),
    ],
)
def test_every_fault_of_a_query_is_told(asked, codes):
    """Unknown parameters and bad values are told each with its place; nothing is guessed."""
    _, faults = parse(asked)
    contrary = {"eventCountLimit"} & asked.keys() and codes & {"missing_value", "contradiction"}
    assert {fault.code for fault in faults} == codes
    assert len(faults) == (1 if contrary else len(asked))
    assert all(fault.at.startswith("query.") and fault.remedy for fault in faults)


def test_a_named_query_takes_json_and_no_text_for_it():
    """Lists are lists there and numbers numbers; a text that looks like one is refused."""
    good = {"eventType": ["ObjectEvent"], "GE_quantity": 2, "EQ_quantity": [1, 2], "EXISTS_errorDeclaration": None,
            "EQ_booleanValue": True, "GE_ex:temp": 3, "EQ_ex:temp": ["a"], "@context": [{"ex": NS_A}]}  # fmt: skip
    query, faults = parse(good, "$.query")
    assert not faults
    assert {term.iri for term in query.terms if isinstance(term, Own)} == {f"{NS_A}temp"}
    bad = {"eventType": "ObjectEvent", "GE_quantity": "2", "EQ_quantity": ["1"], "EQ_bizStep": [1], "GE_ex:temp": "3",
           "GE_eventTime": 5, "maxEventCount": True, "EQ_booleanValue": 2}  # fmt: skip
    _, faults = parse(bad, "$.query")
    assert {fault.at for fault in faults} == {f"$.query.{name}" for name in bad}


@given(
    st.dictionaries(
        st.text(max_size=40), st.none() | st.text(max_size=20) | st.floats() | st.lists(st.text(max_size=5))
    )
)
def test_whatever_is_asked_is_answered_with_faults(asked):
    """No parameter, however odd, is anything but understood or told."""
    parse(asked, "$.query")
    parse({name: value for name, value in asked.items() if isinstance(value, str)})
