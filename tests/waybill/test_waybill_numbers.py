"""Numbers: spelt as the standards say, read back, and every fault told."""

import biip
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.terms.errors import InvalidInput
from rookery.waybill.model import Block, Template
from rookery.waybill.rules import (
    BadNumber,
    carrier_scheme,
    digital_link,
    mask,
    read_number,
    read_s10,
    read_sscc,
    route_code,
    s10_scheme,
    sscc_scheme,
    write_numbers,
)
from rookery.waybill.rules.route_code import LONGEST

COMPANIES = st.integers(7, 10).flatmap(lambda n: st.text("0123456789", min_size=n, max_size=n))


def test_the_published_examples_are_read_and_written_back():
    """The standards' own examples keep their digits."""
    assert read_s10("rr 473 124 829 gb").serial == 47312482
    assert write_numbers(s10_scheme("RR", "GB"), [47312482]) == ["RR473124829GB"]
    assert read_sscc("(00) 1 0614141 123456789 7").text == "106141411234567897"
    assert read_sscc("376130321109103420").text == "376130321109103420"
    assert write_numbers(sscc_scheme("0614141", 1), [123456789]) == ["106141411234567897"]


@given(COMPANIES, st.integers(0, 9), st.data())
def test_every_sscc_we_write_is_one_to_others_too(company, extension, data):
    """An SSCC is read back by us, and an independent GS1 parser takes it with its check digit."""
    scheme = sscc_scheme(company, extension)
    serial = data.draw(st.integers(0, scheme.last_serial))
    (text,) = write_numbers(scheme, [serial])
    assert read_number(scheme, text) == serial
    assert read_sscc(f"(00){text}").text == text == read_sscc("00" + text).text
    parsed = biip.parse(f"]C100{text}").gs1_message
    assert parsed is not None and parsed.element_strings[0].value == text


@given(st.lists(st.integers(0, 99_999_999), max_size=50))
def test_many_s10_numbers_are_written_at_once_as_one_by_one(serials):
    """A batch of numbers is the numbers of its serials, each with the check digit of the standard's own rule."""
    numbers = write_numbers(s10_scheme("CX", "BE"), serials)
    assert [read_s10(number).serial for number in numbers] == serials
    for serial, number in zip(serials, numbers, strict=True):
        rest = 11 - sum(w * int(d) for w, d in zip((8, 6, 4, 2, 3, 5, 9, 7), f"{serial:08d}", strict=True)) % 11
        assert int(number[10]) == {10: 0, 11: 5}.get(rest, rest)


@given(st.integers(0, 99_999_999), st.integers(0, 7), st.integers(1, 9))
def test_a_mistyped_s10_digit_is_caught_but_for_the_standards_one_hole(serial, place, shift):
    """One wrong digit is caught, unless both check digits are 5: the standard writes 5 for remainders 0 and 6 alike."""
    (right,) = write_numbers(s10_scheme("CX", "BE"), [serial])
    wrong = list(right)
    wrong[2 + place] = str((int(wrong[2 + place]) + shift) % 10)
    due = write_numbers(s10_scheme("CX", "BE"), [int("".join(wrong[2:10]))])[0][10]
    if right[10] == "5" == due:
        return
    with pytest.raises(BadNumber, match="check digit"):
        read_s10("".join(wrong))


@given(st.integers(0, 10**9 - 1), st.integers(0, 16), st.integers(1, 9))
def test_a_mistyped_sscc_digit_is_always_caught(serial, place, shift):
    """One wrong digit of an SSCC never passes."""
    wrong = list(write_numbers(sscc_scheme("4012345", 3), [serial])[0])
    wrong[place] = str((int(wrong[place]) + shift) % 10)
    with pytest.raises(BadNumber, match="check digit"):
        read_sscc("".join(wrong))


@given(st.text("AB", max_size=3), st.integers(1, 10), st.sampled_from(["none", "mod10"]), st.data())
def test_a_carriers_numbers_are_read_back(prefix, digits, check, data):
    """Prefix, serial, check digit and suffix as the carrier says; read with spaces and in any case."""
    scheme = carrier_scheme(prefix, digits, check, "X")
    serial = data.draw(st.integers(0, scheme.last_serial))
    (text,) = write_numbers(scheme, [serial])
    assert len(text) == len(prefix) + digits + (check == "mod10") + 1
    assert read_number(scheme, " ".join(text.lower())) == serial


