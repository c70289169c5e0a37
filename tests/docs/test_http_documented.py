"""The page of HTTP operations is the table itself. To write it anew: python tests/docs/test_http_documented.py"""

from __future__ import annotations

from pathlib import Path

import rookery.app
from rookery.base.operations import OPERATIONS, PUBLIC, Operation
from rookery.doors.http.openapi import problems_of

assert rookery.app.ACTS
REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
PAGE = REFERENCE / "http-operations.md"
HEAD = """# HTTP operations

Made from the table of operations; how they are asked is told in [http.md](http.md), every field of them in
`/openapi.json` of a running server. *Keys*: scopes of which one is enough (`admin` may do everything). *Twice*: whether
an `Idempotency-Key` is taken.
"""


def row(op: Operation) -> str:
    scopes = "none asked for" if PUBLIC in op.scopes else ", ".join(sorted(op.scopes - {"admin"})) or "admin"
    took = "" if op.asks_by_query else "JSON" if op.body == "json" else op.body
    if op.open_query is not None:
        took = "; ".join(filter(None, (took, "any parameters")))
    if op.headers:
        took = "; ".join(filter(None, (took, f"headers {', '.join(op.headers)}")))
    return f"| `{op.method} {op.path}` | {op.summary} | {scopes} | {took} | {'yes' if op.idempotent else ''} |"


def page() -> str:
    parts: dict[str, list[Operation]] = {}
    for op in OPERATIONS.values():
        parts.setdefault(op.name.split(".")[0], []).append(op)
    text = HEAD
    for name, ops in sorted(parts.items()):
        rows = "\n".join(row(op) for op in sorted(ops, key=lambda op: (op.path, op.method)))
        text += f"\n## {name}\n\n| | does | keys | body | twice |\n|---|---|---|---|---|\n{rows}\n"
    return text


def test_the_page_of_operations_is_the_table():
    """Every operation stands on the page as it is."""
    again = f"the page is old: python {Path(__file__).relative_to(REFERENCE.parents[1])}"
    assert PAGE.read_text(encoding="utf-8") == page(), again


def test_every_status_is_explained():
    """The page of conventions tells what each status means that an operation can answer with."""
    text = (REFERENCE / "http.md").read_text(encoding="utf-8")
    for status in sorted({status for op in OPERATIONS.values() for status in problems_of(op)}):
        assert f"| {status} |" in text, status


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
