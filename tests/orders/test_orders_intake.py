"""Handing in orders: documents and files held to the same rules, every fault told where it stands and never what."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import msgspec
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.orders import read_orders
from rookery.orders.addresses import Address
from rookery.orders.corrections import fault_sheet, restore, row_refs, to_keep
from rookery.orders.intake import judge
from rookery.orders.intake_model import INTAKE_NOTICES, KNOWN, ItemIn, Judged, OrderIn, ParcelIn, PlaceIn
from rookery.orders.model import PERSONAL
from rookery.orders.sheets import read_sheet
from rookery.terms.errors import InvalidInput
from rookery.terms.frames import ORDERS
from rookery.terms.notice import Fault

ROW = {
    "order_id": "A-1",
    "from_node": "CAN-HUB",
    "ready_at": "2026-09-15T14:05+02:00",
    "weight_g": "800",
    "to_name": "Ada Example",
    "to_phone": "030 901820",
    "to_line1": "Straße 1",
    "to_city": "Berlin",
    "to_postal_code": "10115",
    "to_country": "DE",
    "items": '[{"description": "Mugs", "quantity": 2, "value": 9.5, "currency": "EUR", "hs_code": "691200"}]',
}
DOCUMENT = {
    "reference": "A-1",
    "from": {"node": "CAN-HUB"},
    "to": {
        "name": "Ada Example",
        "phone": "030 901820",
        "lines": ["Straße 1"],
        "city": "Berlin",
        "postal_code": "10115",
        "country": "DE",
    },
    "ready_at": "2026-09-15T14:05+02:00",
    "weight_g": 800,
    "items": [{"description": "Mugs", "quantity": 2, "value": 9.5, "currency": "EUR", "hs_code": "691200"}],
}


def frame(*rows: dict) -> pl.DataFrame:
    names = list(dict.fromkeys(name for row in rows for name in row))
    return pl.DataFrame({name: [row.get(name) for row in rows] for name in names})


def document(**changed: object) -> OrderIn:
    return msgspec.convert(DOCUMENT | changed, OrderIn)


def told(judged: Judged, row: int = 0) -> list[tuple[str, str]]:
    return [(fault.at, fault.code) for fault in judged.faults.get(row, [])]


def test_a_document_and_a_row_say_the_same():
    """The same order handed in both ways becomes the same columns, people and items."""
    by_file, by_document = judge(frame(ROW)), judge([document()])
    assert by_file.faults == by_document.faults == {}
    assert by_file.good.drop("line").equals(by_document.good.drop("line"))
    assert (
        by_file.people
        == by_document.people
        == [
            Address(
                name="Ada Example",
                phone="+4930901820",
                lines=("Straße 1",),
                city="Berlin",
                postal_code="10115",
                country="DE",
            )
        ]
    )
    assert by_file.items == by_document.items
    assert set(ORDERS) <= set(by_file.good.columns)
    assert by_file.good.select("sender", "recipient", "goods", "pieces").row(0) == (None, 0, "general", 1)


PLANTED = [
    ({"to_phone": "12"}, {"to": DOCUMENT["to"] | {"phone": "12"}}, "bad_phone", "$.to_phone", "$.to.phone"),
    ({"to_line1": ""}, {"to": DOCUMENT["to"] | {"lines": []}}, "missing_field", "$.to_line1", "$.to.lines[0]"),
    ({"to_name": " "}, {"to": DOCUMENT["to"] | {"name": " "}}, "missing_name", "$.to_name", "$.to.name"),
    (
        {"to_postal_code": "1"},
        {"to": DOCUMENT["to"] | {"postal_code": "1"}},
        "bad_postal_code",
        "$.to_postal_code",
        "$.to.postal_code",
    ),
    ({"weight_g": "-1"}, {"weight_g": -1}, "out_of_range", "$.weight_g", "$.weight_g"),
    ({"weight_g": None}, {"weight_g": None}, "missing_value", "$.weight_g", "$.weight_g"),
    ({"ready_at": "today"}, {"ready_at": "today"}, "bad_timestamp", "$.ready_at", "$.ready_at"),
    ({"order_id": "A\0"}, {"reference": "A\0"}, "control_character", "$.order_id", "$.reference"),
    ({"from_node": ""}, {"from": {}}, "missing_place", "$.from_node", "$.from.node"),
    (
        {"to_country": "XX"},
        {"to": DOCUMENT["to"] | {"country": "XX"}},
        "unknown_country",
        "$.to_country",
        "$.to.country",
    ),
    ({"to_country": "DEU"}, {"to": DOCUMENT["to"] | {"country": "DEU"}}, "bad_country", "$.to_country", "$.to.country"),
    ({"goods": "gold"}, {"goods": "gold"}, "unknown_word", "$.goods", "$.goods"),
]


@pytest.mark.parametrize(("cells", "fields", "code", "column", "path"), PLANTED)
def test_one_fault_is_told_once_in_both_ways(cells, fields, code, column, path):
    """A planted fault is found alone, at its column in a file and at its path in a document, with a remedy."""
    by_file, by_document = judge(frame(ROW | cells)), judge([document(**fields)])
    assert told(by_file) == [(column, code)]
    assert told(by_document) == [(path, code)]
    assert by_file.good.is_empty() and by_document.good.is_empty()
    assert all(fault.remedy for fault in (*by_file.faults[0], *by_document.faults[0]))


def test_all_faults_of_all_rows_are_told_and_good_rows_go_on():
    """Three bad rows with several faults each do not keep the fourth from being taken."""
    bad = ROW | {"to_phone": "1", "weight_g": "x", "items": "[]x", "ready_at": "2026"}
    judged = judge(frame(*(bad | {"order_id": f"B{n}"} for n in range(3)), ROW))
    assert judged.good["row"].to_list() == [3]
    assert [sorted(code for _, code in told(judged, row)) for row in range(3)] == [
        ["bad_items", "bad_phone", "bad_timestamp", "not_a_number"]
    ] * 3


@given(st.lists(st.sampled_from(PLANTED), min_size=1, max_size=4), st.text(max_size=20))
@settings(max_examples=50, deadline=None)
def test_no_finding_ever_says_what_stands_there(planted, secret):
    """Whatever is wrong, the personal cells are in no fault and no warning."""
    secret = f"SECRET{secret}SECRET"
    cells = dict.fromkeys(("to_name", "to_company", "to_email", "to_city", "to_line2", "to_region"), secret)
    for change, *_ in planted:
        cells |= {name: cell for name, cell in change.items() if name not in cells}
    judged = judge(frame(ROW | cells))
    assert "SECRET" not in repr(judged.faults) and "SECRET" not in repr(judged.warnings)
    assert "SECRET" not in repr(judged)


def test_two_rows_with_one_reference():
    """The second is a fault, the first goes on."""
    judged = judge(frame(ROW, ROW))
    assert told(judged, 1) == [("$.order_id", "duplicate_id")] and judged.good["row"].to_list() == [0]


def test_a_recipient_at_a_locker_needs_no_street():
    """With a node and neither street nor city only the contact is checked; without a node the address is."""
    contact = dict.fromkeys(("to_line1", "to_city", "to_postal_code"), None)
    assert judge(frame(ROW | contact | {"to_node": "LOCKER-1"})).faults == {}
    assert {code for _, code in told(judge(frame(ROW | contact)))} >= {"missing_field"}


def test_a_country_without_postal_codes_is_a_place():
    """A full address in Hong Kong has no postal code, and is found by its country."""
    address = {
        "to_postal_code": None,
        "to_country": "HK",
        "to_region": "Kowloon",
        "to_city": "Mong Kok",
        "to_phone": None,
    }
    judged = judge(frame(ROW | address))
    assert told(judged) == []
    assert judged.good.select("to_country", "to_postal_code").row(0) == ("HK", "")


def test_pieces_that_differ_are_planned_as_the_heaviest():
    """Their number, the greatest weight and the longest sides go into the plan; contradicting `pieces` is a fault."""
    listed = '[{"weight_g": 800, "length_mm": 300}, {"weight_g": 1200, "length_mm": 200, "width_mm": 90}]'
    judged = judge(frame(ROW | {"parcels": listed, "weight_g": None}))
    assert judged.good.select("pieces", "weight_g", "length_mm", "width_mm", "height_mm").row(0) == (
        2, 1200.0, 300.0, 90.0, None,
    )  # fmt: skip
    assert json.loads(judged.parcels[0]) == json.loads(listed)
    assert told(judge(frame(ROW | {"parcels": listed, "pieces": "3"}))) == [("$.pieces", "pieces_mismatch")]


def test_every_fault_of_an_item_list_is_told():
    """Each line and field of a list that is wrong is named."""
    items = '[{"description": "", "quantity": 0}, {"quantity": 1, "colour": "red"}, 7, {"description": "ok"}]'
    assert [at for at, _ in told(judge(frame(ROW | {"items": items})))] == [
        "$.items[0].description",
        "$.items[0].quantity",
        "$.items[1].description",
        "$.items[1]",
        "$.items[2]",
    ]
    for broken in ("{", "{}", '"x"', "[" * 2000):
        assert told(judge(frame(ROW | {"items": broken}))) == [("$.items", "bad_items")]


@given(st.text(max_size=40))
@settings(max_examples=100, deadline=None)
def test_no_text_in_a_nested_cell_makes_it_fall(text):
    """Whatever stands in a cell of JSON is either read or told."""
    for name in ("items", "parcels", "metadata"):
        judged = judge(frame(ROW | {name: text}))
        assert judged.good.height + len(judged.faults) == 1


def write(folder: Path, form: str, *rows: dict) -> Path:
    path = folder / f"orders.{form}"
    if form == "jsonl":
        rows = tuple({k: json.loads(v) if k in ("items", "parcels") else v for k, v in row.items()} for row in rows)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif form == "csv":
        frame(*rows).write_csv(path)
    else:
        nested = frame(*rows).with_columns(items=pl.col("items").str.json_decode(pl.List(pl.Struct({
            "description": pl.String, "quantity": pl.Float64, "value": pl.Float64, "currency": pl.String,
            "hs_code": pl.String, "origin": pl.String})) ))  # fmt: skip
        nested.write_parquet(path)
    return path


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_all_forms_of_the_file_say_the_same(tmp_path, form):
    """Items stand as JSON text in CSV and as lists elsewhere; the orders are the same."""
    raw, notices = read_sheet(write(tmp_path, form, ROW, ROW | {"order_id": "A-2", "to_name": "Zoë"}))
    judged = judge(raw, notices=notices)
    assert notices == () and judged.faults == {}
    assert judged.good["order_id"].to_list() == ["A-1", "A-2"]
    item = ItemIn(description="Mugs", quantity=2, value=9.5, currency="EUR", hs_code="691200")
    assert judged.items == {0: [item], 1: [item]}
    assert [person.name for person in judged.people] == ["Ada Example", "Zoë"]


def test_lines_that_are_no_rows_are_told_without_their_text(tmp_path):
    """A broken line may hold a name: its notice says line and remedy only."""
    path = tmp_path / "orders.csv"
    path.write_text('order_id,ready_at,weight_g,from_node,to_node,to_name\nA,2026-09-15T14:05Z,1,A,B,SECRET,x\nB,2026-09-15T14:05Z,1,A,B,"SEC"RET\nC,2026-09-15T14:05Z,1,A,B,Ada\n')  # fmt: skip # noqa: E501
    raw, notices = read_sheet(path)
    assert raw["order_id"].to_list() == ["C"]
    assert {(notice.code, notice.line) for notice in notices} == {("too_many_fields", 2), ("bad_quoting", 3)}
    assert "SEC" not in repr(notices)
    path = tmp_path / "orders.jsonl"
    path.write_text('{"order_id": "SECRET\n{"order_id": "C", "ready_at": "2026-09-15T14:05Z", "to_name": ["SECRET"]}\n')
    with pytest.raises(InvalidInput) as fault:
        read_sheet(path)
    assert [notice.code for notice in fault.value.notices] == ["bad_json", "nested_value"]
    assert "SECRET" not in repr(fault.value.notices)


def test_a_fault_sheet_holds_nothing_personal_and_comes_back_corrected(tmp_path):
    """Corrected in a spreadsheet and handed in again: kept cells are put back, changed ones count."""
    bad = ROW | {"to_phone": "12", "weight_g": "x", "to_email": "ada@example.org"}
    judged = judge(frame(ROW, bad | {"order_id": "A-2"}))
    refs = {line: f"upl_x:{line}" for line in judged.raw["line"]}
    sheet = fault_sheet(judged, judged.faults, refs)
    assert all(word not in sheet.decode() for word in ("Ada", "ada@", "Straße", "Berlin"))
    kept = {refs[line]: cells for line, cells in to_keep(judged, list(judged.faults)).items()}
    assert kept["upl_x:3"]["to_name"] == "Ada Example" and set(kept["upl_x:3"]) <= PERSONAL | {"weight_g"}
    path = tmp_path / "faults.csv"
    path.write_bytes(sheet)
    raw, _ = read_sheet(path)
    assert raw["fault_codes"].to_list() == ["not_a_number bad_phone"] and row_refs(raw) == ["upl_x:3"]
    corrected = raw.with_columns(weight_g=pl.lit("900"), to_phone=pl.lit("+49 30 901820"))
    again = judge(corrected, kept=kept)
    assert again.faults == {} and again.people[0].email == "ada@example.org"
    assert again.good.select("order_id", "weight_g").row(0) == ("A-2", 900.0)
    lost = judge(corrected, kept={})
    assert {code for _, code in told(lost)} >= {"kept_expired"}


SHIFTED = {"goods": "Ada Example", "service_id": "Straße 1", "currency": "Ada", "late_cost": "+49 30 901820", "pieces": "Berlin", "to_postal_code": "Adastraat", "items": "Ada", "order_id": "Ada Example"}  # fmt: skip # noqa: E501


@pytest.mark.parametrize("column", SHIFTED)
def test_a_name_in_another_column_is_not_handed_back(column):
    """What a comma too many puts into a plain column is kept like a name, and comes back with the corrected row."""
    judged = judge(frame(ROW | {column: SHIFTED[column], "weight_g": "-1"}))
    refs = {line: f"upl_x:{line}" for line in judged.raw["line"]}
    sheet = fault_sheet(judged, {0: judged.faults[0]}, refs).decode()
    assert SHIFTED[column] not in sheet
    kept = to_keep(judged, [0])
    assert kept[2][column] == SHIFTED[column]
    raw = pl.read_csv(sheet.encode(), infer_schema=False)
    assert raw[column].to_list() == ["kept"] and raw["ready_at"].to_list() == [ROW["ready_at"]]
    put_back, lost = restore(raw, {"upl_x:2": kept[2]})
    assert put_back[column].to_list() == [SHIFTED[column]] and lost == []


@pytest.mark.parametrize("postal", ["10115", "SW1A 1AA", "1012 AB", "00-001", "01310-100", "LT-01100", "KY1-1100", "-"])
def test_a_postal_code_is_handed_back(postal):
    """Postal codes as countries write them stand in the sheet, good or not."""
    judged = judge(frame(ROW | {"to_postal_code": postal, "weight_g": "x"}))
    sheet = fault_sheet(judged, {0: judged.faults[0]}, {2: "upl_x:2"})
    assert pl.read_csv(sheet, infer_schema=False)["to_postal_code"].to_list() == [postal]


def test_a_file_without_a_header_names_nobody(tmp_path):
    """Cells that stand where column names belong are told by their place."""
    path = tmp_path / "orders.csv"
    path.write_text(
        "order_id,ready_at,weight_g,from_node,to_node,Ada Example,Straße 1,to_node\nA,2026-09-15T14:05Z,1,A,B,,,\n"
    )
    _, notices = read_sheet(path)
    told = [(notice.code, notice.column, notice.value) for notice in notices]
    assert sorted(told) == [
        ("duplicate_column", "to_node", None),
        ("unknown_column", "column 6", None),
        ("unknown_column", "column 7", None),
    ]
    path.write_text("A-1,Ada Example,Straße 1\n")
    with pytest.raises(InvalidInput) as fault:
        read_sheet(path)
    assert "Ada" not in repr(fault.value.notices) and "column 2" in repr(fault.value.notices)


ODD = {
    "binary": ("to_name", pl.Series([b"\xff"])),
    "duration": ("weight_g", pl.Series([timedelta(hours=1)])),
    "structure": ("to_name", pl.Series([{"a": 1}])),
    "list": ("to_name", pl.Series([["x"]])),
    "far": ("ready_at", pl.Series([-9 * 10**18]).cast(pl.Datetime("us", "UTC"))),
    "late": ("due_at", pl.Series([9 * 10**18]).cast(pl.Datetime("us"))),
    "day": ("due_at", pl.Series([2**31 - 1], dtype=pl.Int32).cast(pl.Date)),
}


@pytest.mark.parametrize("odd", ODD)
def test_a_parquet_of_odd_types_is_told(tmp_path, odd):
    """What no cell can be read from is a notice with its column, never an error of the program."""
    column, cells = ODD[odd]
    path = tmp_path / "orders.parquet"
    frame(ROW).with_columns(cells.alias(column)).write_parquet(path)
    with pytest.raises(InvalidInput) as fault:
        read_sheet(path)
    assert [(notice.code, notice.column) for notice in fault.value.notices] in (
        [("column_type", column)],
        [("bad_timestamp", column)],
    )


def test_a_person_called_kept_is_left_alone():
    """Only rows that refer to a kept row have cells put back."""
    raw = frame(ROW | {"to_name": "kept"})
    assert restore(raw, {})[0].equals(raw)
    assert judge(raw).people[0].name == "kept"


def test_planning_passes_over_what_it_does_not_need(tmp_path):
    """The enlarged file is read by the planner as before, without a word about its new columns."""
    for form in ("csv", "jsonl", "parquet"):
        orders = read_orders(write(tmp_path, form, ROW))
        assert orders.notices == () and dict(orders.frame.schema) == ORDERS


def test_every_code_that_is_told_is_registered():
    """No planted fault has a code without a meaning and a remedy."""
    assert {code for _, _, code, *_ in PLANTED} <= INTAKE_NOTICES.keys()
    assert {"to_line3", "items", "row_ref"} <= KNOWN


def test_documents_show_nothing_of_people():
    """The repr of what a shipper sends names nobody."""
    order = OrderIn(reference="A", from_=PlaceIn(node="A"), to=PlaceIn(name="Ada"), ready_at="", parcels=(ParcelIn(weight_g=1),))  # fmt: skip # noqa: E501
    assert "Ada" not in repr(order)
    assert isinstance(Fault("$.to", "x", "y").below("$.orders[3]"), Fault)
