"""D03. A backup is written, somebody is erased, the backup is put back: what was booked is there, the erased is not."""

from __future__ import annotations

from pathlib import Path

from life_world import Life


def opened(life: Life, person_id: str) -> dict:
    return life.shop.post(f"/people/{person_id}/open", {}).json


def test_a_backup_is_written_while_the_server_works(life: Life, tmp_path_factory):
    """One file, without any key to people's data."""
    file = tmp_path_factory.mktemp("backup") / "rookery.dump"
    told = life.command("db", "backup", str(file))
    assert told["bytes"] == file.stat().st_size
    life.known |= {"backup": file, "cleo": life.by_reference["F-1"]["recipient_id"]}
    life.known["dora"] = life.by_reference["F-2"]["recipient_id"]
    assert opened(life, life.cleo)["address"]["name"] == "Cleo Example"


def test_after_the_backup_somebody_is_erased_and_something_cancelled(life: Life):
    """Both are newer than the backup."""
    assert life.shop.post(f"/people/{life.cleo}/erase", {}).status == 200
    assert life.shop.post(f"/shipments/{life.rebooked['shipment_id']}/cancel", {}).json["state"] == "cancelled"


def test_the_backup_is_put_back_with_the_server_stopped(life: Life):
    """Without --yes it only tells what would be replaced; then it does it, and keeps what was there beside it."""
    life.stop()
    assert not life.command("db", "restore", str(life.backup))["restored"]
    done = life.command("db", "restore", str(life.backup), "--yes")
    assert done["restored"] and done["kept"]
    life.serve()


def test_what_was_booked_is_there_and_what_was_erased_is_not(life: Life):
    """The cancellation is undone, as backups do; the erasure is not: the key was in no backup."""
    assert life.shop.get(f"/shipments/{life.rebooked['shipment_id']}").json["state"] == "booked"
    assert life.shop.get(f"/shipments/{life.shipment_id}").json["state"] == "handed_over"
    assert opened(life, life.cleo) == {"person_id": life.cleo, "address": None, "erased": True}
    assert opened(life, life.ada)["erased"]
    assert opened(life, life.dora)["address"]["name"] == "Dora Example"


def test_nobody_s_name_lies_about_in_the_data_folder(life: Life):
    """Neither logs nor the backup hold one of those who ever received something here."""
    names = [f"{name} Example".encode() for name in ("Ada", "Ben", "Cleo", "Dora", "Emil", "Fay", "Gabe")]
    files: list[Path] = [life.backup, *life.data.rglob("*.log"), *(life.data / "postgres" / "log").glob("*")]
    assert len(files) > 1
    for file in files:
        held = file.read_bytes()
        assert not [name for name in names if name in held], file
