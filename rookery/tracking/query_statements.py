"""The text of a search among events, for PostgreSQL: which rows are gone through, in which order, and what must hold.

For whoever does not see all, a search goes by the thing where the query names one, else through the events that it
captured and those of parcels it ships: what a party does not see costs it nothing, and an index serves each way. Where
the step or place that is asked for is rarer than events of its parcels, the search goes through the events of that.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from rookery.base.jsonb import jsonb
from rookery.tracking.query_terms import (
    Among,
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
from rookery.tracking.reading import HASHED, OF_NUMBER

FEW = 500
"""A party that captured no more events than these has each of them looked at."""
INDEXED = ("biz_step", "read_point", "biz_location")
"""Columns of events whose indexes have the events of one value in the order of event time."""
_HASH = re.compile(r"ni:///sha-256;([0-9a-f]{64})\?ver=CBV2\.0")
_NUMBER = re.compile(re.escape(OF_NUMBER) + r"([1-9][0-9]{0,17})")
# who captured an event and who runs the network see all of it, others where none of the things it names is hidden
_WHOLE = (
    "(e.party_id = (select base.party()) or (select base.sees_all()) or e.epcs = (select count(*)"
    " from tracking.event_epcs w where w.event_no = e.event_no and w.event_at = e.event_at and w.role <= 4))"
)
_OUT = (
    "e.event_no, e.event_at, e.record_at, e.party_id, case when e.event_id is null then e.hash end as hash, e.event_id,"
    " e.epcs, e.body::text as body"
)


class Sight(Struct, frozen=True):
    """Who looks: the party, and whether it sees all."""

    party_id: str
    sees_all: bool


class Search:
    """One query as SQL; `values` are its parameters. by_column: others' events are gone through by a step or place."""

    def __init__(self, query: Query, sight: Sight, by_column: bool = False):
        self.query, self.sight, self.by_column = query, sight, by_column
        self.values: dict[str, Any] = {}
        self.direction, self.beyond = ("desc", "<") if query.descending else ("asc", ">")

    def put(self, value: Any) -> str:
        name = f"p{len(self.values)}"
        self.values[name] = value
        return f"%({name})s"

    def settings(self) -> bytes:
        """How PostgreSQL is to plan the statement, for this transaction.

        With dozens of monthly partitions and their policies, planning takes longer than looking: so a statement is
        planned once for whatever values, and goes through an index in the order asked for, since then its page is soon
        full, however many events there are. Where a list has several values no index has the order, and what is best
        depends on them.
        """
        terms = self.query.terms
        if any(isinstance(term, Column) and term.test == "in" and len(term.value) > 1 for term in terms):  # type: ignore[arg-type]
            return b"set local plan_cache_mode = force_custom_plan"
        in_order = b"off" if self.query.order == "event_at" else b"on"
        return (
            b"set local plan_cache_mode = force_generic_plan; set local enable_sort = %b; set local enable_hashagg = %b"
            % (in_order, in_order)
        )

    def rivals(self, after: Sequence[Any] | None) -> list[str]:
        """Selections of which the smallest is gone through: rows of the party's parcels, then of each step and place
        that is asked for. Empty where there is nothing to choose.
        """
        terms = self.query.terms
        columns = [term for term in terms if isinstance(term, Column) and term.test == "in" and term.column in INDEXED]
        keyed = any(isinstance(term, Among | EventIds | Named) for term in terms)
        if not columns or keyed or self.sight.sees_all or self.query.order != "event_at":
            return []
        owned = [self._owned("x"), *self._bounds("x", after)]
        shared = self._bounds("e", after)
        return [
            f"select from tracking.event_epcs x where {' and '.join(owned)}",
            *(f"select from tracking.events e where {' and '.join([self.condition(c), *shared])}" for c in columns),
        ]

    def select(self, limit: int, after: Sequence[Any] | None) -> str:
        """The statement: out of whichever rows are the fewest to look at."""
        terms = self.query.terms
        by_time = self.query.order == "event_at"
        if among := next((term for term in terms if isinstance(term, Among)), None):
            return self._by_key(self._told(among), terms, limit, after, by_time)
        if ids := next((term for term in terms if isinstance(term, EventIds)), None):
            return self._by_key(self._ids(ids), terms, limit, after, by_time)
        if named := next((term for term in terms if isinstance(term, Named)), None):
            keys = self._keys(self._names(named, "x"), after if by_time else None, by_time)
            return self._by_key(keys, [term for term in terms if term is not named], limit, after, by_time)
        if self.sight.sees_all:
            return self._plainly(terms, limit, after)
        me = self.put(self.sight.party_id)
        # of a party that captured few events the index of a term would lead through everybody's, to none of its own
        captured = f"tracking.events e where e.party_id = {me} order by e.event_at desc limit {FEW + 1}"
        few = f"(select count(*) from (select from {captured}) n) <= {FEW}"
        mine = self._plainly(terms, limit, after, f"({few})", f"(select e.* from {captured})")
        many = self._plainly(terms, limit, after, f"not ({few}) and e.party_id = {me}")
        others = self._others(terms, limit, after, by_time)
        ordered = ", ".join(f"{name} {self.direction}" for name in [*self._key_names(), "event_no"])
        return f"select * from (({mine}) union all ({many}) union all ({others})) e order by {ordered} limit {limit}"

    def _others(self, terms: Sequence[Term], limit: int, after: Sequence[Any] | None, by_time: bool) -> str:
        """Events of the party's parcels that others captured, through these or through all of a step or place."""
        if not self.by_column:
            return self._by_key(
                self._keys(self._owned("x"), after if by_time else None, by_time), terms, limit, after, by_time
            )
        named = f"x.event_no = e.event_no and x.event_at = e.event_at and {self._owned('x')}"
        return self._plainly(terms, limit, after, f"exists (select from tracking.event_epcs x where {named})")

    def _owned(self, alias: str) -> str:
        me = self.put(self.sight.party_id)
        return f"{alias}.owner_id = {me} and {alias}.party_id <> {me}"

    def _plainly(
        self, terms: Sequence[Term], limit: int, after: Sequence[Any] | None, also: str = "true",
        events: str = "tracking.events",
    ) -> str:  # fmt: skip
        """Straight from the events, by whichever index serves."""
        joined, columns = self._order("e")
        where = " and ".join([also, *map(self.condition, terms), *self._behind(columns, after, "e")])
        return (
            f"select {_OUT}, {self._named_keys(columns)} from {events} e {joined} where {where}"
            f" order by {self._sorted(columns, 'e')} limit {limit}"
        )

    def _by_key(self, keys: str, terms: Sequence[Term], limit: int, after: Sequence[Any] | None, by_time: bool) -> str:
        """Each event of some keys by its number, in the keys' order: what does not fit is passed over."""
        joined, columns = self._order("e")
        where = ["e.event_no = k.event_no", "e.event_at = k.event_at", *map(self.condition, terms)]
        if not by_time:
            where += self._behind(columns, after, "e")
        order = self._sorted(["k.event_at"], "k") if by_time else self._sorted(columns, "e")
        behind = " and ".join(self._behind(["k.event_at"], after, "k") if by_time else []) or "true"
        return (
            f"select {_OUT}, {self._named_keys(columns)} from ({keys}) k cross join lateral ("
            f"select e.* from tracking.events e {joined if not by_time else ''} where {' and '.join(where)} offset 0) e"
            f" {'' if by_time else joined} where {behind} order by {order} limit {limit}"
        )

    def _keys(self, where: str, after: Sequence[Any] | None, by_time: bool) -> str:
        """Numbers and times of events in which a thing is named, each once."""
        where = " and ".join([where, *self._bounds("x", after if by_time else None)])
        text = f"select distinct x.event_at, x.event_no from tracking.event_epcs x where {where}"
        return f"{text} order by {self._sorted(['x.event_at'], 'x')}" if by_time else text

    def _bounds(self, alias: str, after: Sequence[Any] | None) -> list[str]:
        """Between which times of events the query looks, by what it asks and by where the page before ended."""
        asked = [
            f"{alias}.event_at {term.test} {self.put(term.value)}"
            for term in self.query.terms
            if isinstance(term, Column) and term.column == "event_at"
        ]
        return asked + self._behind([f"{alias}.event_at"], after, alias)

    # the order

    def _key_names(self) -> list[str]:
        return ["key1"] if isinstance(self.query.order, str) else ["key1", "key2"]

    def _order(self, alias: str) -> tuple[str, list[str]]:
        """What is joined for the order, and the columns of the sort key before the event's number."""
        order = self.query.order
        if isinstance(order, str):
            return "", [f"{alias}.{order}"]
        names = self._own_names(order)
        joined = (
            f"cross join lateral (select (select {alias}.body -> n.name from unnest({names}) n(name)"
            f" where {alias}.body ? n.name limit 1) as told offset 0) v"
        )
        number = "coalesce(case when jsonb_typeof(v.told) = 'number' then v.told::text::numeric end, '-Infinity')"
        return joined, [number, "(left(coalesce(v.told #>> '{}', ''), 200) collate \"C\")"]

    def _named_keys(self, columns: Sequence[str]) -> str:
        told = columns if isinstance(self.query.order, str) else [f"{columns[0]}::text", columns[1]]
        return ", ".join(f"{column} as key{place}" for place, column in enumerate(told, 1))

    def _sorted(self, columns: Sequence[str], alias: str) -> str:
        return ", ".join(f"{column} {self.direction}" for column in [*columns, f"{alias}.event_no"])

    def _behind(self, columns: Sequence[str], after: Sequence[Any] | None, alias: str) -> list[str]:
        """What lies behind a key; the first column by itself too, since partitions are left out by that."""
        if after is None:
            return []
        types = {"event_at": "timestamptz", "record_at": "timestamptz"}
        kinds = [types[self.query.order]] if isinstance(self.query.order, str) else ["numeric", "text"]
        values = [f"{self.put(value)}::{kind}" for value, kind in zip(after, kinds)]
        number = f"{self.put(after[-1])}::bigint"
        row = f"({', '.join([*columns, f'{alias}.event_no'])}) {self.beyond} ({', '.join([*values, number])})"
        return [f"{columns[0]} {self.beyond}= {values[0]}", row]

    # the terms

    def condition(self, term: Term) -> str:
        """A term as a condition on the event e."""
        match term:
            case Column(column, "in", (value,)):
                return f"e.{column} = {self.put(value)}::text"
            case Column(column, "in", values):
                return f"e.{column} = any({self.put([*values] if isinstance(values, tuple) else values)}::text[])"
            case Column(column, test, at):
                also = " and e.declared_at > '-infinity'" if column == "declared_at" else ""
                return f"e.{column} {test} {self.put(at)}{also}"
            case Place(column, values):
                parts = [f"e.{column} = any({self.put([*values])}::text[])"]
                for value in values:
                    if value.startswith("https://id.gs1.org/414/") and "/254/" not in value:
                        parts.append(self._begins(f"e.{column}", f"{value}/254/"))
                return f"({' or '.join(parts)})"
            case Named():
                return (
                    "exists (select from tracking.event_epcs x where x.event_no = e.event_no"
                    f" and x.event_at = e.event_at and {self._names(term, 'x')})"
                )
            case Inside(paths, variables, whole):
                # one place for the variables, however many paths
                told = self.put(jsonb(variables))
                found = " or ".join(
                    f"jsonb_path_exists_tz(e.body, {self.put(path)}::jsonpath, {told}, true)" for path in paths
                )
                return f"({_WHOLE} and ({found}))" if whole else f"({found})"
            case Either(terms):
                return f"({' or '.join(map(self.condition, terms))})"
            case EventIds(values):
                return self._has_id(values)
            case Own():
                return self._own(term)
            case Among():
                return "true"  # they are the keys
            case Declared():
                return "e.declared_at > '-infinity'"
            case Nothing():
                return "false"

    def _names(self, named: Named, alias: str) -> str:
        if len(named.values) == 1:
            ways = [f"{alias}.epc = {self.put(named.values[0])}::text"]
        else:
            ways = [f"{alias}.epc = any({self.put([*named.values])}::text[])"] if named.values else []
        ways += [self._begins(f"{alias}.epc", kind) for kind in named.kinds]
        return f"{alias}.role = any({self.put([*named.roles])}::smallint[]) and ({' or '.join(ways)})"

    def _begins(self, column: str, start: str) -> str:
        """A range rather than a pattern: an index serves it, and row-level security lets it."""
        assert start.endswith("/")
        return f"({column} >= {self.put(start)} and {column} < {self.put(start[:-1] + '0')})"

    def _told(self, among: Among) -> str:
        numbers, instants = self.put([*among.numbers]), self.put([*among.instants])
        given = f"unnest({numbers}::bigint[], {instants}::timestamptz[])"
        return f"select event_no, event_at from {given} u(event_no, event_at)"

    def _ids(self, ids: EventIds) -> str:
        """Keys of the events that may have these ids; which of them do is looked at after."""
        _, hashes, numbers = _told_apart(ids.values)
        ways = [f"event_id = any({self.put([*ids.values])}::text[])"]
        ways += [f"hash = any({self.put(hashes)}::bytea[])"] if hashes else []
        ways += [f"event_no = any({self.put(numbers)}::bigint[])"] if numbers else []
        return " union ".join(f"select event_at, event_no from tracking.events where {way}" for way in ways)

    def _has_id(self, values: Sequence[str]) -> str:
        """By the id that the asker is shown: a hash only where it sees all that was hashed."""
        plain, hashes, numbers = _told_apart(values)
        sent = self.put([value for value in values if value.startswith(HASHED)])
        hashed = (
            f"e.event_id = any({sent}::text[]) or (e.event_id is null and e.hash = any({self.put(hashes)}::bytea[]))"
        )
        shown = f"e.event_no = any({self.put(numbers)}::bigint[]) or ({_WHOLE} and ({hashed}))"
        nameless = f"(e.event_id is null or starts_with(e.event_id, '{HASHED}'))"
        return f"(e.event_id = any({self.put(plain)}::text[]) or ({nameless} and ({shown})))"

    def _own_names(self, own: Own) -> str:
        """The names under which an event may hold a field: as asked, in full, or with its own prefix for the same."""
        if own.iri is None:
            return f"array[{self.put(own.name)}::text]"
        iri, prefix = self.put(own.iri), self.put(own.name.partition(":")[0])
        declared = (
            'jsonb_path_query(e.body, \'$."@context"[*] ? (@.type() == "object").keyvalue()\') c,'
            " lateral (select coalesce(c -> 'value' ->> '@id', c ->> 'value') as meant) m"
        )
        return (
            f"(array[{iri}::text] || array(select (c ->> 'key') || ':' || substr({iri}::text, length(m.meant) + 1)"
            f" from {declared} where starts_with({iri}::text, m.meant))"
            f" || case when exists (select from {declared} where c ->> 'key' = {prefix}) then '{{}}'"
            f" else array[{self.put(own.name)}::text] end)"
        )

    def _own(self, own: Own) -> str:
        area = f"jsonb_path_query(e.body, {self.put(own.area)}::jsonpath)"
        if own.inner:
            holders = (
                f"{area} t cross join lateral jsonb_each(case jsonb_typeof(t) when 'object' then t else '{{}}' end) f"
                " cross join lateral jsonb_path_query(f.value, '$.**') h"
            )
            also = "position(':' in f.key) > 0 and "
        else:
            holders, also = f"{area} h", ""
        found = "true"
        if own.path is not None:
            told = self.put(jsonb(dict(own.variables)))
            found = f"jsonb_path_exists_tz(h -> n.name, {self.put(own.path)}::jsonpath, {told}, true)"
        return (
            f"exists (select from {holders} cross join lateral unnest({self._own_names(own)}) n(name)"
            f" where {also}jsonb_typeof(h) = 'object' and h ? n.name and {found})"
        )


def _told_apart(values: Sequence[str]) -> tuple[list[str], list[bytes], list[int]]:
    """Ids as sent, hashes, and numbers that stand for events."""
    plain = [value for value in values if not value.startswith(HASHED)]
    hashes = [bytes.fromhex(match[1]) for value in values if (match := _HASH.fullmatch(value))]
    numbers = [int(match[1]) for value in values if (match := _NUMBER.fullmatch(value))]
    return plain, hashes, numbers
