"""Families of paths, whose every answer has headers of its own, and to which clients say what they can read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from msgspec import Struct

import rookery
from rookery.base.operations import OPERATIONS
from rookery.terms.errors import NotAcceptable, RookeryError
from rookery.terms.notice import Fault

VERSION = r"^\d{1,4}(\.\d{1,4}){0,3}$"


class Family(Struct, frozen=True):
    """Headers of every answer under a path, of OPTIONS there (`discovery`), and of OPTIONS and of 413 at some places.

    versions: {"GS1-EPCIS": "2.0.0"}: what is spoken; clients name theirs as NAME-Version, NAME-Min and NAME-Max.
    size_limit: the header that tells how large a body may be at a place. codes, types: an error whose code is `codes` +
    "NameException" is told as a problem of type `types` + "NameException"; others have the type of their status.
    """

    path: str
    every: Mapping[str, str]
    discovery: Mapping[str, str]
    places: Mapping[str, Mapping[str, str]]
    versions: Mapping[str, str]
    size_limit: str
    codes: str
    types: str
    of_status: Mapping[int, str]

    @property
    def asked(self) -> tuple[str, ...]:
        """The headers with which clients say which versions they read."""
        return tuple(f"{name}-{what}" for name in self.versions for what in ("Version", "Min", "Max"))

    def problem_type(self, error: RookeryError) -> str | None:
        """The type of a problem; None where the family has none for it."""
        if error.code.startswith(self.codes) and error.code.endswith("Exception"):
            return self.types + error.code.removeprefix(self.codes)
        return self.types + self.of_status[error.status] if error.status in self.of_status else None


_CAPTURE = {"GS1-EPCIS-Capture-Limit": "10000", "GS1-Capture-Error-Behaviour": "all"}
_SPOKEN = {"GS1-EPCIS": "2.0.0", "GS1-CBV": "2.0.0"}
FAMILIES = (
    Family(
        path="/epcis",
        every={
            "GS1-EPCIS-Version": "2.0.0",
            "GS1-CBV-Version": "2.0.0",
            "GS1-Extensions": "rookery=urn:rookery:epcis:",
            "GS1-Vendor-Version": f"rookery-{rookery.__version__}",
        },
        discovery={
            **{f"{name}-{end}": version for name, version in _SPOKEN.items() for end in ("Min", "Max")},
            "GS1-EPC-Format": "No_Preference, Always_GS1_Digital_Link, Never_Translates",
        },
        places={"/epcis/capture": _CAPTURE, "/epcis/events": _CAPTURE},
        versions=_SPOKEN,
        size_limit="GS1-EPCIS-Capture-File-Size-Limit",
        codes="epcis.",
        types="epcisException:",
        of_status={
            400: "ValidationException",
            401: "SecurityException",
            403: "SecurityException",
            404: "NoSuchResourceException",
            406: "NotAcceptableException",
            413: "CaptureLimitExceededException",
            414: "URITooLongException",
            415: "UnsupportedMediaTypeException",
            422: "ValidationException",
            500: "ImplementationException",
        },
    ),
)


def family_of(path: str) -> Family | None:
    """The family that a path belongs to."""
    return next((one for one in FAMILIES if path == one.path or path.startswith(one.path + "/")), None)


def headers_at(path: str, method: str, status: int) -> dict[str, str]:
    """The headers of a family on one answer."""
    family = family_of(path)
    if family is None:
        return {}
    told = dict(family.every)
    if method == "OPTIONS":
        told |= family.discovery
    place = path.rstrip("/")
    if (method == "OPTIONS" or status == 413) and place in family.places:
        told |= family.places[place]
        for op in OPERATIONS.values():
            if (op.method, op.path) == ("POST", place):
                told[family.size_limit] = str(op.most_bytes)
    return told


def refuse_who_reads_none(path: str, headers: Mapping[str, str]) -> None:
    """Raises NotAcceptable when an answer under this path is none that the asker reads, with every reason."""
    family = family_of(path)
    if family is not None and (faults := [*_versions_missed(family, headers), *_no_json(headers)]):
        what = "What is answered here is nothing that you say you read."
        raise NotAcceptable("http.not_acceptable", what, "mend what `errors` lists", faults=faults)


def _versions_missed(family: Family, headers: Mapping[str, str]) -> Iterator[Fault]:
    for name, spoken in family.versions.items():
        ours = _parts(spoken)
        for end, fits in (("Version", ours.__eq__), ("Min", ours.__ge__), ("Max", ours.__le__)):
            sent = headers.get(f"{name}-{end}".lower())
            if sent is not None and not (re.fullmatch(VERSION, sent, re.ASCII) and fits(_parts(sent))):
                yield Fault(f"header.{name}-{end}", "version", f"only {spoken} is spoken here", f"ask for {spoken}")


def _parts(version: str) -> tuple[int, ...]:
    parts = tuple(int(part) for part in version.split("."))
    return parts + (0,) * (4 - len(parts))


def _no_json(headers: Mapping[str, str]) -> Iterator[Fault]:
    accept = headers.get("accept", "").lower()
    wanted = {}
    for part in accept.split(","):
        media, *rest = (piece.strip() for piece in part.split(";"))
        wanted[media] = not any(re.fullmatch(r"q=0(\.0*)?", piece) for piece in rest)
    taken = any(
        next((wanted[kind] for kind in (media, "application/*", "*/*") if kind in wanted), False)
        for media in ("application/json", "application/ld+json")
    )
    if accept and not taken:
        yield Fault("header.Accept", "not_taken", "it takes no JSON", "accept application/json")
