"""Messages to an endpoint that fails three times in ten and is down for an hour, while the deliverer is killed.

What the receiver wrote down is held against what was to be told: each message once in effect (under one id), none
skipped, and of each key none before the one that came before it was taken.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import polars as pl

from benchmarks.form import Result, Say, Show, Table
from benchmarks.live.webhook_receiver import DOWN, LOST_ANSWER, TAKEN
from rookery.app import House, open_house
from rookery.base import outbox
from rookery.base.clock import WALL
from rookery.base.webhooks.endpoints import add_endpoint

HERE = Path(__file__).parent
PROGRAM = (sys.executable, "-P")
PARTY = "pty_bench"
SHARE = 0.3
"""Of requests so many fail."""
DOWN_AFTER_S, DOWN_S = 40.0, 3600.0
BATCH = 10_000
LONGEST_S = 3 * 3600.0
WRITES = {"place": pl.Int64, "outcome": pl.Int8, "id": pl.String, "key": pl.String, "n": pl.Int64}


class Size(Protocol):
    """What this part asks of a size: messages, the keys they are of, and how often the deliverer is killed."""

    @property
    def deliveries(self) -> int: ...
    @property
    def delivery_keys(self) -> int: ...
    @property
    def deliverer_kills(self) -> int: ...


def run(size: Size, say: Say) -> Result:
    """Tell all of it, then compare."""
    with tempfile.TemporaryDirectory(prefix="rookery-webhooks-") as folder:
        data, log = Path(folder) / "data", Path(folder) / "heard.csv"
        down = WALL.now().timestamp() + DOWN_AFTER_S
        data.mkdir()
        with open_house(data) as house, receiver(log, down) as port:
            say(f"{size.deliveries:,} messages of {size.delivery_keys:,} keys are written")
            endpoint = happened(house, size, f"http://127.0.0.1:{port}/")
            say(f"they are told; {size.deliverer_kills} kills")
            worked = told(data, Path(folder) / "clock", log, size)
            kept = states(house, endpoint)
        heard = pl.read_csv(log, has_header=False, schema=WRITES)
    return _shown(size, worked, heard, compared(heard, kept))


@contextmanager
def receiver(log: Path, down: float) -> Iterator[int]:
    """The endpoint's port."""
    words = [*PROGRAM, HERE / "webhook_receiver.py", log, SHARE, down, down + DOWN_S]
    process = subprocess.Popen([*map(str, words)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.terminate()
        process.wait()


def happened(house: House, size: Size, url: str) -> str:
    """News of as many keys, each key's numbered from 0 on, in transactions of BATCH; the endpoint that wants them."""
    keys = np.random.default_rng(5).integers(0, size.delivery_keys, size.deliveries)
    news = pl.DataFrame({"k": keys}).with_columns(
        test=False, kind=pl.lit("parcel.milestone"), key=pl.format("K{}", "k"), at=pl.lit(WALL.now()),
        parties=pl.lit([PARTY]), n=pl.int_range(pl.len()).over("k"),
    ).with_columns(data=pl.concat_str(pl.lit('{"number":"'), "key", pl.lit('","n":'), "n", pl.lit("}")))  # fmt: skip
    with house.context() as ctx:
        endpoint = add_endpoint(ctx.conn, PARTY, False, url, (), "", False, WALL.now())
    for first in range(0, size.deliveries, BATCH):
        with house.context() as ctx:
            outbox.add(ctx.conn, news[first : first + BATCH])
    return endpoint


@dataclass(frozen=True)
class Worked:
    """seconds: of deliverers at work, their starts included; kills: that met one at work."""

    seconds: float
    kills: int


def told(data: Path, clock: Path, log: Path, size: Size) -> Worked:
    """Deliverers one after the other, each killed when about an equal part of all was heard, the last left alone."""
    words = [*PROGRAM, str(HERE / "webhook_deliverer.py"), str(data), str(clock)]
    draw, kills, began = random.Random(5), 0, time.perf_counter()
    while time.perf_counter() - began < LONGEST_S:
        process = subprocess.Popen(words)
        try:
            until = None
            if kills < size.deliverer_kills:
                until = (kills + draw.uniform(0.2, 1.0)) / size.deliverer_kills * size.deliveries
            while process.poll() is None and (until is None or _lines(log) < until):
                time.sleep(0.01)
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                kills += 1
        finally:
            process.kill()
        if process.wait() == 0:
            return Worked(time.perf_counter() - began, kills)
        if process.returncode != -signal.SIGKILL:
            raise RuntimeError(f"the deliverer ended with {process.returncode}")
    raise TimeoutError(f"not all was told after {LONGEST_S:g} s")


def _lines(log: Path) -> float:
    """About how many requests the log tells of."""
    return log.stat().st_size / 52


def states(house: House, endpoint: str) -> pl.DataFrame:
    """What the deliverers wrote: of each message its id and state."""
    with house.context() as ctx:
        rows = ctx.conn.execute(
            "select event_id, state, key, error from base.deliveries where endpoint_id = %s order by seq", (endpoint,)
        ).fetchall()
    told = ("id", "state", "key", "error")
    return pl.DataFrame(rows, schema=dict.fromkeys(told, pl.String), orient="row")  # most have no error: never inferred


def compared(heard: pl.DataFrame, kept: pl.DataFrame) -> dict[str, int]:
    """Every way in which what was heard and what was to be told could differ, counted."""
    taken = heard.filter(pl.col("outcome") >= LOST_ANSWER)
    each = heard.group_by("key", "n").agg(
        ids=pl.col("id").n_unique(), first=pl.col("place").min(),
        acknowledged=pl.col("place").filter(pl.col("outcome") == TAKEN).min(),
    ).sort("key", "n")  # fmt: skip
    before = each.with_columns(
        earlier=pl.col("acknowledged").shift().over("key"), follows=pl.col("n") == pl.col("n").shift().over("key") + 1
    ).filter(pl.col("n") > 0)
    return {
        "skipped": kept.join(taken, on="id", how="anti").height,
        "not written as delivered": kept.filter(pl.col("state") != "delivered").height,
        "told and never written": taken.join(kept, on="id", how="anti")["id"].n_unique(),
        "told under two ids": each.filter(pl.col("ids") > 1).height,
        "told before the one before was taken": before.filter(
            ~pl.col("follows") | pl.col("earlier").is_null() | (pl.col("earlier") > pl.col("first"))
        ).height,
    }


def _shown(size: Size, worked: Worked, heard: pl.DataFrame, faults: dict[str, int]) -> Result:
    count = dict(heard.group_by("outcome").len().iter_rows())
    again = heard.filter(pl.col("outcome") == TAKEN).group_by("id").len().filter(pl.col("len") > 1).height
    name = f"{size.deliveries:,} webhook deliveries"
    twice = faults["told under two ids"] + faults["told and never written"]
    up = heard.height - count.get(DOWN, 0)
    rows = [
        ("requests", heard.height), ("of these while it was down", count.get(DOWN, 0)),
        ("of the others failed, %", 100 * (1 - count.get(TAKEN, 0) / max(1, up))),
        ("acknowledged again after a kill, under the same id", again), ("seconds", worked.seconds),
        ("requests/s", heard.height / worked.seconds), *faults.items(),
    ]  # fmt: skip
    return Result(
        shows=[
            Show(f"{name}: skipped", faults["skipped"] + faults["not written as delivered"], "messages", "<= 0"),
            Show(f"{name}: more than once in effect", twice, "messages", "<= 0"),
            Show(f"{name}: out of the order of their key", faults["told before the one before was taken"], "messages",
                 "<= 0"),
            Show(f"{name}: kill -9 of the deliverer", worked.kills, "kills", f">= {size.deliverer_kills}"),
            Show(f"{name}: told", size.deliveries / worked.seconds, "deliveries/s"),
        ],
        tables=[Table("what the endpoint had of it", ("what", "value"), rows,
                      f"{SHARE:.0%} of requests fail, a third of these after they were taken; for an hour of the "
                      "clock it is down; the clock jumps when nothing is due.")],
    )  # fmt: skip
