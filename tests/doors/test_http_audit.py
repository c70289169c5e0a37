"""What is done over HTTP leaves a line of the audit trail; `rookery audit verify` tells whether all still stand."""

from __future__ import annotations

import json

import psycopg
import pytest
from typer.testing import CliRunner

from rookery.doors.cli.audit import audit_app


def verify(server, *words: str):
    return CliRunner().invoke(audit_app, ["verify", "--data", str(server.data), *words])


@pytest.fixture(scope="module")
def key(fragile) -> str:
    return fragile.new_key("admin", party=fragile.new_party("Auditors"))


def test_a_command_leaves_a_line_and_a_refused_one_none(fragile, key):
    """Who did what on which thing; what was not done is not in the trail."""
    made = fragile.ask("POST", "/parties", {"name": "Ada Example"}, key)
    assert fragile.ask("POST", "/parties", {"name": ""}, key).status == 422
    with fragile.house.context() as ctx:
        lines = ctx.conn.execute("select act, subject, detail::text from base.audit order by audit_id").fetchall()
    assert lines[-1][:2] == ("parties.create", made.json["party_id"])
    assert "Ada" not in str(lines)


def test_a_trail_that_holds_is_told_so(fragile, key):
    """Exit code 0, in words and as JSON."""
    fragile.ask("POST", "/parties", {"name": "x"}, key)
    told = verify(fragile, "--json")
    assert told.exit_code == 0
    verdict = json.loads(told.stdout)
    assert verdict["holds"] and verdict["lines"] > 0 and verdict["findings"] == []
    assert f"The trail holds: {counted(verdict, 'line')} under {counted(verdict, 'seal')} (" in verify(fragile).stdout


def counted(verdict, thing: str) -> str:
    """A number and its word, which agree."""
    number = verdict[f"{thing}s"]
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def test_tampering_is_told_with_its_place(fragile, key):
    """Exit code 1 and the line that was changed."""
    fragile.ask("POST", "/parties", {"name": "y"}, key)
    assert verify(fragile).exit_code == 0
    with psycopg.connect(fragile.cluster.url("rookery", "postgres"), autocommit=True) as conn:
        changed = conn.execute(
            "update base.audit set act = 'nothing' where audit_id = (select max(audit_id) from base.audit)"
            " returning audit_id"
        ).fetchone()
    told = verify(fragile, "--json")
    assert told.exit_code == 1
    assert [(one["code"], one["audit_id"]) for one in json.loads(told.stdout)["findings"]] == [
        ("line_changed", changed[0])
    ]
    assert f"line {changed[0]}" in verify(fragile).output
