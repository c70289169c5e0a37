"""Shipments put on another route: written once for all of them, labelled anew, and told to those concerned."""

from __future__ import annotations

import polars as pl

from rookery.base import outbox
from rookery.base.operations import Context
from rookery.flows.numbering import route_codes
from rookery.flows.rebooking.ways import ROUTE
from rookery.orders import booking
from rookery.planning import store
from rookery.tracking import chances
from rookery.tracking.epcis.identifiers import sscc_uri
from rookery.waybill import store as waybills

REROUTED = "parcel.rerouted"


def put_on(
    ctx: Context, shipments: pl.DataFrame, parcels: pl.DataFrame, legs: pl.DataFrame, former: pl.DataFrame
) -> None:
    """Shipments go by another route from now on: legs, couriers, codes on labels, history and news.

    shipments: shipment_id, party_id, version, route (the new one), feed_id, plan_id, promised_at, expected_at,
    on_time_probability, begun (they are on their way), replan_id, case_id, undone; parcels: shipment_id, parcel_id,
    number, route_code, status; legs: the new routes (ROUTE), `ahead` of where they are; former: legs ahead before.
    """
    now, conn = ctx.clock.now(), ctx.conn
    if shipments.is_empty():
        return
    conn.execute("set local statement_timeout = 0")  # sets of any size; a wait for others' locks keeps its limit
    mine = shipments.select("shipment_id", "route", "party_id")
    parcels = parcels.join(mine.select("shipment_id", "party_id"), on="shipment_id", maintain_order="left")
    known = store.couriers(conn, legs["carrier_id"].unique().to_list())
    legs = legs.drop("route", "party_id", "courier_id", "test").join(mine, on="shipment_id", maintain_order="left")
    legs = legs.join(known, on="carrier_id", how="left", maintain_order="left").with_columns(test=pl.lit(ctx.who.test))
    moved = shipments.with_columns(moved=pl.lit(True))
    booking.reroute(conn, moved, now=now, by_party=ctx.who.party_id, handed_over=True)
    store.add_legs(conn, legs.select(*ROUTE))
    _let_in(ctx, shipments, parcels, legs)
    _label(ctx, parcels, legs)
    with ctx.as_system() as system:
        epcs = [sscc_uri(number) for number in parcels["number"].drop_nulls()]
        chances.hold(system, ctx.who.test, epcs)  # until the end: news of a parcel come in the order of commits
        _tell(ctx, shipments, parcels, legs, former)
        chances.enter(system, ctx.who.test, epcs)


def _let_in(ctx: Context, shipments: pl.DataFrame, parcels: pl.DataFrame, legs: pl.DataFrame) -> None:
    """Couriers of the new legs see the parcels. Of parcels on their way nobody's sight is taken: whoever was to carry
    them may have done so, with a scan that is still to come.
    """
    now, begun = ctx.clock.now(), shipments.filter("begun")
    grants = store.grants_of(legs, parcels)
    under_way = parcels.join(begun, on="shipment_id", how="semi")
    booking.grant(ctx.conn, grants.join(under_way, on="parcel_id", how="semi"), now)
    waiting = parcels.join(begun, on="shipment_id", how="anti").select("parcel_id")
    if not waiting.is_empty():
        booking.regrant(ctx.conn, waiting, grants.join(waiting, on="parcel_id", how="semi"), now)


def _label(ctx: Context, parcels: pl.DataFrame, legs: pl.DataFrame) -> None:
    """Route codes anew; labels that say another one are outdated."""
    codes = route_codes(legs.select("shipment_id", "seq", "to_node"))
    booking.label_parcels(ctx.conn, codes, pl.DataFrame(schema={"parcel_id": pl.String, "number": pl.String}))
    both = parcels.join(codes, on="shipment_id", suffix="_after").drop_nulls("number")
    other = both.filter(pl.col("route_code").ne_missing(pl.col("route_code_after")))
    waybills.resort(ctx.conn, other["number"].to_list(), at=ctx.clock.now())


