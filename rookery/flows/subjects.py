"""Which of the things that events name are parcels, and who has to do with them."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl
import psycopg

from rookery.base import sets
from rookery.tracking.epcis.identifiers import number_of
from rookery.tracking.lying import PARCELS

KNOWN = {**PARCELS, "booked_at": pl.Datetime("us", "UTC")}
INVOLVED = {"epc": pl.String, "party_id": pl.String}


def known(conn: psycopg.Connection, epcs: Iterable[str], test: bool) -> pl.DataFrame:
    """The parcels among canonical identifiers (columns KNOWN). As the system."""
    numbers = {number: epc for epc in epcs if (number := number_of(epc)) is not None}
    rows = conn.execute(
        "select number, parcel_id, party_id, created_at from orders.parcels where number = any(%s) and test = %s",
        (list(numbers), test),
    )
    return pl.DataFrame([(numbers[number], *more) for number, *more in rows], schema=KNOWN, orient="row")


def involved(conn: psycopg.Connection, parcels: pl.DataFrame) -> pl.DataFrame:
    """Who has to do with parcels (columns PARCELS): their shipper, and whom they were granted. As the system."""
    if parcels.is_empty():
        return pl.DataFrame(schema=INVOLVED)
    shippers = parcels.select("epc", party_id="owner_id")
    granted = sets.read(
        conn, "select parcel_id, party_id from orders.parcel_party where parcel_id = any(%(ids)s)",
        {"parcel_id": pl.String, "party_id": pl.String}, {"ids": parcels["parcel_id"].to_list()},
    )  # fmt: skip
    others = parcels.select("epc", "parcel_id").join(granted, on="parcel_id").select(*INVOLVED)
    return pl.concat([shippers, others]).unique()
