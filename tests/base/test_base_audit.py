"""The audit trail: sealing it, and finding every kind of tampering."""

from __future__ import annotations

import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from rookery.base import audit, sealing
from rookery.base.audit_check import Verdict, verify
from rookery.base.clock import Clock
from rookery.base.db import Database
from rookery.base.db.partitions import tend
from rookery.base.operations import SYSTEM, Context
from rookery.terms.errors import Conflict

NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)
CLOCK = Clock(lambda: NOW)


class Trail:
    """A database, a folder for its seals, and lines written at chosen times."""

    def __init__(self, database: Database, data: Path):
        self.database, self.data, self.clock = database, data, CLOCK

    def write(self, count: int = 3, at: datetime = NOW) -> None:
        with Context(self.database, Clock(lambda: at), SYSTEM) as ctx:
            for number in range(count):
                audit.note(ctx, "orders.create", f"ord_{number}", count=number, share=0.25, text="Straße \u4e2d")

    def seal(self) -> int:
        return sealing.seal(self.database, self.clock, self.data)

    def sealed(self, *counts: int) -> None:
        for count in counts or (3, 3, 3):
            self.write(count)
            self.seal()

    def as_owner(self, *statements: str) -> None:
        """What whoever holds the database can do to it, but not to the folder."""
        with psycopg.connect(self.database.urls.main, autocommit=True) as conn:
            conn.execute("alter table base.audit disable row level security")
            for statement in statements:
                conn.execute(statement.encode())
            conn.execute("alter table base.audit enable row level security")

    def verdict(self) -> Verdict:
        return verify(self.database, self.clock, self.data)

    def codes(self) -> dict[str, int]:
        verdict = self.verdict()
        assert verdict.holds == (not verdict.counts)
        return verdict.counts


@pytest.fixture
def trail(fresh_database: Database, tmp_path: Path) -> Trail:
    return Trail(fresh_database, tmp_path)


def test_a_trail_nobody_touched_holds(trail: Trail):
    """Lines sealed at several times, and lines still waiting, are found as they were written."""
    trail.sealed(3, 5, 1)
    trail.write(2)
    verdict = trail.verdict()
    assert (verdict.holds, verdict.seals, verdict.lines, verdict.waiting) == (True, 4, 11, 0)
    assert trail.seal() == 0


def test_an_empty_trail_holds_and_its_key_is_nobody_elses(trail: Trail):
    """Before the first line there is nothing to find; the key's file opens for its owner alone."""
    assert trail.verdict().holds
    assert stat.S_IMODE((trail.data / sealing.KEY).stat().st_mode) == 0o600


def test_many_lines_make_several_seals(trail: Trail):
    """A seal holds a bounded number of lines."""
    trail.write(sealing.MOST_LINES + 1)
    assert trail.seal() == sealing.MOST_LINES + 1
    assert (trail.verdict().seals, trail.codes()) == (2, {})


@pytest.mark.parametrize(
    ("statements", "codes"),
    [
        (["update base.audit set subject = 'ord_x' where audit_id = 4"], {"line_changed": 1}),
        (["update base.audit set party_id = 'pty_x' where audit_id = 4"], {"line_changed": 1}),
        (["update base.audit set detail = detail || '{\"count\": 9}' where audit_id = 4"], {"line_changed": 1}),
        (["update base.audit set at = at + interval '1 microsecond' where audit_id = 4"], {"line_changed": 1}),
        (["delete from base.audit where audit_id in (4, 5)"], {"line_removed": 2}),
        (["truncate base.audit"], {"line_removed": 9}),
        (
            ["insert into base.audit overriding system value select 2, at + interval '1 day', party_id, key_id, test,"
             " 'keys.create', subject, detail from base.audit where audit_id = 2"],
            {"line_inserted": 1},
        ),
        (["delete from base.audit_seals where seal_no = 2"], {"seal_missing": 1}),
        (["delete from base.audit_seals where seal_no = 1"], {"seal_missing": 1}),
        (["delete from base.audit_seals where seal_no = 3", "delete from base.audit where audit_id > 6"],
         {"seals_cut": 1}),
        (["truncate base.audit_seals", "truncate base.audit"], {"seals_cut": 1}),
        (["update base.audit_seals set digests = sha256('x') || substr(digests, 33) where seal_no = 2"],
         {"seal_broken": 1, "line_changed": 1}),
        (["update base.audit_seals set hmac = sha256('x') where seal_no = 2"], {"seal_broken": 2}),
        (["update base.audit_seals set sealed_at = '2026-01-01Z' where seal_no = 2"], {"seal_broken": 1}),
        (["update base.audit_seals set ids = ids[1:2], digests = substr(digests, 1, 64) where seal_no = 2",
          "delete from base.audit where audit_id = 6"], {"seal_broken": 1}),
        (["insert into base.audit_seals select 4, sealed_at, first_at, last_at, ids, digests, seen_id, seen_xid,"
          " settled_id, hmac, sha256('y') from base.audit_seals where seal_no = 3"], {"seal_broken": 1}),
    ],
)  # fmt: skip
def test_tampering_is_found(trail: Trail, statements: list[str], codes: dict[str, int]):
    """Whatever the database's owner changes, removes, slips in or cuts off is told by its kind."""
    trail.sealed()
    trail.as_owner(*statements)
    found = trail.codes()
    assert {code: found.get(code) for code in codes} == codes


