"""Where everything stands on the two sizes of label."""

from __future__ import annotations

from rookery.waybill.drawing.barcodes import DOT_MM, Modules, code_128_bars, link_square, sscc_bars
from rookery.waybill.drawing.fonts import hand_of, width_mm
from rookery.waybill.drawing.sheet import POINT_MM, RULE, SMALLEST, Sheet, clean, from_right
from rookery.waybill.model import Block, Label, Size, Template
from rookery.waybill.rules.masking import mask

SIZES: dict[Size, tuple[int, int]] = {"100x150": (100, 150), "76x130": (76, 130)}
"""Width and height of a label in millimetres."""
SSCC_MODULE = 4 * DOT_MM
SSCC_HEIGHT = 32.0
"""GS1 General Specifications for logistic labels: module from 0.495 mm, bars from 31.75 mm high."""
S10_MODULE = 3 * DOT_MM
QUIET = 4
LINE = 1.32
"""Distance of lines, by their size."""
LAST = 1.15
"""What the lowest line takes up, by its size: nothing follows it."""
ROWS = 40
FITS = (
    *((False, shrink, ROWS) for shrink in (1.0, 0.88, 0.78, 0.68, 0.6, 0.52)),
    *((True, shrink, ROWS) for shrink in (0.6, 0.52, 0.4)),
    *((True, 0.4, most) for most in (6, 4, 3, 2, 1)),
)
"""What is done to a block until there is room for all of it: whether its texts are drawn together on common lines, how
much smaller they become, how many rows each may have. Three rows of the smallest type always have room.
"""


def lay_out(label: Label, size: Size, template: Template, at: str) -> Sheet:
    """One label drawn as a sheet; what could not be printed as it is stands in its notices."""
    wide = size == "100x150"
    reference = f" (reference {clean(label.reference)})" if label.reference else ""
    remedy = "shorten the text" if wide else "shorten the text, or take the larger label"
    sheet = Sheet(at, f"{label.sscc}{reference}", remedy, hand=hand_of(label.recipient.country))
    (_wide if wide else _narrow)(sheet, label, template)
    return sheet


def _wide(sheet: Sheet, label: Label, template: Template) -> None:
    left, width = 4.0, 92.0
    _header(sheet, label, template, left, 3.5, width, 9.5)
    _route(sheet, label, left, 14, width, 12, 17)
    foot = 104.0
    if label.s10:
        foot = 84.0
        sheet.rule(left, foot, width)
        _second_code(sheet, label, 100, foot + 2, 12.5, 10)
    sheet.rule(left, 104, width)
    _stack(sheet, label, template, left, 44, 62, foot - 44.5, 1.0)
    sheet.rule(68, 43.25, foot - 43.25, down=True)
    _link(sheet, label, 69, 44.5, 27.5)
    if label.test:
        _say_test(sheet, 69, 73, 27, 10)
    sheet.bars(11, 106.5, sscc_bars(label.sscc), SSCC_MODULE, SSCC_HEIGHT)
    sheet.write(left, 139, width, 14, f"(00) {_spaced(label.sscc)}", bold=True, side="c")


def _narrow(sheet: Sheet, label: Label, template: Template) -> None:
    left, width = 3.0, 70.0
    _header(sheet, label, template, left, 2.5, width, 7)
    _route(sheet, label, left, 10, width, 8.5, 11)
    top = 29.5
    if label.s10:
        top = 41.0 - RULE
        _second_code(sheet, label, 76, 30.5, 6.5, 8)
        sheet.rule(left, top, width)
    bars_at = 46.0 if label.s10 else 40.0
    sheet.rule(36, top, 127 - top, down=True)
    sheet.bars(41.5, bars_at, sscc_bars(label.sscc), SSCC_MODULE, SSCC_HEIGHT, turned=True)
    sheet.write(42.25, bars_at, 78, 11, f"(00) {_spaced(label.sscc)}", bold=True, side="c", turned=True)
    if label.test:
        _say_test(sheet, left, top + 1, 32, 7.5)
        top += 8.5
    _stack(sheet, label, template, left, top + 0.75, 32, 99 - top - 1, 0.82)
    sheet.rule(left, 99, 33)
    _link(sheet, label, left + 2.5, 99.5, 27.5)


