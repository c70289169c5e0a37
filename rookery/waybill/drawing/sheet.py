"""A sheet: the list of what is drawn where on one label, in millimetres from its upper left corner."""

from __future__ import annotations

import unicodedata
from typing import Literal

from msgspec import Struct, field

from rookery.terms.notice import Notice
from rookery.waybill.drawing.barcodes import DOT_MM, Modules
from rookery.waybill.drawing.fonts import lacking, width_mm

RULE = 2 * DOT_MM
POINT_MM = 0.3528
SMALLEST = 5.0
"""Points beneath which a thermal printer prints no readable text."""
ONE_LINE = 0.85
"""How much smaller a text may become before it goes on in the next line."""
CUT = "…"
_RTL = ("R", "AL")


class Sheet(Struct):
    """What is drawn on one label. For what there is to tell: `at` is where the label stands in the document, `parcel`
    its number and reference, `remedy` what helps a text that has no room.
    """

    at: str
    parcel: str
    remedy: str
    hand: int = 0
    rects: list[tuple[float, float, float, float]] = field(default_factory=list)
    codes: list[tuple[float, float, float, float, Modules]] = field(default_factory=list)
    texts: list[tuple] = field(default_factory=list)
    logo: tuple[float, float, float, float] = (0, 0, 1, 1)
    notices: list[Notice] = field(default_factory=list)

    def rule(self, x: float, y: float, length: float, *, down: bool = False) -> None:
        """A thin line of two dots, to the right or downwards."""
        self.rects.append((x, y, RULE, length) if down else (x, y, length, RULE))

    def bars(
        self, x: float, y: float, modules: Modules, module_mm: float, height: float, *, turned: bool = False
    ) -> None:
        """A linear code with its upper left corner at (x, y); turned, its bars lie and it reads downwards."""
        length = modules.shape[1] * module_mm
        if turned:
            self.codes.append((x, y, height, length, modules.T))
        else:
            self.codes.append((x, y, length, height, modules))

    def square(self, x: float, y: float, modules: Modules, module_mm: float) -> None:
        """A matrix code with its upper left corner at (x, y)."""
        side = modules.shape[0] * module_mm
        self.codes.append((x, y, side, side, modules))

    def write(
        self,
        x: float, y: float, width: float, size: float, text: str,
        *, bold: bool = False, side: Literal["l", "c", "r"] = "l", white: bool = False, turned: bool = False,
    ) -> None:  # fmt: skip
        """One line of so many points in a box, its top at y, that it does not leave; Arabic begins on the right."""
        rtl = from_right(text)
        if rtl and side == "l":
            side = "r"
        self.texts.append((x, y, width, round(size, 2), bold, side, rtl, self.hand, white, turned, text))

    def fit(
        self, text: str, width: float, size: float, *, where: str, bold: bool = False, most: int = 1
    ) -> tuple[float, list[str]]:
        """The size (0.7 of the one wished for at least, and SMALLEST) and the lines, `most` at most, that have room.

        What has none even so is cut, ends in an ellipsis, and is told; so are signs that no font has.
        """
        text = self._spelt(text, where)
        need = width_mm(text, size, bold)
        if need <= width:
            return size, [text]
        small = min(size, max(size * max(0.7, width / need), SMALLEST))
        if width_mm(text, small, bold) <= width * 1.0001:
            return small, [text]
        return small, self._rows(text, width, small, bold, most, where)

    def wrap(
        self, text: str, width: float, size: float, *, where: str, bold: bool = False, most: int
    ) -> tuple[float, list[str]]:
        """The size and the lines of a text that goes on in the next line rather than become much smaller.

        Told as with `fit`: what has no room in `most` lines, and signs that no font has.
        """
        text = self._spelt(text, where)
        need = width_mm(text, size, bold)
        if need <= width:
            return size, [text]
        if (small := size * width / need) >= max(SMALLEST, size * ONE_LINE):
            return small, [text]
        return size, self._rows(text, width, size, bold, most, where)

    def _spelt(self, text: str, where: str) -> str:
        """A text as it is printed; signs that no font has are told."""
        text = clean(text)
        if gone := lacking(text):
            self.notices.append(
                Notice(
                    "warning",
                    "no_glyph",
                    f"no font has a glyph for {' '.join(map(_name, gone[:8]))}, on the label of {self.parcel}",
                    "spell the text with other signs; as it is, boxes are printed for these",
                    column=f"{self.at}.{where}",
                )
            )
        return text

    def _rows(self, text: str, width: float, size: float, bold: bool, most: int, where: str) -> list[str]:
        """A text broken into lines, `most` at most; the last ends in an ellipsis where something is left out."""
        lines, rest = [], text
        while rest and len(lines) < most:
            head, rest = _break(rest, width, size, bold)
            lines.append(head)
        if rest:
            while lines[-1] and width_mm(lines[-1] + CUT, size, bold) > width:
                lines[-1] = lines[-1][:-1]
            lines[-1] = lines[-1].rstrip() + CUT
            self.tell_cut(len(rest), where)
        return lines

    def tell_cut(self, count: int, where: str) -> None:
        """So many signs were left out for want of room."""
        self.notices.append(
            Notice(
                "warning",
                "text_cut",
                f"{count} signs have no room on the label of {self.parcel}",
                self.remedy,
                column=f"{self.at}.{where}",
            )
        )


def clean(text: str) -> str:
    """A text on one line, without signs that steer (line ends, directions, halves of pairs)."""
    text = text.encode("utf-8", "replace").decode("utf-8")
    kept = "".join(
        sign if sign in "\u200c\u200d" or unicodedata.category(sign) not in ("Cc", "Cf", "Co", "Zl", "Zp") else " "
        for sign in text
    ) if not (text.isascii() and text.isprintable()) else text  # fmt: skip
    return " ".join(kept.split())


def from_right(text: str) -> bool:
    """Whether a text begins from the right: its first letter with a direction is Arabic, Hebrew or the like."""
    if text.isascii():
        return False
    return next((way in _RTL for way in map(unicodedata.bidirectional, text) if way in ("L", *_RTL)), False)


def _break(text: str, width: float, size: float, bold: bool) -> tuple[str, str]:
    """The beginning of a text that has room in one line, and the rest: whole words, but for one that has no room on a
    line of its own, which is broken where the line ends.
    """
    end, used = 0, 0.0
    while end < len(text):
        used += width_mm(text[end], size, bold)
        if used > width:
            break
        end += 1
    if end == len(text):
        return text, ""
    space = text.rfind(" ", 0, end + 1)
    if space > 0 and width_mm(text[space + 1 :].split(" ", 1)[0], size, bold) <= width:
        return text[:space].rstrip(), text[space:].lstrip()
    end = max(end, 1)
    while end < len(text) - 1 and unicodedata.combining(text[end]):
        end += 1
    return text[:end].rstrip(), text[end:].lstrip()


def _name(sign: str) -> str:
    return f"U+{ord(sign):04X}"
