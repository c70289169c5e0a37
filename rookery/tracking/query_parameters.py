"""What may be asked of events, as the standard's simple event query has it, told apart and checked. Pure.

A parameter comes as text from a query string, where lists are separated by "|", or as JSON of a named query. Each one
becomes a term; events that fit all terms are meant. Source: EPCIS 2.0, section 8.2.7.1.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rookery.terms.notice import Fault
from rookery.tracking.epcis.contexts import Names
from rookery.tracking.epcis.identifiers import canonical
from rookery.tracking.epcis.vocabulary import ACTIONS, Kind, short, urn, web
from rookery.tracking.query_terms import (
    Column,
    Declared,
    Either,
    EventIds,
    Inside,
    Named,
    Nothing,
    Own,
    Place,
    Query,
    Term,
)
from rookery.tracking.query_values import Values, Wrong, number_in

# in which lists (roles of tracking.event_epcs) a thing or a class is looked for
THINGS: dict[str, tuple[int, ...]] = {
    "MATCH_epc": (0, 2),
    "MATCH_parentID": (1,),
    "MATCH_inputEPC": (3,),
    "MATCH_outputEPC": (4,),
    "MATCH_anyEPC": (0, 1, 2, 3, 4),
    "MATCH_epcClass": (5, 6),
    "MATCH_inputEPCClass": (7,),
    "MATCH_outputEPCClass": (8,),
    "MATCH_anyEPCClass": (5, 6, 7, 8),
}
_COMPARED = {"EQ": "==", "GT": ">", "GE": ">=", "LT": "<", "LE": "<="}
_QUANTITIES = ("quantityList", "childQuantityList", "inputQuantityList", "outputQuantityList")
_ELEMENTS = "$.sensorElementList[*]"
_SENSORS = (f"{_ELEMENTS}.sensorMetadata", f"{_ELEMENTS}.sensorReport[*]")
_AREAS = {  # where a sender's own fields are looked for
    "": "$",
    "ILMD_": "$.ilmd",
    "ERROR_DECLARATION_": "$.errorDeclaration",
    "SENSORELEMENT_": _ELEMENTS,
    "SENSORMETADATA_": _SENSORS[0],
    "SENSORREPORT_": _SENSORS[1],
    "readPoint_": "$.readPoint",
    "bizLocation_": "$.bizLocation",
}


def parse(asked: Mapping[str, Any], at: str = "query") -> tuple[Query, list[Fault]]:
    """A query from its parameters, and every fault of them. Values: texts of a query string (at="query"), else JSON."""
    reading = _Reading(asked, at, at == "query")
    for name, value in asked.items():
        reading.name, reading.value = name, value
        try:
            reading.read()
        except Wrong as fault:
            reading.faults.append(Fault(f"{at}.{name}", fault.code, fault.what, fault.remedy))
    return reading.query(), reading.faults


class _Reading(Values):
    """One reading of parameters: the one at hand, what was understood, and what was not."""

    def __init__(self, asked: Mapping[str, Any], at: str, by_text: bool):
        super().__init__(by_text)
        self.at = at
        self.terms: list[Term] = []
        self.faults: list[Fault] = []
        context = asked.get("@context")
        self.names = None if context is None else Names.of(context if isinstance(context, list) else [context])
        self.order: str | Own | None = None
        self.direction: str | None = None
        self.first: int | None = None
        self.most: int | None = None

    def query(self) -> Query:
        if self.first is not None and self.most is not None:
            what = "eventCountLimit and maxEventCount do not go together"
            self.faults.append(Fault(f"{self.at}.maxEventCount", "contradiction", what, "leave one of them out"))
        if self.first is not None and self.order is None:
            what = "without orderBy nobody knows which events are the first"
            self.faults.append(Fault(f"{self.at}.eventCountLimit", "missing_value", what, "give orderBy too"))
        # without a wish for an order, the one in which what was recorded in a span of time is next to each other
        recorded = any(isinstance(term, Column) and term.column == "record_at" for term in self.terms)
        order = self.order or ("record_at" if recorded else "event_at")
        return Query(tuple(self.terms), order, self.direction != "ASC", self.first, self.most)

    def read(self) -> None:
        """Takes the parameter at hand. Raises Wrong."""
        if self.name in _FIXED:
            _FIXED[self.name](self)
            return
        for pattern, take in _FLEXIBLE:
            if match := pattern.fullmatch(self.name):
                take(self, match)
                return
        raise Wrong(
            "unknown_parameter", "no simple event query has this parameter",
            "see the parameters of SimpleEventQuery in EPCIS 2.0; own fields are named with their prefix: EQ_ex:field",
        )  # fmt: skip


def _forms(word: str, kind: Kind) -> list[str]:
    """The spellings under which a word may stand in an event's body."""
    return [*dict.fromkeys((word, short(word), web(word, kind), urn(word, kind)))]