@given(st.text(max_size=40))
def test_no_text_breaks_the_readers(text):
    """Whatever is read is a number or is refused with what is wrong and what to do."""
    for read in (read_sscc, read_s10, lambda it: read_number(carrier_scheme("AB", 6, "mod10"), it)):
        try:
            read(text)
        except BadNumber as error:
            assert error.problems and "scan the barcode" in error.action


def test_all_faults_are_told_at_once():
    """A number that is wrong in three ways says so three times; so do a range and a template."""
    with pytest.raises(BadNumber) as told:
        read_s10("1R47312482XG")
    assert len(told.value.problems) == 3
    with pytest.raises(InvalidInput) as told:
        sscc_scheme("40123", 12)
    assert "40123" in str(told.value) and "12" in str(told.value)
    with pytest.raises(InvalidInput) as told:
        Template(logo_png=b"GIF89a", accent="x" * 61, blocks=("sender", "sender"))
    assert all(word in str(told.value) for word in ("no png", "61", "recipient"))


def test_a_serial_without_room_is_refused():
    """A serial that is longer than its places is never cut."""
    with pytest.raises(InvalidInput, match="outside 0 to 99999999"):
        write_numbers(s10_scheme("RR", "DE"), [100_000_000])


def test_the_link_of_an_sscc_is_a_gs1_digital_link():
    """The QR code's address ends in /00/ and the number, under one's own domain too."""
    assert digital_link("340123450000000017") == "https://id.gs1.org/00/340123450000000017"
    assert digital_link("340123450000000017", "https://example.com/t/") == "https://example.com/t/00/340123450000000017"


def test_a_route_code_tells_last_hub_depot_and_segment():
    """Of the hubs it is the last one that counts; what is missing is left out."""
    assert route_code(["PVG-HUB", "CAN-HUB"], "BER", "104").text == "CAN-HUB / BER / 104"
    assert route_code([], "BER").text == "BER"


@given(st.lists(st.text(max_size=60), max_size=3), st.text(max_size=60), st.text(max_size=60))
def test_a_route_code_always_fits(hubs, depot, segment):
    """No id, however long or odd, makes a part that is longer than its place on the label."""
    code = route_code(hubs, depot, segment)
    assert all(len(getattr(code, part)) <= longest for part, longest in LONGEST.items())
    assert code.text.isascii() and code == route_code(hubs, depot, segment)


@pytest.mark.parametrize(
    ("node", "written"),
    [
        ("HUB-NÜRNBERG", "HUB-NURNBERG"),
        ("Leipzig-Hub", "LEIPZIG-HUB"),
        ("Gießen", "GIESSEN"),
        ("ẞ1", "SS1"),
        ("Ærø-Øst", "AERO-OST"),
        ("ŁÓDŹ", "LODZ"),
        ("Đà Nẵng", "DANANG"),
        ("İzmir", "IZMIR"),
        ("ＡＢ１", "AB1"),
    ],
)
def test_letters_with_marks_are_spelt_and_not_lost(node, written):
    """Umlauts, ß and the like are written with plain letters: a sorter finds the name again."""
    assert route_code([node], node).hub == route_code([node], node).depot == written


def test_ids_of_which_letters_are_lost_do_not_look_alike():
    """What has no plain letters ends in two characters that are worked out from the whole id."""
    depots = [route_code([], depot).depot for depot in ("広州-1", "上海-1", "1", "Москва")]
    assert len(set(depots)) == 4 and all(depots) and all(depot.isascii() for depot in depots)


def test_long_ids_that_begin_alike_do_not_look_alike():
    """Two depots of one city have two route codes."""
    depots = ["DE-BERLIN-NORTH", "DE-BERLIN-NORTH-2", "DE-BERLIN-NORTH-3", "DE-BERLIN-NORD", "DE-BERLIN-SOUTH"]
    assert len({route_code([], depot).depot for depot in depots}) == len(depots)


def test_a_masked_block_tells_a_stranger_nothing():
    """Initials, city, postal code and two digits are left: no street, no length of a name."""
    block = Block(
        name="Ada Example", company="Example Ltd", street=("Straße 1",), postal_code="10115", city="Berlin",
        country="DE", phone="+49 30 5555 0189",
    )  # fmt: skip
    masked = mask(block)
    assert (masked.name, masked.company, masked.street, masked.phone) == ("A***", "E***", (), "*** 89")
    assert (masked.postal_code, masked.city, masked.country) == ("10115", "Berlin", "DE")
    assert mask(Block(name="张示例", phone="12")) == Block(name="张***")