def _header(sheet: Sheet, label: Label, template: Template, x: float, y: float, width: float, height: float) -> None:
    """Whose label it is on the left, the service on the right; a return or a bag says so in white on black."""
    point = height / 9.5
    if template.logo_png:
        sheet.logo = (x, y + 0.25, width * 0.3, height - 1.25)
    right = x + width
    tag = {"parcel": "", "return": "RETURN", "bag": "BAG"}[label.variant]
    size, lines = sheet.fit(label.service, width * 0.36, 15 * point, where="service", bold=True)
    sheet.write(right - width * 0.36, _middle(y, height - 0.5, size), width * 0.36, size, lines[0], bold=True, side="r")
    right -= min(width * 0.36, width_mm(lines[0], size, True)) + 2
    if tag:
        box = width_mm(tag, 14 * point, True) + 3
        sheet.rects.append((_dots(right - box), y, _dots(box), _dots(height - 1)))
        sheet.write(
            right - box, _middle(y, height - 1, 14 * point), box, 14 * point, tag, bold=True, side="c", white=True
        )
        right -= box + 2
    if template.accent:
        begin = x + (width * 0.3 + 2 if template.logo_png else 0)
        size, lines = sheet.fit(template.accent, right - begin, 9 * point, where="template.accent", most=2)
        for row, line in enumerate(lines):
            top = _middle(y, height - 0.5, size) + (row - (len(lines) - 1) / 2) * size * POINT_MM * LINE
            sheet.write(begin, top, right - begin, size, line)


def _route(sheet: Sheet, label: Label, x: float, y: float, width: float, upper: float, lower: float) -> None:
    """The route code: hub and pieces above, depot and tour segment, largest of all, beneath."""
    code, small = label.route, 5.5 if width > 80 else 5.0
    sheet.rule(x, y - RULE, width)
    count = f"{label.piece}/{label.pieces}" if label.variant != "bag" else str(label.contents or "")
    cell = _dots(width * 0.27)
    _cell(sheet, x, y, width - cell, upper, "HUB", code.hub, "route.hub", small)
    sheet.rule(_dots(x + width - cell), y, upper, down=True)
    caption = "CONTENTS" if label.variant == "bag" else "PIECE"
    _cell(sheet, x + width - cell + 1.5, y, cell - 1.5, upper, caption, count, "pieces", small)
    sheet.rule(x, y + upper, width)
    cell = _dots(width * 0.34) if code.segment else 0.0
    _cell(sheet, x, y + upper + RULE, width - cell - 1, lower - RULE, "DEPOT", code.depot, "route.depot", small)
    if code.segment:
        at = _dots(x + width - cell)
        sheet.rects.append((at, y + upper, cell, lower))
        top, tall = y + upper + RULE, lower - RULE
        _cell(sheet, at + 1.5, top, cell - 3, tall, "TOUR", code.segment, "route.segment", small, white=True)
    sheet.rule(x, y + upper + lower, width)


def _say_test(sheet: Sheet, x: float, y: float, width: float, height: float) -> None:
    """TEST in white on black, as large as there is room."""
    sheet.rects.append((_dots(x), _dots(y), _dots(width), _dots(height)))
    size = min((width - 2) / width_mm("TEST", 1, True), height * 0.82 / 0.71 / POINT_MM)  # capitals are 0.71 em high
    sheet.write(x, _middle(y, height, size), width, size, "TEST", bold=True, side="c", white=True)