def _spellings(values: Sequence[str]) -> list[str]:
    return [*dict.fromkeys(form for value in values for form in (value, canonical(value)))]


def _column(column: str, read: Callable[[_Reading], tuple[str, ...]]) -> Callable[[_Reading], None]:
    return lambda reading: reading.terms.append(Column(column, "in", read(reading)))


def _time(column: str, test: str) -> Callable[[_Reading], None]:
    return lambda reading: reading.terms.append(Column(column, test, reading.time()))


def _words(reading: _Reading) -> tuple[str, ...]:
    return tuple(dict.fromkeys(map(short, reading.texts())))


def _places(reading: _Reading) -> tuple[str, ...]:
    return tuple(dict.fromkeys(map(canonical, reading.texts())))


def _take_named(reading: _Reading) -> None:
    values, kinds = [], []
    for asked in reading.texts():
        found = canonical(asked)
        if not asked.startswith("urn:epc:idpat:") or "Class" in reading.name:
            values.append(found)
        elif found == asked:
            what = "it is a pattern that names no class"
            raise Wrong("bad_value", what, "name company and item and leave the serial open: ...:4012345.012345.*")
        else:
            kinds.append(f"{found}/")
    reading.terms.append(Named(THINGS[reading.name], tuple(values), tuple(kinds)))


def _within(*paths: str, kind: Kind | None = None, spelled: bool = False) -> Callable[[_Reading], None]:
    """The value at one of these paths is one of those asked: words of a kind, identifiers (spelled), or plain texts."""

    def take(reading: _Reading) -> None:
        values: Sequence[str] = reading.texts()
        if kind is not None:
            values = [form for value in values for form in _forms(value, kind)]
        elif spelled:
            values = _spellings(values)
        tests = tuple(f"{path} ? (@ == $v[*])" for path in paths)
        reading.terms.append(Inside(tests, {"v": values}))

    return take


def _of_sensors(field: str, kind: Kind | None = None) -> Callable[[_Reading], None]:
    return _within(*(f"{path}.{field}" for path in _SENSORS), kind=kind)


def _sensor_time(field: str, test: str) -> Callable[[_Reading], None]:
    paths = tuple(f"{path}.{field} ? (@.datetime() {test} $t.datetime())" for path in _SENSORS)
    return lambda reading: reading.terms.append(Inside(paths, {"t": reading.time().isoformat()}))


def _figure(reading: _Reading, paths: Sequence[str], field: str, test: str, unit: str | None, whole: bool) -> None:
    """Numbers in elements of the body, with their unit where one is asked for: they are compared, never converted."""
    value = reading.numbers() if test == "EQ" else [reading.number()]
    also = "" if unit is None else "@.uom == $u && "
    tests = tuple(f"{path} ? ({also}@.{field} {_COMPARED[test]} $v[*])" for path in paths)
    reading.terms.append(Inside(tests, {"v": value, "u": unit}, whole))


def _quantity(test: str) -> Callable[[_Reading], None]:
    return lambda reading: _figure(reading, [f"$.{name}[*]" for name in _QUANTITIES], "quantity", test, None, True)


def _rank(test: str) -> Callable[[_Reading], None]:
    return lambda reading: _figure(reading, _SENSORS[1:], "percRank", test, None, False)


def _take_boolean(reading: _Reading) -> None:
    reading.terms.append(Inside((f"{_SENSORS[1]}.booleanValue ? (@ == $v)",), {"v": reading.truth()}))


