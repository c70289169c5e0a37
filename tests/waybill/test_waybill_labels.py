"""Labels: every code is read back from the paper, nothing is printed that should not be, nothing silently lost."""

import base64
import binascii
import io
import re
import zlib
from concurrent.futures import ThreadPoolExecutor

import biip
import numpy as np
import pytest
import zxingcpp
from PIL import Image, ImageDraw, ImageFilter
from pypdfium2 import PdfDocument

from rookery.terms.errors import InvalidInput
from rookery.waybill.drawing.layout import lay_out
from rookery.waybill.labels import AT_ONCE, check_labels, render
from rookery.waybill.model import Block, Label, RouteCode, Template
from rookery.waybill.rules import route_code, s10_scheme, sscc_scheme, write_numbers
from rookery.waybill.rules.route_code import LONGEST

SIZES = ["100x150", "76x130"]
DOTS = {"100x150": (800, 1200), "76x130": (608, 1040)}
NUMBERS = write_numbers(sscc_scheme("4012345", 3), range(600))
POSTAL = write_numbers(s10_scheme("RR", "DE"), range(600))
SHOP = Block(
    name="Shop Example", company="Example Trading Ltd", street=("Industrieweg 12", "Gate 4"), postal_code="510000",
    city="Guangzhou", country="CN", phone="+86 20 5555 0100",
)  # fmt: skip
ADA = Block(
    name="Ada Example", street=("Straße 1",), postal_code="10115", city="Berlin", country="DE", phone="+49 30 5555 0189"
)
ARABIC = Block(name="محمد المثال", street=("شارع المثال 12",), postal_code="12271", city="الرياض", country="SA")
CHINESE = Block(
    name="张示例",
    company="示例贸易有限公司",
    street=("示例路100号 3栋",),
    postal_code="510000",
    city="广州市",
    country="CN",
)
KOREAN = Block(name="김보기", street=("예시로 12",), postal_code="04524", city="서울", country="KR")
JAPANESE = Block(
    name="見本 花子", street=("見本町1-2-3 マンション",), postal_code="100-0001", city="東京都", country="JP"
)
LONG = Block(
    name="Maximiliane von und zu Beispielhausen-Musterstadt " * 6, company="W" * 200,
    street=tuple("Donaudampfschifffahrtsgesellschaftskapitänsweg 1234567" for _ in range(5)), postal_code="1" * 40,
    city="Llanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogogoch", country="GB", phone="0" * 60,
)  # fmt: skip
STREETS = Block(
    name="Ada Example", company="Example Trading Ltd",
    street=(
        "Hinterhaus, Aufgang B, dritte Etage links, bei Familie Müller 123a",
        "Donaudampfschifffahrtsgesellschaftskapitänswitwenrentenauszahlungsstelle 77b", "Gate 4",
    ),
    postal_code="10115", city="Berlin", country="DE", phone="+49 30 5555 0189",
)  # fmt: skip
EMOJI = Block(name="Ada 😀 Example 🎁", street=("Straße 1 🏠",), postal_code="10115", city="Berlin", country="DE")
MARKUP = Block(
    name='#panic("x") *bold* $x$ <b>', company='"); #read("/etc/passwd")', street=("\\ `raw` // /*", "</svg>^XZ^XA"),
    postal_code="~DG", city="%s {0} {{x}}", country="DE",
)  # fmt: skip
SENDERS = [ADA, ARABIC, CHINESE, KOREAN, JAPANESE, LONG, EMOJI, MARKUP, STREETS]


def label(at=0, **changed):
    """A label with all three codes; what is told changes it."""
    return Label(**{
        "sscc": NUMBERS[at], "s10": POSTAL[at], "route": route_code(["CAN-HUB"], "BER", "104"), "recipient": ADA,
        "sender": SHOP, "piece": 1, "pieces": 2, "weight_g": 1250, "service": "EXPRESS", "reference": f"ORDER-{at:06d}",
        **changed,
    })  # fmt: skip


def grey_of_png(png):
    return np.array(Image.open(io.BytesIO(png)).convert("L"))


def grey_of_zpl(zpl):
    """The dots that a printer burns, from the ^GFA field alone."""
    total, size, row, data = re.fullmatch(
        rb"\^XA\s.*\^FO0,0\^GFA,(\d+),(\d+),(\d+),([^^]*)\^FS\s*\^XZ\s*", zpl, re.DOTALL
    ).groups()
    if data.startswith(b":Z64:"):
        _, _, text, check = data.split(b":")
        assert int(check, 16) == binascii.crc_hqx(text, 0)
        raw = zlib.decompress(base64.b64decode(text))
    else:
        raw = bytes.fromhex(data.decode())
    assert len(raw) == int(total) == int(size)
    return 255 - np.unpackbits(np.frombuffer(raw, np.uint8)).reshape(-1, int(row) * 8) * np.uint8(255)


