"""Nobody crosses into what is another's: by ids, bodies, filters, cursors, kept replies, versions, or straight SQL."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
import psycopg
import pytest
from crossing_world import (
    ADA,
    EVENT_ID,
    MAKERS,
    OWN_WORDS,
    RAW,
    SHARED,
    STRAY,
    World,
    all_paths,
    body_of,
    build,
    capture,
    epc_of,
    event,
    ids_in,
    named_by,
    order,
    other_id,
    reads,
)

import rookery.app
from rookery.base.clock import WALL
from rookery.base.operations import OPERATIONS, Operation
from rookery.doors.worker.running import run_worker
from rookery.flows.scanning import claim

assert rookery.app.ACTS
STRANGERS = ["other_shop", "rail", "other_station", "other_customs", "shop_in_test"]
"""Who must not meet what is the first shipper's; his own key of test mode neither."""
SCHEMAS = ["base", "orders", "vault", "planning", "waybill", "network", "tracking"]


@pytest.fixture(scope="module")
def world(served) -> World:
    return build(served)


def same(told: Any, asked: str, as_told: Any, as_asked: str) -> bool:
    """Whether two answers differ in nothing that a stranger could learn from, but the id that each was asked for."""
    if told.status < 400 or as_told.status < 400:
        return told.status == as_told.status
    plain = []
    for answer, name in ((told, asked), (as_told, as_asked)):
        document = json.loads(answer.body.replace(name.encode(), b"ID").replace(quote(name, safe="").encode(), b"ID"))
        plain.append((answer.status, document | {"request_id": ""}))
    return plain[0] == plain[1]


def named_in_body(op: Operation) -> list[tuple[str, str, bool]]:
    """(field, the maker's name, whether it is a list) of things that an operation's question names."""
    if op.method == "GET":
        return []
    found = []
    for field in msgspec.structs.fields(op.ask):
        name = field.encode_name
        if name in op.in_path or name == "name":
            continue
        if name in MAKERS:
            found.append((name, name, False))
        elif name.removesuffix("s") in MAKERS and name.endswith("_ids"):
            found.append((name, name.removesuffix("s"), True))
    return found


PATHS = [op.name for op in OPERATIONS.values() if op.in_path]
BODIES = [op.name for op in OPERATIONS.values() if named_in_body(op)]
LISTS = [op.name for op in reads() if not op.in_path]


@pytest.mark.parametrize("name", PATHS)
def test_every_id_in_a_path_can_be_attacked(name):
    """For each kind of id in a path somebody has said how to make one that is another's, or that it is nobody's."""
    for parameter in OPERATIONS[name].in_path:
        assert parameter in MAKERS or parameter in SHARED, f"say in crossing_world how to make a {parameter}"


@pytest.mark.parametrize("name", PATHS)
def test_another_s_id_is_as_an_unknown_one(world: World, name):
    """Each operation answers a stranger with another's real id exactly as with one that does not exist."""
    op = OPERATIONS[name]
    if set(op.in_path) & SHARED:
        return
    owned = named_by(op, world.owned)
    unknown = {parameter: other_id(value) for parameter, value in owned.items()}
    body = None if op.asks_by_query else body_of(op)
    versions = [{}, {"if_match": '"1"'}] if "if_match" in op.ask.__struct_fields__ else [{}]
    before = _what_the_owner_sees(world)
    for stranger in STRANGERS:
        for headers in versions:
            real = world.ask(stranger, op.method, all_paths(op, owned), body, **headers)
            none = world.ask(stranger, op.method, all_paths(op, unknown), body, **headers)
            asked = [known[op.in_path[0]] for known in (owned, unknown)]
            assert same(real, asked[0], none, asked[1]), (stranger, real.body[:500], none.body[:500])
            if "name" not in op.in_path:  # names are each party's own, and a stranger makes one of theirs
                assert real.status in (403, 404, 422), (stranger, real.status, real.body[:500])
    assert _what_the_owner_sees(world) == before


