"""D02. The recipient asks to be forgotten: the key to their address is destroyed, and later labels say so."""

from __future__ import annotations

from life_world import Life
from pypdfium2 import PdfDocument


def label(life: Life) -> str:
    """What stands on the first piece's label, printed in full."""
    parcel = life.shipment["parcels"][0]["parcel_id"]
    printed = life.shop.post("/labels", {"parcel_ids": [parcel], "full": True})
    assert printed.status == 200, printed.body
    return PdfDocument(printed.body)[0].get_textpage().get_text_range()


def test_only_the_shipper_whose_order_it_is_can_erase(life: Life):
    """To others there is no such person."""
    assert life.other_shop.post(f"/people/{life.ada}/erase", {}).status == 404
    assert life.road.post(f"/people/{life.ada}/erase", {}).status == 403
    assert "Ada Example" in label(life)


def test_erased_is_erased(life: Life):
    """The address is gone; that there was somebody, and that they were erased, is not."""
    assert life.shop.post(f"/people/{life.ada}/erase", {}).json == {
        "person_id": life.ada, "address": None, "erased": True,
    }  # fmt: skip
    assert life.shop.post(f"/people/{life.ada}/open", {}).json["erased"]


def test_a_label_printed_later_says_so(life: Life):
    """The parcel is still on its way, and can still be sorted and scanned: only whose it is, is gone."""
    text = label(life)
    assert "(erased)" in text
    assert "Ada" not in text and "Straße" not in text
    assert "DE-BERLIN" in text


def test_the_order_stays(life: Life):
    """Promise, route and price are no personal data."""
    after = life.shop.get(f"/shipments/{life.shipment_id}").json
    assert after["promised_at"] == life.shipment["promised_at"]
    assert after["recipient_id"] == life.ada
