"""The page of notices and the codes in the program say the same, both ways."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from rookery.base.notices import Code
from rookery.network.model import NOTICES as OF_FEEDS
from rookery.orders.intake_model import INTAKE_NOTICES as OF_ORDERS
from rookery.tracking.codes.tables import NOTICES as OF_CODES

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "reference" / "notices.md").read_text()
ROWS = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", PAGE, re.MULTILINE))
CODES = OF_FEEDS | OF_ORDERS | OF_CODES


def written_out() -> set[str]:
    """The codes of notices made by hand: every `Notice(..., code="...")` in the program."""
    calls = [
        node
        for file in (ROOT / "rookery").rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", None) == "Notice"
    ]
    given = [argument.value for call in calls for argument in call.keywords if argument.arg == "code"]
    given += [call.args[1] for call in calls if len(call.args) > 1]
    return {str(code.value) for code in given if isinstance(code, ast.Constant)}


def row(code: Code) -> str:
    return f"{code.severity} | {code.meaning} | {code.remedy}"


@pytest.mark.parametrize("name", sorted(CODES))
def test_every_code_stands_on_the_page_as_the_program_means_it(name):
    """Severity, meaning and what to do are the same words on the page and in the notice."""
    assert ROWS.get(name) == row(CODES[name]), f"the row should be: | `{name}` | {row(CODES[name])} |"


def test_the_page_holds_no_code_the_program_does_not_know():
    """A code that is gone is gone from the page, and one made anywhere in the program is on it."""
    assert ROWS.keys() == CODES.keys() | written_out()


def test_a_code_means_one_thing_in_every_room():
    """Feeds and orders share codes only where they share the meaning."""
    assert all(OF_FEEDS[code] == OF_ORDERS[code] for code in OF_FEEDS.keys() & OF_ORDERS.keys())