def grey_of_pdf(pdf, page=0, dots_a_mm=8.0):
    document = PdfDocument(pdf)
    image = document[page].render(scale=dots_a_mm * 25.4 / 72 * (1 - 1e-6), grayscale=True).to_numpy()
    document.close()
    return np.ascontiguousarray(image.reshape(image.shape[:2]))


def text_of_pdf(pdf):
    """All text of a PDF, spaces left out."""
    document = PdfDocument(pdf)
    text = "".join(page.get_textpage().get_text_bounded() for page in document)
    document.close()
    return "".join(text.split())


def codes_in(grey):
    """What a reader finds: texts by format and content."""
    found = zxingcpp.read_barcodes(grey)
    return {f"{code.format} {str(code.content_type).split('.')[-1]}": code.text for code in found}


def expected(printed):
    codes = {
        "Code 128 GS1": f"(00){printed.sscc}",
        "QR Code Text": f"{printed.link}/00/{printed.sscc}",
        "Code 128 Text": printed.s10,
    }
    return {name: text for name, text in codes.items() if text}


def held_badly(grey, degrees):
    """A photograph of a label: turned a little, out of focus."""
    image = Image.fromarray(grey)
    wide = Image.new("L", (image.width + 80, image.height + 80), 255)
    wide.paste(image, (40, 40))
    turned = wide.rotate(degrees, Image.Resampling.BICUBIC, fillcolor=255)
    return np.array(turned.filter(ImageFilter.GaussianBlur(1.0)))


@pytest.mark.parametrize("size", SIZES)
def test_every_code_is_read_back_from_every_form(size):
    """From PNG, both kinds of ZPL and a PDF laid on a printer's dots, also turned by two degrees and blurred."""
    printed = label(7)
    forms = {form: render([printed], form, size).files[0] for form in ("png", "zpl", "zpl-z64", "pdf")}
    pages = [
        grey_of_png(forms["png"]),
        grey_of_zpl(forms["zpl"]),
        grey_of_zpl(forms["zpl-z64"]),
        grey_of_pdf(forms["pdf"]),
        grey_of_pdf(forms["pdf"], dots_a_mm=300 / 25.4),
    ]
    for page in pages:
        assert codes_in(page) == expected(printed)
        for degrees in (2, -2):
            assert codes_in(held_badly(page, degrees)) == expected(printed)
    for page in pages[:3]:
        assert page.shape[::-1] == DOTS[size] and (page == pages[0]).all()
    parsed = biip.parse("]C1" + f"00{printed.sscc}").gs1_message
    assert parsed is not None and parsed.element_strings[0].ai.ai == "00"


@pytest.mark.parametrize("size", SIZES)
def test_every_code_is_read_back_whatever_stands_beside_it(size):
    """Chinese, Japanese, Korean, Arabic, endless names, emoji and markup never disturb a code; the paper too."""
    labels = [
        label(at, recipient=block, sender=block, full=True, service=block.name, reference=block.city)
        for at, block in enumerate(SENDERS)
    ]
    labels += [
        label(20, s10=""),
        label(21, variant="return", full=True),
        label(22, variant="bag", sender=None, s10="", contents=412, weight_g=None),
        label(23, link="https://labels.example.com/a/rather/long/path/to/numbers"),
        label(24, s10="AB1200000000058"),
        label(25, route=RouteCode("W" * LONGEST["hub"], "W" * LONGEST["depot"], "WWWW"), piece=999, pieces=999),
        label(26, route=RouteCode()),
        label(27, s10="9" * 24),
    ]
    for printed, png in zip(labels, render(labels, "png", size).files, strict=True):
        grey = grey_of_png(png)
        assert codes_in(grey) == expected(printed)
        assert codes_in(held_badly(grey, 2)) == expected(printed)
    pdf = render(labels, "pdf", size).files[0]
    for page, printed in enumerate(labels):
        assert codes_in(grey_of_pdf(pdf, page)) == expected(printed)


