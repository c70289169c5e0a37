"""The benchmark of the live side at its smallest: its figures, what it makes up, that what it counts could be wrong."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from benchmarks import run
from benchmarks.live import FULL, LONG, PARTS, SMALLEST, judged, lives, recount, scans
from benchmarks.live.pacing import sent_at
from benchmarks.tracking import parcels
from rookery.base.db import Database
from rookery.base.db.partitions import tend
from rookery.terms.time import DAY
from rookery.tracking.codes.tables import builtin
from rookery.twin.live import SCANS

sys.path.insert(0, str(Path(__file__).parents[1] / "flows"))
from living_cases import Live, make_live
from record_cases import NOW


@pytest.fixture(scope="module")
def line() -> dict:
    """The figures of scans, closure and truth at the smallest size, the first two with a server of their own."""
    return run.measure("live", ["scans", "closure", "truth"], SMALLEST)


def of(line: dict, what: str) -> dict:
    """The first figure whose name ends so."""
    return next(entry for entry in line["shows"] if entry["what"].endswith(what))


def test_the_line_has_the_form_that_readers_of_benchmarks_expect(line: dict) -> None:
    """One JSON object whose figures have names of their own."""
    told = json.loads(json.dumps(line, allow_nan=False))
    names = [entry["what"] for entry in told["shows"]]
    assert told["bench"] == "live" and len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("what", "target"),
    [
        ("accepted scan to chance, p99", "<= 1"),
        ("accepted to new move, p99", "<= 5"),
        ("cases opened beyond one", "<= 0"),
        ("parcels in its case with a new move", ">= 10"),
    ],
)
def test_every_target_is_shown(line: dict, what: str, target: str) -> None:
    """What was asked for stands beside what was measured."""
    assert of(line, what)["target"] == target


@pytest.mark.parametrize(
    "what",
    ["lost, doubled or not in a chance", "chances that differ from an offline recount", "cases opened beyond one"],
)
def test_nothing_is_lost_and_no_chance_is_wrong(line: dict, what: str) -> None:
    """However slow the machine is: every scan is in its parcel's chance, which is what a recount gives."""
    assert of(line, what)["value"] == 0


def test_a_closed_hub_is_one_case_whose_parcels_are_booked_on(line: dict) -> None:
    """Every parcel in the case that has another way is acted on."""
    moved, acted = of(line, "in its case with a new move")["value"], of(line, "acted on by themselves")["value"]
    assert moved >= SMALLEST.hub_parcels and acted >= moved


def test_cases_are_judged(line: dict) -> None:
    """Some rule has found something in the smallest world, too."""
    assert any(entry["what"].startswith("cases of ") for entry in line["shows"])


def test_every_part_has_its_size() -> None:
    """The larger a size is called, the larger it is, and webhooks are among the parts."""
    assert set(PARTS) == {"scans", "closure", "truth", "webhooks"}
    for name in ("parcels", "hub_parcels", "twin_parcels", "deliveries"):
        assert getattr(SMALLEST, name) < getattr(FULL, name) <= getattr(LONG, name)


LEGS = pl.DataFrame(
    [("N1", 1, "AH1", "BLUE", "A", "H", 600, 600, 700), ("N1", 2, "HB1", "RED", "H", "B", 900, 900, 960)],
    schema=["number", "seq", "departure_id", "carrier_id", "from_node", "to_node", "cutoff_at", "depart_at",
            "arrive_at"],
    orient="row",
).with_columns(promised_at=pl.lit(1500, pl.Int64), epc=pl.lit("urn:n1"))  # fmt: skip
GOOD = [
    (500, "accepted", "A", None), (600, "departed", "A", "AH1"), (710, "arrived", "H", "AH1"),
    (900, "departed", "H", "HB1"), (970, "arrived", "B", "HB1"), (1000, "out_for_delivery", "B", None),
    (1100, "delivered", "B", None),
]  # fmt: skip


@pytest.mark.parametrize("many", [3, 8, 13, 14, 15, 40])
def test_a_life_is_as_long_as_asked_and_ends_once(many: int) -> None:
    """It begins with its pick-up, follows its legs, says what our table knows, and is delivered by its last scan."""
    steps = lives.life(LEGS.to_dicts(), many)
    codes = [code for code, *_ in steps]
    assert len(steps) == many and codes[0] == "accepted" and codes.count("delivered") <= 1
    assert all(builtin("rookery").find(code) is not None for code in {*codes, "damaged"})
    assert "delivered" not in codes or codes[-1] == "delivered"
    nodes = [node for _, node, _ in steps]
    assert nodes == sorted(nodes, key="AHB".index)


