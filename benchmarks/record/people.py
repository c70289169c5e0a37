"""People who do not exist, as many as wanted, no two alike: valid addresses and telephones of seven countries."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

LETTERS = "ABDEFGHJLNPQRTUWXYZ"
_COUNTRIES = (
    ("DE", "Berlin", lambda n: f"{10000 + n % 89000:05d}", lambda n: f"+49 30 9{n % 10**7:07d}"),
    ("FR", "Paris", lambda n: f"75{n % 1000:03d}", lambda n: f"+33 1 4{n % 10**7:07d}"),
    ("NL", "Amsterdam", lambda n: f"{1000 + n % 9000} {LETTERS[n % 19]}{LETTERS[n // 19 % 19]}",
     lambda n: f"+31 20 5{n % 10**6:06d}"),
    ("PL", "Warszawa", lambda n: f"00-{n % 1000:03d}", lambda n: f"+48 22 {n % 10**7:07d}"),
    ("SE", "Stockholm", lambda n: f"{100 + n % 900} {n % 90 + 10}", lambda n: f"+46 8 {n % 10**7:07d}"),
    ("CZ", "Praha", lambda n: f"{100 + n % 700} {n % 90 + 10}", lambda n: f"+420 22{n % 10**7:07d}"),
    ("GB", "Manchester", lambda n: f"M{1 + n % 9} {n % 10}{LETTERS[n % 19]}{LETTERS[n // 19 % 19]}",
     lambda n: f"+44 20 7{n % 10**7:07d}"),
    ("DE", "München", lambda n: f"{80000 + n % 1900:05d}", lambda n: f"+49 89 {n % 10**7:07d}"),
)  # fmt: skip
ABROAD = tuple(dict.fromkeys(country for country, *_ in _COUNTRIES if country != "DE"))
"""Where people live but in Germany, which every sample network delivers to."""
GOODS = ("T-shirts, cotton", "Mugs", "Books", "Lamp", "Toys")


def person(number: int) -> dict[str, Any]:
    """The numbered person's address, as documents of orders have it."""
    country, city, postal, phone = _COUNTRIES[number % len(_COUNTRIES)]
    return {
        "name": f"Ada Example {number}",
        "phone": phone(number),
        "email": f"ada{number}@example.org",
        "lines": [f"Straße {number}"],
        "city": city,
        "postal_code": postal(number),
        "country": country,
    }


def order(reference: str, number: int, start: str, ready_at: str) -> dict[str, Any]:
    """An order to the numbered person from a node, of one piece and one item line."""
    return {
        "reference": reference,
        "from": {"node": start},
        "to": person(number),
        "ready_at": ready_at,
        "weight_g": 200 + number % 5000,
        "items": [{"description": GOODS[number % 5], "quantity": 1 + number % 3, "value": 9.5, "currency": "EUR"}],
    }


def batches(many: int, size: int, mark: str, first: int, start: str, ready_at: str) -> list[bytes]:
    """Bodies of POST /orders/batch, with `many` orders in all to people from number `first` on."""
    numbers = range(first, first + many)
    return [
        json.dumps({"orders": [order(f"{mark}-{n}", n, start, ready_at) for n in numbers[at : at + size]]}).encode()
        for at in range(0, many, size)
    ]


def sheet(many: int, mark: str, first: int, start: str, ready_at: str) -> bytes:
    """An order file, CSV, of the same orders."""
    text = io.StringIO()
    writer = csv.writer(text)
    ends = ("name", "phone", "email", "line1", "city", "postal_code", "country")
    writer.writerow(["order_id", "from_node", *(f"to_{end}" for end in ends), "ready_at", "weight_g", "items"])
    for number in range(first, first + many):
        made = order(f"{mark}-{number}", number, start, ready_at)
        cells = [made["to"]["lines"][0] if end == "line1" else made["to"][end] for end in ends]
        items = json.dumps(made["items"])
        writer.writerow([made["reference"], start, *cells, ready_at, made["weight_g"], items])
    return text.getvalue().encode()
