"""What is written into a jsonb column."""

from __future__ import annotations

from typing import Any

import msgspec
from psycopg.types.json import Jsonb


def jsonb(value: Any) -> Jsonb:
    """A value of structs, lists and dicts. PostgreSQL keeps no U+0000, which damaged files hold: it becomes U+FFFD."""
    return Jsonb(value, dumps=_dumps)


def _dumps(value: Any) -> bytes:
    return msgspec.json.encode(value).replace(b"\\u0000", b"\\ufffd")
