"""Orders handed in, looked up, changed and cancelled."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from rookery.base.audit import note
from rookery.base.operations import Context, operation
from rookery.base.paging import After, Limit, Page, page
from rookery.flows.quotes.desks import Desks
from rookery.orders.intake import judge
from rookery.orders.intake_model import ItemIn, Judged, OrderIn, ParcelIn
from rookery.orders.store import Taken, take
from rookery.orders.vault.keyring import Keyring
from rookery.terms.errors import Changed, Conflict, InvalidInput, NotFound
from rookery.terms.notice import Fault

MOST_ORDERS = 1000
OrderId = Annotated[str, Meta(max_length=40, examples=["ord_01m8hyvan558x4225mfmdh7nwt"])]
State = Literal["received", "booked", "cancelled"]
Metadata = Annotated[
    dict[Annotated[str, Meta(min_length=1, max_length=40)], Annotated[str, Meta(max_length=500)]], Meta(max_length=50)
]
Instant = Annotated[datetime, Meta(tz=True)]


class Order(Struct, frozen=True):
    """An order as kept. People stand in it by their ids alone."""

    order_id: str
    reference: str
    state: State
    from_node: str | None
    from_country: str | None
    from_postal_code: str | None
    to_node: str | None
    to_country: str | None
    to_postal_code: str | None
    ready_at: datetime
    weight_g: float
    length_mm: float | None
    width_mm: float | None
    height_mm: float | None
    goods: str
    value: float | None
    currency: str | None
    service_id: str | None
    due_at: datetime | None
    late_cost: float | None
    pieces: int
    sender_id: str | None
    recipient_id: str | None
    metadata: dict[str, str]
    version: int
    created_at: datetime
    updated_at: datetime
    parcels: list[ParcelIn] | None
    shipment_id: str | None
    unassigned: list[str]
    test: bool
    items: list[ItemIn] = []


_FIELDS = [name for name in Order.__struct_fields__ if name not in ("items", "shipment_id", "unassigned")]
_SELECT = (
    f"select {', '.join(f'o.{name}' for name in _FIELDS)},"
    " (select s.shipment_id from orders.shipments s where s.order_id = o.order_id) as shipment_id,"
    " coalesce((select u.reasons from planning.unassigned u where u.order_id = o.order_id), '{}') as unassigned"
    " from orders.orders o"
)


class OrderTaken(Struct, frozen=True):
    """An order as taken. repeated: it was here before, with the same content; warnings: what is probably not meant."""

    order: Order
    repeated: bool
    warnings: list[Fault]


EXAMPLE = {
    "reference": "A-1001",
    "from": {"node": "DE-BERLIN-W"},
    "to": {
        "name": "Ada Example",
        "lines": ["Straße 1"],
        "city": "Leipzig",
        "postal_code": "04103",
        "country": "DE",
    },
    "ready_at": "2026-12-01T10:00+01:00",
    "weight_g": 800,
    "items": [{"description": "Mugs", "quantity": 2, "value": 9.5, "currency": "EUR"}],
}


@operation("orders.create", kind="command", http="POST /orders", scope="merchant", status=201, example=EXAMPLE)
def create(ctx: Context, ask: OrderIn) -> OrderTaken:
    """Hand in an order: it is checked, its people go into the vault, and the next wave plans and books it.

    The same reference with the same content is the same order; with another content it is a conflict.
    """
    judged = judge([ask])
    if judged.faults:
        raise InvalidInput(
            "orders.invalid", "The order cannot be taken.", "mend what `errors` lists", faults=judged.faults[0]
        )
    taken = take_judged(ctx, judged)
    if taken.faults:
        raise Conflict(
            "orders.reference_taken", "The reference stands for another order of yours.",
            "give this order a reference of its own", faults=taken.faults[0],
        )  # fmt: skip
    warnings = [*judged.warnings.get(0, []), *_doubts(ctx, judged).get(0, [])]
    return OrderTaken(get_order(ctx, taken.order_ids[0]), bool(taken.repeated), warnings)


class OrdersAsk(Struct, frozen=True, forbid_unknown_fields=True):
    """Many orders at once."""

    orders: Annotated[list[OrderIn], Meta(min_length=1, max_length=MOST_ORDERS)]


class OrderResult(Struct, frozen=True, omit_defaults=True):
    """What became of one of many orders."""

    index: int
    status: Literal["created", "repeated", "refused"]
    order_id: str | None = None
    errors: list[Fault] = []
    warnings: list[Fault] = []


class OrdersTaken(Struct, frozen=True):
    """One result for each order, in order."""

    created: int
    repeated: int
    refused: int
    results: list[OrderResult]


@operation("orders.batch", kind="command", http="POST /orders/batch", scope="merchant", most_bytes=16 << 20,
           example={"orders": [EXAMPLE]})  # fmt: skip
def create_many(ctx: Context, ask: OrdersAsk) -> OrdersTaken:
    """Hand in up to 1,000 orders: what is wrong with one does not keep the others from being taken.

    A body that is not of the documented form (a word for a number, a field there is not) is refused whole.
    """
    judged = judge(ask.orders)
    taken = take_judged(ctx, judged)
    repeated, doubts = set(taken.repeated), _doubts(ctx, judged)
    results = []
    for index in range(len(ask.orders)):
        place = f"$.orders[{index}]"
        errors = [fault.below(place) for fault in judged.faults.get(index) or taken.faults.get(index) or []]
        warnings = [fault.below(place) for fault in (*judged.warnings.get(index, []), *doubts.get(index, []))]
        status = "refused" if errors else "repeated" if index in repeated else "created"
        results.append(OrderResult(index, status, taken.order_ids.get(index), errors, warnings))
    refused = sum(result.status == "refused" for result in results)
    return OrdersTaken(len(taken.created), len(repeated), refused, results)


def _doubts(ctx: Context, judged: Judged) -> dict[int, list[Fault]]:
    """What the active network does not know of good orders, by row: told, since another network may."""
    try:
        counter = ctx.part(Desks).counter(ctx)
    except NotFound:
        return {}
    doubts: dict[int, list[Fault]] = {}
    columns = ("row", "from_node", "from_country", "from_postal_code", "to_node", "to_country", "to_postal_code")
    for row, *ends, service in judged.good.select(*columns, "service_id").iter_rows():
        for at, (node, country, postal) in (("$.from", ends[:3]), ("$.to", ends[3:])):
            if counter.places.find(node, country, postal) is None:
                code = "unknown_node" if node is not None else "unknown_zone"
                what = "the active network has no such place"
                doubts.setdefault(row, []).append(Fault(at, code, what, "check it; a wave finds no way for it"))
        if service is not None and service not in counter.services:
            what = "the active network has no such service"
            doubts.setdefault(row, []).append(Fault("$.service_id", "unknown_service", what, "check it"))
    return doubts


def take_judged(ctx: Context, judged: Judged, upload_id: str | None = None) -> Taken:
    """Write judged orders for whoever asks, with a line of the trail."""
    with ctx.keys() as keys:
        taken = take(
            ctx.conn, keys, ctx.part(Keyring), ctx.who.party_id, ctx.who.test, judged, ctx.clock.now(), upload_id
        )
    if taken.created:
        note(ctx, "orders.create", taken.order_ids[taken.created[0]], orders=len(taken.created))
    return taken


class OneOrder(Struct, frozen=True, forbid_unknown_fields=True):
    """Names an order."""

    order_id: OrderId


@operation("orders.get", kind="query", http="GET /orders/{order_id}", scope=("merchant", "operator"))
def get(ctx: Context, ask: OneOrder) -> Order:
    """Look an order up, with its item lines."""
    return get_order(ctx, ask.order_id)


def get_order(ctx: Context, order_id: str) -> Order:
    """One order. Raises NotFound, also for another party's."""
    with ctx.conn.cursor(row_factory=dict_row) as cursor:
        query = f"{_SELECT} where o.order_id = %s"
        row = cursor.execute(query.encode(), (order_id,)).fetchone()
        if row is None:
            raise NotFound("orders.none", f"There is no order {order_id}.", "list yours: GET /orders")
        row["items"] = cursor.execute(
            "select description, quantity, value, currency, origin, hs_code, weight_g from orders.items"
            " where order_id = %s order by line_no", (order_id,),
        ).fetchall()  # fmt: skip
    return msgspec.convert(row, Order)