@pytest.mark.parametrize("size", SIZES)
def test_bars_are_whole_dots(size):
    """Every bar and gap of the SSCC is a multiple of four dots, also where the PDF is laid on a printer's dots."""
    pngs, pdf = render([label(3)], "png", size).files, render([label(3)], "pdf", size).files[0]
    for grey in (grey_of_png(pngs[0]), grey_of_pdf(pdf)):
        line = grey[980, 80:720] < 128 if size == "100x150" else grey[360:1000, 500] < 128
        edges = np.flatnonzero(np.diff(line.astype(int)))
        assert len(edges) > 50 and not (np.diff(edges) % 4).any()


@pytest.mark.parametrize("size", SIZES)
def test_a_recipient_is_masked_unless_asked_for(size):
    """A label by default holds no name, street or phone of the recipient; in full it holds all of them."""
    masked, full = (text_of_pdf(render([label(full=full)], "pdf", size).files[0]) for full in (False, True))
    for secret in ("Example1", "AdaExample", "Straße", "55550189", "4930"):
        assert secret not in masked
    assert "A***" in masked and "***89" in masked and "10115Berlin,DE" in masked and "ShopExample" in masked
    assert "AdaExample" in full and "Straße1" in full and "+493055550189" in full


def test_of_a_return_the_sender_is_masked():
    """Goods on their way back: the person is the sender, and the shop is where they go."""
    printed = label(variant="return", sender=ADA, recipient=SHOP)
    text = text_of_pdf(render([printed], "pdf").files[0])
    assert "RETURN" in text and "ShopExample" in text and "Industrieweg12" in text
    assert "AdaExample" not in text and "Straße1" not in text and "A***" in text


def test_what_a_label_says():
    """Route code, pieces, weight, service, reference and the number as people read it."""
    text = text_of_pdf(render([label(12)], "pdf").files[0])
    for told in (
        "CAN-HUB",
        "BER",
        "104",
        "1/2",
        "1.25kg",
        "EXPRESS",
        "ORDER-000012",
        "(00)3401234500000001"[:9],
        "RR000000",
    ):
        assert told in text
    bag = text_of_pdf(render([label(12, variant="bag", contents=42, s10="")], "pdf").files[0])
    assert "BAG" in bag and "42" in bag


def test_markup_is_text():
    """What looks like typst, HTML or ZPL is printed letter by letter."""
    printed = label(recipient=MARKUP, full=True, service="#pagebreak()", reference="*R* #1")
    template = Template(accent='#import "x" *a*')
    pdf = render([printed], "pdf", template=template).files[0]
    text = text_of_pdf(pdf)
    for told in (MARKUP.name, MARKUP.company, *MARKUP.street, MARKUP.city, "#pagebreak()", "*R*#1", template.accent):
        assert "".join(told.split()) in text
    assert len(PdfDocument(pdf)) == 1
    assert render([printed], "zpl").files[0].count(b"^XA") == 1


def test_signs_without_a_glyph_are_told():
    """A sign that no font has is a warning with its place and code point; what fonts have is none."""
    odd = Block(name="Ada \U00013000 \ue000x", city="Berlin")
    (told,) = render([label(), label(1, recipient=odd, full=True)], "pdf").notices
    assert (told.severity, told.code, told.column) == ("warning", "no_glyph", "$.labels[1].recipient.name")
    assert "U+13000" in told.message
    fine = [
        label(at, recipient=block, full=True)
        for at, block in enumerate([ADA, ARABIC, CHINESE, KOREAN, JAPANESE, EMOJI])
    ]
    assert not render(fine, "pdf").notices


def test_texts_without_room_are_told():
    """What is cut comes back as a warning that does not hold the text; short texts bring none."""
    told = render([label(recipient=LONG, sender=LONG, full=True)], "png", "76x130").notices
    assert {"$.labels[0].recipient.street", "$.labels[0].sender.street"} <= {notice.column for notice in told}
    assert all(notice.code == "text_cut" and "Beispiel" not in str(notice) for notice in told)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("s10", ["", POSTAL[0]])
@pytest.mark.parametrize("test", [False, True])
def test_a_street_without_room_on_one_line_goes_on_in_the_next(size, s10, test):
    """Long lines are wrapped, and set smaller where the block is full: house numbers and the phone are all there."""
    printed = label(recipient=STREETS, full=True, s10=s10, test=test)
    done = render([printed], "pdf", size)
    text = text_of_pdf(done.files[0])
    assert not done.notices
    for told in (STREETS.name, STREETS.company, *STREETS.street, STREETS.city, STREETS.phone):
        assert "".join(told.split()) in text


