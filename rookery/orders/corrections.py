"""Faulty rows that go back to the shipper as a sheet, and come back corrected. Pure.

Nothing personal stands in what is handed back: where a cell holds some, or what does not belong there (a row that one
comma too many shifted has names anywhere), it says `kept`, and the vault knows the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from rookery.base.kinds import as_text, parse
from rookery.orders.intake_model import INTAKE_COLUMNS, KEPT, Judged
from rookery.orders.items import read_items, read_metadata, read_parcels
from rookery.orders.model import FAULT_COLUMNS, PERSONAL
from rookery.terms.notice import Fault

_COLUMN = {column.name: column for column in INTAKE_COLUMNS}
_READ = {"items": read_items, "parcels": read_parcels, "metadata": read_metadata}
_PLAIN_ID = r"^[A-Za-z0-9._:/-]{1,200}$"
_POSTAL = r"^(?:[A-Z0-9]{1,7}(?:[ -][A-Z0-9]{1,5})?|-)$"
_WORD = r"[A-Z]{4}|^[A-Z]+$"
"""Postal codes as countries write them; not what could be a street."""


def row_refs(raw: pl.DataFrame) -> list[str]:
    """The references of rows that come back corrected and want what was kept of them."""
    if "row_ref" not in raw.columns or raw["row_ref"].dtype != pl.String:
        return []
    refs = raw["row_ref"].str.strip_chars().drop_nulls().unique(maintain_order=True)
    return refs.filter(refs != "").to_list()


def restore(raw: pl.DataFrame, kept: Mapping[str, Any]) -> tuple[pl.DataFrame, list[tuple[int, str]]]:
    """The rows with their kept cells put back, and the (row, column) of those that are no longer there.

    Only rows with a row_ref are touched, and of them only cells that say `kept`.
    """
    if not row_refs(raw):
        return raw, []
    refs = raw["row_ref"].str.strip_chars()
    lost: list[tuple[int, str]] = []
    changed = []
    for name in (name for name in _handed_back(raw) if raw.schema[name] == pl.String):
        wanting = ((raw[name].str.strip_chars() == KEPT) & refs.is_not_null() & (refs != "")).fill_null(False)
        rows = wanting.arg_true().to_list()
        cells = []
        for row in rows:
            of_row = kept.get(refs[row])
            cell = of_row.get(name) if isinstance(of_row, dict) else None
            if cell is None:
                lost.append((row, name))
            cells.append(cell)
        if rows:
            changed.append(raw[name].scatter(rows, pl.Series(cells, dtype=pl.String)))
    return raw.with_columns(changed), lost


def to_keep(judged: Judged, rows: Sequence[int]) -> dict[int, dict[str, str]]:
    """The cells of rows that go back to the shipper as `kept`, by line: what the vault keeps meanwhile."""
    some = judged.raw[list(rows)]
    hidden = pl.DataFrame([_as_text(some[name]).set(_shown(some[name]), None) for name in _handed_back(some)])
    return {
        line: {name: cell for name, cell in cells.items() if cell is not None}
        for line, cells in zip(some["line"].to_list(), hidden.iter_rows(named=True))
    }


def plain_references(judged: Judged, rows: Sequence[int]) -> dict[int, str]:
    """The order numbers of rows, by line, that surely are such, so that they may stand in plain text."""
    some = judged.raw[list(rows)]
    text = as_text(some["order_id"]) if "order_id" in some.columns else None
    if text is None:
        return {}
    plain = text.set(~_shown(text), None)
    return {line: name for line, name in zip(some["line"].to_list(), plain.to_list()) if name is not None}


def fault_sheet(judged: Judged, faults: Mapping[int, Sequence[Fault]], refs: Mapping[int, str]) -> bytes:
    """The faulty rows as CSV in the order file's columns, each with its reference, the codes and words of its faults.

    faults: by row. refs: by line (`vault.row_ref`). Cells that `to_keep` keeps say `kept`; a corrected one is written
    over it, and the sheet handed in again as it is.
    """
    rows = sorted(faults)
    some = judged.raw[rows]
    sheet = pl.DataFrame([_as_text(some[name]).set(~_shown(some[name]), KEPT) for name in _handed_back(some)])
    sheet = sheet.with_columns(
        pl.Series("row_ref", [refs[line] for line in some["line"]], dtype=pl.String),
        pl.Series("fault_codes", [_codes(faults[row]) for row in rows], dtype=pl.String),
        pl.Series("fault_text", [_words(faults[row]) for row in rows], dtype=pl.String),
    )
    return sheet.write_csv().encode()


def _handed_back(raw: pl.DataFrame) -> list[str]:
    return [name for name in raw.columns if name in _COLUMN and name not in FAULT_COLUMNS]


def _shown(cells: pl.Series) -> pl.Series:
    """Which cells of a column are empty, or surely what belongs there and not personal: these stand in a sheet."""
    text = as_text(cells)
    if cells.name in PERSONAL:
        return cells.is_null() if text is None else text.is_null()
    if text is None or cells.dtype.is_integer():
        return pl.repeat(True, cells.len(), dtype=pl.Boolean, eager=True)  # of a type that holds no words
    column = _COLUMN[cells.name]
    if cells.name in _READ:
        read = _READ[cells.name]
        good = pl.Series([cell is not None and not read(cell)[1] for cell in text], dtype=pl.Boolean)
    elif column.kind == "postal":
        good = text.str.contains(_POSTAL) & ~text.str.contains(_WORD)
    elif column.kind == "text":
        good = text.str.contains(_PLAIN_ID)
    else:
        good = parse(column, text)[0].is_not_null()
        if column.kind in ("country", "currency"):
            good &= text == text.str.to_uppercase()  # codes as they are written; Ada is none
    return text.is_null() | (good & (text != KEPT)).fill_null(False)


def _as_text(cells: pl.Series) -> pl.Series:
    """A column as a CSV file writes it."""
    if isinstance(cells.dtype, pl.Datetime):
        return cells.dt.to_string("%Y-%m-%dT%H:%M:%S%:z" if cells.dtype.time_zone else "%Y-%m-%dT%H:%M:%S")
    return cells.cast(pl.String)


def _codes(faults: Sequence[Fault]) -> str:
    return " ".join(dict.fromkeys(fault.code for fault in faults))


def _words(faults: Sequence[Fault]) -> str:
    return "; ".join(f"{fault.at.removeprefix('$.')}: {fault.message}. {fault.remedy}" for fault in faults)
