"""What a waybill is: its number, the ranges numbers come from, its route code, and all that stands on its label."""

from __future__ import annotations

import re
import struct
from typing import Annotated, Literal

from msgspec import Meta, Struct

from rookery.terms.errors import InvalidInput

Kind = Literal["sscc", "s10", "carrier"]
Check = Literal["gs1", "s10", "mod10", "none"]
State = Literal["issued", "printed", "handed_over", "cancelled"]
Size = Literal["100x150", "76x130"]
Form = Literal["pdf", "png", "zpl", "zpl-z64"]
Part = Literal["recipient", "sender", "facts"]

LOGO_BYTES = 65_536
ACCENT_LENGTH = 60
DEFAULT_LINK = "https://id.gs1.org"


class Scheme(Struct, frozen=True):
    """How the numbers of one range are spelt: prefix, serial in `digits` places, check digit, suffix."""

    kind: Kind
    prefix: str
    digits: int
    check: Check
    suffix: str = ""

    @property
    def last_serial(self) -> int:
        """The highest serial there is room for."""
        return 10**self.digits - 1


class Sscc(Struct, frozen=True):
    """A serial shipping container code: 18 digits, of which the first is the extension digit and the last the check."""

    text: str


class S10(Struct, frozen=True):
    """A UPU S10 item identifier, e.g. RR 473124829 GB: service indicator, serial with check digit, country of issue."""

    service: str
    serial: int
    country: str


class RouteCode(Struct, frozen=True):
    """Where a parcel is sorted to, for people's eyes: last hub, depot, tour segment; each may be ""."""

    hub: str = ""
    depot: str = ""
    segment: str = ""

    @property
    def text(self) -> str:
        """As it is said and typed: "CAN-HUB / BER / 104"."""
        return " / ".join(part for part in (self.hub, self.depot, self.segment) if part)


class Block(Struct, frozen=True, kw_only=True):
    """A name and address as printed; country as ISO 3166-1 alpha-2."""

    name: str
    company: str = ""
    street: tuple[str, ...] = ()
    postal_code: str = ""
    city: str = ""
    region: str = ""
    country: str = ""
    phone: str = ""


class Label(Struct, frozen=True, kw_only=True):
    """All that stands on one label, as text that is already resolved.

    sscc: 18 digits; s10: a UPU or carrier number printed as Code 128, "" = none. `full` prints the private block (the
    recipient, of a return label the sender) as it is; without it only initial, city and postal code are left. A bag
    label has no people: `recipient` is where the bag goes. link: where the QR code leads, before "/00/<sscc>".
    test: TEST is printed large on it, so that it never travels.
    """

    sscc: str
    route: RouteCode
    recipient: Block
    sender: Block | None = None
    variant: Literal["parcel", "return", "bag"] = "parcel"
    s10: str = ""
    piece: int = 1
    pieces: int = 1
    weight_g: int | None = None
    service: str = ""
    reference: str = ""
    contents: int | None = None
    full: bool = False
    link: str = DEFAULT_LINK
    test: bool = False


class Template(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A merchant's own look: a logo, a line of text, and which blocks stand in which order. It holds no code.

    logo_png: a PNG of at most 64 KiB and 1200 x 600 pixels; blocks: "recipient" must be among them. Raises InvalidInput
    with all faults.
    """

    logo_png: bytes = b""
    accent: Annotated[str, Meta(max_length=ACCENT_LENGTH)] = ""
    blocks: tuple[Part, ...] = ("recipient", "sender", "facts")

    def __post_init__(self) -> None:
        faults = logo_faults(self.logo_png)
        if len(self.accent) > ACCENT_LENGTH:
            faults.append(f"the accent line has {len(self.accent)} characters, {ACCENT_LENGTH} at most")
        unknown = [part for part in self.blocks if part not in ("recipient", "sender", "facts")]
        if unknown or "recipient" not in self.blocks or len(set(self.blocks)) != len(self.blocks):
            faults.append("blocks must be recipient, sender, facts, each once at most, recipient always")
        if faults:
            raise InvalidInput(
                "waybill.bad_template", f"{'; '.join(faults)}.".capitalize(), "mend these and send it again"
            )


def logo_faults(png: bytes) -> list[str]:
    """What keeps a logo from being printed; [] for a good one and for none."""
    if not png:
        return []
    if len(png) > LOGO_BYTES:
        return [f"the logo has {len(png)} bytes, {LOGO_BYTES} at most"]
    if not re.match(rb"\x89PNG\r\n\x1a\n....IHDR", png, re.DOTALL) or len(png) < 33 or b"IEND" not in png[-12:]:
        return ["the logo is no PNG image"]
    width, height = struct.unpack(">II", png[16:24])
    if not (1 <= width <= 1200 and 1 <= height <= 600):
        return [f"the logo has {width} x {height} pixels, 1200 x 600 at most"]
    return []