@pytest.mark.parametrize("name", BODIES)
def test_another_s_id_in_a_body_is_as_an_unknown_one(world: World, name):
    """What is named within a question is looked up with the eyes of whoever asks."""
    op = OPERATIONS[name]
    if "admin" in op.scopes and len(op.scopes) == 1:
        return  # no stranger gets as far
    for field, maker, several in named_in_body(op):
        real, none = world.owned[maker], other_id(world.owned[maker])
        path, headers = all_paths(op, named_by(op, {})), {}
        if op.name in RAW:
            body, headers["content_type"] = RAW[op.name]
            asked = [(f"{path}?{field}={named}", body) for named in (real, none)]
        else:
            assert op.body == "json", f"say in crossing_world what {op.name} takes"
            asked = [(path, {**body_of(op), field: [named] if several else named}) for named in (real, none)]
        before = _what_the_owner_sees(world)
        for stranger in STRANGERS:
            told, as_told = (world.ask(stranger, op.method, *one, **headers) for one in asked)
            told_of = told.body.replace(real.encode(), b"")
            assert told.status >= 400 or not ids_in(told_of) & _all_ids(world), (stranger, told.body)
            if op.kind == "query" or told.status >= 400:
                assert same(told, real, as_told, none), (stranger, field, told.body[:500], as_told.body[:500])
        assert _what_the_owner_sees(world) == before


@pytest.mark.parametrize("name", LISTS)
def test_no_list_shows_what_is_another_s(world: World, name):
    """Whatever filter or cursor a stranger sends, nothing of another's is on the page."""
    op = OPERATIONS[name]
    theirs = _all_ids(world)
    fields = [field.encode_name for field in msgspec.structs.fields(op.ask)]
    tried = ["", "?limit=1000"] if "limit" in fields else [""]
    words = [*world.owned.values(), "A-1", "A-2", "' or '1'='1", "%", "booked", "0"]
    tried += [f"?{field}={quote(word)}" for field in fields if field != "limit" for word in words]
    if op.open_query is not None:
        tried += [f"?{urlencode({name: word})}" for name, word in _event_queries(world)]
    refusals = {403, 404, 422} | ({400} if op.path.startswith("/epcis") else set())  # as the standard has it
    for stranger in STRANGERS:
        if world.parties["shop"] in world.ask(stranger, "GET", "/parties").body.decode():  # in test mode, what is so
            theirs -= ids_in(b"".join(world.ask(stranger, "GET", path).body for path in ("/parties", "/keys")))
        for query in tried:
            told = world.ask(stranger, "GET", op.path + query)
            assert told.status in {200} | refusals, told.body[:300]
            assert told.status != 200 or not ids_in(told.body) & theirs, (stranger, query, told.body[:500])
            assert told.status != 200 or not _own_in(world, told.body), (stranger, query, told.body[:500])


def test_a_kept_reply_is_its_own_party_s(world: World):
    """The same Idempotency-Key and question of another party, or in test mode, is done anew and tells nothing kept."""
    made = order("same")
    first = world.ask("shop", "POST", "/orders", made, idempotency_key="shared-key")
    assert first.status == 201, first.body
    again = world.ask("shop", "POST", "/orders", made, idempotency_key="shared-key")
    assert (again.json, again.headers["idempotency-replayed"]) == (first.json, "true")
    for stranger in ("other_shop", "shop_in_test"):
        told = world.ask(stranger, "POST", "/orders", made, idempotency_key="shared-key")
        assert "idempotency-replayed" not in told.headers
        assert not (ids_in(told.body) & ids_in(first.body)) - {world.parties["shop"]}
    assert world.ask("other_customs", "POST", "/orders", made, idempotency_key="shared-key").status == 403


def test_a_stranger_s_own_uploads_and_orders_stay_apart(world: World):
    """References are each party's own: another's order of the same reference is neither found nor changed."""
    made = order("A-2")
    before = world.must("shop", "GET", f"/orders/{world.owned['order_id']}")
    told = world.ask("other_shop", "POST", "/orders", made)
    assert told.status in (201, 422) and world.owned["order_id"] not in told.body.decode()
    assert world.must("shop", "GET", f"/orders/{world.owned['order_id']}") == before


def _what_the_owner_sees(world: World) -> dict[str, Any]:
    seen = {}
    for op in reads():
        if "merchant" in op.scopes and not set(op.in_path) & SHARED:
            told = world.ask("shop", "GET", all_paths(op, named_by(op, world.owned)))
            seen[op.name] = _without_date(told.body) if told.status == 200 else told.status
    return seen