def test_scans_come_at_an_even_rate_in_batches_of_one_courier() -> None:
    """Each scan once, in the order of its parcel's life; a batch is due when its last scan has happened."""
    legs = pl.concat([LEGS.with_columns(number=pl.lit(f"N{n}"), epc=pl.lit(f"urn:{n}")) for n in range(30)])
    made = lives.scans_of(legs, 30 * 9, 27.0, ["A", "H", "B", "Z"])
    gaps = made["due_s"].diff().drop_nulls()
    assert made.height == 270 and np.allclose(gaps, 0.1) and made["due_s"].max() == pytest.approx(27.0)
    sent = lives.batched(made, 7, 3)
    assert sent.height == 270 and set(sent["stream"]) == {0, 1, 2}
    for part in sent.partition_by("batch"):
        assert part.height <= 7 and part["carrier"].n_unique() == 1 and part["stream"].n_unique() == 1
        assert part["due_s"].max() == part["happened_s"].max() and part["due_s"].n_unique() == 1
    assert sent.unique("batch", maintain_order=True)["due_s"].is_sorted()
    assert sent.filter(number="N3").sort("happened_s")["code"][0] == "accepted"
    whole = sent.select(sent_at(1_790_000_000.1234)).to_series()
    assert (whole % 1000 == 0).all()


def test_a_scan_is_seen_with_the_first_look_that_goes_by_it_or_a_later_one() -> None:
    """A look that goes by an earlier event is none; what is never seen has no instant."""
    sent = pl.DataFrame({"epc": ["a", "a", "a", "b"], "sent_at": [10, 20, 40, 10]})
    looks = pl.DataFrame({"epc": ["a", "a", "a", "b"], "at": [10, 30, 30, 5], "seen": [1.0, 2.0, 3.0, 4.0]})
    found = scans.visible(sent, looks).sort("epc", "sent_at")
    assert found["seen"].to_list() == [1.0, 2.0, None, None]


@pytest.fixture
def unbound(fresh_database: Database) -> Iterator[psycopg.Connection]:
    """An empty database, by a connection for bulk."""
    name = conninfo_to_dict(fresh_database.urls.main)["dbname"]
    url = make_conninfo(parcels.bulk_url(fresh_database.urls.maintain), dbname=name)
    with psycopg.connect(url) as conn:
        tend(conn, NOW)
        yield conn


@pytest.mark.parametrize(
    ("events", "fault"),
    [
        (["a", "b"], None),
        (["a"], "accepted and no event"),
        (["a", "b", "b"], "events beyond those accepted"),
        (["a", "b", "c"], "events beyond those accepted"),
    ],
)
def test_what_was_lost_or_doubled_is_found(unbound: psycopg.Connection, events: list[str], fault: str | None) -> None:
    """Of planted faults each is counted, and nothing where there is none."""
    rows = pl.DataFrame({"epc": events}).with_columns(
        event_no=pl.int_range(pl.len()), role=pl.lit(0), place=pl.lit(0), event_at=pl.lit(NOW),
        party_id=pl.lit("pty_x"), standing=pl.lit(1), test=pl.lit(False),
    )  # fmt: skip
    parcels.put(unbound, "tracking.event_epcs", rows)
    instant = int(NOW.timestamp() * 1_000_000)
    sent = pl.DataFrame({"epc": ["a", "b", "d"], "sent_at": [instant] * 3, "status": [200, 200, 503]})
    faults = {name for name, many in scans.lost(unbound, sent).items() if many}
    assert faults == ({fault} if fault else set())


@pytest.fixture
def live(make_urls: Any, tmp_path: Path) -> Iterator[Live]:
    """Three parcels, one of them under way, all looked at."""
    with make_live(make_urls, tmp_path) as made:
        numbers = [made.book() for _ in range(3)]
        made.look_out()
        made.turn()
        made.scan(made.blue, numbers[0], "accepting", 2, "A")
        made.scan(made.blue, numbers[0], "departing", 9, "A", **{"rookery:departure": "AH1"})
        made.scan(made.blue, numbers[1], "accepting", 3, "A")
        made.turn()
        yield made