def _cell(
    sheet: Sheet, x: float, y: float, width: float, height: float,
    caption: str, value: str, where: str, small: float, *, white: bool = False,
) -> None:  # fmt: skip
    """A caption and, as large as there is room, its value."""
    sheet.write(x, y + 0.3, width, small, caption, white=white)
    tall = height - small * POINT_MM * 1.3
    size = tall / POINT_MM / 0.95
    size = min(size, size * width / max(width_mm(value, size, True), 0.01))
    size, lines = sheet.fit(value, width, size * 0.995, where=where, bold=True)
    # capitals stand 0.71 em above the baseline, which lies 1.1 em below the top of the line
    baseline = y + height - (tall - 0.71 * size * POINT_MM) / 2 - 0.2
    sheet.write(x, baseline - 1.1 * size * POINT_MM, width, size, lines[0], bold=True, white=white)


def _stack(
    sheet: Sheet, label: Label, template: Template, x: float, y: float, width: float, height: float, scale: float
) -> None:
    """Recipient, sender and facts one under the other, in the template's order, with rules between them."""
    parts = [part for part in template.blocks if part != "sender" or label.sender is not None]
    facts = _facts(label) if "facts" in parts else []
    parts = [part for part in parts if part != "facts" or facts]
    rows = len(facts) if width < 40 else 1
    facts_height = 8.0 if width > 40 else 5.8 * rows
    rest = height - (facts_height if "facts" in parts else 0)
    for place, part in enumerate(parts):
        if place:
            sheet.rule(x, _dots(y), width + (2 if width > 40 else 1))
        if part == "facts":
            _write_facts(sheet, facts, x, y + 0.3, width, facts_height)
            y += facts_height
            continue
        upper = 0.62 if width > 40 else 0.6
        share = rest * (1.0 if "sender" not in parts else upper if part == "recipient" else 1 - upper)
        private = part == ("sender" if label.variant == "return" else "recipient") and label.variant != "bag"
        block = label.recipient if part == "recipient" else label.sender
        if block is not None:
            shown = mask(block) if private and not label.full else block
            _write_block(sheet, shown, part, x, y + 0.5, width, share - 1, scale)
        y += share


def _write_block(
    sheet: Sheet, block: Block, part: str, x: float, y: float, width: float, height: float, scale: float
) -> None:
    """A name and address: name and city bold, the recipient's larger; long texts go on in the next line, everything
    becomes smaller where there is little room, and only what has none at the smallest is cut.
    """
    before, sheet.hand = sheet.hand, hand_of(block.country)
    caption = 5.5 if width > 40 else 5.0
    sheet.write(x, y, width, caption, "TO" if part == "recipient" else "FROM")
    top, told = y + caption * POINT_MM * 1.25, len(sheet.notices)
    room = height - (top - y)
    side = "r" if from_right(block.name) else "l"
    large = scale * (1.0 if part == "recipient" else 0.85)
    lines: list[tuple[float, str, bool]] = []
    for together, shrink, most in FITS:
        del sheet.notices[told:]
        lines.clear()
        for field, text, points, bold in _wanted(block, part, wide=width > 40, together=together):
            points = max(SMALLEST, points * large * shrink)
            size, rows = sheet.wrap(text, width, points, where=f"{part}.{field}", bold=bold, most=most)
            lines += [(size, row, bold) for row in rows]
        if _height(lines) <= room:
            break
    for size, row, bold in lines:
        sheet.write(x, top, width, size, row, bold=bold, side=side)
        top += size * POINT_MM * LINE
    sheet.hand = before


def _height(lines: list[tuple[float, str, bool]]) -> float:
    """How much room lines take up, in millimetres."""
    return (sum(line[0] for line in lines) * LINE - lines[-1][0] * (LINE - LAST)) * POINT_MM if lines else 0.0