def _without_date(body: bytes) -> bytes:
    """An answer without the instant at which an EPCIS document was put together."""
    return re.sub(rb'"creationDate":"[^"]*"', b"", body)


def _event_queries(world: World) -> list[tuple[str, str]]:
    """Parameters of a simple event query that fit what the first shipper and its courier captured."""
    words, epc = OWN_WORDS, epc_of(world)
    return [
        ("MATCH_epc", epc), ("MATCH_anyEPC", epc), ("MATCH_parentID", epc), ("MATCH_anyEPC", STRAY),
        ("EQ_eventID", EVENT_ID), ("EQ_bizStep", words["bizSteps"]), ("EQ_disposition", words["dispositions"]),
        ("EQ_readPoint", words["readPoints"]), ("EQ_bizLocation", words["bizLocations"]),
        ("eventType", words["eventTypes"]), ("GE_eventTime", "2000-01-01T00:00:00Z"), ("EXISTS_errorDeclaration", ""),
        ("EQ_rookery:code", "Z9"), ("orderBy", "recordTime"), ("maxEventCount", "1"),
    ]  # fmt: skip


def _own_in(world: World, body: bytes) -> list[str]:
    """What of the first shipper's parcel and events stands in an answer, where nobody's question brought it there."""
    own = [world.owned["number"], EVENT_ID, STRAY, "urn:x-shop:sensor:own-1", *list(OWN_WORDS.values())[:4]]
    return [word for word in own if word.encode() in body]


def _all_ids(world: World) -> set[str]:
    """Ids that belong to the first shipper: what he sees, less what all see."""
    shared = ids_in(world.ask("other_shop", "GET", "/networks").body)
    ranges = world.must("shop", "GET", "/number-ranges")["data"]
    shared |= {found["range_id"] for found in ranges if found["party_id"] != world.parties["shop"]}
    seen = b" ".join(body for body in _what_the_owner_sees(world).values() if isinstance(body, bytes))
    return (ids_in(seen) | {found for found in world.owned.values() if "_" in found}) - shared


def _booked(world: World) -> dict[str, Any]:
    """A shipment of the first shipper's that nobody has handed over yet."""
    offer = MAKERS["quote_id"](world)
    return world.must("shop", "POST", "/shipments", {"quote_id": offer, "reference": "courier's", "to": ADA})


def _tables(served) -> list[tuple[str, str]]:
    with psycopg.connect(served.cluster.urls().main) as conn:
        return conn.execute(
            "select table_schema, table_name from information_schema.columns c join information_schema.tables t"
            " using (table_schema, table_name) where column_name = 'party_id' and table_type = 'BASE TABLE'"
            " and table_schema = any(%s) order by 1, 2",
            (SCHEMAS,),
        ).fetchall()


COURIERS = ("code_tables", "unmapped", "strays")
"""Tables of tracking in which shippers have no rows."""


def test_straight_sql_crosses_no_party(served, world: World):
    """In every table with a party's rows, whoever works as another party sees, changes, removes and slips in none of
    them, whatever its scope, and neither does the same party in test mode.
    """
    shop, other = world.parties["shop"], world.parties["other_shop"]
    superuser = served.cluster.url("rookery", "postgres")
    filled = set()
    tables = _tables(served)
    assert ("orders", "orders") in tables and ("base", "api_keys") in tables
    for schema, table in tables:
        owner = world.parties["road"] if table in COURIERS else shop
        name = f"{schema}.{table}"
        with psycopg.connect(superuser) as conn:
            one = f"select to_jsonb(t) from {name} t where party_id = %s limit 1"
            found = conn.execute(one.encode(), (owner,)).fetchone()
            columns = [row[0] for row in conn.execute(
                "select column_name from information_schema.columns where table_schema = %s and table_name = %s"
                " and is_generated = 'NEVER' order by ordinal_position", (schema, table)).fetchall()]  # fmt: skip
        row = found[0] if found else {"party_id": owner}
        filled |= {name} if found else set()
        for scope in ("merchant", "courier", "station", "customs"):
            _cannot(served, other, scope, name, columns, row)
        if "test" in columns and found and not row["test"]:
            live = "where party_id = %s and not test"
            assert _visible(served, owner, "merchant", True, name, live, (owner,)) in (0, None), name
    assert _visible(served, shop, "merchant", False, "orders.orders", "where party_id = %s", (shop,))  # its own it sees
    assert filled >= {"orders.orders", "orders.shipments", "vault.people", "base.api_keys", "base.replies"}
    ours = ("events", "event_epcs", "captures", "queries", *COURIERS)
    assert filled >= {f"tracking.{table}" for table in ours}


