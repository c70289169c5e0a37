"""Labels: checked, drawn and printed to PDF, PNG or ZPL, many at a time."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files

import msgspec
import typst
from msgspec import Struct

from rookery.base.progress import Progress, silent
from rookery.terms.errors import InvalidInput
from rookery.terms.notice import Fault, Notice
from rookery.waybill.drawing.barcodes import code_128_bars, picture
from rookery.waybill.drawing.bitmap import bitmaps, merged, png, stamp, zpl
from rookery.waybill.drawing.fonts import families, fonts
from rookery.waybill.drawing.layout import SIZES, lay_out, widest
from rookery.waybill.drawing.sheet import Sheet
from rookery.waybill.model import Form, Label, Size, Template
from rookery.waybill.rules.numbers import BadNumber, read_sscc
from rookery.waybill.rules.route_code import LONGEST

AT_ONCE = 250
"""Labels set in one go: enough that starting costs nothing, few enough that progress is seen."""
LINK_LENGTH = 70
_LINK = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]+)?(/[A-Za-z0-9._~-]+)*/?")
_REMEDY = "mend the label and print it again"


class Printed(Struct, frozen=True):
    """Labels as printed: one file of all pages for PDF, one file a label otherwise; what is not printed as given."""

    files: list[bytes]
    notices: tuple[Notice, ...] = ()


def render(
    labels: Sequence[Label],
    form: Form,
    size: Size = "100x150",
    template: Template | None = None,
    progress: Progress = silent,
) -> Printed:
    """Labels (n >= 1) as PDF (vectors), PNG (203 dpi, black and white) or ZPL (the same dots), in their order.

    Notices tell texts that were cut (text_cut) and signs that no font has (no_glyph). Raises InvalidInput
    with every fault of every label, before anything is printed.
    """
    faults = check_labels(labels, size)
    if faults or not labels:
        raise InvalidInput(
            "waybill.bad_label", f"{len(faults)} things keep these {len(labels)} labels from being printed.",
            "mend what each fault names", faults=faults,
        )  # fmt: skip
    template = template or Template()
    done: list[bytes] = []
    notices: list[Notice] = []
    width, height = (8 * side for side in SIZES[size])
    for first in range(0, len(labels), AT_ONCE):
        progress("labels", first, len(labels))
        some = enumerate(labels[first : first + AT_ONCE], first)
        sheets = [lay_out(label, size, template, f"$.labels[{at}]") for at, label in some]
        for sheet in sheets:
            notices += sheet.notices
        pdf = _pdf(sheets, size, template, codes=form == "pdf")
        if form == "pdf":
            done.append(pdf)
            continue
        for sheet, bits in zip(sheets, bitmaps(pdf, width, height), strict=True):
            for code in sheet.codes:
                stamp(bits, code)
            done.append(png(bits, width) if form == "png" else zpl(bits, width, packed=form == "zpl-z64"))
    progress("labels", len(labels), len(labels))
    return Printed([merged(done)] if form == "pdf" else done, tuple(notices))


def check_labels(labels: Sequence[Label], size: Size = "100x150") -> list[Fault]:
    """Everything that keeps labels from being printed, each with its place ("$.labels[3].sscc"); [] is good."""
    return [fault.below(f"$.labels[{at}]") for at, label in enumerate(labels) for fault in _faults(label, size)]


def _faults(label: Label, size: Size) -> list[Fault]:
    faults = []
    try:
        if read_sscc(label.sscc).text != label.sscc:
            faults.append(Fault("$.sscc", "waybill.bad_number", "is not 18 digits and nothing else", _REMEDY))
    except BadNumber as error:
        faults += [Fault("$.sscc", error.code, problem, error.action) for problem in error.problems]
    if label.s10 and not re.fullmatch("[A-Z0-9]{4,24}", label.s10):
        faults.append(Fault("$.s10", "waybill.bad_number", "is not 4 to 24 capitals and digits", _REMEDY))
    elif label.s10 and widest(code_128_bars(label.s10)) > SIZES[size][0]:
        faults.append(Fault("$.s10", "label.too_wide", f"its bars have no room on a label of {size} mm", _REMEDY))
    if not 1 <= label.piece <= label.pieces <= 999:
        faults.append(
            Fault("$.piece", "label.pieces", "is not between 1 and pieces, or these are more than 999", _REMEDY)
        )
    if label.weight_g is not None and not 0 < label.weight_g < 100_000_000:
        faults.append(Fault("$.weight_g", "label.weight", "is not more than 0 g and less than 100 t", _REMEDY))
    if len(label.link) > LINK_LENGTH or not _LINK.fullmatch(label.link):
        faults.append(Fault("$.link", "label.link", f"is no web address of at most {LINK_LENGTH} plain signs", _REMEDY))
    for part, longest in LONGEST.items():
        if len(getattr(label.route, part)) > longest:
            faults.append(Fault(f"$.route.{part}", "label.route", f"has more than {longest} signs", "use route_code"))
    if label.variant == "bag" and label.contents is not None and label.contents < 0:
        faults.append(Fault("$.contents", "label.contents", "is less than 0", _REMEDY))
    return faults


@lru_cache(maxsize=1)
def _page() -> bytes:
    return (files("rookery.waybill.drawing") / "label.typ").read_bytes()


def _pdf(sheets: Sequence[Sheet], size: Size, template: Template, *, codes: bool) -> bytes:
    """Sheets as the pages of one PDF, with or without bar codes. Nothing touches a disk: the texts are people's."""
    width, height = SIZES[size]
    data = {
        "width": width,
        "height": height,
        "families": families(),
        "logo": list(template.logo_png) or None,
        "labels": [
            {
                "rects": sheet.rects,
                "texts": sheet.texts,
                "logo": sheet.logo,
                "pictures": [(*code[:4], picture(code[4])) for code in sheet.codes] if codes else [],
            }
            for sheet in sheets
        ],
    }
    inputs = {"labels": msgspec.json.encode(data).decode()}
    compiler = typst.Compiler(_page(), font_paths=fonts(), ignore_system_fonts=True, sys_inputs=inputs)
    try:
        pdf = compiler.compile(format="pdf", pdf_tags=False)
    except typst.TypstError as error:
        if not template.logo_png or "image" not in error.message:
            raise
        raise InvalidInput(
            "waybill.bad_template", "The logo is broken: its picture cannot be read.", "save it as PNG again"
        ) from None  # fmt: skip
    assert isinstance(pdf, bytes)
    return pdf
