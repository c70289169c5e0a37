"""Labels: what stands on them is gathered from the shipment, the vault and the route, printed, and not kept."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct, structs
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from rookery.base.audit import note
from rookery.base.operations import Context, operation
from rookery.base.progress import Progress, silent
from rookery.flows.numbering import issue_for
from rookery.flows.quotes.desks import Desks
from rookery.orders.addresses import Address
from rookery.orders.vault.keyring import Keyring
from rookery.orders.vault.model import Erased
from rookery.orders.vault.store import open_people
from rookery.terms.errors import Conflict, InvalidInput, NotAllowed, NotFound
from rookery.terms.notice import Fault
from rookery.waybill import store as waybills
from rookery.waybill.labels import Printed, render
from rookery.waybill.model import Block, Label, Size, Template
from rookery.waybill.rules.masking import mask
from rookery.waybill.rules.route_code import route_code

MOST_LABELS = 1000
MAY_READ = {"merchant", "admin"}
"""Who may have an address in full: the same that may open a person."""
ParcelId = Annotated[str, Meta(max_length=40, examples=["pcl_01m8hyvan558x4225mfmdh7nwt"])]
TemplateName = Annotated[str, Meta(pattern="^[a-z0-9-]{1,40}$", examples=["north-shop"])]


class PrintAsk(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Labels to print, in this order."""

    parcel_ids: Annotated[list[ParcelId], Meta(min_length=1, max_length=MOST_LABELS)]
    form: Literal["pdf", "png", "zpl", "zpl-z64"] = "pdf"
    size: Size = "100x150"
    full: Annotated[
        bool, Meta(description="Print the recipient in full, for shippers only; otherwise only what sorting needs.")
    ] = False
    variant: Literal["parcel", "return"] = "parcel"
    template: TemplateName | None = None


@operation(
    "labels.print", kind="command", http="POST /labels", scope=("merchant", "operator"), idempotent=False,
    media="application/pdf, image/png, application/zip, text/plain",
)  # fmt: skip
def print_labels(ctx: Context, ask: PrintAsk) -> bytes:
    """Print the labels of up to 1,000 parcels: one PDF, ZPL one after the other, a PNG or a zip of several.

    The recipient is masked unless `full` is asked for. Printing again counts as a reprint. Nothing of a label is kept.
    """
    printed = printed_labels(ctx, ask)
    if ask.form == "pdf":
        return printed.files[0]
    if ask.form in ("zpl", "zpl-z64"):
        return b"\n".join(printed.files)
    if len(printed.files) == 1:
        return printed.files[0]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for parcel_id, file in zip(ask.parcel_ids, printed.files):
            archive.writestr(f"{parcel_id}.png", file)
    return packed.getvalue()


def printed_labels(ctx: Context, ask: PrintAsk, progress: Progress = silent) -> Printed:
    """The labels asked for, printed and counted.

    Raises NotFound and Conflict with a fault for each parcel, NotAllowed for who may not read a whole address.
    """
    if ask.full and not ctx.who.scopes & MAY_READ:
        raise NotAllowed("labels.full", "Only shippers print whole addresses.", "leave `full` out, or ask the shipper")
    template = get_template(ctx, ask.template).template if ask.template is not None else None
    labels, numbers = _labels(ctx, ask)
    printed = render(labels, ask.form, ask.size, template, progress)
    waybills.mark_printed(ctx.conn, numbers, at=ctx.clock.now())
    note(ctx, "labels.print", ask.parcel_ids[0], labels=len(labels), full=ask.full)
    return printed


def print_batch(
    contexts: Callable[[], Context],
    ask: PrintAsk,
    *,
    shipments: Sequence[str] | None,
    plan_id: str | None,
    again: bool,
    progress: Progress = silent,
) -> Iterator[tuple[Printed, list[str]]]:
    """The labels of all booked parcels of a party, or of some shipments or of a wave, by route code: 1,000 at a time,
    each in a transaction of its own that is committed when the next are asked for.

    ask: form, size and the like (its parcel_ids are not looked at); again: also those that were printed before. What
    somebody else is printing at this moment is left to them.
    """
    after, done = ("", ""), 0
    while True:
        with contexts() as ctx:
            rows = ctx.conn.execute(
                "select p.parcel_id, coalesce(p.route_code, '') as code from orders.parcels p"
                " join orders.shipments s using (shipment_id) join waybill.numbers n on n.number = p.number"
                " where p.party_id = %(party)s and p.test = %(test)s and p.state <> 'cancelled'"
                " and (%(again)s or n.state = 'issued') and (%(some)s::text[] is null or s.shipment_id = any(%(some)s))"
                " and (%(plan)s::text is null or s.plan_id = %(plan)s)"
                " and (coalesce(p.route_code, ''), p.parcel_id) > (%(code)s, %(parcel)s)"
                " order by code, p.parcel_id limit %(most)s for update of n skip locked",
                {"party": ctx.who.party_id, "test": ctx.who.test, "again": again, "some": shipments or None,
                 "plan": plan_id, "code": after[0], "parcel": after[1], "most": MOST_LABELS},
            ).fetchall()  # fmt: skip
            if not rows:
                return
            parcels = [parcel_id for parcel_id, _ in rows]
            after = (rows[-1][1], rows[-1][0])
            progress("labels", done, done + len(parcels))
            yield printed_labels(ctx, structs.replace(ask, parcel_ids=parcels)), parcels
            done += len(parcels)


