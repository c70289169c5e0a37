"""Identifiers: every spelling of a GS1 key has one form, and GS1 Digital Links are read as the standard says."""

from __future__ import annotations

import json
import os
import re
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.terms.errors import InvalidInput
from rookery.tracking.epcis.application_identifiers import check_digit
from rookery.tracking.epcis.identifiers import canonical, check_digit_faults, number_of, sscc_uri
from rookery.tracking.epcis.links import DOMAIN, element_string, link_elements, link_of

VECTORS = Path(os.environ.get("ROOKERY_DATA", "../shared/data")) / "tracking" / "gs1-digital-link" / "dl_vectors.json"
needs_vectors = pytest.mark.skipif(
    not VECTORS.is_file(), reason="ROOKERY_DATA (default ../shared/data) holds no tracking/gs1-digital-link folder"
)

DIGITS = "0123456789"
SERIAL = st.text("ABCxyz0189-_.!()*+,:;='", min_size=1, max_size=16).filter(lambda serial: serial != "0")


def read(uri: str, *, lenient: bool) -> tuple[bool, str]:
    """Whether a link is taken, and what it says as a barcode would."""
    try:
        return True, element_string(link_elements(uri, lenient=lenient))
    except InvalidInput:
        return False, ""


def written(elements: list[tuple[str, str]], stem: str, *, lenient: bool) -> tuple[bool, str]:
    try:
        return True, link_of(elements, stem, lenient=lenient)
    except InvalidInput:
        return False, ""


@needs_vectors
def test_every_published_link_is_read_as_published():
    """A link that is published as right under no option is refused always; one right only with an option, only
    leniently; each right one says what is published."""
    outcomes: dict[str, set[tuple[bool, str]]] = defaultdict(set)
    for vector in json.loads(VECTORS.read_bytes())["parse"]:
        outcomes[vector["uri"]].add((vector["ok"], vector["expect"]))
    assert len(outcomes) == 106
    for uri, published in outcomes.items():
        strict, lenient = read(uri, lenient=False), read(uri, lenient=True)
        if len(published) == 2:
            assert {strict, lenient} == published, uri
            assert lenient[0], uri
        else:
            assert {lenient} == published, uri
            assert strict in (lenient, (False, "")), uri


@needs_vectors
def test_every_published_link_is_written_as_published():
    """Elements become the published link, or none where none is published."""
    vectors = json.loads(VECTORS.read_bytes())["generate"]
    assert len(vectors) == 22
    for vector in vectors:
        elements = re.findall(r"\((\d+)\)([^(]*)", vector["ai"])
        asked = [written(elements, vector["stem"] or DOMAIN, lenient=lenient) for lenient in (False, True)]
        assert (vector["ok"], vector["expect"]) in asked, vector


def test_all_faults_of_a_link_are_told_at_once():
    """A link with four faults is refused with four faults, each with its place in the text."""
    with pytest.raises(InvalidInput) as told:
        link_elements("https://id.gs1.org/01/09520123456789/21/A B?17=99&999=1")
    text = " ".join(fault.message for fault in told.value.faults)
    assert len(told.value.faults) == 5
    assert "characters that cannot stand in a link: ' '" in text
    assert "The check digit of 01 09520123456789 should be 8." in text
    assert "'A B' is no value of 21." in text
    assert "'99' is no value of 17." in text
    assert "GS1 defines no application identifier 999." in text


