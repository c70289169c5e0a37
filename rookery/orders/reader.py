"""Orders from a file or a frame: good rows kept, faults told."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import polars as pl

from rookery.base.archive import files_of
from rookery.base.columns import keep, keep_first, match_header, parse_rows, tell
from rookery.base.kinds import minute_text
from rookery.base.notices import Findings
from rookery.base.tables import read_table, sha256
from rookery.orders.model import COLUMNS, HEAVY_G, NOTICES, UNPLANNED
from rookery.terms.errors import InvalidInput
from rookery.terms.frames import ORDERS, Orders
from rookery.terms.notice import Notice

_FORMS = (".csv", ".parquet", ".jsonl")
_IN_MEMORY = "orders"


def read_orders(path: str | Path) -> Orders:
    """A file of orders (.csv, .parquet, .jsonl, or one of them in a .zip), with a notice for everything wrong in it.

    Rows keep the order of the file; times become UTC minutes (ready_at rounded up to the minute, due_at down), postal
    codes lose blanks and hyphens. A row with a fault is left out with an error notice for each; whether its nodes,
    zones and service exist is asked later, against a feed. Raises InvalidInput, holding every notice, when there is no
    such file, it cannot be read or no usable order is left.
    """
    path = Path(path)
    findings = Findings(NOTICES)
    if not path.exists():
        raise InvalidInput("orders.not_found", f"There is no {path}.", "name a .csv, .parquet or .jsonl file of orders")
    suffix = path.suffix.lower()
    if suffix == ".zip" and not path.is_dir():
        with files_of(path, lambda name: name.lower().endswith(_FORMS), findings) as present:
            if present is not None and len(present) != 1:
                findings.add("one_order_file", path.name, value=", ".join(present) or None)
            elif present:
                [(name, file)] = present.items()
                return _read(file, name, path, findings)
        raise _unusable(str(path), findings)
    if suffix not in _FORMS:
        findings.add("unreadable_file", path.name, message=f"its name does not end in {', '.join(_FORMS)} or .zip")
        raise _unusable(str(path), findings)
    return _read(path, path.name, path, findings)


def check_orders(frame: pl.DataFrame) -> Orders:
    """Orders in a frame, held to the same rules as a file; native types are taken as they are.

    Times may be Datetime columns with a time zone. Notices call the frame "orders" and its first row line 2. Raises
    InvalidInput, holding every notice, when a required column is missing or no usable order is left.
    """
    findings = Findings(NOTICES)
    place = match_header(frame.columns, COLUMNS, findings, _IN_MEMORY, None)
    if place is None:
        raise _unusable("the frame", findings)
    raw = frame.select(*place).with_columns(line=pl.int_range(2, 2 + frame.height, dtype=pl.Int64))
    orders = _judged(parse_rows(raw, COLUMNS, ORDERS, findings, _IN_MEMORY), _IN_MEMORY, findings)
    if orders.is_empty():
        raise _unusable("the frame", findings)
    packed = io.BytesIO()
    orders.write_ipc(packed)
    digest = hashlib.sha256(packed.getbuffer()).hexdigest()
    return Orders(orders, _told(findings), digest, _IN_MEMORY, _IN_MEMORY, findings.left_out(_IN_MEMORY))


def _read(file: Path, name: str, source: Path, findings: Findings) -> Orders:
    frame = read_table(file, name, COLUMNS, ORDERS, findings)
    orders = None if frame is None else _judged(frame, name, findings)
    if orders is None or orders.is_empty():
        raise _unusable(str(source), findings)
    return Orders(orders, _told(findings), sha256(file), str(source), name, findings.left_out(name))


def _told(findings: Findings) -> tuple[Notice, ...]:
    """All findings, but for columns of the format that a plan does not look at."""
    return tuple(
        notice for notice in findings.notices() if notice.code != "unknown_column" or notice.value not in UNPLANNED
    )


def _unusable(source: str, findings: Findings) -> InvalidInput:
    notices = _told(findings)
    errors = sum(notice.count for notice in notices if notice.severity == "error")
    if not errors:
        return InvalidInput("orders.unusable", f"{source} holds no order.", "add a row for each order", notices)
    told = f"{source} holds no usable order ({errors} {'error' if errors == 1 else 'errors'} found)."
    return InvalidInput("orders.unusable", told, "correct the errors listed, the first one first", notices)


def _judged(orders: pl.DataFrame, file: str, findings: Findings) -> pl.DataFrame:
    """The orders that have both ends and an id of their own; warnings for what is probably not meant."""
    orders = keep_first(orders, ("order_id",), findings, file, "duplicate_id")
    for end in ("from", "to"):
        address = (f"{end}_country", f"{end}_postal_code")
        placed = ~orders.select(pl.any_horizontal(pl.col(address).is_null())).to_series()
        placed |= orders[f"{end}_node"].is_not_null()
        message = f"neither {end}_node nor {address[0]} with {address[1]} is given"
        orders = keep(
            orders, placed, findings, file, "missing_place", column=f"{end}_node", shows=address, message=message
        )
    tell(orders, orders["weight_g"] > HEAVY_G, findings, file, "heavy_parcel", column="weight_g")
    too_late = (orders["due_at"] <= orders["ready_at"]).fill_null(False)
    tell(orders, too_late, findings, file, "due_before_ready", column="due_at", words=minute_text)
    return orders