def _labels(ctx: Context, ask: PrintAsk) -> tuple[list[Label], list[str]]:
    with ctx.conn.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(
            "select p.parcel_id, p.party_id, p.test, p.piece, p.pieces, p.weight_g, p.number, p.state, s.service_id,"
            " o.reference, o.sender_id, o.recipient_id, o.to_node, o.to_country, o.to_postal_code,"
            " o.from_node, o.from_country,"
            " o.from_postal_code, way.stops, way.back from orders.parcels p join orders.shipments s using (shipment_id)"
            " join orders.orders o on o.order_id = s.order_id cross join lateral"
            " (select array_agg(l.to_node order by l.seq) as stops, array_agg(l.from_node order by l.seq desc) as back"
            "   from planning.legs l where l.shipment_id = s.shipment_id and l.route = s.route) way"
            " where p.parcel_id = any(%s)", (ask.parcel_ids,),
        ).fetchall()  # fmt: skip
    known = {row["parcel_id"]: row for row in rows}
    faults = []
    for place, parcel_id in enumerate(ask.parcel_ids):
        row = known.get(parcel_id)
        if row is None:
            faults.append(Fault(f"$.parcel_ids[{place}]", "parcels.none", "there is no such parcel", "leave it out"))
        elif ask.full and row["party_id"] != ctx.who.party_id and not ctx.who.scopes & {"admin", "system"}:
            what = "it is another shipper's: its whole address is not yours to read"
            faults.append(Fault(f"$.parcel_ids[{place}]", "labels.full", what, "leave `full` out"))
        elif row["state"] == "cancelled" or row["number"] is None:
            what = "it is cancelled" if row["state"] == "cancelled" else "it has no number yet"
            faults.append(Fault(f"$.parcel_ids[{place}]", "parcels.no_label", what, "leave it out"))
    if faults:
        missing = any(fault.code == "parcels.none" for fault in faults)
        raise (NotFound if missing else Conflict)(
            "parcels.none" if missing else "parcels.no_label", "Not every parcel's label can be printed.",
            "leave out what `errors` lists", faults=faults,
        )  # fmt: skip
    people = _people(ctx, rows)
    readers = ctx.who.scopes & {"admin", "system"}
    return [
        _label(known[parcel_id], people, ask, bool(readers) or known[parcel_id]["party_id"] == ctx.who.party_id)
        for parcel_id in ask.parcel_ids
    ], [known[parcel_id]["number"] for parcel_id in ask.parcel_ids]


def _people(ctx: Context, rows: Sequence[dict]) -> dict[str, Address | Erased]:
    ids = {row[who] for row in rows for who in ("sender_id", "recipient_id") if row[who] is not None}
    if not ids:
        return {}
    with ctx.keys() as keys:
        return open_people(ctx.conn, keys, ctx.part(Keyring), sorted(ids))


def _label(row: dict, people: dict[str, Address | Erased], ask: PrintAsk, own: bool) -> Label:
    """own: whoever prints may read the sender's whole address; the recipient's is printed only if asked for."""
    recipient = _block(people.get(row["recipient_id"])) or _place(row, "to")
    sender = _block(people.get(row["sender_id"]))
    if not own:
        recipient, sender = mask(recipient), None if sender is None else mask(sender)
    stops = row["stops"] or [row["to_node"] or row["from_node"] or ""]  # without legs it is where it is going
    if ask.variant == "return":
        recipient, sender = sender or _place(row, "from"), recipient
        stops = row["back"] or [row["from_node"] or row["to_node"] or ""]
    *hubs, depot = stops
    return Label(
        sscc=row["number"],
        route=route_code(hubs, depot),
        recipient=recipient,
        sender=sender,
        variant=ask.variant,
        piece=row["piece"],
        pieces=row["pieces"],
        weight_g=max(1, round(row["weight_g"])),
        service=row["service_id"] or "",
        reference=row["reference"],
        full=ask.full,
        test=row["test"],
    )