@pytest.mark.parametrize("size", SIZES)
def test_lines_are_wrapped_before_they_are_made_smaller(size):
    """With room beneath, a long street keeps its size, and no word that has room on a line is broken."""
    street = "Weg Beispielhausenerstraße Nordrandsiedlung 123a"
    sheet = lay_out(
        label(recipient=Block(name="Ada", street=(street, "Gate 4"), city="Berlin"), full=True, s10=""), size,
        Template(), "$",
    )  # fmt: skip
    rows = {text[-1]: text[3] for text in sheet.texts}
    broken = [row for row in rows if row in street and len(row) > 2]
    assert set(street.split()) == {word for row in broken for word in row.split()} and len(broken) > 1
    assert {rows[row] for row in broken} == {rows["Gate 4"]} and not sheet.notices


@pytest.mark.parametrize(("size", "larger"), [("100x150", False), ("76x130", True)])
def test_what_is_told_names_the_parcel_and_what_helps(size, larger):
    """What was cut comes with its parcel's number and reference; from the smaller label the larger one is advised."""
    notices = render([label(), label(4, recipient=LONG, full=True)], "png", size).notices
    assert notices
    for notice in notices:
        assert NUMBERS[4] in notice.message and "ORDER-000004" in notice.message
        assert ("larger label" in notice.remedy) is larger


def test_the_city_outlives_everything_else():
    """Where nothing helps, names and streets are cut before the line a parcel is sorted by."""
    for size in SIZES:
        some = label(recipient=Block(name="N" * 900, street=("S" * 900,) * 8, city="Berlin", phone="1"), full=True)
        assert "Berlin" in text_of_pdf(render([some], "pdf", size).files[0])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("s10", ["", POSTAL[0], "9" * 24])
@pytest.mark.parametrize("variant", ["parcel", "return", "bag"])
def test_a_test_label_says_so_and_is_read(size, s10, variant):
    """TEST stands on it, as large as a route code, and every code is read as ever; no other label says so."""
    printed = label(9, test=True, s10=s10, variant=variant)
    assert codes_in(grey_of_png(render([printed], "png", size).files[0])) == expected(printed)
    assert "TEST" in text_of_pdf(render([printed], "pdf", size).files[0])
    assert "TEST" not in text_of_pdf(render([label(9, s10=s10)], "pdf", size).files[0])
    sheet = lay_out(printed, size, Template(), "$")
    assert [text[3] >= 24 for text in sheet.texts if text[-1] == "TEST"] == [True]
    boxes = [box for box in sheet.rects if min(box[2:]) > 7 and box[1] > 30]
    assert len(boxes) == 1
    (x, y, wide, high), gap = boxes[0], 0.9
    for left, top, width, height, _ in sheet.codes:
        assert x >= left + width + gap or x + wide <= left - gap or y >= top + height + gap or y + high <= top - gap


@pytest.mark.parametrize("size", SIZES)
def test_hubs_and_depots_are_large_enough_to_be_read_from_afar(size):
    """The longest ids that are printed whole stand in capitals of at least 12 points, on the larger label 18."""
    sheet = lay_out(label(route=route_code(["HUB-NÜRNBERG"], "LEIPZIG-HUB", "104")), size, Template(), "$")
    points = {text[-1]: text[3] for text in sheet.texts}
    assert min(points["HUB-NURNBERG"], points["LEIPZIG-HUB"]) >= (18 if size == "100x150" else 12)


@pytest.mark.parametrize("size", SIZES)
def test_no_text_is_too_small_to_read_or_leaves_the_label(size):
    """Whatever stands on it: at least five points, within the paper, and shorter lines rather than smaller ones."""
    width, height = (side / 8 for side in DOTS[size])
    for block in SENDERS:
        sheet = lay_out(label(recipient=block, sender=block, full=True, service=block.name), size, Template(), "$")
        assert min(text[3] for text in sheet.texts) >= 5
        assert all(0 <= x <= width and 0 <= y <= height for x, y, *_ in sheet.texts)


def test_the_same_labels_give_the_same_bytes():
    """No time and no chance is in a label."""
    for form in ("pdf", "png", "zpl", "zpl-z64"):
        assert render([label()], form).files == render([label()], form).files


def test_several_threads_may_print():
    """Labels printed at the same time by several threads are the labels printed one after the other."""
    one = [render([label(at)], "png").files for at in range(8)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda at: render([label(at)], "png").files, range(8))) == one


def test_signs_that_steer_are_not_printed():
    """Line ends, direction overrides and halves of surrogate pairs do not reach the page."""
    steering = Block(name="Ada\nExample\u202e\u2066 \x00\ud800", city="Berlin\r\n")
    text = text_of_pdf(render([label(recipient=steering, full=True)], "pdf").files[0])
    assert "AdaExample" in text and "\u202e" not in text