def test_which_line_was_changed_is_told(trail: Trail):
    """The finding names the line and the seal it stands under."""
    trail.sealed()
    trail.as_owner("update base.audit set act = 'x' where audit_id = 5")
    found = trail.verdict().findings
    assert [(one.code, one.audit_id, one.seal_no) for one in found] == [("line_changed", 5, 2)]


def test_a_line_slipped_into_a_gap_is_found(trail: Trail):
    """A number that was given out and never used is no place for a forged line once it is settled."""
    trail.sealed(2)
    trail.as_owner("alter table base.audit alter audit_id restart with 10")
    trail.sealed(2, 2, 2)
    trail.as_owner(
        "insert into base.audit overriding system value select 5, at, party_id, key_id, test, act, subject, detail"
        " from base.audit where audit_id = 1"
    )
    assert trail.codes() == {"line_inserted": 1}


def test_a_late_transaction_gets_into_a_later_seal(trail: Trail):
    """A line whose transaction ends after later lines were sealed is no forgery."""
    late = Context(trail.database, CLOCK, SYSTEM)
    with late:
        audit.note(late, "orders.create", "late")
        trail.sealed(2, 2, 2)
    assert trail.seal() == 1
    assert trail.codes() == {}


def test_what_was_rolled_back_is_missed_by_nobody(trail: Trail):
    """Numbers that were never committed are no removed lines."""
    with pytest.raises(ZeroDivisionError), Context(trail.database, CLOCK, SYSTEM) as ctx:
        audit.note(ctx, "orders.create")
        _ = 1 / 0
    trail.sealed()
    assert trail.codes() == {}


def test_lines_may_go_with_their_month_when_it_is_kept_no_longer(trail: Trail):
    """A month that is over for long may go as a whole; lines of it may not."""
    trail.write(3, NOW - timedelta(days=365 * 8))
    trail.write(2)
    trail.seal()
    trail.as_owner("delete from base.audit where audit_id in (1, 2)")
    assert trail.codes() == {"line_removed": 2}
    trail.as_owner("delete from base.audit where audit_id = 3")
    verdict = trail.verdict()
    assert (verdict.holds, verdict.expired) == (True, 3)


def test_moving_lines_into_their_partitions_changes_nothing(trail: Trail):
    """Tending partitions is not tampering; lines that only the database's word says are kept no longer are missed."""
    trail.write(3, NOW - timedelta(days=200))
    trail.sealed()
    with trail.database.owner() as conn:
        tend(conn, NOW)
    assert trail.codes() == {}
    trail.as_owner("update base.partitioned set keep_months = 1", "delete from base.audit where at < '2026-01-01'")
    assert trail.codes() == {"line_removed": 3}


def test_another_key_opens_no_seal(trail: Trail):
    """Seals made under a key of someone else's are none of ours."""
    trail.sealed(3)
    (trail.data / sealing.KEY).write_text("00" * 32)
    assert trail.codes() == {"seal_broken": 1}


def test_without_its_key_nothing_is_sealed_anew(trail: Trail):
    """When the key is gone the trail is not quietly started again."""
    trail.sealed(3)
    (trail.data / sealing.KEY).unlink()
    for act in (trail.seal, trail.verdict):
        with pytest.raises(Conflict, match=r"audit\.key"):
            act()


def test_a_cut_trail_is_not_sealed_over(trail: Trail):
    """Sealing stops at a cut, so that the anchor goes on telling of it."""
    trail.sealed()
    trail.as_owner("delete from base.audit_seals where seal_no = 3")
    with pytest.raises(Conflict, match="seal 3"):
        trail.seal()
    assert "seals_cut" in trail.codes()


def test_an_anchor_that_lags_behind_is_no_fault(trail: Trail):
    """A crash between a seal and its anchor leaves the older anchor, which is still true."""
    trail.sealed(3)
    anchor = (trail.data / sealing.ANCHOR).read_text()
    trail.sealed(3)
    (trail.data / sealing.ANCHOR).write_text(anchor)
    assert trail.codes() == {}


def test_an_anchor_that_was_moved_away_is_written_anew(trail: Trail):
    """After a backup was restored, whoever owns the folder can have the trail go on from there."""
    trail.sealed()
    trail.as_owner("delete from base.audit_seals where seal_no = 3", "delete from base.audit where audit_id > 6")
    assert "seals_cut" in trail.codes()
    (trail.data / sealing.ANCHOR).unlink()
    assert trail.codes() == {}
    trail.sealed(2)
    assert trail.codes() == {}


def test_nobody_but_the_owner_touches_lines_or_seals(trail: Trail):
    """The role that serves requests can add lines of its own party and nothing else."""
    trail.sealed(2)
    forbidden: list[str] = [
        "update base.audit set act = 'x'", "delete from base.audit", "truncate base.audit",
        "select * from base.audit_seals", "delete from base.audit_seals",
    ]  # fmt: skip
    for statement in forbidden:
        refused: Callable[..., object] = psycopg.errors.InsufficientPrivilege
        with pytest.raises(refused), Context(trail.database, CLOCK, SYSTEM) as ctx:  # type: ignore[arg-type]
            ctx.conn.execute(statement.encode())