def _take_error(reading: _Reading) -> None:
    if reading.there():
        reading.terms.append(Declared())


def _take_sensors(reading: _Reading) -> None:
    if reading.there():
        reading.terms.append(Inside((_ELEMENTS,), {}))


def _take_corrective(reading: _Reading) -> None:
    """Hashes of events are told only to those who see all of an event: a guess could be checked against them."""
    path = ("$.errorDeclaration.correctiveEventIDs[*] ? (@ == $v[*])",)
    values = reading.texts()
    hashes = [value for value in values if value.startswith("ni:")]
    plain = [value for value in values if not value.startswith("ni:")]
    reading.terms.append(Either((Inside(path, {"v": plain}), Inside(path, {"v": hashes}, True))))


def _take_order(reading: _Reading) -> None:
    known = {"eventTime": "event_at", "recordTime": "record_at"}
    if not isinstance(reading.value, str) or (reading.value not in known and ":" not in reading.value):
        what = "events cannot be ordered by it"
        raise Wrong("bad_value", what, "order by eventTime, recordTime or a field of your own (ex:field)")
    reading.order = known.get(reading.value) or Own("$", False, reading.value, _full(reading, reading.value))


def _take_direction(reading: _Reading) -> None:
    if reading.value not in ("ASC", "DESC"):
        raise Wrong("bad_value", "it is no direction", "write ASC or DESC")
    reading.direction = reading.value


def _take_first(reading: _Reading) -> None:
    reading.first = reading.count()


def _take_most(reading: _Reading) -> None:
    reading.most = reading.count()


def _take_context(reading: _Reading) -> None:
    if reading.by_text or not isinstance(reading.value, str | dict | list):
        raise Wrong("bad_value", "it is no @context", "send one in a named query")


def _take_element(reading: _Reading, match: re.Match[str]) -> None:
    """EQ_bizTransaction_TYPE, EQ_source_TYPE, EQ_destination_TYPE."""
    field, word = match.groups()
    kind: Kind = "bizTransactionType" if field == "bizTransaction" else "sourceDestType"
    path = f"$.{field}List[*] ? (@.type == $t[*] && @.{field} == $v[*])"
    reading.terms.append(Inside((path,), {"t": _forms(word, kind), "v": _spellings(reading.texts())}))


def _take_figure(reading: _Reading, match: re.Match[str]) -> None:
    """GE_value_CEL, EQ_quantity_KGM."""
    test, field, unit = match.groups()
    if field == "quantity":
        _figure(reading, [f"$.{name}[*]" for name in _QUANTITIES], field, test, unit, True)
    else:
        _figure(reading, _SENSORS[1:], field, test, unit, False)


def _take_attribute(reading: _Reading, match: re.Match[str]) -> None:
    """Attributes are those of master data, and none is kept: no event has them."""
    reading.texts()
    reading.terms.append(Nothing())


def _take_own(reading: _Reading, match: re.Match[str]) -> None:
    """EQ_ex:field, GE_INNER_ILMD_ex:field, EXISTS_ex:field: fields of a sender's own."""
    test, inner, area, name = match.groups()
    own = Own(_AREAS[area or ""], bool(inner), name, _full(reading, name))
    if test == "EXISTS":
        if reading.there():
            reading.terms.append(own)
        return
    if test == "EQ":
        told = reading.texts() if reading.by_text or isinstance(reading.value, list) else (reading.value,)
        path, variables = "$ ? (@ == $v[*])", {"v": [form for value in told for form in _as_json(value)]}
    elif (number := number_in(reading.value)) is not None and (reading.by_text or not isinstance(reading.value, str)):
        path, variables = f"$ ? (@.double() {_COMPARED[test]} $v)", {"v": number}
    else:
        path, variables = f"$ ? (@.datetime() {_COMPARED[test]} $v.datetime())", {"v": reading.time().isoformat()}
    reading.terms.append(Own(own.area, own.inner, own.name, own.iri, path, variables))


