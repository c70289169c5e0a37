"""The fonts labels are set in: the Noto families (SIL Open Font License 1.1), which come as two wheels."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

import typst
from fontTools.ttLib import TTCollection, TTFont

_CJK = "Noto Sans CJK "
_CJK_OF = {"TW": "TC", "HK": "HK", "MO": "HK", "JP": "JP", "KR": "KR", "KP": "KR"}
_IGNORED = frozenset("\u200c\u200d\ufe0e\ufe0f\u00a0")
"""Signs that shape others and have no glyph of their own, or need none."""


@lru_cache(maxsize=1)
def fonts() -> typst.Fonts:
    """All fonts of labels; nothing of the machine's own, so that a label looks the same everywhere."""
    return typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=list(folders()))


@lru_cache(maxsize=1)
def folders() -> tuple[Path, ...]:
    """The folders the fonts lie in."""
    return tuple(Path(str(files(package))) for package in ("manimgx_fonts", "manimgx_fonts_cjk"))


@lru_cache(maxsize=1)
def families() -> tuple[tuple[str, ...], ...]:
    """Families in the order they are asked, once for each way of writing Chinese characters: SC, TC, HK, JP, KR."""
    names = [name for name in fonts().families() if not name.startswith(_CJK)]
    rest = [name for name in sorted(names) if name not in ("Noto Sans", "Noto Emoji")]
    hands = ["SC", "TC", "HK", "JP", "KR"]
    return tuple(
        ("Noto Sans", *rest, *(_CJK + hand for hand in sorted(hands, key=lambda hand: hand != first)), "Noto Emoji")
        for first in hands
    )


def hand_of(country: str) -> int:
    """Which of `families` a country's Chinese characters are written with."""
    return ["SC", "TC", "HK", "JP", "KR"].index(_CJK_OF.get(country, "SC"))


@lru_cache(maxsize=1)
def glyphs() -> frozenset[int]:
    """Every code point that some font has a glyph for, as the fonts' own tables tell."""
    known: set[int] = set()
    for folder in folders():
        for path in sorted(folder.iterdir()):
            if path.suffix == ".ttf":
                known |= _cmap(TTFont(path, lazy=True)).keys()
            elif path.suffix == ".ttc":
                known |= _cmap(TTCollection(path, lazy=True).fonts[0]).keys()
    return frozenset(known)


def _cmap(font: TTFont) -> dict[int, str]:
    return font.getBestCmap() or {}


def lacking(text: str) -> list[str]:
    """The signs of a text that no font has a glyph for, each once, in order."""
    if text.isascii():
        return []
    return [sign for sign in dict.fromkeys(text) if ord(sign) not in glyphs() and sign not in _IGNORED]


@lru_cache(maxsize=1)
def _advances() -> dict[str, float]:
    """Widths in ems of the Latin, Greek and Cyrillic signs."""
    font = TTFont(folders()[0] / "NotoSans[wght].ttf", lazy=True)
    metrics, em = font["hmtx"], font["head"].unitsPerEm  # pyright: ignore[reportAttributeAccessIssue]
    return {chr(code): metrics[name][0] / em for code, name in _cmap(font).items()}


@lru_cache(maxsize=65_536)
def ems(sign: str) -> float:
    """About how wide a sign is, in ems, rather more than less."""
    if unicodedata.combining(sign) or sign in _IGNORED:
        return 0.0
    if unicodedata.east_asian_width(sign) in "WF":
        return 1.0
    return _advances().get(sign, 0.75)


def width_mm(text: str, size: float, bold: bool) -> float:
    """About how wide a text of so many points is, in millimetres, rather more than less."""
    return sum(map(ems, text)) * size * 0.3528 * (1.1 if bold else 1.02)
