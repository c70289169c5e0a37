"""Booked parcels that move through a world without an end, and are scanned as couriers scan them.

A parcel rides the departures that it is booked on, as long as it is ready by their cut-off. One that misses its leg, or
whose leg does not run, waits to be booked anew; where nobody does that before the lane's next departure it goes along
with that one, as couriers do. Nobody is turned away for want of room: that is the planner's to see to.

One that was loaded the wrong way is unloaded where that leads, as anything else. From there it goes on where a leg of
its own begins or it is at its end; else it is sent back by the next departure to where it was taken from, if there is
one before it is booked anew. No scan says that it went wrong: it departs on a departure that is none of its own.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rookery.terms.frames import Feed
from rookery.terms.time import DAY, NEVER
from rookery.twin.model import Trouble
from rookery.twin.rolling import Rolling

SCANS: dict[str, pl.DataType] = {
    "number": pl.String(),
    "at": pl.Int64(),  # UTC minute
    "code": pl.String(),  # of the table `rookery`
    "node": pl.String(),
    "departure": pl.String(),  # null = about none
    "carrier": pl.String(),  # who scans; null = whoever runs the network
}
BOOKINGS: dict[str, pl.DataType] = {
    "number": pl.String(),
    "seq": pl.Int64(),  # order of a parcel's legs
    "departure_id": pl.String(),
    "depart_at": pl.Int64(),  # UTC minute
}
COMING, WAITING, LOADED, RIDING, HANDLED, OUT, DELIVERED, LOST = range(8)
STATES = ("coming", "waiting", "loaded", "riding", "at destination", "out for delivery", "delivered", "lost")
CODES = (
    "accepted", "departed", "arrived", "damaged", "customs_hold", "customs_cleared", "out_for_delivery", "nobody_home",
    "delivered",
)  # fmt: skip
"""Codes of scans, in the order in which those of one minute happen."""
(ACCEPTED, DEPARTED, ARRIVED, DAMAGED, HELD, CLEARED, LEFT, FAILED, BROUGHT) = range(len(CODES))
LAST_ATTEMPT = 3
"""The attempt to deliver that always succeeds."""
_PLACE = {"number": pl.String, "parcel": pl.Int64}
_LOSS, _DAMAGE, _HOLD, _HOLD_TIME, _ATTEMPT, _MISROUTING = range(6)
_STATE = {
    "key": np.uint64, "state": np.int8, "node": np.int32, "ready": np.int64, "row": np.int32, "leg": np.int64,
    "next_at": np.int64, "minutes": np.int64, "rides": np.int64, "missed": np.int64, "attempts": np.int64,
    "last": np.int32, "delivered_at": np.int64, "back": np.int32,
}  # fmt: skip
"""What is kept of each parcel.

