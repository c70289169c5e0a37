"""What a worker tells of a fault."""

from __future__ import annotations

from rookery.terms.errors import RookeryError


def named(fault: BaseException) -> str:
    """What may be told of a fault: never its text, unless it is ours."""
    return fault.code if isinstance(fault, RookeryError) else type(fault).__name__
