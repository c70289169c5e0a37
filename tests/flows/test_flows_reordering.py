"""What befalls one parcel that is to be folded once more keeps no other waiting."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from record_cases import NOW
from tracking_cases import HOUSE, World, make_world, scan

from rookery.base.clock import Clock
from rookery.base.db import Urls
from rookery.base.jobs import Desk
from rookery.base.progress import silent
from rookery.flows import reordering
from rookery.flows.archive import archiving
from rookery.terms.errors import Unavailable
from rookery.tracking.archive import Archive

ANEW = "insert into tracking.reordering values (false, '') on conflict (test) do update set after = ''"
"""As the upgrade of an earlier release has it."""
IN_THE_WAY = """
create function tracking.in_the_way() returns trigger language plpgsql as $$ begin raise lock_not_available; end $$;
create trigger in_the_way before update on tracking.parcels for each row execute function tracking.in_the_way();
"""


def desk_of(world: World) -> Desk:
    return Desk(world.record.database, Clock(lambda: world.record.now), world.record.parts)


def detail(world: World, epc: str) -> str:
    kept = world.kept(epc)
    return "" if kept is None else kept[1]


def forget_where(world: World) -> None:
    """Live rows as somebody folded them in another order, and all are to be worked out anew."""
    with world.record.database.owner() as conn:
        conn.execute("update tracking.parcels set detail = 'sorted'")
        conn.execute(ANEW.encode())


def left(world: World) -> list[bool]:
    """The modes in which parcels are still to be worked out."""
    count = "select from tracking.reordering"
    found = []
    for test in (False, True):
        with desk_of(world).context(test) as ctx:
            found += [test] * ctx.conn.execute(count).rowcount
    return found


def passed(world: World) -> list[tuple[str, datetime, str]]:
    """The parcels that were passed over, when they were tried last, and the codes of what befell them."""
    with desk_of(world).context() as ctx:
        return ctx.conn.execute("select epc, at, fault from tracking.reorder_passed").fetchall()


def test_a_parcel_whose_archived_file_is_gone_is_passed_over(
    make_urls: Callable[[], Urls], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """It stays as it was, noted with the code of the fault, which is told, and the live side is no worse for it; its
    neighbours, those behind them and the other mode are worked out. It is tried again each hour, whatever goes well
    meanwhile, and once the file is back it is worked out as well.
    """
    monkeypatch.setattr(reordering, "AT_ONCE", 3)
    with make_world(make_urls, tmp_path) as world:
        every = [world.parcel() for _ in range(5)]
        lost = every[1]
        world.capture(world.blue, scan("arriving", 3, lost, place="H"))
        world.record.now += timedelta(days=90)
        others = [epc for epc in every if epc != lost]
        hours = (world.record.now - NOW) / timedelta(hours=1) - 1
        world.capture(world.blue, *(scan("arriving", hours, epc, place="H") for epc in others))
        clock = Clock(lambda: world.record.now)
        archiving.run(world.record.database, clock, world.record.parts[Archive].folder, 1, silent, lambda seconds: None)
        forget_where(world)
        files = list(world.record.parts[Archive].folder.rglob("*.parquet"))
        away = [file.rename(file.with_suffix(".away")) for file in files]
        with pytest.raises(Unavailable) as told:
            reordering.reorder(desk_of(world))
        assert told.value.code == "archive.unreadable" and left(world) == [False]
        reordering.reorder(desk_of(world))
        assert left(world) == []
        assert [detail(world, epc) for epc in others] == ["arrived"] * 4
        assert detail(world, lost) == "sorted"
        assert world.record.do("live.status", HOUSE)["set_aside"] == 0
        world.record.now += timedelta(minutes=59)
        reordering.reorder(desk_of(world))
        world.record.now += timedelta(minutes=1)
        with pytest.raises(Unavailable, match="archive"):
            reordering.reorder(desk_of(world))
        assert passed(world) == [(lost, world.record.now, "archive.unreadable")]
        for file in away:
            file.rename(file.with_suffix(".parquet"))
        reordering.reorder(desk_of(world))
        assert detail(world, lost) == "sorted"
        world.record.now += timedelta(hours=1)
        reordering.reorder(desk_of(world))
        assert [detail(world, epc) for epc in every] == ["arrived"] * 5 and passed(world) == []


def test_one_mode_does_not_wait_for_the_other(make_urls: Callable[[], Urls], tmp_path: Path):
    """What is the database's fault passes over nobody: the next minute tries the same, and test data go on."""
    with make_world(make_urls, tmp_path) as world:
        epc = world.parcel()
        world.capture(world.blue, scan("arriving", 3, epc, place="H"))
        forget_where(world)
        with world.record.database.owner() as conn:
            conn.execute(IN_THE_WAY.encode())
            with pytest.raises(Unavailable) as told:
                reordering.reorder(desk_of(world))
            conn.execute("drop function tracking.in_the_way cascade")
        assert told.value.code == "database.contended"
        assert left(world) == [False] and world.record.do("live.status", HOUSE)["set_aside"] == 0
        for _ in range(2):
            reordering.reorder(desk_of(world))
        assert left(world) == [] and detail(world, epc) == "arrived"