def _wanted(block: Block, part: str, *, wide: bool, together: bool) -> list[tuple[str, str, float, bool]]:
    """The texts of a name and address: field, text, points, bold. A sender's share their lines, `together` all do."""
    region = "" if block.region == block.city else block.region
    city = " ".join(filter(None, (block.postal_code, block.city, region)))
    city = ", ".join(filter(None, (city, block.country)))
    large, name, company, phone = part == "recipient", block.name, block.company, block.phone
    points = 9.5 if large else 8.5
    street = [(f"street[{row}]", line, points, False) for row, line in enumerate(block.street)]
    if together or not large:
        name, company = ", ".join(filter(None, (name, company))), ""
        street = [("street", ", ".join(block.street), points, False)]
    if together or (not large and wide):
        city, phone = "  ".join(filter(None, (city, phone))), ""
    wanted = [
        ("name", name, 11.5 if large else 9, True),
        ("company", company, 9.5, False),
        *street,
        ("city", city, 12.5 if large else 8.5, large),
        ("phone", phone, 8.5, False),
    ]
    return [text for text in wanted if text[1]]


def _facts(label: Label) -> list[tuple[str, str, str]]:
    """Caption, value and field of what else is to be told."""
    weight = "" if label.weight_g is None else f"{label.weight_g / 1000:.2f}".rstrip("0").rstrip(".") + " kg"
    told = [("WEIGHT", weight, "weight_g"), ("REFERENCE", label.reference, "reference")]
    return [fact for fact in told if fact[1]]


def _write_facts(
    sheet: Sheet, facts: list[tuple[str, str, str]], x: float, y: float, width: float, height: float
) -> None:
    wide = width > 40
    for place, (caption, value, where) in enumerate(facts):
        share = (0.32 if place == 0 else 0.68) if wide and len(facts) > 1 else 1.0
        at = x + (width * 0.32 if wide and place else 0)
        top = y if wide else y + place * 5.8
        sheet.write(at, top, width * share, 5.5 if wide else 5, caption)
        size, lines = sheet.fit(value, width * share - 1, 11 if wide else 8, where=where, bold=True)
        sheet.write(at, top + (2.2 if wide else 1.9), width * share, size, lines[0], bold=True)


def _second_code(sheet: Sheet, label: Label, page: float, y: float, height: float, points: float) -> None:
    """The postal or carrier number as Code 128, in the middle of the page."""
    bars = code_128_bars(label.s10)
    length = bars.shape[1] * S10_MODULE
    sheet.bars(_dots((page - length) / 2), y, bars, S10_MODULE, height)
    text = label.s10
    if len(text) == 13 and text[2:11].isdigit():
        text = f"{text[:2]} {text[2:5]} {text[5:8]} {text[8:11]} {text[11:]}"
    sheet.write(3, y + height + 0.1, page - 6, points, text, bold=True, side="c")


def _link(sheet: Sheet, label: Label, x: float, y: float, room: float) -> None:
    """The QR code with its quiet zone, in the middle of a square of `room` millimetres."""
    square = link_square(label.sscc, label.link)
    module = next(
        (dots * DOT_MM for dots in (5, 4, 3) if (square.shape[0] + 2 * QUIET) * dots * DOT_MM <= room), 2 * DOT_MM
    )
    gap = _dots((room - square.shape[0] * module) / 2)
    sheet.square(_dots(x) + gap, _dots(y) + gap, square, module)


def widest(bars: Modules) -> float:
    """How long a second code is with its quiet zones, in millimetres."""
    return (bars.shape[1] + 20) * S10_MODULE


def _spaced(sscc: str) -> str:
    """An SSCC as people read it: extension digit, then groups of four."""
    return f"{sscc[0]} " + " ".join(sscc[at : at + 4] for at in range(1, 17, 4)) + f" {sscc[17]}"


def _middle(y: float, height: float, size: float) -> float:
    """Where the line of a text begins whose capitals are to stand in the middle of a height."""
    return y + height / 2 - (1.1 - 0.355) * size * POINT_MM


def _dots(mm: float) -> float:
    """Rounded to whole dots."""
    return round(mm / DOT_MM) * DOT_MM
