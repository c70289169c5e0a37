"""Parcels under way whose chance of being on time is not known, in PostgreSQL, within the connection's transaction."""

from __future__ import annotations

import psycopg
from psycopg.rows import class_row

from rookery.tracking.chances import UNDER_WAY, Chance

# By `chance` as well, though it is null in all of them: PostgreSQL takes the index's order for no other one.
UNKNOWN = (
    f"select {', '.join(Chance.__struct_fields__)} from tracking.chances where test = %(test)s and {UNDER_WAY}"
    " and chance is null and parcel_id > %(after)s order by chance, parcel_id limit %(limit)s"
)


def unknown_chances(conn: psycopg.Connection, test: bool, after: str, limit: int) -> list[Chance]:
    """These parcels as far as the asker may see them, by `parcel_id`; after: that of the last. `why` tells the reason.

    The index of what is under way by its chance holds them in this order, as its end: a page reads its own rows alone.
    """
    with conn.cursor(row_factory=class_row(Chance)) as cursor:
        return cursor.execute(UNKNOWN.encode(), {"test": test, "after": after, "limit": limit}).fetchall()
