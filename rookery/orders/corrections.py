"""Faulty rows that go back to the shipper as a sheet, and come back corrected. Pure.

Nothing personal stands in what is handed back: where a cell held some it says `kept`, and the vault knows the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from rookery.orders.intake_model import KEPT, Judged
from rookery.orders.model import FAULT_COLUMNS, PERSONAL
from rookery.terms.notice import Fault


def row_refs(raw: pl.DataFrame) -> list[str]:
    """The references of rows that come back corrected and want what was kept of them."""
    if "row_ref" not in raw.columns or raw["row_ref"].dtype != pl.String:
        return []
    refs = raw["row_ref"].str.strip_chars().drop_nulls().unique(maintain_order=True)
    return refs.filter(refs != "").to_list()


def restore(raw: pl.DataFrame, kept: Mapping[str, Any]) -> tuple[pl.DataFrame, list[tuple[int, str]]]:
    """The rows with their kept cells put back, and the (row, column) of those that are no longer there.

    Only rows with a row_ref are touched, and of them only personal cells that say `kept`.
    """
    if not row_refs(raw):
        return raw, []
    refs = raw["row_ref"].str.strip_chars()
    lost: list[tuple[int, str]] = []
    changed = []
    for name in (name for name in raw.columns if name in PERSONAL and raw.schema[name] == pl.String):
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
    """The personal cells of rows that go back to the shipper, by line: what the vault keeps meanwhile."""
    names = [name for name in judged.raw.columns if name in PERSONAL]
    some = judged.raw.select(*names, "line")[list(rows)]
    return {
        cells["line"]: {name: str(cells[name]) for name in names if cells[name] is not None}
        for cells in some.iter_rows(named=True)
    }


def fault_sheet(judged: Judged, faults: Mapping[int, Sequence[Fault]], refs: Mapping[int, str]) -> bytes:
    """The faulty rows as CSV in the order file's columns, each with its reference, the codes and words of its faults.

    faults: by row. refs: by line (`vault.row_ref`). Personal cells say `kept`; a corrected one is written over it, and
    the sheet handed in again as it is.
    """
    rows = sorted(faults)
    names = [name for name in judged.raw.columns if name != "line" and name not in FAULT_COLUMNS]
    filled = {name: _filled(judged.raw, name) for name in names if name in PERSONAL}
    shown = [pl.when(filled[n]).then(pl.lit(KEPT)).alias(n) if n in filled else pl.col(n) for n in names]
    sheet = judged.raw.select(*shown, "line")[rows].with_columns(
        pl.Series("row_ref", [refs[line] for line in judged.raw["line"][rows]], dtype=pl.String),
        pl.Series("fault_codes", [_codes(faults[row]) for row in rows], dtype=pl.String),
        pl.Series("fault_text", [_words(faults[row]) for row in rows], dtype=pl.String),
    )
    return sheet.drop("line").write_csv(datetime_format="%Y-%m-%dT%H:%M:%S%:z").encode()


def _filled(raw: pl.DataFrame, name: str) -> pl.Expr:
    cell = pl.col(name)
    return (cell.str.strip_chars() != "").fill_null(False) if raw.schema[name] == pl.String else cell.is_not_null()


def _codes(faults: Sequence[Fault]) -> str:
    return " ".join(dict.fromkeys(fault.code for fault in faults))


def _words(faults: Sequence[Fault]) -> str:
    return "; ".join(f"{fault.at.removeprefix('$.')}: {fault.message}. {fault.remedy}" for fault in faults)
