"""Nobody crosses into what is another's: by ids, bodies, filters, cursors, kept replies, versions, or straight SQL."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import msgspec
import psycopg
import pytest
from crossing_world import ADA, MAKERS, SHARED, World, all_paths, body_of, build, ids_in, order, other_id, reads

import rookery.app
from rookery.base.operations import OPERATIONS, Operation

assert rookery.app.ACTS
STRANGERS = ["other_shop", "rail", "other_station", "other_customs", "shop_in_test"]
"""Who must not meet what is the first shipper's; his own key of test mode neither."""
SCHEMAS = ["base", "orders", "vault", "planning", "waybill", "network"]


@pytest.fixture(scope="module")
def world(served) -> World:
    return build(served)


def same(told: Any, asked: str, as_told: Any, as_asked: str) -> bool:
    """Whether two answers differ in nothing that a stranger could learn from, but the id that each was asked for."""
    if told.status < 400 or as_told.status < 400:
        return told.status == as_told.status
    plain = []
    for answer, name in ((told, asked), (as_told, as_asked)):
        document = json.loads(answer.body.replace(name.encode(), b"ID"))
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
    unknown = {parameter: other_id(world.owned[parameter]) for parameter in op.in_path}
    body = None if op.asks_by_query else body_of(op)
    versions = [{}, {"if_match": '"1"'}] if "if_match" in op.ask.__struct_fields__ else [{}]
    before = _what_the_owner_sees(world)
    for stranger in STRANGERS:
        for headers in versions:
            real = world.ask(stranger, op.method, all_paths(op, world.owned), body, **headers)
            none = world.ask(stranger, op.method, all_paths(op, unknown), body, **headers)
            asked = [known[op.in_path[0]] for known in (world.owned, unknown)]
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
        body, unknown = ({**body_of(op), field: [named] if several else named} for named in (real, none))
        path = all_paths(op, {})
        before = _what_the_owner_sees(world)
        for stranger in STRANGERS:
            told = world.ask(stranger, op.method, path, body)
            as_told = world.ask(stranger, op.method, path, unknown)
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
    for stranger in STRANGERS:
        if world.parties["shop"] in world.ask(stranger, "GET", "/parties").body.decode():  # in test mode, what is so
            theirs -= ids_in(b"".join(world.ask(stranger, "GET", path).body for path in ("/parties", "/keys")))
        for query in tried:
            told = world.ask(stranger, "GET", op.path + query)
            assert told.status in (200, 403, 404, 422), told.body[:300]
            assert told.status != 200 or not ids_in(told.body) & theirs, (stranger, query, told.body[:500])


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
            told = world.ask("shop", "GET", all_paths(op, world.owned))
            seen[op.name] = told.body if told.status == 200 else told.status
    return seen


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
        name = f"{schema}.{table}"
        with psycopg.connect(superuser) as conn:
            one = f"select to_jsonb(t) from {name} t where party_id = %s limit 1"
            found = conn.execute(one.encode(), (shop,)).fetchone()
            columns = [row[0] for row in conn.execute(
                "select column_name from information_schema.columns where table_schema = %s and table_name = %s"
                " and is_generated = 'NEVER' order by ordinal_position", (schema, table)).fetchall()]  # fmt: skip
        row = found[0] if found else {"party_id": shop}
        filled |= {name} if found else set()
        for scope in ("merchant", "courier", "station", "customs"):
            _cannot(served, other, scope, name, columns, row)
        if "test" in columns and found and not row["test"]:
            live = "where party_id = %s and not test"
            assert _visible(served, shop, "merchant", True, name, live, (shop,)) in (0, None), name
    assert _visible(served, shop, "merchant", False, "orders.orders", "where party_id = %s", (shop,))  # its own it sees
    assert filled >= {"orders.orders", "orders.shipments", "vault.people", "base.api_keys", "base.replies"}


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