row: waited for or ridden (-1 = none); leg: place of the next booked leg; next_at: when something happens to it next;
minutes: of its last mile; last: the row it rode last (-1 = none); back: the node from which it was taken the wrong way
(-1 = it is on its way).
"""


class Live:
    """Parcels under way; `advance` lets time pass. The same calls give the same scans."""

    def __init__(self, rolling: Rolling, trouble: Trouble, seed: int):
        self.rolling, self._trouble, self._seed = rolling, trouble, seed
        feed = rolling.feed
        self._customs = (feed.nodes["kind"] == "customs").to_numpy()
        self._departures = {name: row for row, name in enumerate(feed.departures["departure_id"])}
        self.numbers: list[str] = []
        self._is: dict[str, NDArray[Any]] = {name: np.zeros(0, kind) for name, kind in _STATE.items()}
        self._legs = np.zeros((0, 1), np.int32)
        self._ahead: list[tuple[NDArray[Any], ...]] = []
        self.minute = 0  # up to which time has passed

    def add(self, parcels: pl.DataFrame) -> None:
        """Parcels that are handed over later. parcels: number, node (row where it begins), start_at (minute at which
        it is there), minutes (from the last node to the door; 0 = fetched there). Those known already are left out.
        """
        known = pl.DataFrame({"number": self.numbers}, schema={"number": pl.String})
        new = parcels.join(known, on="number", how="anti").unique("number", keep="first", maintain_order=True)
        names, count = new["number"].to_list(), new.height
        self.numbers += names
        start = new["start_at"].to_numpy().astype(np.int64)
        given = {
            "key": np.array([_key(name, self._seed) for name in names], np.uint64),
            "node": new["node"].to_numpy(), "ready": start, "next_at": start, "minutes": new["minutes"].to_numpy(),
            "row": np.full(count, -1), "last": np.full(count, -1), "delivered_at": np.full(count, int(NEVER)),
            "back": np.full(count, -1),
        }  # fmt: skip
        for name, kind in _STATE.items():
            self._is[name] = np.append(self._is[name], given.get(name, np.zeros(count)).astype(kind))
        width = self._legs.shape[1]
        self._legs = np.vstack([self._legs, np.full((count, width), -1, np.int32)])

    def tell(self, bookings: pl.DataFrame) -> None:
        """The legs of parcels from now on (BOOKINGS), in place of those told before; legs behind them are passed over.

        Parcels that are not known are left out, and so is what has left already: nobody gets off on the way.
        """
        known = pl.DataFrame({"number": self.numbers, "parcel": np.arange(len(self.numbers))}, schema=_PLACE)
        mine = bookings.join(known, on="number").sort("parcel", "seq", maintain_order=True)
        if mine.is_empty():
            return
        self.rolling.reach(int(mine["depart_at"].max()))  # type: ignore[arg-type]
        rows = self.rolling.find(
            mine["departure_id"].replace_strict(self._departures, default=-1, return_dtype=pl.Int64).to_numpy(),
            mine["depart_at"].to_numpy(),
        )
        parcel, rows = mine["parcel"].to_numpy()[rows >= 0], rows[rows >= 0]
        told, first = np.unique(parcel, return_index=True)
        place = np.arange(len(parcel)) - np.repeat(first, np.diff(np.append(first, len(parcel))))
        if (wider := int(place.max(initial=0)) + 1 - self._legs.shape[1]) > 0:
            self._legs = np.pad(self._legs, ((0, 0), (0, wider)), constant_values=-1)
        self._legs[told] = -1
        self._legs[parcel, place] = rows
        self._go_on(told)

    def close(self, really: Feed, at: int) -> None:
        """The network runs as this feed, with its closures, says from minute `at` on; who waits chooses anew."""
        self.rolling.close(really, at)
        state, rows = self._is, self.rolling.rows
        loaded = np.flatnonzero(state["state"] == LOADED)  # what went the wrong way may be, long before the cut-off
        off = loaded[~rows.runs[state["row"][loaded]]]
        state["state"][off], state["back"][off] = WAITING, -1
        # legs told meanwhile were sought from where that leads
        _, state["leg"][off] = self._begins(off, state["node"][off])
        state["next_at"][loaded] = rows.depart[state["row"][loaded]]
        self._choose(np.flatnonzero(state["state"] == WAITING), at)

    def _go_on(self, told: NDArray[np.int64]) -> None:
        """Parcels told new legs find their place among them: the first leg that begins where they are next."""
        state, rows = self._is, self.rolling.rows
        here = np.where(
            np.isin(state["state"][told], (LOADED, RIDING)), rows.to[state["row"][told]], state["node"][told]
        )
        begins, state["leg"][told] = self._begins(told, here)
        waits = state["state"][told] == WAITING
        state["back"][told[waits & begins]] = -1
        self._choose(told[waits], self.minute)

    def _begins(self, who: NDArray[np.int64], node: NDArray) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """Whether a leg of each begins at a node, and the place of the first that does; else that behind all legs."""
        legs = self._legs[who]
        begins = (legs >= 0) & (self.rolling.rows.frm[legs] == node[:, None])
        found = begins.any(axis=1)
        return found, np.where(found, begins.argmax(axis=1), (legs >= 0).sum(axis=1))

    def advance(self, until: int) -> pl.DataFrame:
        """Let time pass up to a minute: the scans (SCANS) of the minutes before it, in time."""
        self.rolling.reach(until)
        state = self._is
        while len(due := np.flatnonzero(state["next_at"] < until)):
            kind = state["state"][due]
            for what, step in (
                (COMING, self._accept), (WAITING, self._board), (LOADED, self._leave), (RIDING, self._arrive),
                (HANDLED, self._send_out), (OUT, self._bring),
            ):  # fmt: skip
                if len(mine := due[kind == what]):
                    step(mine)
        self.minute = max(self.minute, until)
        return self._scans(until)

    def _accept(self, who: NDArray[np.int64]) -> None:
        state = self._is
        self._scan(who, ACCEPTED, state["next_at"][who], state["node"][who])
        self._settle(who)

    def _settle(self, who: NDArray[np.int64]) -> None:
        """At a node, with work on it done at `ready`: on to the next leg, or out where there is none."""
        state = self._is
        home = (self._next_leg(who) < 0) & self._at_end(who)
        last, on = who[home], who[~home]
        state["state"][last], state["row"][last] = HANDLED, -1
        state["next_at"][last] = state["ready"][last]
        state["state"][on] = WAITING
        self._choose(on, None)

    def _at_end(self, who: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether the legs of each end where it is; without any, whether it is brought from there."""
        legs = self._legs[who]
        end = legs[np.arange(len(who)), np.maximum((legs >= 0).sum(axis=1) - 1, 0)]
        return np.where(end >= 0, self.rolling.rows.to[end] == self._is["node"][who], self._is["minutes"][who] > 0)

    def _next_leg(self, who: NDArray[np.int64]) -> NDArray[np.int32]:
        leg = self._is["leg"][who]
        width = self._legs.shape[1]
        return np.where(leg < width, self._legs[who, np.minimum(leg, width - 1)], -1)

    def _choose(self, who: NDArray[np.int64], now: int | None) -> None:
        """What each that waits goes along with, as things stand at minute `now` (None = when it is ready)."""
        state, rows = self._is, self.rolling.rows
        leg = self._next_leg(who)
        astray = state["back"][who] >= 0
        here = ~astray & (leg >= 0) & (rows.frm[leg] == state["node"][who])
        by = state["ready"][who] if now is None else np.maximum(state["ready"][who], now)
        good = here & rows.runs[leg] & (rows.cutoff[leg] >= by)
        later = np.where(here, self.rolling.next_of_lane(rows.lane[leg], by), -1)
        lost = who[astray]
        later[astray] = self.rolling.next_between(state["node"][lost], state["back"][lost], by[astray])
        row = np.where(good, leg, later).astype(np.int32)
        # counted once: not again when it chooses anew for the same leg
        state["missed"][who] += here & ~good & (state["row"][who] != row)
        state["row"][who] = row
        state["next_at"][who] = np.where(row >= 0, rows.cutoff[row], int(NEVER))

    def _board(self, who: NDArray[np.int64]) -> None:
        state, rows = self._is, self.rolling.rows
        own = who[state["back"][who] < 0]  # what is sent back rides no leg of its own
        wrong = own[self._drawn(own, _MISROUTING) < self._trouble.misrouted_share]
        other = self.rolling.next_elsewhere(state["row"][wrong])
        wrong, other = wrong[other >= 0], other[other >= 0]
        state["leg"][own] += 1
        state["leg"][wrong] -= 1
        state["row"][wrong], state["back"][wrong] = other, state["node"][wrong]
        state["state"][who], state["next_at"][who] = LOADED, rows.depart[state["row"][who]]

    def _leave(self, who: NDArray[np.int64]) -> None:
        state, rows = self._is, self.rolling.rows
        row = state["row"][who]
        state["last"][who] = row
        self._scan(who, DEPARTED, rows.depart[row], rows.frm[row], row)
        state["state"][who], state["next_at"][who] = RIDING, rows.arrive[row]
        state["rides"][who] += 1

    def _arrive(self, who: NDArray[np.int64]) -> None:
        state, rows, trouble = self._is, self.rolling.rows, self._trouble
        gone = self._drawn(who, _LOSS) < trouble.lost_share
        state["state"][who[gone]], state["next_at"][who[gone]] = LOST, int(NEVER)
        who = who[~gone]
        row, at = state["row"][who], state["next_at"][who]
        node = rows.to[row]
        self._scan(who, ARRIVED, at, node, row)
        hurt = self._drawn(who, _DAMAGE) < trouble.damaged_share
        self._scan(who[hurt], DAMAGED, at[hurt], node[hurt], row[hurt])
        ready = rows.ready[row]
        held = self._customs[node] & (self._drawn(who, _HOLD) < trouble.hold_share)
        until = ready + (-trouble.hold_minutes * np.log(1 - self._drawn(who, _HOLD_TIME))).astype(np.int64)
        self._scan(who[held], HELD, ready[held], node[held], row[held])
        self._scan(who[held], CLEARED, until[held], node[held], row[held])
        state["ready"][who], state["node"][who] = np.where(held, until, ready), node
        self._find_way(who[state["back"][who] >= 0])
        self._settle(who)

    def _find_way(self, who: NDArray[np.int64]) -> None:
        """What was taken the wrong way is on its way again where that led to a leg of its own, or to its end."""
        state = self._is
        begins, leg = self._begins(who, state["node"][who])
        found = begins | self._at_end(who)
        who, leg = who[found], leg[found]
        state["missed"][who] += np.maximum(leg - state["leg"][who], 0)  # a short cut
        state["leg"][who], state["back"][who] = leg, -1

    def _send_out(self, who: NDArray[np.int64]) -> None:
        state = self._is
        out = state["minutes"][who] > 0
        self._scan(who[out], LEFT, state["next_at"][who[out]], state["node"][who[out]])
        state["state"][who] = OUT
        state["next_at"][who] += state["minutes"][who]

    def _bring(self, who: NDArray[np.int64]) -> None:
        state = self._is
        state["attempts"][who] += 1
        nobody = self._drawn(who, _ATTEMPT, state["attempts"][who]) < self._trouble.failed_attempt_share
        nobody &= (state["attempts"][who] < LAST_ATTEMPT) & (state["minutes"][who] > 0)
        again, done = who[nobody], who[~nobody]
        self._scan(again, FAILED, state["next_at"][again], state["node"][again])
        state["next_at"][again] += DAY
        self._scan(done, BROUGHT, state["next_at"][done], state["node"][done])
        state["delivered_at"][done] = state["next_at"][done]
        state["state"][done], state["next_at"][done] = DELIVERED, int(NEVER)

    def _drawn(self, who: NDArray[np.int64], kind: int, more: NDArray[np.int64] | int = 0) -> NDArray[np.float64]:
        """A number in [0, 1) that belongs to a parcel, its ride and a kind of luck (splitmix64, Steele et al. 2014)."""
        step = (self._is["rides"][who] * 64 + kind * 8 + more).astype(np.uint64)
        x = self._is["key"][who] + step * np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return ((x ^ (x >> np.uint64(31))) >> np.uint64(11)).astype(np.float64) * 2.0**-53

    def _scan(self, who: NDArray, code: int, at: NDArray, node: NDArray, row: NDArray | None = None) -> None:
        """Note a scan of each; row: the departure it is about, whose carrier scans. Without one whoever brought it
        last does, or whoever is to take it first.
        """
        if len(who):
            rows = np.full(len(who), -1, np.int32) if row is None else row
            last = self._is["last"][who]
            by = np.where(last >= 0, last, self._legs[who, 0]) if row is None else row
            self._ahead.append((who, np.full(len(who), code, np.int8), at, node, rows, by))

    def _scans(self, until: int) -> pl.DataFrame:
        if not self._ahead:
            return pl.DataFrame(schema=SCANS)
        columns = [np.concatenate(parts) for parts in zip(*self._ahead)]
        now = columns[2] < until
        self._ahead = [tuple(column[~now] for column in columns)] if not now.all() else []
        who, code, at, node, row, by = (column[now] for column in columns)
        order = np.lexsort((code, who, at))
        who, code, at, node, row, by = (column[order] for column in (who, code, at, node, row, by))
        feed, rows = self.rolling.feed, self.rolling.rows
        lane = np.where(by >= 0, rows.lane[by], -1)
        departure = np.where(row >= 0, rows.departure[row], -1)
        return pl.DataFrame(
            {
                "number": [self.numbers[i] for i in who],
                "at": at,
                "code": [CODES[i] for i in code],
                "node": _named(feed.nodes["node_id"], node),
                "departure": _named(feed.departures["departure_id"], departure),
                "carrier": _named(feed.lanes["carrier_id"], lane),
            },
            schema=SCANS,
        )

    def truth(self) -> pl.DataFrame:
        """What has become of everyone: number, state (of STATES), missed (legs not ridden as booked), delivered_at
        (minute; null = not yet).
        """
        at = pl.Series(self._is["delivered_at"])
        return pl.DataFrame(
            {
                "number": self.numbers,
                "state": [STATES[i] for i in self._is["state"]],
                "missed": self._is["missed"],
                "delivered_at": pl.select(pl.when(at < int(NEVER)).then(at)).to_series(),
            },
            schema={"number": pl.String, "state": pl.String, "missed": pl.Int64, "delivered_at": pl.Int64},
        )

    def counts(self) -> dict[str, int]:
        """How many are in each of STATES."""
        return dict(zip(STATES, np.bincount(self._is["state"], minlength=len(STATES)).tolist()))

    def astray(self) -> list[str]:
        """Numbers of those that wait for something else than what they are booked on."""
        state = self._is
        waits = np.flatnonzero(state["state"] == WAITING)
        leg = self._next_leg(waits)
        return [self.numbers[i] for i in waits[(leg < 0) | (leg != state["row"][waits])]]

    def busiest(self, kind: str) -> str | None:
        """The node of a kind that most legs still to be ridden leave from; None where there is none."""
        ahead = self._legs[np.arange(self._legs.shape[1]) >= self._is["leg"][:, None]]
        nodes = self.rolling.feed.nodes
        legs = np.bincount(self.rolling.rows.frm[ahead[ahead >= 0]], minlength=len(nodes))
        legs *= (nodes["kind"] == kind).to_numpy()
        return nodes["node_id"][int(legs.argmax())] if legs.any() else None

    def save(self, file: Path) -> None:
        """Keep everything, to be taken up by `load`: whole or as it was."""
        beside = file.with_name(f".{file.name}.npz")
        ahead = [np.concatenate(parts) for parts in zip(*self._ahead)] if self._ahead else [np.zeros(0)] * 6
        parts = {f"ahead{i}": part for i, part in enumerate(ahead)}
        np.savez(
            beside, allow_pickle=False, numbers=np.array(self.numbers, dtype=np.str_), legs=self._legs,
            minute=np.array(self.minute), **parts, **self._is,
        )  # fmt: skip
        beside.replace(file)

    def load(self, file: Path) -> None:
        """Take up what was saved of the same feed, begin and seed."""
        with np.load(file, allow_pickle=False) as kept:
            self.numbers = kept["numbers"].tolist()
            # what was kept before anything went astray knows no way back
            was = {"back": np.full(len(self.numbers), -1)} | dict(kept)
            self._is = {name: was[name].astype(kind) for name, kind in _STATE.items()}
            self._legs, self.minute = kept["legs"], int(kept["minute"])
            self._ahead = [tuple(kept[f"ahead{i}"] for i in range(6))] if len(kept["ahead0"]) else []
        used = int(max(self._legs.max(initial=-1), self._is["row"].max(initial=-1), self._is["last"].max(initial=-1)))
        while used >= len(self.rolling.rows):
            self.rolling.reach(int(self.rolling.rows.scheduled.max()) + 1)
        self.rolling.reach(self.minute)


def _key(number: str, seed: int) -> int:
    return int.from_bytes(hashlib.blake2b(number.encode(), digest_size=8, salt=seed.to_bytes(8, "big")).digest(), "big")


def _named(names: pl.Series, row: NDArray[np.integer]) -> pl.Series:
    """The name of each row; null for -1."""
    numbers = pl.Series(row.astype(np.int64))
    return names.gather(pl.select(pl.when(numbers >= 0).then(numbers)).to_series())