@pytest.mark.parametrize(
    ("uri", "form"),
    [
        ("urn:epc:id:sscc:4012345.3111111111", "/00/340123451111111111"),
        ("urn:epc:id:sgtin:4012345.011111.98%22", "/01/04012345111118/21/98%22"),
        ("urn:epc:id:sgtin:0614141.812345.6789%2f!()", "/01/80614141123458/21/6789%2F%21%28%29"),
        ("urn:epc:id:sgln:4012345.00005.0", "/414/4012345000054"),
        ("urn:epc:id:sgln:4012345.00005.122", "/414/4012345000054/254/122"),
        ("urn:epc:id:grai:4012345.00022.334455", "/8003/04012345000221334455"),
        ("urn:epc:id:giai:4012345.ABC345", "/8004/4012345ABC345"),
        ("urn:epc:id:gsrn:4012345.0000006765", "/8018/401234500000067657"),
        ("urn:epc:id:gsrnp:4012345.0000000007", "/8017/401234500000000074"),
        ("urn:epc:id:gdti:987659999999..9", "/253/98765999999929"),
        ("urn:epc:id:cpi:0614141.11-A%23%2F.1234", "/8010/061414111-A%23%2F/8011/1234"),
        ("urn:epc:id:sgcn:4012345.99999.44", "/255/401234599999044"),
        ("urn:epc:id:ginc:0614141.xyz47%2F11", "/401/0614141xyz47%2F11"),
        ("urn:epc:id:gsin:4012345.222333444", "/402/40123452223334442"),
        ("urn:epc:id:itip:4012345.011111.01.02.987", "/8006/040123451111180102/21/987"),
        ("urn:epc:id:upui:1234567.098765.51q)*'", "/01/01234567987651/235/51q%29%2A'"),
        ("urn:epc:id:pgln:999999999999.", "/417/9999999999994"),
        ("urn:epc:class:lgtin:4012345.012345.Lot987", "/01/04012345123456/10/Lot987"),
        ("urn:epc:idpat:sgtin:4012345.012345.*", "/01/04012345123456"),
        ("urn:epc:idpat:grai:4012345.99999.*", "/8003/04012345999990"),
        ("urn:epc:idpat:gdti:4012345.11111.*", "/253/4012345111118"),
        ("urn:epc:idpat:sgcn:4012345.22222.*", "/255/4012345222227"),
        ("urn:epc:idpat:cpi:4012345.AB12.*", "/8010/4012345AB12"),
        ("urn:epc:idpat:itip:4012345.012345.01.02.*", "/8006/040123451234560102"),
        ("urn:epc:idpat:upui:4012345.012345.*", "/01/04012345123456"),
        ("http://shop.example/some/where/gtin/09780345418913/21/765tz?abc=211121", "/01/09780345418913/21/765tz"),
        ("https://shop.example/01/97803111", "/01/00000097803111"),
        ("https://id.gs1.org/01/09780345418913/22/2A/10/LOT/21/7", "/01/09780345418913/21/7"),
        ("https://id.gs1.org/01/09780345418913/22/2A/10/LOT", "/01/09780345418913/10/LOT"),
        ("https://id.gs1.org/01/09780345418913/22/2A", "/01/09780345418913"),
        ("https://shop.example/sscc/340123451111111111#top", "/00/340123451111111111"),
    ],
)
def test_every_spelling_of_a_key_has_one_form(uri: str, form: str):
    """URNs of every scheme and links on any domain become the canonical link, which stays as it is."""
    assert canonical(uri) == DOMAIN + form
    assert canonical(DOMAIN + form) == DOMAIN + form


@pytest.mark.parametrize(
    "uri",
    [
        "urn:epc:id:gid:95100000.12345.400",
        "urn:epc:id:bic:CSQU3054383",
        "urn:epc:id:sgtin:4012345.01111.1",
        "urn:epc:id:sscc:4012345.311111111١",
        "urn:epc:id:sgtin:4012345.011111.",
        "https://id.gs1.org/00/123",
        "https://id.gs1.org/01/09780345418913/21/%FF",
        "https://example.com/locations/1",
        "https://example.com",
        "https://",
        "geo:50.94,6.92",
        "urn:rookery:node:BRU",
        "",
    ],
)
def test_what_is_no_right_key_stays_as_it_came(uri: str):
    """Other schemes and faulty keys are nobody's to rewrite."""
    assert canonical(uri) == uri


@st.composite
def keys(draw: st.DrawFn) -> tuple[str, str]:
    """An EPC URN of any company's prefix, with the link that it must become."""
    company = draw(st.text(DIGITS, min_size=6, max_size=12))
    scheme = draw(st.sampled_from(["sscc", "sgtin", "sgln", "grai", "gsrn", "pgln"]))
    length = {"sscc": 17, "sgtin": 13, "sgln": 12, "grai": 12, "gsrn": 17, "pgln": 12}[scheme]
    width = length - len(company)
    item, serial = draw(st.text(DIGITS, min_size=width, max_size=width)), draw(SERIAL)
    plain = company + item
    front = item[:1] + company + item[1:]
    tail = f"/{escaped_by_hand(serial)}"
    return {
        "sscc": (f"sscc:{company}.{item}", f"00/{front}{check_digit(front)}"),
        "sgtin": (f"sgtin:{company}.{item}.{serial}", f"01/{front}{check_digit(front)}/21{tail}"),
        "sgln": (f"sgln:{company}.{item}.{serial}", f"414/{plain}{check_digit(plain)}/254{tail}"),
        "grai": (f"grai:{company}.{item}.{serial}", f"8003/0{plain}{check_digit(plain)}{tail[1:]}"),
        "gsrn": (f"gsrn:{company}.{item}", f"8018/{plain}{check_digit(plain)}"),
        "pgln": (f"pgln:{company}.{item}", f"417/{plain}{check_digit(plain)}"),
    }[scheme]