def _visible(served, party: str, scope: str, test: bool, table: str, where: str, values: tuple) -> int | None:
    """How many rows a party sees; None where its role may not look at all."""
    try:
        with served.house.database.transaction(party, frozenset({scope}), test) as conn:
            row = conn.execute(f"select count(*) from {table} {where}".encode(), values).fetchone()
            return row[0] if row else 0
    except psycopg.errors.InsufficientPrivilege:
        return None


def _cannot(served, party: str, scope: str, table: str, columns: list[str], row: dict[str, Any]) -> None:
    owner, all_columns = (row["party_id"],), ", ".join(columns)
    assert _visible(served, party, scope, False, table, "where party_id = %s", owner) in (0, None), (table, scope)
    changed = [
        (f"update {table} set party_id = party_id where party_id = %s", owner),
        (f"delete from {table} where party_id = %s", owner),
        (f"insert into {table} ({all_columns}) overriding system value select {all_columns}"
         f" from jsonb_populate_record(null::{table}, %s)", (json.dumps(row),)),
    ]  # fmt: skip
    for statement, values in changed:
        try:
            with served.house.database.transaction(party, frozenset({scope})) as conn:
                done = conn.execute(statement.encode(), values).rowcount
                assert done == 0, (table, scope, statement)
        except psycopg.errors.InsufficientPrivilege:
            pass


def _attempts(served, table: str) -> list[tuple[str, Any]]:
    """(column, another value of its type) for each column of a table that can be written."""
    with psycopg.connect(served.cluster.url("rookery", "postgres")) as conn:
        columns = conn.execute(
            "select column_name, data_type from information_schema.columns where table_schema || '.' || table_name = %s"
            " and is_generated = 'NEVER' order by ordinal_position", (table,)).fetchall()  # fmt: skip
    other = {"text": "another", "integer": 7, "double precision": 7.5, "boolean": True, "jsonb": '{"a": "b"}',
             "timestamp with time zone": "2031-01-01T00:00:00Z", "bytea": b"x"}  # fmt: skip
    return [(name, "cancelled" if name == "state" else other[kind]) for name, kind in columns]


def _writes(served, party: str, scope: str, table: str, column: str, value: Any, key: str, row_id: str) -> str | None:
    """What came of writing one column of one row by straight SQL, taken back again: None where it was refused."""
    try:
        with served.house.database.transaction(party, frozenset({scope})) as conn:
            query = f"update {table} set {column} = %s where {key} = %s"
            if not conn.execute(query.encode(), (value, row_id)).rowcount:
                return None
            conn.execute("rollback")
            conn.execute("begin")
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.RaiseException):
        return None
    except psycopg.errors.IntegrityError:
        pass  # the value is refused, whoever writes it: the column is not
    return column


def test_a_granted_courier_writes_nothing_but_the_hand_over(served, world: World):
    """By straight SQL whoever was granted a parcel changes its state from booked to handed over, and no other column of
    it, of its number, its shipment or its order; and a shipper changes no promise, name, number or owner of its own.
    """
    shop, road = world.parties["shop"], world.parties["road"]
    shipment = _booked(world)
    parcel = shipment["parcels"][0]
    rows = {
        "orders.parcels": ("parcel_id", parcel["parcel_id"]), "waybill.numbers": ("number", parcel["number"]),
        "orders.shipments": ("shipment_id", shipment["shipment_id"]),
        "orders.orders": ("order_id", shipment["order_id"]),
    }  # fmt: skip
    for table, (key, row_id) in rows.items():
        for column, value in _attempts(served, table):
            for scope in ("merchant", "courier", "station", "customs"):
                wrote = _writes(served, road, scope, table, column, value, key, row_id)
                assert wrote is None, (table, column, scope)
    for state, may in (("booked", False), ("cancelled", False), ("handed_over", True)):
        wrote = _writes(served, road, "courier", "orders.parcels", "state", state, "parcel_id", parcel["parcel_id"])
        assert bool(wrote) == may, state
    frozen = {
        "orders.parcels": ["parcel_id", "shipment_id", "order_id", "party_id", "test", "piece", "pieces", "weight_g"],
        "orders.shipments": ["shipment_id", "order_id", "party_id", "test", "promised_at", "confidence", "booked_at"],
        "orders.orders": ["order_id", "party_id", "test", "reference", "pieces", "created_at"],
        "waybill.numbers": ["number", "range_id", "kind", "party_id", "test", "issued_at"],
    }
    for table, columns in frozen.items():
        key, row_id = rows[table]
        for column, value in _attempts(served, table):
            if column in columns:
                assert _writes(served, shop, "merchant", table, column, value, key, row_id) is None, (table, column)
    told = world.ask("road", "POST", f"/parcels/{parcel['parcel_id']}/hand-over")
    assert (told.status, told.json["state"]) == (200, "handed_over")
    for state in ("booked", "cancelled"):
        wrote = _writes(served, road, "courier", "orders.parcels", "state", state, "parcel_id", parcel["parcel_id"])
        assert wrote is None, state
    assert world.must("shop", "GET", f"/shipments/{shipment['shipment_id']}")["state"] == "handed_over"


