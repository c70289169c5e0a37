"""Orders as handed in, by document or by file, held to one set of rules: the good ones, and every fault of the others.

A document becomes a row of the order file's columns; from there on there is one way. Pure: nothing is stored here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import msgspec
import polars as pl

from rookery.base.kinds import as_text, parse
from rookery.base.progress import Progress, silent
from rookery.orders.corrections import restore
from rookery.orders.intake_model import (
    IDS,
    INTAKE_COLUMNS,
    INTAKE_NOTICES,
    KNOWN,
    MAX_ID,
    Judged,
    OrderIn,
    ParcelIn,
)
from rookery.orders.items import Said, read_items, read_metadata, read_parcels
from rookery.orders.model import ENDS, HEAVY_G, NESTED, UNPLANNED
from rookery.orders.people import People, column_of, gather
from rookery.terms.frames import ORDERS
from rookery.terms.notice import Fault, Notice

T = TypeVar("T")
_JSON = msgspec.json.Encoder()


def judge(
    rows: Sequence[OrderIn] | pl.DataFrame,
    kept: Mapping[str, dict[str, str] | object] | None = None,
    progress: Progress = silent,
    notices: Sequence[Notice] = (),
) -> Judged:
    """Orders held to the rules of the order file, with full addresses, items and pieces.

    rows: documents, or a frame in the order file's columns as it stands there (`sheets.read_sheet`; without a column
    `line` rows count from line 2). kept: what the vault holds for each row_ref of a corrected fault file; anything but
    a dict has expired. Faults say where: a document's as $.to.phone, a file's by its column as $.to_phone; they never
    say what stands there. Of two rows with one reference the second is a fault.
    """
    documents = not isinstance(rows, pl.DataFrame)
    raw = _as_rows(rows) if documents else _with_lines(rows)
    findings = _Findings(_path_of_document if documents else _path_of_file)
    raw, lost = restore(raw, kept or {})
    for row, column in lost:
        findings.tell(row, column, "kept_expired")
    values = _values(raw, findings)
    items = _nested(raw, "items", read_items, findings)
    parcels = _nested(raw, "parcels", read_parcels, findings)
    metadata = _nested(raw, "metadata", read_metadata, findings)
    _weigh(values, parcels, findings)
    people = gather(raw, {end: values[f"{end}_country"] for end in ENDS}, ENDS, progress)
    _tell_people(people, findings)
    _place(values, people, findings)
    frame = pl.DataFrame(values).with_columns(line=raw["line"])
    frame = frame.select(pl.col(name).cast(dtype) for name, dtype in ORDERS.items()).with_columns(
        pl.Series("sender", people.at["from"], pl.Int32).replace(-1, None),
        pl.Series("recipient", people.at["to"], pl.Int32).replace(-1, None),
        row=pl.int_range(pl.len(), dtype=pl.Int64),
        goods=pl.col("goods").fill_null("general"),
        pieces=pl.col("pieces").fill_null(1),
    )
    for row in frame.filter((pl.col("due_at") <= pl.col("ready_at")).fill_null(False))["row"]:
        findings.tell(row, "due_at", "due_before_ready")
    good = frame.filter(~pl.col("row").is_in(list(findings.faults)))
    for row in good.filter(~pl.col("order_id").is_first_distinct())["row"]:
        findings.tell(row, "order_id", "duplicate_id")
    good = good.filter(~pl.col("row").is_in(list(findings.faults)))
    return Judged(
        good=good,
        people=[one.address for one in people.checked],
        items=items,
        parcels={row: _JSON.encode(pieces).decode() for row, pieces in parcels.items()},
        metadata={row: _JSON.encode(pairs).decode() for row, pairs in metadata.items()},
        faults=findings.faults,
        warnings=findings.warnings,
        raw=raw,
        of_file=not documents,
        notices=tuple(notices),
    )


class _Findings:
    """Faults and warnings by row, each with its place in what was handed in."""

    def __init__(self, path: Callable[[str, str], str]):
        self._path = path
        self.faults: dict[int, list[Fault]] = {}
        self.warnings: dict[int, list[Fault]] = {}
        self.columns: dict[int, set[str]] = {}

    def tell(
        self, row: int, column: str, code: str, message: str | None = None, remedy: str | None = None, within: str = ""
    ) -> None:
        about = INTAKE_NOTICES[code]
        action = remedy or about.remedy
        fault = Fault(self._path(column, within), code, message or about.meaning, action[0].upper() + action[1:])
        if about.severity == "error":
            self.faults.setdefault(row, []).append(fault)
            self.columns.setdefault(row, set()).add(column)
        else:
            self.warnings.setdefault(row, []).append(fault)

    def has(self, row: int, column: str) -> bool:
        return column in self.columns.get(row, ())


def _values(raw: pl.DataFrame, findings: _Findings) -> dict[str, pl.Series]:
    """Every column of the plan as typed values; null where a cell is empty or faulty."""
    values: dict[str, pl.Series] = {}
    for column in INTAKE_COLUMNS:
        if column.name not in raw.columns or _is_empty(raw[column.name]):
            values[column.name] = pl.Series([None], dtype=pl.Null).new_from_index(0, raw.height)
            continue
        if column.name in UNPLANNED and raw.schema[column.name] in (pl.String, pl.Null):
            continue  # any text will do here; whose it is reads it
        parsed, found = parse(column, raw[column.name])
        for code, where, message in found:
            for row in where.arg_true() if where.any() else ():
                findings.tell(row, column.name, code, message)
        values[column.name] = parsed
    for name in IDS:
        if values[name].dtype == pl.String:
            for row in (values[name].str.len_chars() > MAX_ID).fill_null(False).arg_true():
                findings.tell(row, name, "too_long", "it is too long", f"shorten it to {MAX_ID} characters")
            for row in values[name].str.contains(r"[\x00-\x1f\x7f]").fill_null(False).arg_true():
                findings.tell(row, name, "control_character")
    for name in ("order_id", "ready_at"):
        for row in values[name].is_null().arg_true():
            if not findings.has(row, name):
                findings.tell(row, name, "missing_value")
    return {name: values[name] for name in ORDERS if name != "line"}


def _is_empty(column: pl.Series) -> bool:
    """Whether no row says anything in it, as of most columns of most batches: then there is nothing to read."""
    return column.null_count() == column.len()


def _nested(
    raw: pl.DataFrame, name: str, read: Callable[[str], tuple[T, list[Said]]], findings: _Findings
) -> dict[int, T]:
    """What the cells of JSON in a column say, by row; rows whose cell is empty are not there."""
    text = as_text(raw[name]) if name in raw.columns and not _is_empty(raw[name]) else None
    if text is None:
        return {}
    found = {}
    for row in text.is_not_null().arg_true():
        found[row], said = read(text[row])
        for within, message in said:
            findings.tell(row, name, f"bad_{name}", message, within=within)
    return found


def _weigh(values: dict[str, pl.Series], parcels: dict[int, list[ParcelIn]], findings: _Findings) -> None:
    """Pieces that are listed one by one are planned as that many of the heaviest, with the longest sides."""
    listed = {row: pieces for row, pieces in parcels.items() if pieces}
    if listed:
        for row, pieces in listed.items():
            if values["pieces"][row] not in (None, len(pieces)):
                findings.tell(row, "pieces", "pieces_mismatch")
        rows = list(listed)
        values["pieces"] = _put(values["pieces"], pl.Int64, rows, [len(pieces) for pieces in listed.values()])
        for name in ("weight_g", "length_mm", "width_mm", "height_mm"):
            most = [max((getattr(piece, name) or 0.0) for piece in pieces) or None for pieces in listed.values()]
            values[name] = _put(values[name], pl.Float64, rows, most)
    for row in values["weight_g"].is_null().arg_true():
        if not findings.has(row, "weight_g") and not findings.has(row, "parcels"):
            findings.tell(row, "weight_g", "missing_value")
    if values["weight_g"].dtype != pl.Null:
        for row in (values["weight_g"] > HEAVY_G).fill_null(False).arg_true():
            findings.tell(row, "weight_g", "heavy_parcel")


def _put(column: pl.Series, dtype: type[pl.DataType], rows: list[int], cells: list) -> pl.Series:
    return column.cast(dtype).scatter(rows, pl.Series(cells, dtype=dtype))


def _tell_people(people: People, findings: _Findings) -> None:
    for end in ENDS:
        for row, checked in people.found(end):
            for fault in (*checked.faults, *checked.warnings) if checked.faults or checked.warnings else ():
                column = column_of(fault.at, end)
                if not findings.has(row, column):
                    findings.tell(row, column, fault.code, remedy=fault.remedy)


def _place(values: dict[str, pl.Series], people: People, findings: _Findings) -> None:
    """Tells rows whose end is nowhere; where a full address has no postal code, its country has none."""
    for end in ENDS:
        postal, country = values[f"{end}_postal_code"].cast(pl.String), values[f"{end}_country"].cast(pl.String)
        named = pl.Series(people.at[end], dtype=pl.Int32) >= 0
        nodes = values[f"{end}_node"].is_not_null()
        postal = postal.zip_with(~(postal.is_null() & named & ~nodes & country.is_not_null()), _blank(postal.len()))
        values[f"{end}_postal_code"] = postal
        for row in (~nodes & (postal.is_null() | country.is_null())).arg_true():
            parts = (f"{end}_country", f"{end}_postal_code", f"{end}_node")
            if not any(findings.has(row, part) for part in parts):
                findings.tell(row, f"{end}_node", "missing_place")


def _blank(height: int) -> pl.Series:
    return pl.Series([""]).new_from_index(0, height)


def _path_of_file(column: str, within: str) -> str:
    return f"$.{column}{within}"


def _path_of_document(column: str, within: str) -> str:
    end, _, part = column.partition("_")
    if column == "order_id":
        return "$.reference"
    if end not in ENDS:
        return f"$.{column}{within}"
    return f"$.{end}.lines[{int(part[4:]) - 1}]" if part.startswith("line") else f"$.{end}.{part}"


def _with_lines(frame: pl.DataFrame) -> pl.DataFrame:
    """The known columns of a frame, with the line of each row; blank rows are left out."""
    if "line" not in frame.columns:
        frame = frame.with_columns(line=pl.int_range(2, 2 + frame.height, dtype=pl.Int64))
    known = [name for name in frame.columns if name in KNOWN]
    texts = [name for name in known if frame.schema[name] == pl.String]
    said = [pl.col(name).is_not_null() for name in known if name not in texts]
    said += [(pl.col(name).str.strip_chars() != "").fill_null(False) for name in texts]
    return frame.select(*known, "line").filter(pl.any_horizontal(said)) if said else frame.clear()


def _as_rows(orders: Sequence[OrderIn]) -> pl.DataFrame:
    """Documents as rows of the order file."""
    columns: dict[str, list] = {"order_id": [order.reference for order in orders]}
    for end in ENDS:
        places = [order.from_ if end == "from" else order.to for order in orders]
        for part in ("node", "country", "postal_code", "name", "company", "phone", "email", "city", "region"):
            columns[f"{end}_{part}"] = [getattr(place, part) for place in places]
        for line in range(3):
            columns[f"{end}_line{line + 1}"] = [
                place.lines[line] if len(place.lines) > line else None for place in places
            ]
    for name in NESTED:
        columns[name] = [_JSON.encode(said).decode() if (said := getattr(order, name)) else None for order in orders]
    rest = [c for c in INTAKE_COLUMNS if c.name in OrderIn.__struct_fields__ and c.name not in columns]
    for column in rest:
        columns[column.name] = [getattr(order, column.name) for order in orders]
    kinds = {"number": pl.Float64, "whole": pl.Int64}
    schema = dict.fromkeys(columns, pl.String) | {c.name: kinds[c.kind] for c in rest if c.kind in kinds}
    return pl.DataFrame(columns, schema=schema, strict=False).with_columns(
        line=pl.int_range(1, 1 + len(orders), dtype=pl.Int64)
    )