def escaped_by_hand(serial: str) -> str:
    """A serial number as a link's path must hold it, written out once more by hand."""
    return "".join(f"%{ord(sign):02X}" if sign in "!()*+,:" else sign for sign in serial)


@given(keys())
def test_a_urn_becomes_a_link_without_fault(key: tuple[str, str]):
    """The link of any URN is the one expected, a right Digital Link in the strict sense, and its own canonical form."""
    urn, link = key
    form = canonical(f"urn:epc:id:{urn}")
    assert form == f"{DOMAIN}/{link}"
    assert canonical(form) == form
    assert link_elements(form)
    assert check_digit_faults(form) == []


@given(st.text(max_size=60) | st.builds("https://a.example/{}/{}?{}".format, st.text(), st.text(), st.text()))
def test_no_text_breaks_the_identifiers(text: str):
    """Any text at all has a form, and that form is final; reading it as a link ends in elements or in faults told."""
    assert canonical(canonical(text)) == canonical(text)
    assert isinstance(check_digit_faults(text), list)
    assert isinstance(read(text, lenient=True), tuple)


@given(st.text(DIGITS, min_size=17, max_size=17), st.integers(0, 17), st.integers(1, 9))
def test_a_wrong_digit_is_found(digits: str, at: int, off: int):
    """Any one digit of an SSCC misread makes its check digit wrong, and the right one is told."""
    right = digits + check_digit(digits)
    misread = right[:at] + str((int(right[at]) + off) % 10) + right[at + 1 :]
    assert check_digit_faults(f"https://any.example/00/{right}?x=1") == []
    (fault,) = check_digit_faults(f"https://any.example/sscc/{misread}")
    assert fault.endswith(f"should be {check_digit(misread[:-1])}.")


NUMBERS = st.from_regex(r"[A-Z0-9](?:[A-Z0-9./_-]{0,40}[A-Z0-9])?", fullmatch=True) | st.from_regex(
    r"[0-9]{18}", fullmatch=True
)


@given(NUMBERS)
def test_a_waybill_number_comes_back_from_its_identifier(number: str):
    """Whatever a carrier takes for a number, it is the same after the way through an event."""
    assert number_of(sscc_uri(number)) == number
    assert canonical(sscc_uri(number)) == sscc_uri(number)


@given(NUMBERS, st.data())
def test_a_number_in_our_own_urn_has_one_form(number: str, data):
    """However its signs are escaped, in small letters too, and an SSCC under it is the SSCC's link."""
    signs = st.sampled_from(
        [lambda sign: sign, str.lower, lambda sign: f"%{ord(sign):02X}", lambda sign: f"%{ord(sign):x}"]
    )
    odd = "".join(data.draw(signs)(sign) for sign in number)
    for urn in ("urn", "URN"):
        assert canonical(f"{urn}:rookery:number:{odd}") == sscc_uri(number)
        assert number_of(f"{urn}:rookery:number:{odd}") == number


@pytest.mark.parametrize(
    "told", [
        "", "%00", "A%00B", "a b", "%20", "A%0AB", "-A", "A-", "<X>", "\u0661" * 18, "%D9%A1" * 18, "\u017f1", "%FF",
        "9" * 61, "A" * 3000, "A%", "A%zz", "1\n",
    ],
)  # fmt: skip
def test_what_is_no_number_is_taken_for_none(told: str):
    """It stays as it came, and nobody looks for a parcel by it."""
    assert canonical(f"urn:rookery:number:{told}") == f"urn:rookery:number:{told}"
    assert number_of(f"urn:rookery:number:{told}") is None


def test_an_sscc_is_its_number_in_every_spelling():
    """18 digits are kept as a link, are found behind URN and any link, and other things are no number."""
    assert sscc_uri("340123451111111111") == "https://id.gs1.org/00/340123451111111111"
    assert sscc_uri("RR123456785BE") == "urn:rookery:number:RR123456785BE"
    assert number_of("urn:epc:id:sscc:4012345.3111111111") == "340123451111111111"
    assert number_of("https://shop.example/sscc/340123451111111111?x=1") == "340123451111111111"
    assert number_of("https://id.gs1.org/414/4012345000054") is None
    assert number_of("urn:rookery:node:BRU") is None