def _held(ctx: Context, order_id: str) -> Order:
    """One order of the asker's own, held until the transaction ends. Raises NotFound."""
    held = ctx.conn.execute(
        "select from orders.orders where order_id = %s and party_id = %s for update", (order_id, ctx.who.party_id)
    )
    if held.rowcount == 0:
        raise NotFound("orders.none", f"There is no order {order_id}.", "list yours: GET /orders")
    return get_order(ctx, order_id)


class WhichOrders(Struct, frozen=True, forbid_unknown_fields=True):
    """A page of orders, oldest first."""

    limit: Limit = 100
    after: After = ""
    state: State | None = None
    reference: Annotated[str, Meta(max_length=200)] | None = None


@operation("orders.list", kind="query", http="GET /orders", scope=("merchant", "operator"))
def list_orders(ctx: Context, ask: WhichOrders) -> Page[Order]:
    """List orders, oldest first, without their item lines."""
    wanted: dict[str, Any] = {"after": ask.after, "limit": ask.limit + 1, "test": ctx.who.test}
    where = "o.order_id > %(after)s and o.test = %(test)s"
    for name in ("state", "reference"):
        if (value := getattr(ask, name)) is not None:
            wanted[name] = value
            where += f" and o.{name} = %({name})s"
    with ctx.conn.cursor(row_factory=dict_row) as cursor:
        query = sql.SQL(f"{_SELECT} where {where} order by o.order_id limit %(limit)s")  # type: ignore[arg-type]
        rows = cursor.execute(query, wanted).fetchall()
    return page([msgspec.convert(row, Order) for row in rows], ask.limit, lambda order: order.order_id)


class OrderChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may be changed while an order waits; what is left out stays."""

    order_id: OrderId
    if_match: int | None = None
    metadata: Metadata | UnsetType = UNSET
    ready_at: Instant | UnsetType = UNSET
    due_at: Instant | UnsetType | None = UNSET
    service_id: Annotated[str, Meta(max_length=200)] | UnsetType | None = UNSET


@operation("orders.update", kind="command", http="PATCH /orders/{order_id}", scope="merchant")
def update(ctx: Context, ask: OrderChange) -> Order:
    """Change an order: its notes at any time, its times and service until it is booked."""
    order = _held(ctx, ask.order_id)
    refuse_changed(ask.if_match, order.version)
    changed = {
        name: value
        for name in ("metadata", "ready_at", "due_at", "service_id")
        if (value := getattr(ask, name)) is not UNSET
    }
    if order.state != "received" and changed.keys() - {"metadata"}:
        raise Conflict("orders.not_waiting", f"The order is {order.state}.", "change its notes only, or cancel it")
    if not changed:
        return order
    values = {name: Jsonb(value) if name == "metadata" else value for name, value in changed.items()}
    ctx.conn.execute(
        sql.SQL(
            "update orders.orders set {}, version = version + 1, updated_at = %(now)s where order_id = %(id)s"
        ).format(sql.SQL(", ").join(sql.SQL("{} = {}").format(sql.Identifier(n), sql.Placeholder(n)) for n in values)),
        {**values, "now": ctx.clock.now(), "id": ask.order_id},
    )
    tell_history(ctx, [ask.order_id], "changed", fields=sorted(changed))
    note(ctx, "orders.update", ask.order_id, fields=sorted(changed))
    return get_order(ctx, ask.order_id)


class OrderCancel(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Names an order to cancel."""

    order_id: OrderId
    if_match: int | None = None


@operation("orders.cancel", kind="command", http="POST /orders/{order_id}/cancel", scope="merchant")
def cancel(ctx: Context, ask: OrderCancel) -> Order:
    """Cancel an order that waits; one that is booked is cancelled by its shipment. Cancelling twice is no fault."""
    order = _held(ctx, ask.order_id)
    refuse_changed(ask.if_match, order.version)
    if order.state == "booked":
        raise Conflict(
            "orders.booked", "The order is booked.", f"cancel its shipment: POST /shipments/{order.shipment_id}/cancel"
        )
    if order.state == "received":
        ctx.conn.execute(
            "update orders.orders set state = 'cancelled', version = version + 1, updated_at = %s where order_id = %s",
            (ctx.clock.now(), ask.order_id),
        )
        tell_history(ctx, [ask.order_id], "cancelled")
        note(ctx, "orders.cancel", ask.order_id)
    return get_order(ctx, ask.order_id)


def refuse_changed(if_match: int | None, version: int) -> None:
    """Raises Changed when the asker saw another version."""
    if if_match is not None and if_match != version:
        raise Changed("if_match.other", f'It has changed: its ETag is "{version}" now.', "read it again, then decide")


def tell_history(ctx: Context, order_ids: list[str], what: str, **detail: Any) -> None:
    """A line of history for each order."""
    ctx.conn.execute(
        "insert into orders.history (at, order_id, party_id, test, what, by_party, detail)"
        " select %s, o.order_id, o.party_id, o.test, %s, %s, %s from orders.orders o where o.order_id = any(%s)",
        (ctx.clock.now(), what, ctx.who.party_id, Jsonb(detail), order_ids),
    )