def _place(row: dict, end: Literal["from", "to"]) -> Block:
    """An end of an order at which nobody is named."""
    node, postal_code, country = (row[f"{end}_{what}"] or "" for what in ("node", "postal_code", "country"))
    return Block(name=node, postal_code=postal_code, country=country)


def _block(person: Address | Erased | None) -> Block | None:
    if person is None:
        return None
    if not isinstance(person, Address):
        return Block(name="(erased)")
    return Block(
        name=person.name or person.company,
        company=person.company if person.name else "",
        street=person.lines,
        postal_code=person.postal_code,
        city=person.city,
        region=person.region,
        country=person.country,
        phone=person.phone,
    )


class BagAsk(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A bag or unit load to label: where it goes, and how many parcels are in it."""

    to_node: Annotated[str, Meta(min_length=1, max_length=200, examples=["LEIPZIG-HUB"])]
    contents: Annotated[int, Meta(ge=0, le=100_000)] = 0
    form: Literal["pdf", "png", "zpl"] = "pdf"
    size: Size = "100x150"


@operation(
    "labels.bag", kind="command", http="POST /labels/bag", scope=("merchant", "courier", "operator"), idempotent=False,
    media="application/pdf, image/png, text/plain", status=201,
)  # fmt: skip
def bag_label(ctx: Context, ask: BagAsk) -> bytes:
    """Print the label of a bag, with a number of its own."""
    if ctx.part(Desks).counter(ctx).places.find(ask.to_node, None, None) is None:
        fault = Fault("$.to_node", "unknown_node", "the network has no such node", "take a node_id of the feed")
        raise InvalidInput("labels.unknown_node", "The bag goes nowhere.", "name a node", faults=[fault])
    issued = issue_for(ctx, ctx.who.party_id, [None])  # type: ignore[list-item]
    label = Label(
        sscc=issued.numbers[0], route=route_code([], ask.to_node), recipient=Block(name=ask.to_node), variant="bag",
        contents=ask.contents, test=ctx.who.test,
    )  # fmt: skip
    printed = render([label], ask.form, ask.size)
    waybills.mark_printed(ctx.conn, issued.numbers, at=ctx.clock.now())
    note(ctx, "labels.bag", issued.numbers[0])
    return printed.files[0]


class TemplateIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A look of one's own: a logo, a line of text, and which blocks stand in which order."""

    name: TemplateName
    logo_png: Annotated[bytes, Meta(max_length=65_536, description="A PNG of 64 KiB at most, in base64.")] = b""
    accent: Annotated[str, Meta(max_length=60)] = ""
    blocks: Annotated[tuple[Literal["recipient", "sender", "facts"], ...], Meta(max_length=3)] = (
        "recipient", "sender", "facts",
    )  # fmt: skip


class TemplateOut(Struct, frozen=True):
    """A template as kept."""

    name: str
    template: Template


@operation("templates.put", kind="command", http="PUT /label-templates/{name}", scope="merchant")
def put_template(ctx: Context, ask: TemplateIn) -> TemplateOut:
    """Keep a label template; one of the same name is replaced."""
    template = Template(logo_png=ask.logo_png, accent=ask.accent, blocks=ask.blocks)
    ctx.conn.execute(
        "insert into waybill.templates (party_id, test, name, template) values (%s, %s, %s, %s)"
        " on conflict (party_id, test, name) do update set template = excluded.template",
        (ctx.who.party_id, ctx.who.test, ask.name, Jsonb(msgspec.to_builtins(template))),
    )
    note(ctx, "templates.put", ask.name)
    return TemplateOut(ask.name, template)


class OneTemplate(Struct, frozen=True, forbid_unknown_fields=True):
    """Names a template."""

    name: TemplateName


@operation("templates.get", kind="query", http="GET /label-templates/{name}", scope="merchant")
def read_template(ctx: Context, ask: OneTemplate) -> TemplateOut:
    """Look a label template up."""
    return get_template(ctx, ask.name)


def get_template(ctx: Context, name: str) -> TemplateOut:
    """The asker's template. Raises NotFound."""
    row = ctx.conn.execute(
        "select template from waybill.templates where party_id = %s and test = %s and name = %s",
        (ctx.who.party_id, ctx.who.test, name),
    ).fetchone()
    if row is None:
        raise NotFound("templates.none", f"There is no template {name!r}.", "make it: PUT /label-templates/{name}")
    return TemplateOut(name, msgspec.convert(row[0], Template))