@pytest.mark.parametrize(
    ("fault", "plant"),
    [
        (None, "select 1"),
        ("differ", "update tracking.chances set chance = chance - 0.00001 where detail = 'departed'"),
        ("differ", "update tracking.chances set chance = null where detail = 'accepted'"),
        ("stale", "update tracking.chances set event_no = event_no - 1 where detail = 'departed'"),
        ("unlooked", "delete from tracking.chances where detail = 'departed'"),
        ("elsewise", "update tracking.chances set policy = 'another'"),
    ],
)
def test_a_chance_that_does_not_follow_from_the_events_is_found(live: Live, fault: str | None, plant: str) -> None:
    """Of planted faults each is counted, and nothing where there is none."""
    with live.record.database.owner() as conn:
        conn.execute("alter table tracking.chances no force row level security")
        conn.execute(plant.encode())
    told = recount.counted(live.desk(), live.outlook)
    assert {name for name in ("differ", "stale", "unlooked", "elsewise") if told[name]} == ({fault} if fault else set())


def truth_of(*more: tuple[int, str, str, str | None], without: tuple[int, ...] = (), lost: bool = False) -> dict:
    """What was really so of N1, whose scans are GOOD without some and with more; the first minute of each kind."""
    rows = sorted([*(row for row in GOOD if row[0] not in without), *more])
    told = pl.DataFrame(
        [{"number": "N1", "at": at, "code": code, "node": node, "departure": name, "carrier": "BLUE"}
         for at, code, node, name in rows], schema=SCANS,
    )  # fmt: skip
    gone = pl.Series(["N1"] if lost else [], dtype=pl.String)
    handling = pl.DataFrame({"node_id": ["A", "H", "B"], "handling_minutes": [30, 60, 30]})
    found = judged.truth(told, LEGS, handling, gone, pl.DataFrame(schema=judged.EVENTS), 5 * DAY)
    return dict(found.select("kind", "event").iter_rows())


def test_nothing_is_wrong_with_what_goes_as_booked() -> None:
    """A parcel that rides its legs and is delivered in time is in the truth of no rule."""
    assert truth_of() == {}


def test_each_trouble_is_true_of_its_rule() -> None:
    """Late, missed, not gone in time, lost, stood too long, damaged, held, astray: each with its first minute."""
    assert truth_of((1600, "delivered", "B", None), without=(1100,)) == {"chance_low": 1500}
    came_late = truth_of((910, "arrived", "H", "AH1"), (2340, "departed", "H", "HB1"), without=(710, 900))
    assert came_late["departure_missed"] == 910 and "scan_missing" not in came_late
    not_gone = truth_of((1200, "departed", "H", "HB2"), without=(900,))
    assert not_gone["scan_missing"] == 960 and "departure_missed" not in not_gone
    hurried = truth_of((850, "arrived", "H", "AH1"), (1200, "departed", "H", "HB2"), without=(710, 900))
    assert "scan_missing" not in hurried and "departure_missed" not in hurried  # its chance tells
    gone = truth_of(without=(970, 1000, 1100), lost=True)
    assert gone == {"scan_missing": 1020, "chance_low": 1500}
    stands = truth_of((710 + 2 * DAY, "departed", "H", "HB1"), without=(900, 970, 1000, 1100))
    assert stands["dwell"] == 710 + DAY
    assert truth_of((710, "damaged", "H", "AH1"), (720, "customs_hold", "H", "AH1")) == {"damage": 710, "hold": 720}
    assert truth_of((720, "arrived", "Z", "HZ1"))["wrong_place"] == 720


