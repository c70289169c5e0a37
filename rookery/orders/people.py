"""Who sends and who receives: the personal cells of rows as checked addresses, each distinct one checked once. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat

import polars as pl
from msgspec import Struct, field

from rookery.base.kinds import as_text
from rookery.base.progress import Progress
from rookery.orders.addresses import Address, Checked, check_address, check_contact
from rookery.orders.model import PERSON

_STEP = 2000
_LINES = slice(4, 7)  # of a row's personal cells: line1 to line3
Cells = tuple[str | None, ...]


class People(Struct):
    """The distinct people of many rows: checked, and which of them stands at which row's end (-1 = nobody)."""

    checked: list[Checked] = field(default_factory=list)
    at: dict[str, list[int]] = field(default_factory=dict)

    def found(self, end: str) -> Iterator[tuple[int, Checked]]:
        """Row and person of everybody at one end."""
        return ((row, self.checked[number]) for row, number in enumerate(self.at[end]) if number >= 0)


def gather(raw: pl.DataFrame, countries: dict[str, pl.Series], ends: tuple[str, ...], progress: Progress) -> People:
    """Everybody named in the rows, checked by the rules of their country.

    countries: by end, as read. Somebody at a node with neither street nor city needs no address of their own.
    """
    people, numbers = People(), {}
    for end in ends:
        people.at[end] = [
            -1 if key is None else numbers.setdefault(key, len(numbers)) for key in _keys(raw, countries[end], end)
        ]
    for place, (contact, *cells) in enumerate(numbers):
        if place % _STEP == 0:
            progress("checking addresses", place, len(numbers))
        address = _address(tuple(cells))
        people.checked.append(check_contact(address) if contact else check_address(address))
    progress("checking addresses", len(numbers), len(numbers))
    return people


def column_of(at: str, end: str) -> str:
    """The column of the order file in which a part of an address stands: $.lines[0] is to_line1."""
    part = at.removeprefix("$.")
    if part.startswith("lines"):
        part = f"line{int(part[6:-1]) + 1}" if part.endswith("]") else "line1"
    return f"{end}_{part}"


def _keys(raw: pl.DataFrame, country: pl.Series, end: str) -> Iterator[tuple | None]:
    """For each row whether only contact is needed and the cells of its person; None where nobody is named."""
    columns = [_cells(raw, f"{end}_{what}") for what in (*PERSON, "postal_code")]
    if all(column.null_count() == raw.height for column in columns[: len(PERSON)]):
        return repeat(None, raw.height)
    node = _cells(raw, f"{end}_node")
    told = pl.DataFrame([column.alias(str(at)) for at, column in enumerate(columns)])
    named = told.select(pl.any_horizontal(pl.nth(*range(len(PERSON))).is_not_null())).to_series()
    street = told.select(pl.any_horizontal(pl.col("4", "5", "6", "7").is_not_null())).to_series()
    contact = (node.is_not_null() & ~street).to_list()
    rows = told.with_columns(country.alias("country")).rows()
    return ((contact[row], *cells) if is_named else None for row, (is_named, cells) in enumerate(zip(named, rows)))


def _cells(raw: pl.DataFrame, name: str) -> pl.Series:
    given = raw[name] if name in raw.columns else None
    text = as_text(given) if given is not None and given.null_count() < raw.height else None
    return pl.Series([None], dtype=pl.String).new_from_index(0, raw.height) if text is None else text


def _address(cells: Cells) -> Address:
    name, company, phone, email, *_, city, region, postal, country = (cell or "" for cell in cells)
    return Address(
        name=name,
        company=company,
        phone=phone,
        email=email,
        lines=tuple(line or "" for line in cells[_LINES]),
        city=city,
        region=region,
        postal_code=postal,
        country=country,
    )