def test_arabic_begins_on_the_right():
    """The ink of an Arabic name stands at the right of its block, that of a Latin one at the left."""

    def ink(block):
        grey = grey_of_png(render([label(recipient=block, full=True, sender=None)], "png").files[0])
        columns = np.flatnonzero((grey[385:440, 36:530] < 128).any(axis=0))
        return columns.min(), columns.max()

    assert ink(ADA)[0] < 10 and ink(ADA)[1] < 300
    assert ink(ARABIC)[0] > 200 and ink(ARABIC)[1] > 470


def test_all_faults_of_all_labels_are_told():
    """Each fault has its place; nothing is printed before all are mended."""
    labels = [
        label(),
        label(sscc=NUMBERS[0][:-1] + "9", s10="a b", piece=3, weight_g=0),
        label(link="javascript:alert(1)", route=RouteCode(hub="X" * (LONGEST["hub"] + 1))),
        label(sscc=f"(00){NUMBERS[0]}"),
    ]
    with pytest.raises(InvalidInput) as told:
        render(labels, "pdf")
    places = {f"$.labels[1].{name}" for name in ("sscc", "s10", "piece", "weight_g")}
    places |= {"$.labels[2].link", "$.labels[2].route.hub", "$.labels[3].sscc"}
    assert {fault.at for fault in told.value.faults} == places
    assert not check_labels(labels[:1])
    with pytest.raises(InvalidInput):
        render([], "pdf")
    assert [fault.code for fault in check_labels([label(s10="ABCDEFGHIJKLMNOPQRSTUVWX")], "76x130")] == [
        "label.too_wide"
    ]


def logo(width=300, height=90):
    image, file = Image.new("RGBA", (width, height), (0, 0, 0, 0)), io.BytesIO()
    ImageDraw.Draw(image).rectangle((0, 0, width, height), fill="black")
    image.save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("size", SIZES)
def test_a_merchants_own_template(size):
    """Logo and accent line are printed, blocks come in the order told, and codes are read as ever."""
    template = Template(logo_png=logo(), accent="Thank you", blocks=("facts", "recipient"))
    printed = render([label(5, full=True)], "png", size, template)
    grey = grey_of_png(printed.files[0])
    assert codes_in(grey) == expected(label(5))
    assert (grey[40:50, 40:100] < 128).all()
    text = text_of_pdf(render([label(5)], "pdf", size, template).files[0])
    assert "Thankyou" in text and "ShopExample" not in text
    assert text.index("WEIGHT") < text.index("TOA***")


@pytest.mark.parametrize(
    ("png", "why"),
    [(logo(1300, 10), "1300 x 10"), (b"\x89PNG\r\n\x1a\n" + b"x" * 70_000, "bytes"), (b"<svg/>", "no png")],
)
def test_a_logo_that_is_none_is_refused(png, why):
    """Too large, too heavy, or no PNG: told when the template is made, not when it is printed."""
    with pytest.raises(InvalidInput, match=why):
        Template(logo_png=png)


def test_a_broken_logo_is_refused():
    """A PNG whose picture cannot be read breaks no batch: it is refused by name."""
    whole = logo()
    broken = whole[:60] + b"\x00" * 20 + whole[80:]
    with pytest.raises(InvalidInput, match="logo"):
        render([label()], "pdf", template=Template(logo_png=broken))


def test_a_batch_keeps_its_order_and_tells_how_far_it_is():
    """More labels than are set at once: one PDF page or file each, in order, with progress to the end."""
    labels, told = [label(at, s10="") for at in range(AT_ONCE + 5)], []
    pdf = render(labels, "pdf", progress=lambda *step: told.append(step)).files
    assert told == [("labels", 0, 255), ("labels", 250, 255), ("labels", 255, 255)]
    assert len(pdf) == 1 and len(PdfDocument(pdf[0])) == len(labels)
    pngs = render(labels, "png").files
    for at in (0, AT_ONCE - 1, AT_ONCE, AT_ONCE + 4):
        assert codes_in(grey_of_pdf(pdf[0], at)) == codes_in(grey_of_png(pngs[at])) == expected(labels[at])


def test_a_planted_fault_is_seen():
    """The reading checks can fail: a label whose bars are scratched out is not read."""
    grey = grey_of_png(render([label(2)], "png").files[0])
    grey[850:1110, 300:340] = 255
    assert "Code 128 GS1" not in codes_in(grey)
