"""What is told of parcels that were looked at: another milestone; a chance that fell below its promise or rose."""

from __future__ import annotations

import polars as pl
import psycopg

from rookery.base import outbox
from rookery.tracking.rules.chance_low import MARGIN

MILESTONE, CHANCE = "parcel.milestone", "parcel.chance"
_NAMES = ("number", "parcel_id", "shipment_id")
_TOLD = {
    MILESTONE: (*_NAMES, "status", "detail", "at", "place", "chance", "expected_at", "promised_at"),
    CHANCE: (*_NAMES, "state", "chance", "chance_before", "confidence", "expected_at", "promised_at"),
}
"""What each kind of news tells."""


def tell(conn: psycopg.Connection, test: bool, rows: pl.DataFrame) -> None:
    """Put the news of parcels that were looked at (living.answers.answers) into the outbox, for their shippers.

    Of several milestones between two looks the last is told. A chance is told when the promise comes to be in doubt
    (`in_doubt`), and when it is not any more.
    """
    wanted = outbox.wanted(conn, test, (MILESTONE, CHANCE))
    if outbox.EVERYONE not in wanted:
        rows = rows.filter(pl.col("owner_id").is_in(list(wanted)))
    if rows.is_empty():
        return
    at = pl.coalesce("at", "looked_at")
    moved = pl.col("status").ne_missing(pl.col("status_before")) | pl.col("detail").ne_missing(pl.col("detail_before"))
    seen = rows.filter(moved, pl.col("at").is_not_null() | pl.col("looked_before").is_not_null())
    before = pl.coalesce("chance_before", "promised_chance")
    fell, rose = pl.col("below") & ~pl.col("below_before"), pl.col("below_before") & ~pl.col("below")
    under_way = ~pl.col("where").is_in(["delivered", "ended", "given_up"])
    crossed = rows.with_columns(
        state=pl.when(fell).then(pl.lit("below_promise")).when(rose).then(pl.lit("as_promised")), chance_before=before
    ).filter(under_way, pl.col("state").is_not_null())
    outbox.add(conn, pl.concat([_news(seen, MILESTONE, test, at), _news(crossed, CHANCE, test, pl.col("looked_at"))]))


def in_doubt() -> pl.Expr:
    """Whether a promise is in doubt, by `chance`, `confidence` and `below_before`, what held at the look before: from a
    margin below what was promised, as a case of a chance that fell has it, until it is as promised again. While the
    chance is not known nothing changes; before the first look it is as when the promise was made.
    """
    return (
        pl.when(pl.col("chance") < pl.col("confidence") - MARGIN).then(pl.lit(True))
        .when(pl.col("chance") >= pl.col("confidence")).then(pl.lit(False))
        .otherwise("below_before")
    )  # fmt: skip


def _news(rows: pl.DataFrame, kind: str, test: bool, at: pl.Expr) -> pl.DataFrame:
    """Rows as the outbox takes them."""

    def told(name: str) -> pl.Expr:
        if rows.schema[name] != pl.Datetime:
            return pl.col(name)
        return pl.col(name).dt.strftime("%Y-%m-%dT%H:%M:%SZ")

    return rows.select(
        test=pl.lit(test),
        kind=pl.lit(kind),
        key="number",
        parties=pl.concat_list("owner_id"),
        at=at,
        data=pl.struct(told(name) for name in _TOLD[kind]).struct.json_encode(),
    )