def test_customs_see_a_parcel_and_do_not_write_it(served, world: World):
    """A parcel that was shown to customs is read by them and nothing else."""
    parcel, other = world.owned["parcel_id"], world.parties["other_shop"]
    with served.house.context() as ctx:
        ctx.conn.execute(
            "insert into orders.parcel_party values (%s, %s, 'customs', %s, false, %s)",
            (parcel, other, world.parties["shop"], ctx.clock.now()),
        )
    try:
        assert _visible(served, other, "customs", False, "orders.parcels", "where parcel_id = %s", (parcel,)) == 1
        for table, key, row_id in (
            ("orders.parcels", "parcel_id", parcel), ("waybill.numbers", "number", world.owned["number"]),
        ):  # fmt: skip
            assert _writes(served, other, "customs", table, "state", "handed_over", key, row_id) is None, table
    finally:
        with served.house.context() as ctx:
            ctx.conn.execute("delete from orders.parcel_party where party_id = %s", (other,))


def test_an_owner_that_forgot_for_whom_it_works_sees_nothing(served, world: World):
    """Row-level security binds the tables' owner too, in every table with a party's rows; but for what functions that
    run as the owner look up.
    """
    shop, looked_up = world.parties["shop"], {"base.parties", "base.api_keys", "orders.parcels", "orders.shipments"}
    with psycopg.connect(served.cluster.url(), autocommit=True) as conn:
        unforced = conn.execute(
            "select c.oid::regclass::text from pg_class c join pg_attribute a on attrelid = c.oid"
            " where attname = 'party_id' and c.relkind in ('r', 'p') and not relispartition"
            " and relnamespace::regnamespace::text = any(%s)"
            " and not (relrowsecurity and relforcerowsecurity)",
            (SCHEMAS,),
        ).fetchall()
        assert unforced == []
        for schema, table in _tables(served):
            if f"{schema}.{table}" not in looked_up and not table.endswith("_other"):
                seen = conn.execute(f"select count(*) from {schema}.{table} where party_id = %s".encode(), (shop,))
                assert seen.fetchone() == (0,), table


def test_parties_in_test_mode_are_one_s_own(served, world: World):
    """Parties are live: in test mode nobody lists or names another, whatever its scope."""
    live = {found["party_id"] for found in world.must("admin", "GET", "/parties?limit=1000")["data"]}
    assert live >= set(world.parties.values())
    for scope in ("admin", "operator", "merchant"):
        key = served.new_key(scope, party=world.parties["house"], test=True)
        told = served.ask("GET", "/parties?limit=1000", key=key)
        assert [found["party_id"] for found in told.json["data"]] == [world.parties["house"]], scope
        if scope == "admin":
            asked = {"party_id": world.parties["shop"], "scopes": ["merchant"], "test": True}
            assert served.ask("POST", "/keys", asked, key=key).code == "parties.none"
            assert served.ask("POST", "/keys", asked | {"party_id": world.parties["house"]}, key=key).status == 201


