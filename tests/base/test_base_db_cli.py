"""The commands `rookery db`: what they say, their JSON and their exit codes."""

import json

import pytest
from typer.testing import CliRunner

from rookery.base.db.migrate import found
from rookery.doors.cli.db import db_app
from rookery.terms.errors import InvalidInput, NotFound


@pytest.fixture(autouse=True)
def embedded(monkeypatch):
    """No server of anybody's is used."""
    monkeypatch.delenv("ROOKERY_DATABASE_URL", raising=False)


def call(capfd, *words):
    """The exit code and stdout of a command."""
    capfd.readouterr()
    ended = CliRunner().invoke(db_app, [*map(str, words)])
    if ended.exception is not None and not isinstance(ended.exception, SystemExit):
        raise ended.exception
    return ended.exit_code, ended.stdout or capfd.readouterr().out


def test_a_database_is_made_backed_up_and_put_back(tmp_path, capfd):
    """Upgrade makes it, status tells it is current, a backup is put back only with --yes, and undoing is told."""
    data, file = tmp_path / "data", tmp_path / "a.dump"
    with pytest.raises(NotFound, match="no system of record in"):
        call(capfd, "status", "--data", data)
    code, told = call(capfd, "upgrade", "--data", data, "--json")
    assert (code, len(json.loads(told)["applied"])) == (0, len(found()))
    assert "Up to date" in call(capfd, "upgrade", "--data", data)[1]
    code, told = call(capfd, "status", "--data", data, "--json")
    assert (code, json.loads(told)["current"]) == (0, True)
    code, told = call(capfd, "backup", file, "--data", data, "--json")
    assert (code, json.loads(told)["bytes"]) == (0, file.stat().st_size)
    code, told = call(capfd, "restore", file, "--data", data)
    assert code == 0 and "Would replace database rookery" in told
    code, told = call(capfd, "restore", file, "--data", data, "--json")
    assert json.loads(told)["restored"] is False
    code, told = call(capfd, "restore", file, "--data", data, "--yes")
    assert code == 0 and "ALTER DATABASE" in told
    assert call(capfd, "status", "--data", data)[0] == 0
    with pytest.raises(InvalidInput):
        call(capfd, "restore", tmp_path / "none", "--data", data, "--yes")
