"""The commands of the system of record, on a data folder of their own."""

import json
import os
import subprocess
import sys
from datetime import datetime, timedelta

import pytest

from rookery.network import sample_network

HEADER = "order_id,from_node,to_country,to_postal_code,to_name,to_line1,to_city,to_phone,ready_at,weight_g\n"


@pytest.fixture(scope="module")
def rookery(tmp_path_factory):
    """Runs a command on one data folder: the answer of --json, or what it said with its exit code."""
    data = tmp_path_factory.mktemp("record") / "data"

    def run(*words, code=0, as_json=True):
        command = [sys.executable, "-m", "rookery.doors.cli.main", *words, "--data", str(data)]
        done = subprocess.run(
            command + (["--json"] if as_json else []),
            capture_output=True,
            text=True,
            env={**os.environ, "COLUMNS": "120"},
        )
        assert done.returncode == code, done.stderr + done.stdout
        assert "Traceback" not in done.stderr
        return json.loads(done.stdout) if as_json and code == 0 else (done.stdout, done.stderr)

    return run


@pytest.fixture(scope="module")
def feed(tmp_path_factory):
    """The tiny sample network."""
    out = tmp_path_factory.mktemp("feed") / "feed"
    return sample_network("tiny", 7, out)


def test_a_key_is_shown_once_and_listed_without_its_secret(rookery):
    """keys create --json gives {"key": ...}; the list holds its first letters alone; it is rotated and revoked."""
    made = rookery("keys", "create", "--party", "Test Shop", "--new-party", "--scope", "merchant")
    assert made["key"].startswith("rk_live_") and len(made["key"]) == 51
    listed = rookery("keys", "list")["keys"]
    assert made["key"] not in json.dumps(listed) and listed[0]["shown"] == made["key"][:12]
    fresh = rookery("keys", "rotate", made["key_id"])
    assert fresh["key"] != made["key"]
    assert rookery("keys", "revoke", fresh["key_id"])["revoked_at"]


def test_wrong_words_are_told_with_what_to_do(rookery):
    """An unknown party and an unknown scope are sentences, not tracebacks."""
    _, told = rookery("keys", "create", "--party", "Nobody", "--scope", "merchant", code=1)
    assert "no party 'Nobody'" in told and "--new-party" in told
    _, told = rookery("keys", "create", "--party", "Test Shop", "--scope", "king", code=1)
    assert "scopes[0]: this is no scope: use some of merchant" in told


def test_a_feed_is_published_activated_and_taken_back(rookery, feed, tmp_path):
    """The same feed twice is one version; a second one is rolled back; a dry run changes nothing."""
    first = rookery("network", "publish", str(feed), "--activate")
    again = rookery("network", "publish", str(feed))
    assert again["again"] and again["feed"]["feed_id"] == first["feed"]["feed_id"]
    other = tmp_path / "other"
    other.mkdir()
    for file in feed.iterdir():
        (other / file.name).write_bytes(file.read_bytes())
    about = json.loads((other / "feed.json").read_text())
    (other / "feed.json").write_text(json.dumps({**about, "version": "another"}))
    second = rookery("network", "publish", str(other), "--activate")
    assert second["feed"]["active"]
    assert rookery("network", "rollback", "--dry-run")["dry_run"]
    assert rookery("network", "rollback")["feed"]["feed_id"] == first["feed"]["feed_id"]


def test_orders_come_in_from_a_file_and_the_refused_go_back_to_be_corrected(rookery, feed, tmp_path):
    """A good and a bad row: one order taken, one in the fault file, which is imported once corrected."""
    rookery("parties", "create", "Importer")
    ready = (datetime.now().astimezone() + timedelta(hours=1)).isoformat(timespec="minutes")
    row = "{},CN-SHENZHEN-W1,DE,10115,Ada Example,Teststraße 1,Berlin,{}," + ready + ",500\n"
    file = tmp_path / "orders.csv"
    file.write_text(HEADER + row.format("G1", "") + row.format("G2", "12"))
    out, _ = rookery("orders", "import", str(file), "--party", "Importer", "--dry-run", code=1)
    assert json.loads(out)["good"] == 1
    out, _ = rookery("orders", "import", str(file), "--party", "Importer", code=1)
    told = json.loads(out)
    assert (told["taken"], told["refused"]) == (1, 1)
    sheet = tmp_path / "orders.faults.csv"
    head, line = sheet.read_text().splitlines()
    assert "Ada" not in line and "kept" in line
    cells = line.split(",")
    cells[head.split(",").index("to_phone")] = "+49 30 901820"
    sheet.write_text(f"{head}\n{','.join(cells)}\n")
    assert rookery("orders", "import", str(sheet), "--party", "Importer")["taken"] == 1
    assert rookery("orders", "import", str(sheet), "--party", "Importer")["repeated"] == 1


def test_erasing_tells_first_and_does_it_only_with_yes(rookery):
    """Without --yes nobody is erased; with it the person is gone for good; a second time is no fault."""
    order = ("vault", "erase", "--party", "Importer", "--reference", "G1")
    [person] = rookery(*order)["would_erase"]
    assert rookery(*order, "--yes")["erased"] == [person]
    assert rookery("vault", "erase", person, "--yes")["erased"] == [person]


def test_keys_of_the_vault_are_rotated(rookery):
    """A new master key wraps all data keys, and there is nothing to wrap a moment later but with a newer one."""
    assert rookery("vault", "rotate")["version"] == 2


def test_numbers_are_entered_once(rookery):
    """A range is listed with what is left of it; one that overlaps it is refused with the reason."""
    made = rookery("numbers", "add", "--company-prefix", "9521234", "--party", "Importer")
    assert made["range_id"] in [row["range_id"] for row in rookery("numbers", "list")["ranges"]]
    _, told = rookery("numbers", "add", "--company-prefix", "9521234", code=1)
    assert "are in a range" in told


def test_there_is_no_label_before_anything_is_booked(rookery, tmp_path):
    """Printing what is not booked makes no file and says so."""
    out = tmp_path / "labels.pdf"
    assert rookery("labels", "print", "--party", "Importer", "--out", str(out)) == {"labels": 0, "out": None}
    assert not out.exists()


def test_the_database_says_how_it_is(rookery):
    """db status: nothing is pending, and exit code 0."""
    assert rookery("db", "status")
