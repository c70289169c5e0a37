"""B02. The same as a file: good rows are taken, the others come back in a file that is corrected and sent again."""

from __future__ import annotations

import csv
import io

from life_world import Life, until

ROWS = """\
order_id,from_node,to_country,to_postal_code,to_name,to_line1,to_city,ready_at,weight_g,service_id
F-1,CAN-W1,DE,10119,Cleo Example,Straße 3,Berlin,{ready_at},700,standard
F-2,CAN-W1,DE,1O119,Dora Example,Straße 4,Berlin,{ready_at},700,standard
F-3,CAN-W1,DE,10119,Emil Example,Straße 5,Berlin,{ready_at},heavy,standard
F-4,CAN-W1,DE,10119,Fay Example,Straße 6,Berlin,{ready_at},900,standard
"""


def upload(life: Life, text: str) -> dict:
    """Hands a file in, and waits until a worker has read it."""
    sent = life.shop.post("/order-uploads?form=csv", text.encode(), content_type="text/csv")
    assert sent.status == 202, sent.json
    place = f"/order-uploads/{sent.json['upload_id']}"
    until("the file is read", lambda: life.shop.get(place).json["state"] in ("done", "failed"))
    return life.shop.get(place).json


def counts(done: dict) -> tuple[str, int, int, int, int]:
    return done["state"], done["rows"], done["taken"], done["repeated"], done["refused"]


def waiting(life: Life) -> set[str]:
    return {order["reference"] for order in life.shop.get("/orders?state=received").json["data"]}


def test_the_good_rows_of_a_file_are_taken(life: Life):
    """Two of four rows are good: they wait for the wave, whatever is wrong with the others."""
    done = upload(life, ROWS.format(ready_at=life.ready_at))
    assert counts(done) == ("done", 4, 2, 0, 2)
    assert waiting(life) >= {"F-1", "F-4"}
    life.known["upload_id"] = done["upload_id"]


def test_the_others_come_back_with_what_is_wrong_and_without_anybody_s_name(life: Life):
    """The fault file has the rows as sent; what is personal says `kept`, and stays in the vault for seven days."""
    sheet = life.shop.get(f"/order-uploads/{life.upload_id}/faults")
    assert sheet.status == 200
    rows = list(csv.DictReader(io.StringIO(sheet.body.decode())))
    assert [row["order_id"] for row in rows] == ["F-2", "F-3"]
    assert [row["fault_codes"] for row in rows] == ["bad_postal_code", "not_a_number"]
    assert {row["to_name"] for row in rows} == {row["to_line1"] for row in rows} == {"kept"}
    assert not any(word in sheet.body for word in (b"Dora", b"Emil", "Straße".encode()))
    assert life.other_shop.get(f"/order-uploads/{life.upload_id}/faults").status == 404
    life.known["fault_rows"] = rows


def test_corrected_and_sent_again_they_are_taken_with_their_people(life: Life):
    """Only what was wrong is written anew; names and streets come from what was kept."""
    first, second = life.fault_rows
    corrected = io.StringIO()
    writer = csv.DictWriter(corrected, first.keys())
    writer.writeheader()
    writer.writerows([{**first, "to_postal_code": "10119"}, {**second, "weight_g": "800"}])
    done = upload(life, corrected.getvalue())
    assert counts(done) == ("done", 2, 2, 0, 0)
    [dora] = life.shop.get("/orders?reference=F-2").json["data"]
    assert life.shop.post(f"/people/{dora['recipient_id']}/open", {}).json["address"]["name"] == "Dora Example"
    life.known["corrected"] = corrected.getvalue()


def test_whatever_is_sent_again_nothing_is_doubled(life: Life):
    """The first file and the corrected one, both once more: every row is there already, or faulty as before."""
    assert counts(upload(life, ROWS.format(ready_at=life.ready_at))) == ("done", 4, 0, 2, 2)
    assert counts(upload(life, life.corrected)) == ("done", 2, 0, 2, 0)
    assert waiting(life) == {"B-1", "B-3", "F-1", "F-2", "F-3", "F-4"}


def test_a_file_that_is_none_fails_and_says_so(life: Life):
    """Nothing of it is taken, and the upload tells why."""
    done = upload(life, "this,is\nno,order file\n")
    assert done["state"] == "failed"
    assert done["fault"]