def test_a_hole_would_be_found(served, world: World):
    """With row-level security taken off the orders, the same attacks get through: they can tell the difference."""
    with psycopg.connect(served.cluster.url(), autocommit=True) as conn:
        conn.execute("alter table orders.orders disable row level security")
        try:
            with pytest.raises(AssertionError):
                test_another_s_id_is_as_an_unknown_one(world, "orders.get")
            with pytest.raises(AssertionError):
                test_no_list_shows_what_is_another_s(world, "orders.list")
            with pytest.raises(AssertionError):
                test_straight_sql_crosses_no_party(served, world)
        finally:
            conn.execute("alter table orders.orders enable row level security")


def test_events_of_another_s_are_not_found(world: World):
    """Questions that find the first shipper's events find none of them for strangers; and each does find some, or is
    refused, where he asks himself.
    """
    fruitless = set()
    for name, word in _event_queries(world):
        path = f"/epcis/events?{urlencode({name: word})}"
        mine = world.ask("shop", "GET", path)
        if not (mine.status == 200 and _own_in(world, mine.body)):
            fruitless.add((name, word))
        for stranger in STRANGERS:
            told = world.ask(stranger, "GET", path)
            assert told.status == mine.status or told.status == 200, (name, word, told.body[:300])
            assert told.status != 200 or told.json["epcisBody"]["queryResults"]["resultsBody"]["eventList"] == [], name
    assert fruitless == {("MATCH_anyEPC", STRAY), ("EXISTS_errorDeclaration", ""), ("maxEventCount", "1")}
    hashes = [one["eventID"] for one in _events(world, "shop") if one["eventID"].startswith("ni:")]
    assert hashes
    for shown in hashes:
        for stranger in STRANGERS:
            assert world.ask(stranger, "GET", f"/epcis/events/{quote(shown, safe='')}").status == 404


def _events(world: World, who: str) -> list[dict[str, Any]]:
    return world.must(who, "GET", "/epcis/events")["epcisBody"]["queryResults"]["resultsBody"]["eventList"]


def test_no_page_of_another_s_is_gone_on_with(world: World):
    """A page's token is good for whom it was given to and for its list alone; nobody else gives it back either."""
    paths = [op.path for op in reads() if "nextPageToken" in op.ask.__struct_fields__ and not op.in_path]
    capture(world, "shop", event("ObjectEvent", 3, action="OBSERVE", epcList=[epc_of(world)], bizStep="inspecting"))
    world.must("shop", "POST", "/epcis/queries", {"name": "own-2", "query": {}})
    tokens = {}
    for path in paths:
        link = world.ask("shop", "GET", f"{path}?perPage=1").headers.get("link")
        if link is not None:
            tokens[path] = re.findall(r"nextPageToken=([\w-]+)", link)[0]
    assert tokens.keys() >= {"/epcis/events", "/epcis/capture", "/epcis/queries", "/epcis/bizSteps", "/epcis/epcs"}
    for path, token in tokens.items():
        for stranger in STRANGERS:
            told = world.ask(stranger, "GET", f"{path}?perPage=1&nextPageToken={token}")
            assert told.status == 400, (path, stranger)
            assert world.ask(stranger, "DELETE", f"/epcis/nextPageToken/{token}").status == 404
        assert world.ask("shop", "GET", f"{path}?perPage=1&nextPageToken={token}").status == 200
        assert world.ask("shop", "DELETE", f"/epcis/nextPageToken/{token}").status == 204


