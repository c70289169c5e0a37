"""Texts for recipients: every code in every language, none empty, all with the same gaps; which language is read."""

from __future__ import annotations

import json
import re
import unicodedata
from importlib.resources import files
from string import Formatter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.tracking import texts
from rookery.tracking.model import DETAILS, STATUSES
from rookery.tracking.texts import Texts, languages, texts_for

HERE = ("ar", "de", "en", "es", "fr", "pt", "zh")
SCRIPTS = {"ar": "ARABIC", "zh": "CJK"}


def gaps(text: str) -> list[str]:
    return sorted(name for _, name, _, _ in Formatter().parse(text) if name is not None)


def faults(one: Texts) -> list[str]:
    """What is wrong with a language, against the codes and the English texts."""
    told = []
    usual = languages()["en"]
    for kind, codes in (("statuses", STATUSES), ("details", DETAILS)):
        mine, english = getattr(one, kind), getattr(usual, kind)
        told += [f"{kind}.{code} is missing" for code in codes if code not in mine]
        told += [f"{kind}.{code} is no code" for code in mine if code not in codes]
        told += [f"{kind}.{code} is empty" for code, text in mine.items() if not text.strip()]
        told += [f"{kind}.{code} has other gaps" for code in mine if gaps(mine[code]) != gaps(english.get(code, ""))]
        told += [f"{kind}.{code} is no sentence" for code, text in mine.items() if text.strip()[-1:] not in (".", "。")]
    if gaps(one.promise) != ["day"]:
        told.append("promise has other gaps")
    return told


def test_the_languages_are_here():
    """Seven languages, each in a file of its own name, Arabic alone from right to left."""
    assert tuple(languages()) == HERE
    for file in files(texts).iterdir():
        if file.name.endswith(".json"):
            assert json.loads(file.read_text("utf-8"))["language"] == file.name.removesuffix(".json")
    assert [code for code, one in languages().items() if one.direction == "rtl"] == ["ar"]


@pytest.mark.parametrize("language", HERE)
def test_every_code_has_a_sentence_in_every_language(language: str):
    """Each status and each detail, in the language's own script, none empty and with the same gaps as in English."""
    one = languages()[language]
    assert faults(one) == []
    for text in (one.promise, *one.statuses.values(), *one.details.values()):
        names = {unicodedata.name(sign).split()[0] for sign in re.sub(r"{\w+}", "", text) if sign.isalpha()}
        assert names == {SCRIPTS.get(language, "LATIN")}, text
        assert text == unicodedata.normalize("NFC", text).strip()
    assert len(set(one.statuses.values())) == len(one.statuses)


@pytest.mark.parametrize("language", HERE)
def test_no_two_details_read_alike(language: str):
    """Whoever reads the sentence knows which of the codes was meant."""
    sentences = list(languages()[language].details.values())
    assert sorted({text for text in sentences if sentences.count(text) > 1}) == []


def test_a_missing_an_empty_and_a_gap_too_many_are_found():
    """The check itself: faults that were planted are told."""
    one = languages()["de"]
    details = {**one.details, "lost": " ", "found": "Es {day}.", "no_such": "Nichts."}
    del details["damaged"]
    told = faults(Texts("de", "ltr", "Bald.", one.statuses, details))
    assert set(told) == {
        "details.damaged is missing", "details.no_such is no code", "details.lost is empty",
        "details.lost is no sentence", "details.found has other gaps", "promise has other gaps",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("wished", "accepted", "read"),
    [
        (None, None, "en"), ("", "", "en"), ("DE", None, "de"), ("pt_BR", "de", "pt"), ("xx", "de", "de"),
        (None, "fr-CH, fr;q=0.9, en;q=0.8, de;q=0.7, *;q=0.5", "fr"), (None, "de;q=0.1,es;q=0.9", "es"),
        (None, "xx,*;q=0.9,de;q=0.1", "en"), (None, "de;q=0", "en"), (None, "de;q=much,zh", "zh"),
        (None, "de;q=2", "en"), (None, "ar ; q=0.5 , zh ; q=0.4", "ar"), (None, "nan;q=nan,de;q=nan", "en"),
    ],
)  # fmt: skip
def test_the_language_is_the_one_wished_for(wished: str | None, accepted: str | None, read: str):
    """The wish first, then what is accepted by its weight (RFC 9110), else English."""
    assert texts_for(wished, accepted).language == read


@given(st.text(max_size=200), st.text(max_size=200))
def test_whatever_is_sent_some_language_is_read(wished: str, accepted: str):
    """No header is a fault."""
    assert texts_for(wished, accepted).language in HERE
