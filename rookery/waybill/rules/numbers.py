"""How waybill numbers are spelt and read.

Sources: GS1 General Specifications, SSCC and the standard check digit (weights 3 and 1 from the right, modulo 10);
UPU S10, weights 8 6 4 2 3 5 9 7, 11 minus the sum modulo 11, where 10 becomes 0 and 11 becomes 5.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from rookery.terms.errors import InvalidInput
from rookery.waybill.model import DEFAULT_LINK, S10, Check, Scheme, Sscc

MOST_DIGITS = 18
"""Digits of prefix and serial together: what a 64-bit serial holds."""
_S10_WEIGHTS = np.array([8, 6, 4, 2, 3, 5, 9, 7])
_S10_CHECK = np.array([5, 0, 9, 8, 7, 6, 5, 4, 3, 2, 1])  # by the remainder: 11 - r, with 11 -> 5 and 10 -> 0
_SCAN = "scan the barcode instead of typing, or check each digit against the label"


class BadNumber(InvalidInput):
    """A text is no number of its kind; `problems` tells every way in which it is not."""

    def __init__(self, text: str, kind: str, problems: Sequence[str]):
        super().__init__("waybill.bad_number", f"{text[:40]!r} is no {kind}: {'; '.join(problems)}.", _SCAN)
        self.problems = tuple(problems)


def sscc_scheme(company: str, extension: int = 0) -> Scheme:
    """Numbers under one's own GS1 company prefix (7 to 10 digits) and an extension digit (0 to 9).

    Raises InvalidInput with all faults.
    """
    faults = []
    if not re.fullmatch(r"[0-9]{7,10}", company):
        faults.append(f"company prefix {company[:40]!r} is not of 7 to 10 digits")
    if extension not in range(10):
        faults.append(f"extension digit {extension} is not 0 to 9")
    _refuse(faults, "take the prefix from your GS1 certificate")
    return Scheme("sscc", f"{extension}{company}", 16 - len(company), "gs1")


def s10_scheme(service: str, country: str) -> Scheme:
    """Numbers of a postal operator: service indicator (two capitals, "RR") and country of issue (two capitals, "GB").

    Raises InvalidInput with all faults.
    """
    named = (("service indicator", service), ("country", country))
    faults = [
        f"{name} {text[:9]!r} is not two capital letters" for name, text in named if not re.fullmatch("[A-Z]{2}", text)
    ]
    _refuse(faults, "write them as on the operator's own labels")
    return Scheme("s10", service, 8, "s10", country)


def carrier_scheme(prefix: str, digits: int, check: Check = "none", suffix: str = "") -> Scheme:
    """Numbers of a carrier: prefix, serial in so many digits, a mod-10 check digit or none, suffix.

    Prefix and suffix are capitals and digits, ten at most. Raises InvalidInput with all faults.
    """
    named = (("prefix", prefix), ("suffix", suffix))
    faults = [
        f"{name} {text[:40]!r} is not of capitals and digits, ten at most"
        for name, text in named
        if not re.fullmatch("[A-Z0-9]{0,10}", text)
    ]
    tail = re.search("[0-9]*$", prefix)
    if not 1 <= digits <= MOST_DIGITS - (len(tail.group()) if tail else 0):
        faults.append(f"{digits} digits of serial, with those that end the prefix, are not 1 to {MOST_DIGITS}")
    if check not in ("mod10", "none"):
        faults.append(f"check rule {check!r} is neither mod10 nor none")
    _refuse(faults, "take the range as the carrier's letter of assignment states it")
    return Scheme("carrier", prefix, digits, check, suffix)


def write_numbers(scheme: Scheme, serials: Sequence[int] | NDArray[np.integer]) -> list[str]:
    """The texts of serials (n) as printed, without spaces. Raises InvalidInput for a serial that has no room."""
    serial = np.asarray(serials, np.int64)
    if serial.size and (serial.min() < 0 or serial.max() > scheme.last_serial):
        raise InvalidInput(
            "waybill.serial_too_long", f"A serial lies outside 0 to {scheme.last_serial}.", "take another range"
        )  # fmt: skip
    places = 10 ** np.arange(scheme.digits - 1, -1, -1, dtype=np.int64)
    digits = serial[:, None] // places % 10
    columns = [np.tile(_codes(scheme.prefix), (len(serial), 1)), digits + 48]
    if scheme.check != "none":
        columns.append(_CHECKS[scheme.check](_digits(scheme.prefix, len(serial)), digits)[:, None] + 48)
    columns.append(np.tile(_codes(scheme.suffix), (len(serial), 1)))
    spelt = np.ascontiguousarray(np.hstack(columns).astype(np.uint8))
    width = spelt.shape[1]
    text = spelt.tobytes().decode("ascii")
    return [text[at : at + width] for at in range(0, len(text), width)]


def read_number(scheme: Scheme, text: str) -> int:
    """The serial of a number of this scheme (spaces and case are forgiven). Raises BadNumber with every fault."""
    compact = "".join(text.split()).upper()
    checked = scheme.check != "none"
    width = len(scheme.prefix) + scheme.digits + checked + len(scheme.suffix)
    middle = compact[len(scheme.prefix) : len(compact) - len(scheme.suffix)]
    faults = []
    if len(compact) != width:
        faults.append(f"{len(compact)} characters, not {width}")
    if not compact.startswith(scheme.prefix):
        faults.append(f"does not begin with {scheme.prefix}")
    if not compact.endswith(scheme.suffix):
        faults.append(f"does not end with {scheme.suffix}")
    if not re.fullmatch("[0-9]+", middle):
        faults.append(
            f"between {scheme.prefix or 'its beginning'} and {scheme.suffix or 'its end'} stand not digits alone"
        )
    elif len(middle) == scheme.digits + checked:
        right = write_numbers(scheme, [int(middle[: scheme.digits])])[0]
        told, due = middle[-1], right[len(right) - len(scheme.suffix) - 1]
        if checked and told != due:
            faults.append(f"check digit {told}, expected {due}: one digit was misread or mistyped")
    if faults:
        raise BadNumber(text, f"number of {scheme.prefix}{'#' * scheme.digits}{scheme.suffix}", faults)
    return int(middle[: scheme.digits])


def read_sscc(text: str) -> Sscc:
    """The SSCC written in `text`, also with its identifier (00) before it. Raises BadNumber with every fault."""
    compact = re.sub(r"\s", "", text).removeprefix("(00)")
    if len(compact) == 20 and compact.startswith("00"):
        compact = compact[2:]
    faults = []
    if len(compact) != 18:
        faults.append(f"{len(compact)} digits, not 18")
    if not re.fullmatch("[0-9]*", compact):
        faults.append("holds other signs than digits")
    elif len(compact) == 18:
        due = write_numbers(Scheme("sscc", "", 17, "gs1"), [int(compact[:17])])[0][17]
        if compact[17] != due:
            faults.append(f"check digit {compact[17]}, expected {due}: one digit was misread or mistyped")
    if faults:
        raise BadNumber(text, "SSCC", faults)
    return Sscc(compact)


def read_s10(text: str) -> S10:
    """The item identifier written in `text` (spaces and case are forgiven). Raises BadNumber with every fault."""
    compact = "".join(text.split()).upper()
    service, digits, country = compact[:2], compact[2:11], compact[11:]
    faults = []
    if len(compact) != 13:
        faults.append(f"{len(compact)} characters, not 13")
    if not (re.fullmatch("[A-Z]{2}", service) and re.fullmatch("[A-Z]{2}", country[:2])):
        faults.append("must begin and end with two letters")
    if not re.fullmatch("[0-9]{9}", digits):
        faults.append("the middle must be nine digits")
    else:
        due = int(_s10(np.empty((1, 0)), np.array([[int(digit) for digit in digits[:8]]]))[0])
        if int(digits[8]) != due:
            faults.append(f"check digit {digits[8]}, expected {due}: one digit was misread or mistyped")
    if faults:
        raise BadNumber(text, "S10 number", faults)
    return S10(service, int(digits[:8]), country)


def digital_link(sscc: str, link: str = DEFAULT_LINK) -> str:
    """The GS1 Digital Link of an SSCC: what the QR code holds."""
    return f"{link.rstrip('/')}/00/{sscc}"


def _gs1(prefix: NDArray, serial: NDArray) -> NDArray:
    digits = np.hstack([prefix, serial]).astype(np.int64)
    weights = np.where(np.arange(digits.shape[1])[::-1] % 2 == 0, 3, 1)
    return -(digits @ weights) % 10


def _s10(prefix: NDArray, serial: NDArray) -> NDArray:
    return _S10_CHECK[serial @ _S10_WEIGHTS % 11]


_CHECKS: dict[str, Callable[[NDArray, NDArray], NDArray]] = {"gs1": _gs1, "mod10": _gs1, "s10": _s10}
"""Check digits (n) from the digits of the prefix (n, p) and of the serials (n, d)."""


def _codes(text: str) -> NDArray[np.int64]:
    return np.frombuffer(text.encode("ascii"), np.uint8).astype(np.int64)


def _digits(prefix: str, count: int) -> NDArray[np.int64]:
    """The digits of a prefix, letters left out, once for each of `count` numbers."""
    return np.tile(np.array([int(letter) for letter in prefix if letter.isdigit()], np.int64), (count, 1))


def _refuse(faults: Sequence[str], action: str) -> None:
    if faults:
        raise InvalidInput("waybill.bad_range", f"{'; '.join(faults)}.".capitalize(), action)
