"""D01. Labels are printed: for sorters in large letters, for scanners as bars, and for neighbours without a name."""

from __future__ import annotations

import io
import re
import zipfile

import numpy as np
import zxingcpp
from life_world import Caller, Life
from PIL import Image
from pypdfium2 import PdfDocument


def parcels(life: Life) -> list[dict]:
    return life.shipment["parcels"]


def printed(life: Life, **asked: object) -> bytes:
    """The labels of both pieces as asked for."""
    answer = life.shop.post("/labels", {"parcel_ids": [parcel["parcel_id"] for parcel in parcels(life)], **asked})
    assert answer.status == 200, answer.body
    return answer.body


def codes(picture: Image.Image) -> dict[str, str]:
    """What a scanner reads: by kind of code, its text."""
    return {code.format.name: code.text for code in zxingcpp.read_barcodes(np.array(picture.convert("L")))}


def of_pdf(pdf: bytes) -> list[Image.Image]:
    """Its pages as a 203 dpi printer has them."""
    return [page.render(scale=203 / 72, grayscale=True).to_pil() for page in PdfDocument(pdf)]


def of_zpl(zpl: bytes) -> list[Image.Image]:
    """The dots that a ZPL printer burns, from the bitmap that each label carries: eight to a byte, in hexadecimal."""
    pictures = []
    for row, dots in re.findall(rb"\^GFA,\d+,\d+,(\d+),([0-9A-F]+)\^FS", zpl):
        bits = np.unpackbits(np.frombuffer(bytes.fromhex(dots.decode()), np.uint8))
        pictures.append(Image.fromarray(255 - 255 * bits.reshape(-1, 8 * int(row))))
    return pictures


def text_of(pdf: bytes) -> str:
    """What stands on its first page."""
    return PdfDocument(pdf)[0].get_textpage().get_text_range()


def assert_scannable(life: Life, pictures: list[Image.Image]) -> None:
    """Each label holds its own parcel's SSCC, as bars and in the QR code."""
    assert len(pictures) == len(parcels(life))
    for picture, parcel in zip(pictures, parcels(life)):
        read = codes(picture)
        assert len(read) == 2, read
        assert any(text.replace("(00)", "00").endswith("00" + parcel["number"]) for text in read.values())
        assert all(parcel["number"] in text for text in read.values())


def test_a_pdf_for_any_printer(life: Life):
    """One page a piece; the sortation code in words, the recipient masked."""
    pdf = printed(life)
    assert_scannable(life, of_pdf(pdf))
    text = text_of(pdf)
    assert "LEJ-HUB" in text and "DE-BERLIN" in text
    assert "1/2" in text.replace(" ", "")
    assert "Ada Example" not in text and "901820" not in text


def test_a_png_for_a_screen(life: Life):
    """Several are packed into a zip, each named by its parcel."""
    with zipfile.ZipFile(io.BytesIO(printed(life, form="png"))) as packed:
        assert packed.namelist() == [f"{parcel['parcel_id']}.png" for parcel in parcels(life)]
        assert_scannable(life, [Image.open(io.BytesIO(packed.read(name))) for name in packed.namelist()])


def test_zpl_for_a_label_printer(life: Life):
    """100 x 150 mm, and the small size on which the bars stand upright."""
    assert_scannable(life, of_zpl(printed(life, form="zpl")))
    assert_scannable(life, of_zpl(printed(life, form="zpl", size="76x130")))


def test_the_whole_address_only_when_the_shipper_asks_for_it(life: Life):
    """For couriers who need it on paper. An operator, who may not open a person either, prints masked labels only."""
    text = text_of(printed(life, full=True))
    assert "Ada Example" in text
    assert "Straße 1 a" in text
    party = life.operator.post("/parties", {"name": "night shift"}).json["party_id"]
    key = life.operator.post("/keys", {"party_id": party, "scopes": ["operator"]}).json["key"]
    night_shift = Caller(life.url, key)
    asked = {"parcel_ids": [parcels(life)[0]["parcel_id"]]}
    refused = night_shift.post("/labels", {**asked, "full": True})
    assert (refused.status, refused.json["code"]) == (403, "labels.full")
    masked = night_shift.post("/labels", asked)
    assert masked.status == 200 and "Ada Example" not in text_of(masked.body)


def test_a_return_label_leads_back_to_where_the_parcel_came_from(life: Life):
    """Nobody was named as sender, so it goes to the warehouse; sorters see the way back."""
    text = text_of(printed(life, variant="return"))
    assert "RETURN" in text
    assert "CAN-HUB" in text and "CAN-W1" in text
    assert "DE-BERLIN" not in text and "Ada Example" not in text
