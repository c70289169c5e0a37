"""Paths: told apart at the slashes that were sent as such, so that a value may hold some itself, percent-encoded."""

from __future__ import annotations

from urllib.parse import unquote_to_bytes


def routed(raw: bytes) -> str:
    """A path as it is routed: decoded, but for slashes and percent signs within a segment."""
    segments = (unquote_to_bytes(segment).decode("utf-8", "replace") for segment in raw.split(b"/"))
    return "/".join(segment.replace("%", "%25").replace("/", "%2F") for segment in segments)


def value_of(segment: str) -> str:
    """What a segment of a routed path stands for."""
    return segment.replace("%2F", "/").replace("%25", "%")