@pytest.mark.parametrize(
    ("kind", "event", "episodes", "verdict", "lead"),
    [
        ("chance_low", 1000, [(500, None)], "right", 500),
        ("chance_low", 1000, [(500, 1100)], "right", 500),
        ("chance_low", 1000, [(500, 700)], "too early", None),
        ("chance_low", 1000, [(500, 700), (800, None)], "right", 200),
        ("chance_low", 1000, [(990, None)], "too late", 10),
        ("chance_low", None, [(500, 700)], "in vain", None),
        ("chance_low", 1000, [], "missed", None),
        ("damage", 1000, [(1005, None)], "right", -5),
        ("damage", 1000, [(1300, None)], "too late", -300),
        ("wrong_place", None, [(500, None)], "in vain", None),
        ("scan_missing", None, [(500, 600)], "right", None),
        ("scan_missing", None, [(400, 450)], "in vain", None),
        ("scan_missing", 1000, [(400, 450)], "too early", None),
        ("scan_missing", 1000, [(1000, None)], "right", 0),
    ],
)
def test_cases_are_told_right_from_wrong(
    kind: str, event: int | None, episodes: list[tuple[int, int | None]], verdict: str, lead: int | None
) -> None:
    """Open when it happens is right, closed before too early, of nothing in vain; what is sent late was not missing."""
    events = pl.DataFrame([] if event is None else [(kind, "N1", event)], schema=judged.EVENTS, orient="row")
    opened = pl.DataFrame([(kind, "N1", *one) for one in episodes], schema=judged.EPISODES, orient="row")
    sent = pl.DataFrame({"number": ["N1", "N1"], "at": [100, 390], "sent_at": [100, 440]})
    found = judged.verdicts(events, opened, sent)
    assert found.select("verdict", "lead").row(0) == (verdict, lead) and found.height == 1


def test_what_came_of_chances_stands_beside_what_was_told(line: dict) -> None:
    """The smallest world, too, tells how far its chances were from the truth, and by tenths of them."""
    assert 0 <= of(line, "root mean square from what came of them")["value"] <= 1


def told_of(*rows: tuple[float, bool, bool]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Looks at as many parcels (chance, whether a scan was missing, whether it came in time), and what came of them."""
    numbers = [f"N{n}" for n in range(len(rows))]
    looks = pl.DataFrame([(n, *row[:2]) for n, row in zip(numbers, rows)], schema=judged.LOOKS, orient="row")
    came = {"number": numbers, "in_time": [row[2] for row in rows]}
    return looks, pl.DataFrame(came, schema={"number": pl.String, "in_time": pl.Boolean})


def test_chances_are_counted_by_tenths() -> None:
    """Each tenth has its own row, 1.0 in the last; what was told while a scan was missing counts beside, too."""
    looks, came = told_of((0.52, True, True), (0.58, False, False), (1.0, False, True), (0.0, True, False))
    looks = pl.concat([looks, looks.filter(number="N2")])
    found = judged.reliability(looks, came)
    assert found.rows() == [
        (0, 1, 1, 0.0, 0.0, 1, 0.0, 0.0),
        (5, 2, 2, pytest.approx(0.55), 0.5, 1, 0.52, 1.0),
        (9, 2, 1, 1.0, 1.0, 0, None, None),
    ]


def test_what_is_told_wrongly_is_found() -> None:
    """Of chances that are too low what came of them is more; of what is certain and comes true nothing is apart."""
    low = told_of(*[(0.2, True, n % 2 == 0) for n in range(10)])
    row = judged.reliability(*low).row(0, named=True)
    assert (
        row["chance"] == row["silent_chance"] == pytest.approx(0.2) and row["in_time"] == row["silent_in_time"] == 0.5
    )
    assert judged.apart(*low) == pytest.approx(((0.8**2 + 0.2**2) / 2) ** 0.5)
    assert judged.apart(*told_of((1.0, False, True), (0.0, False, False))) == 0
    assert judged.apart(*told_of()) is None


def test_who_is_not_due_yet_is_not_counted() -> None:
    """In time is what was delivered at the promised minute at the latest; who may still come in time is left out."""
    promised = pl.DataFrame({"number": ["a", "b", "c", "d"], "promised_at": [10, 10, 10, 20]})
    done = pl.DataFrame({"number": ["a", "b", "c", "d"], "delivered_at": [10, 11, None, 5]})
    assert dict(judged.in_time(promised, done, 15).iter_rows()) == {"a": True, "b": False, "c": False}


def test_precision_and_recall_are_what_they_are_called() -> None:
    """Of four cases three were right, one of these too late; of four troubles one had no case."""
    rows = [("right", 60), ("right", 120), ("too late", 0), ("in vain", None), ("missed", None)]
    frame = pl.DataFrame(
        [("damage", str(n), *row) for n, row in enumerate(rows)],
        schema={"kind": pl.String, "key": pl.String, "verdict": pl.String, "lead": pl.Int64}, orient="row",
    )  # fmt: skip
    told = {row["kind"]: row for row in judged.told(frame)}
    assert told["damage"]["precision"] == told["damage"]["recall"] == 0.75 and told["damage"]["p50"] == 1.0
    assert told["hold"]["precision"] is None and told["hold"]["p50"] is None
