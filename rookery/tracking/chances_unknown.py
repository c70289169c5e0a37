"""Parcels under way whose chance of being on time is not known, in PostgreSQL, within the connection's transaction."""

from __future__ import annotations

import psycopg
from psycopg.rows import class_row

from rookery.tracking.chances import UNDER_WAY, Chance


def unknown_chances(conn: psycopg.Connection, test: bool, after: str, limit: int) -> list[Chance]:
    """These parcels as far as the asker may see them, by `parcel_id`; after: that of the last. `why` tells the reason.

    The index of what is under way by its chance serves it: what is not known stands there at the end.
    """
    with conn.cursor(row_factory=class_row(Chance)) as cursor:
        return cursor.execute(
            f"select {', '.join(Chance.__struct_fields__)} from tracking.chances where test = %s and {UNDER_WAY}"
            " and chance is null and parcel_id > %s order by parcel_id limit %s".encode(),
            (test, after, limit),
        ).fetchall()
