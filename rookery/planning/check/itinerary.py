"""Checks every parcel and leg of a plan against the feed: places, times, limits and prices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from typing import Any

import polars as pl

from rookery.planning.check.days import FOREVER, day_end
from rookery.planning.check.report import Findings
from rookery.planning.check.runs import Runs
from rookery.planning.check.telling import Telling
from rookery.planning.check.wishes import Wish
from rookery.terms.frames import Feed
from rookery.terms.goods import REASONS

_MINUTE_US = 60_000_000
SURE = 1e-9
"""By which a certain chance may differ from the one told."""
MINUTE_APART = 1.0  # expected_at may be rounded to a whole minute


def tolerance(cost: float) -> float:
    """By how much two figures of money may differ."""
    return 1e-6 * max(1.0, abs(cost))


@lru_cache(maxsize=1 << 16)  # every leg's times are written out, wrong or not
def clock(minute: float | None) -> str:
    """A UTC minute as people read it."""
    if minute is None or minute >= FOREVER:
        return "never"
    return datetime.fromtimestamp(round(minute) * 60, UTC).strftime("%Y-%m-%d %H:%MZ")


def rows(frame: pl.DataFrame) -> Iterator[dict[str, Any]]:
    """The rows of a plan frame, one at a time, instants as UTC minutes."""
    instants = [name for name, kind in frame.schema.items() if isinstance(kind, pl.Datetime)]
    minutes = [pl.col(name).dt.epoch("us").cast(pl.Float64) / _MINUTE_US for name in instants]
    return frame.with_columns(minutes).iter_rows(named=True)


def _by_order(
    parcels: pl.DataFrame, legs: pl.DataFrame
) -> Iterator[tuple[dict[str, Any] | None, list[dict[str, Any]]]]:
    """Every parcel with its legs, in order of order_id; legs that belong to no parcel come by themselves."""
    named = pl.col("order_id").fill_null("")
    sorted_legs = legs.with_columns(named).sort("order_id", "seq", maintain_order=True)
    groups = ((order, list(group)) for order, group in groupby(rows(sorted_legs), itemgetter("order_id")))
    order, mine = next(groups, (None, []))
    for parcel in rows(parcels.with_columns(named).sort("order_id", maintain_order=True)):
        while order is not None and order < parcel["order_id"]:
            yield None, mine
            order, mine = next(groups, (None, []))
        if order == parcel["order_id"]:
            yield parcel, mine
            order, mine = next(groups, (None, []))
        else:
            yield parcel, []
    while order is not None:
        yield None, mine
        order, mine = next(groups, (None, []))


def run_name(departure_id: str, minute: float | None) -> str:
    """How a dated departure is named in a violation."""
    return f"{departure_id} @ {clock(minute)}"


@dataclass
class Trip:
    """A planned parcel and the runs its legs are on, as far as they exist."""

    wish: Wish
    parcel: dict[str, Any]
    runs: list[int]


class Itineraries:
    """Walks every parcel through its legs."""

    def __init__(self, feed: Feed, runs: Runs, outcomes: int, telling: Telling, findings: Findings):
        self._runs, self._outcomes, self._telling, self._findings = runs, outcomes, telling, findings
        self._departures = feed.departures.to_dicts()
        lanes = {lane["lane_id"]: lane for lane in feed.lanes.iter_rows(named=True)}
        self._lanes = [lanes[d["lane_id"]] for d in self._departures]
        self._nodes = feed.nodes["node_id"].to_list()
        keys = zip(runs.departure.tolist(), runs.depart.tolist(), strict=True)
        self.run_of = {(self._departures[d]["departure_id"], at): run for run, (d, at) in enumerate(keys)}
        # plain lists: one element at a time is several times faster than from an array
        self._row, self._cutoff = runs.departure.tolist(), runs.cutoff.tolist()
        self._arrive, self._ready = runs.arrive.tolist(), runs.ready.tolist()
        self._to = runs.to.tolist()

    def check(self, wished: list[Wish], parcels: pl.DataFrame, legs: pl.DataFrame) -> list[Trip]:
        """Checks all parcels; gives the known ones that appear once, planned or not."""
        wishes = {wish.order_id: wish for wish in wished}
        trips: dict[str, Trip] = {}
        for parcel, mine in _by_order(parcels, legs):
            order = mine[0]["order_id"] if parcel is None else parcel["order_id"]
            if parcel is not None and order in wishes and order not in trips:
                trips[order] = self._parcel(wishes[order], parcel, mine)
                continue
            if parcel is not None and order in trips:
                self._findings.add("duplicate_order", "one row", "another", order=order)
            elif parcel is not None:
                self._findings.add("unknown_order", "an order of the file", order, order=order)
            if mine:
                self._findings.add("stray_leg", "no legs", len(mine), order=order)
        for order in wishes:
            if order not in trips:
                self._findings.add("missing_order", "a row", "none", order=order)
        return list(trips.values())

    def _parcel(self, wish: Wish, parcel: dict[str, Any], legs: list[dict[str, Any]]) -> Trip:
        def expect(code: str, expected: object, found: object, holds: bool) -> None:
            if not holds:
                self._findings.add(code, expected, found, order=wish.order_id)

        def close(code: str, expected: float, found: float | None) -> None:
            expect(code, expected, found, found is not None and abs(found - expected) <= tolerance(expected))

        expect("wrong_service", wish.service_id, parcel["service_id"], parcel["service_id"] == wish.service_id)
        close("wrong_chargeable", wish.chargeable, parcel["chargeable_g"])
        if not wish.missing:
            expect("wrong_due", clock(wish.due), clock(parcel["due_at"]), parcel["due_at"] == wish.due)
        seqs = [leg["seq"] for leg in legs]
        counted = seqs == list(range(1, len(legs) + 1)) and parcel["legs"] == len(legs)
        expect("wrong_leg_count", parcel["legs"], seqs, counted)

        reasons = parcel["reasons"] or []
        if parcel["status"] == "unassigned":
            expect("stray_leg", "no legs", len(legs), not legs)
            known = bool(reasons) and set(reasons) <= set(REASONS)
            expect("unknown_reason", "some of " + " ".join(REASONS), " ".join(reasons), known)
            close("wrong_cost", wish.unassigned_cost * wish.pieces, parcel["cost"])
            return Trip(wish, parcel, [])
        if parcel["status"] != "planned":
            expect("wrong_status", "planned or unassigned", parcel["status"], False)
            return Trip(wish, parcel, [])
        expect("unknown_reason", "none", " ".join(reasons), not reasons)
        chance, promised = parcel["on_time_probability"], parcel["promised_at"]
        expect("wrong_chance", "0..1", chance, chance is not None and 0 <= chance <= 1 + 1e-9)
        is_day_end = promised is not None and day_end(wish.timezone, int(promised)) == promised
        expect("wrong_promise", f"a 23:59 in {wish.timezone}", clock(promised), is_day_end)

        runs, ready = self._legs(wish, legs)
        close("wrong_transport_cost", sum(leg["cost"] or 0.0 for leg in legs), parcel["transport_cost"])
        if self._outcomes == 1 and ready is not None:
            delivered = ready + wish.delivery[0]
            held = wish.time_cost_per_day * (delivered - wish.ready) / 1440
            own = wish.fixed_cost + wish.lateness(delivered) + held
            close("wrong_cost", sum(self._price(wish, run) for run in runs) + wish.pieces * own, parcel["cost"])
            at = parcel["expected_at"]
            on_day = at is not None and abs(at - delivered) < MINUTE_APART
            expect("wrong_expected", clock(delivered), clock(at), on_day)
            likely = self._telling.chance(float(wish.due is None or delivered <= wish.due))
            expect("wrong_chance", likely, chance, chance is not None and abs(chance - likely) <= SURE)
            end = self._telling.promise(wish, day_end(wish.timezone, delivered))
            expect("wrong_promise", clock(end), clock(promised), promised == end)
        return Trip(wish, parcel, runs)

    def _legs(self, wish: Wish, legs: list[dict[str, Any]]) -> tuple[list[int], int | None]:
        """Follows the legs; gives their runs and when the parcel is ready at its destination (None: it is not)."""
        runs: list[int] = []
        node, ready = self._nodes[wish.origin] if wish.origin >= 0 else None, wish.start
        whole = True
        for leg in legs:
            name = run_name(leg["departure_id"], leg["depart_at"])

            def expect(code: str, expected: object, found: object, holds: bool, name: str = name) -> None:
                if not holds:
                    self._findings.add(code, expected, found, order=wish.order_id, departure=name)

            run = self.run_of.get((leg["departure_id"], leg["depart_at"]))
            if run is None:
                expect("no_such_departure", "a dated departure", name, False)
                whole, node = False, leg["to_node"]
                continue
            runs.append(run)
            lane, facts = self._lanes[self._row[run]], ("lane_id", "carrier_id", "mode", "from_node", "to_node")
            truth, said = [lane[fact] for fact in facts], [leg[fact] for fact in facts]
            expect("wrong_leg_fact", truth, said, truth == said)
            cutoff, arrive, price = self._cutoff[run], self._arrive[run], self._price(wish, run)
            expect("wrong_cutoff", clock(cutoff), clock(leg["cutoff_at"]), leg["cutoff_at"] == cutoff)
            expect("wrong_arrival", clock(arrive), clock(leg["arrive_at"]), leg["arrive_at"] == arrive)
            joins = lane["from_node"] == node
            expect("teleport", node, lane["from_node"], joins)
            if joins and whole:
                expect("missed_cutoff", f"ready by {clock(cutoff)}", clock(ready), ready <= cutoff)
            expect("barred_goods", "|".join(lane["accepts"]), wish.goods, wish.goods in lane["accepts"])
            limit, longest = lane["max_weight_g"], lane["max_side_mm"]
            expect("over_weight", limit, wish.weight, limit is None or wish.weight <= limit)
            expect("over_size", longest, wish.side, longest is None or wish.side <= longest)
            expect("barred_mode", sorted(wish.modes), lane["mode"], not wish.modes or lane["mode"] in wish.modes)
            paid = leg["cost"]
            expect("wrong_leg_cost", price, paid, paid is not None and abs(paid - price) <= tolerance(price))
            node, ready, whole = lane["to_node"], self._ready[run], whole and joins
        end = self._nodes[wish.destination] if wish.destination >= 0 else None
        if node != end or end is None:
            self._findings.add("teleport", f"to end at {end}", node, order=wish.order_id)
            whole = False
        return runs, ready if whole and ready < FOREVER else None

    def _price(self, wish: Wish, run: int) -> float:
        departure = self._departures[self._row[run]]
        kilograms = wish.chargeable / 1000
        per_piece = (departure["cost_per_parcel"] or 0.0) + (departure["cost_per_kg"] or 0.0) * kilograms
        return wish.pieces * per_piece