def test_strangers_move_nothing(world: World):
    """Whatever who has nothing to do with a parcel captures, scans, declares wrong or explains, its shipper and its
    courier see what they saw, and the stranger learns nothing but what it said itself.
    """
    epc, number = epc_of(world), world.owned["number"]
    run_worker(world.served.house.database, WALL, world.served.house.parts, until_idle=True)
    seen = {who: _seen_of_tracking(world, who) for who in ("shop", "road")}
    own = next(one for one in _events(world, "shop") if one["eventID"] == EVENT_ID)
    own.pop("recordTime")
    wrong = {"declarationTime": "2026-11-01T08:00:00Z", "reason": "did_not_occur"}
    for stranger in ("other_shop", "rail"):
        capture(
            world, stranger,
            event("ObjectEvent", 1, action="OBSERVE", epcList=[epc], bizStep="accepting", disposition="damaged"),
            event("AggregationEvent", 1, action="ADD", parentID="urn:x:bag", childEPCs=[epc], bizStep="packing"),
            event("ObjectEvent", 0.5, action="OBSERVE", epcList=["urn:x:bag"], bizStep="arriving"),
            event("AssociationEvent", 0.5, action="DELETE", parentID=epc, childEPCs=[]),
            own | {"errorDeclaration": wrong},
            event("ObjectEvent", -2000, action="OBSERVE", epcList=[epc], bizStep="arriving"),  # in days to come
        )  # fmt: skip
    for stranger in ("rail", "other_station"):
        told = []
        for named in (number, other_id(number)):
            scans = [{"number": named, "at": own["eventTime"], "code": code} for code in ("delivered", "Z9", "lost")]
            taken = world.must(stranger, "POST", "/scans", {"scans": scans})
            told.append([taken["taken"], *(one["notices"] for one in taken["results"])])
        assert told[0] == told[1], "a real number is told from one that nobody has"
        table = b"code,status\nZ9,delivered\nW7,delivered\n"
        world.must(stranger, "PUT", "/scans/codes", table, content_type="text/csv")
    run_worker(world.served.house.database, WALL, world.served.house.parts, until_idle=True)
    assert "/scans/strays" in seen["road"] and f"/trackers/{number}" in seen["shop"]
    for who, before in seen.items():
        assert _seen_of_tracking(world, who) == before, who
    for stranger in ("other_shop", "rail"):
        assert world.ask(stranger, "GET", f"/trackers/{number}").status == 404
        both = [{one["eventID"] for one in _events(world, who)} for who in (stranger, "shop")]
        assert both[0] & both[1] == {EVENT_ID}  # which it said itself


def _seen_of_tracking(world: World, who: str) -> dict[str, Any]:
    """What somebody sees of the first shipper's parcel and of its own events, scans and codes."""
    epc = quote(epc_of(world), safe="")
    paths = [
        f"/trackers/{world.owned['number']}", "/trackers?limit=1000", "/epcis/events?perPage=1000",
        f"/epcis/epcs/{epc}/events", f"/epcis/events/{quote(EVENT_ID)}", "/epcis/epcs", "/epcis/bizSteps",
        "/scans/codes", "/scans/strays", "/scans/codes/table", "/epcis/capture", "/epcis/queries",
    ]  # fmt: skip
    told = {path: world.ask(who, "GET", path) for path in paths}
    return {path: _without_date(answer.body) for path, answer in told.items() if answer.status == 200}


def test_a_recipient_s_question_tells_no_number_apart(world: World):
    """Without the postal code a parcel goes to, or with a wrong one, a real number is answered as one nobody has."""
    real, none = world.owned["number"], other_id(world.owned["number"])
    for query in ("", "?postal_code=10117", "?postal_code=1011%25", "?postal_code=%27%20or%201%3D1", "?language=de"):
        told, as_told = (world.served.ask("GET", f"/track/{number}{query}") for number in (real, none))
        assert (told.status, same(told, real, as_told, none)) == (404, True), query
    assert world.served.ask("GET", f"/track/{real}?postal_code={ADA['postal_code']}").status == 200


def _refused(served, party: str, scopes: set[str], statement: str, *values: Any) -> bool:
    """Whether straight SQL is refused, or changes nothing."""
    try:
        with served.house.database.transaction(party, frozenset(scopes)) as conn:
            done = conn.execute(statement.encode(), values).rowcount
            conn.execute("rollback")
            conn.execute("begin")
            return done == 0
    except psycopg.errors.InsufficientPrivilege:
        return True


def _row(served, table: str, where: str, *values: Any) -> dict[str, Any]:
    with psycopg.connect(served.cluster.url("rookery", "postgres")) as conn:
        found = conn.execute(f"select to_jsonb(t) from {table} t where {where} limit 1".encode(), values).fetchone()
    assert found is not None, table
    return found[0]