def _tell(
    ctx: Context, shipments: pl.DataFrame, parcels: pl.DataFrame, legs: pl.DataFrame, former: pl.DataFrame
) -> None:  # fmt: skip
    """News of each parcel for its shipper, and for the couriers of its legs ahead, now or before: these hear of their
    own legs alone. Whoever hears of everything hears of a parcel once, as its shipper does.
    """
    listening = outbox.wanted(ctx.conn, ctx.who.test, [REROUTED])
    numbered = parcels.drop_nulls("number").filter(pl.col("status").fill_null("") != "delivered")
    numbered = numbered.select("shipment_id", "parcel_id", "number")
    if not listening or numbered.is_empty():
        return
    ahead = legs.filter("ahead")
    whole = _as_json(ahead, ["shipment_id"])
    own = _as_json(ahead.drop_nulls("courier_id"), ["shipment_id", "courier_id"])
    gone = former.drop_nulls("courier_id").select("shipment_id", "courier_id").unique()
    couriers = pl.concat([own.select(gone.columns), gone]).unique(maintain_order=True).join(
        own, on=["shipment_id", "courier_id"], how="left", maintain_order="left"
    )  # fmt: skip
    facts = shipments.select(
        "shipment_id",
        "replan_id",
        "case_id",
        "promised_at",
        "expected_at",
        "on_time_probability",
        "undone",
        party="party_id",
    )
    shipper = numbered.join(facts, on="shipment_id").join(whole, on="shipment_id", how="left", maintain_order="left")
    if outbox.EVERYONE not in listening:
        shipper = shipper.filter(pl.col("party").is_in(sorted(listening)))
    carrier = numbered.join(couriers, on="shipment_id").with_columns(party="courier_id")
    carrier = carrier.filter(pl.col("party").is_in(sorted(listening)))
    common = ["number", "parcel_id"]
    news = pl.concat(
        [
            shipper.select(
                "number",
                "party",
                to_all=pl.lit(True),
                data=_object(shipper, [*common, "shipment_id", *facts.columns[1:-1]]),
            ),
            carrier.select("number", "party", to_all=pl.lit(False), data=_object(carrier, common)),
        ]
    )
    outbox.add(
        ctx.conn,
        news.select(
            "data", "to_all", test=pl.lit(ctx.who.test), kind=pl.lit(REROUTED), key="number",
            parties=pl.concat_list("party"), at=pl.lit(ctx.clock.now(), pl.Datetime("us", "UTC")),
        ),
    )  # fmt: skip


_LEG = ["departure_id", "lane_id", "carrier_id", "mode", "from_node", "to_node", "cutoff_at", "depart_at", "arrive_at"]


def _as_json(legs: pl.DataFrame, by: list[str]) -> pl.DataFrame:
    """`by` and `legs`: those legs as JSON, in their order."""
    told = legs.sort("shipment_id", "seq").with_columns(leg=pl.struct(*map(_plain(legs), _LEG)).struct.json_encode())
    return told.group_by(by, maintain_order=True).agg(legs="[" + pl.col("leg").str.join(",") + "]")


def _object(rows: pl.DataFrame, columns: list[str]) -> pl.Series:
    """Columns as one JSON object a row, with `legs` ([] where there are none) behind them."""
    text = rows.select(pl.struct(*map(_plain(rows), columns)).struct.json_encode()).to_series()
    legs = rows["legs"].fill_null("[]")
    return text.str.strip_suffix("}") + ',"legs":' + legs + "}"


def _plain(rows: pl.DataFrame):
    """A column as JSON has it: instants in ISO 8601."""

    def plain(name: str) -> pl.Expr:
        instant = isinstance(rows.schema[name], pl.Datetime)
        return pl.col(name).dt.strftime("%Y-%m-%dT%H:%M:%SZ") if instant else pl.col(name)

    return plain
