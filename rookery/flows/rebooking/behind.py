"""What of their booked routes lies behind parcels: ridden by what was seen of them, be it ahead of its time or not."""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl

SAME_RUN = timedelta(hours=22)
"""By how much a dated departure may be put off and still be the same one: runs of a departure are a day apart."""


def ridden(at: str) -> pl.Expr:
    """Whether a leg (leaving at `at`) is the ride that the parcels are on, as that may have been put off."""
    near = (pl.col(at) - pl.col("riding_depart_at")).abs() < SAME_RUN
    return ((pl.col("departure_id") == pl.col("riding_departure_id")) & near).fill_null(False)


def with_ahead(
    before: pl.DataFrame, together: pl.DataFrame, suggested: pl.DataFrame, now: datetime
) -> pl.DataFrame:  # fmt: skip
    """Legs with `on`, `kept` and `ahead`, as rebooking.ways.Ways tells them.

    before: rebooking.ways.ROUTE, leaves_at; together: shipment_id, node_id, riding_departure_id, riding_depart_at,
    begun; suggested: the way from there: shipment_id, place (from 0), riding, from_node.

    What leads up to where the parcels were seen was ridden, whatever its time is. Of that as much is kept as joins up
    with the way from there: nothing where that place is not on the route, as which way they came is not known then. Of
    the rest a leg is ahead that lies beyond that place, or is still to leave.
    """
    place = together.select("shipment_id", "node_id", "riding_departure_id", "riding_depart_at", "begun")
    way = suggested.filter(place=0).select("shipment_id", "riding", begins="from_node")
    legs = before.join(place, on="shipment_id", how="left", maintain_order="left")
    legs = legs.join(way, on="shipment_id", how="left", maintain_order="left").with_columns(on=ridden("leaves_at"))
    rides = pl.col("riding_departure_id").is_not_null()
    here = pl.when(pl.col("riding")).then("begins").when(~rides).then("node_id")
    first = pl.coalesce(  # leg that is not ridden
        (pl.col("seq") + 1).filter(pl.col("on")).min(),
        (pl.col("seq") + 1).filter(pl.col("to_node") == here).max(),
        pl.col("seq").filter(pl.col("from_node") == here).min(),
    ).over("shipment_id")
    legs = legs.with_columns(first=first, through=here.is_null() & ~rides)  # on the last mile all are behind
    behind = pl.col("begun").fill_null(False) & (pl.col("seq") < pl.col("first")).fill_null(True)
    came = pl.col("behind") & (pl.col("first").is_not_null() | pl.col("through"))
    legs = legs.with_columns(behind=behind).with_columns(came=came)
    onward = pl.col("from_node").shift(-1).over("shipment_id")
    last = ~pl.col("came").shift(-1).over("shipment_id").fill_null(False)
    joins = pl.when(~last).then(pl.col("to_node") == onward).otherwise(
        pl.col("on") | (pl.col("to_node") == pl.col("begins")).fill_null(True)
    )  # fmt: skip
    whole = (joins | ~pl.col("came")).cast(pl.Int8).cum_min(reverse=True).over("shipment_id") == 1
    legs = legs.with_columns(kept=pl.col("came") & whole)
    ahead = ~pl.col("kept") & (~pl.col("behind") | (pl.col("leaves_at") > now))
    return legs.with_columns(ahead=ahead).select(*before.columns, "on", "kept", "ahead")


def apart(legs: pl.DataFrame) -> pl.Series:
    """The shipments whose legs (in order) do not join up: one does not leave from where that before it ends."""
    onward = pl.col("from_node").shift(-1).over("shipment_id")
    return legs.filter(pl.col("to_node") != onward)["shipment_id"].unique()


def off_route(parcels: pl.DataFrame, former: pl.DataFrame, legs: pl.DataFrame) -> pl.Series:
    """The shipments of which a parcel is on its way where the `former` route does not lead: it stands at another node,
    or rides to one by a leg of `legs`, or by a departure of neither route. Where nobody knows more of it than that it
    is on its way, nothing speaks against that.
    """
    status = pl.col("status").fill_null("pre_transit")
    begun = parcels.filter(~status.is_in(["pre_transit", "delivered"]))
    stands = begun.select("shipment_id", "node_id").drop_nulls()
    leads = pl.concat([former, legs]).select("shipment_id", riding_departure_id="departure_id", node_id="to_node")
    rides = begun.select("shipment_id", "riding_departure_id").drop_nulls()
    rides = rides.join(leads.unique(), on=["shipment_id", "riding_departure_id"], how="left")  # null = unbooked
    places = pl.concat([stands, rides.select("shipment_id", "node_id")])
    nodes = pl.concat([former.select("shipment_id", node_id=end) for end in ("from_node", "to_node")])
    return places.join(nodes, on=["shipment_id", "node_id"], how="anti")["shipment_id"].unique()