def test_what_is_derived_no_party_writes(served, world: World):
    """By straight SQL nobody writes where a parcel is, what lies in what, or what an event names, even as its own: else
    a row of one's own about another's event would show the event, and one with another's parcel in it would be heard.
    Nor does anybody choose an event's number, or say of a capture that its word goes further than the party's own.
    """
    shop, epc = world.parties["shop"], epc_of(world)
    sealed = "urn:x-road:bag:own-1"
    put = event("AggregationEvent", 1, action="ADD", parentID=sealed, childEPCs=[epc], bizStep="packing")
    capture(world, "road", put)
    named = _row(served, "tracking.event_epcs", "parcel_id = %s and party_id = %s", world.owned["parcel_id"], shop)
    happened = _row(served, "tracking.events", "party_id = %s", shop)
    job = _row(served, "tracking.captures", "party_id = %s", shop)
    tables = {
        "tracking.containment": _row(served, "tracking.containment", "child = %s", epc),
        "tracking.parcels": _row(served, "tracking.parcels", "epc = %s", epc),
        "tracking.things": _row(served, "tracking.things", "epc = %s", sealed),
    }
    for party, scope in (("rail", "courier"), ("road", "courier"), ("shop", "merchant"), ("other_station", "station"),
                         ("house", "operator"), ("other_customs", "customs")):  # fmt: skip
        party_id = world.parties.get(party, world.parties["other_shop"])
        for table, row in tables.items():
            assert _refused(served, party_id, {scope}, f"delete from {table}"), (table, scope)
            assert _refused(served, party_id, {scope}, f"update {table} set test = test"), (table, scope)
            assert _inserts_nothing(served, party_id, scope, table, row), (table, scope)
        mine = named | {"party_id": party_id, "place": 77, "standing": 2}
        assert _inserts_nothing(served, party_id, scope, "tracking.event_epcs", mine), scope
        for column, value in (("withdrawn", "true"), ("status", "'delivered'"), ("owner_id", "party_id")):
            assert _refused(served, party_id, {scope}, f"update tracking.event_epcs set {column} = {value}"), scope
        chosen = happened | {"party_id": party_id, "mark": "\\x" + "07" * 16, "event_no": 1}
        assert _inserts_nothing(served, party_id, scope, "tracking.events", chosen), scope
        word = {"operator": 2, "courier": 1, "station": 1}.get(scope, 0)
        for standing in range(3):
            forged = job | {"capture_id": "cap_forged", "party_id": party_id, "standing": standing}
            nothing = _inserts_nothing(served, party_id, scope, "tracking.captures", forged)
            assert nothing == (standing > word), (scope, standing)


def _inserts_nothing(served, party: str, scope: str, table: str, row: dict[str, Any]) -> bool:
    columns = ", ".join(row)
    statement = (
        f"insert into {table} ({columns}) overriding system value"
        f" select {columns} from jsonb_populate_record(null::{table}, %s)"
    )
    return _refused(served, party, {scope}, statement, json.dumps(row))


def test_a_claim_on_another_s_event_comes_to_nothing(served, world: World):
    """Rows of one's own among what waits for codes or for parcels, but about another's event, neither explain that
    event nor give it to anybody.
    """
    road, rail, shop, epc = *(world.parties[who] for who in ("road", "rail", "shop")), epc_of(world)
    capture(world, "rail", event("ObjectEvent", 6, action="OBSERVE", epcList=[epc], bizStep="inspecting"))
    scanned = _row(served, "tracking.event_epcs", "party_id = %s and status = 'in_transit' and epc = %s", road, epc)
    hidden = _row(served, "tracking.event_epcs", "party_id = %s and parcel_id is null and epc = %s", rail, epc)
    forged = [
        (rail, "courier", "unmapped (event_no, event_at, party_id, test, code)", scanned, ("Q1",)),
        (shop, "merchant", "strays (event_no, event_at, party_id, test, epc, number)", hidden, (epc, "1")),
    ]
    for party, scope, into, about, more in forged:
        row = (about["event_no"], about["event_at"], party, False, *more)
        with served.house.database.transaction(party, frozenset({scope})) as conn:
            conn.execute(f"insert into tracking.{into} values ({', '.join(['%s'] * len(row))})".encode(), row)
    told = world.must("rail", "PUT", "/scans/codes", b"code,status\nQ1,delivered\n", content_type="text/csv")
    assert told["explains"] == 1
    run_worker(served.house.database, WALL, served.house.parts, until_idle=True)
    with served.house.context() as ctx:
        claim(ctx, [epc])
        left = ctx.conn.execute("select count(*) from tracking.strays where party_id = %s", (shop,)).fetchone()
    assert left == (0,)
    for before in (scanned, hidden):
        place = "event_no = %s and role = %s and place = %s"
        assert _row(served, "tracking.event_epcs", place, *(before[x] for x in ("event_no", "role", "place"))) == before