def _as_json(value: Any) -> list[Any]:
    """A text as it may stand in JSON: as itself, as a number, as true or false."""
    if not isinstance(value, str):
        return [value]
    number = number_in(value)
    truth = {"true": True, "false": False}.get(value)
    return [value, *([] if number is None else [number]), *([] if truth is None else [truth])]


def _full(reading: _Reading, name: str) -> str | None:
    """A field's full name: asked for so, or by the query's own @context, or by a prefix that the standard knows."""
    if reading.names is None and name.partition(":")[2].startswith("//"):
        return name
    expanded = (reading.names or Names.of(())).iri(name)
    return None if expanded == name and not name.startswith("urn:") else expanded


_FIXED: dict[str, Callable[[_Reading], None]] = {
    "@context": _take_context,
    "eventType": _column("type", _Reading.texts),
    "EQ_action": _column("action", lambda reading: reading.one_of(ACTIONS)),
    "EQ_bizStep": _column("biz_step", _words),
    "EQ_disposition": _column("disposition", _words),
    "EQ_readPoint": _column("read_point", _places),
    "EQ_bizLocation": _column("biz_location", _places),
    "WD_readPoint": lambda reading: reading.terms.append(Place("read_point", _places(reading))),
    "WD_bizLocation": lambda reading: reading.terms.append(Place("biz_location", _places(reading))),
    **{
        f"{name}_{field}": _time(column, test)
        for field, column in (
            ("eventTime", "event_at"),
            ("recordTime", "record_at"),
            ("errorDeclarationTime", "declared_at"),
            ("errorDeclaration_Time", "declared_at"),  # so the schema of named queries writes it
        )
        for name, test in (("GE", ">="), ("LT", "<"))
    },
    **dict.fromkeys(THINGS, _take_named),
    "EQ_persistentDisposition_set": _within("$.persistentDisposition.set[*]", kind="disposition"),
    "EQ_persistentDisposition_unset": _within("$.persistentDisposition.unset[*]", kind="disposition"),
    "EQ_transformationID": _within("$.transformationID", spelled=True),
    **{f"{test}_quantity": _quantity(test) for test in _COMPARED},
    "EQ_eventID": lambda reading: reading.terms.append(EventIds(reading.texts())),
    "EXISTS_errorDeclaration": _take_error,
    "EQ_errorReason": _within("$.errorDeclaration.reason", kind="errorReason"),
    "EQ_correctiveEventID": _take_corrective,
    "EXISTS_sensorElementList": _take_sensors,
    **{
        f"{name}_{field}": _sensor_time(field, test)
        for field in ("time", "startTime", "endTime")
        for name, test in (("GE", ">="), ("LT", "<"))
    },
    "EQ_type": _within(f"{_SENSORS[1]}.type", kind="measurementType"),
    **{
        f"EQ_{field}": _of_sensors(field)
        for field in (
            "deviceID", "dataProcessingMethod", "bizRules", "microorganism", "chemicalSubstance", "stringValue",
            "hexBinaryValue", "uriValue",
        )
    },
    "EQ_booleanValue": _take_boolean,
    **{f"{test}_percRank": _rank(test) for test in ("GT", "GE", "LT", "LE")},
    "orderBy": _take_order,
    "orderDirection": _take_direction,
    "eventCountLimit": _take_first,
    "maxEventCount": _take_most,
}  # fmt: skip
_FLEXIBLE: tuple[tuple[re.Pattern[str], Callable[[_Reading, re.Match[str]], None]], ...] = (
    (re.compile(r"EQ_(bizTransaction|source|destination)_(\S+)"), _take_element),
    (
        re.compile(
            r"(EQ|GT|GE|LT|LE)_(value|minValue|maxValue|meanValue|sDev|percValue|quantity)_([A-Z0-9]{2,4})", re.ASCII
        ),
        _take_figure,
    ),
    (re.compile(r"HASATTR_(\S+)|(?:EQATTR|EQ_ATTR)_(\S+)_(\S+)"), _take_attribute),
    (re.compile(rf"(EQ|GT|GE|LT|LE|EXISTS)_(INNER_)?({'|'.join(filter(None, _AREAS))})?(\S+:\S+)"), _take_own),
)
PARAMETERS = tuple(name for name in _FIXED if name != "@context")
