"""The cheapest plan of a tiny network by plain recursion, straight from the public text, in exact fractions.

Written to be read beside the text, not to be fast: every later departure of a node is tried after every outcome.
`best` answers for one order, `plan` builds the whole plan from it. Shares no code with the planner or the check.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from math import ceil
from zoneinfo import ZoneInfo

import holidays
import polars as pl

from rookery.terms.frames import PLAN_LEGS, PLAN_LOADS, PLAN_PARCELS, Feed

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def minute(at: datetime) -> int:
    """UTC minutes of an aware instant."""
    return int((at - EPOCH).total_seconds() // 60)


def instant(at: float | Fraction | None) -> datetime | None:
    """The aware instant of UTC minutes."""
    return None if at is None else EPOCH + timedelta(seconds=float(at * 60))


def wall(zone: str, on: date, minutes: int) -> int:
    """UTC minutes of naive midnight + minutes in a zone, fold = 0."""
    naive = datetime(on.year, on.month, on.day) + timedelta(minutes=minutes)
    return minute(naive.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC))


def money(value: float | None) -> Fraction:
    return Fraction(str(value or 0))


@dataclass
class Run:
    """A dated departure."""

    departure: dict
    lane: dict
    depart: int
    cutoff: int
    arrive: int
    ready: int | None  # at the next node after the median transit
    outcomes: list[int | None]
    capacity_factor: float
    scheduled: int = 0


@dataclass
class Best:
    """The cheapest policy from one state: per piece; times in UTC minutes with their chances."""

    cost: Fraction
    expected: Fraction
    delivered: dict[int, Fraction]
    rides: dict[int, Fraction] = field(default_factory=dict)
    first: Run | None = None
    margin: float = float("inf")  # least cost difference to a choice not taken, on the way; exact ties do not count
    tied: bool = False  # a choice of the same cost and the same expected delivery was possible on the way


class Network:
    """A feed over [start, end) with K outcomes."""

    def __init__(self, feed: Feed, start: int, end: int, outcomes: int):
        self.feed, self.start, self.end, self.outcomes = feed, start, end, outcomes
        self.nodes = {n["node_id"]: n for n in feed.nodes.to_dicts()}
        self.lanes = {lane["lane_id"]: lane for lane in feed.lanes.to_dicts()}
        self.calendars = {c["calendar_id"]: c for c in feed.calendars.to_dicts()}
        self.exceptions = {(r["calendar_id"], r["date"]): r["runs"] for r in feed.calendar_dates.to_dicts()}
        self.services = {s["service_id"]: s for s in feed.services.to_dicts()}
        self.closures = feed.closures.to_dicts()
        self.spans: dict[str, list[tuple[int, int]]] = {}
        self.runs = sorted(self._runs(), key=lambda run: run.cutoff)

    # --- days and hours

    def works(self, calendar_id: str, on: date) -> bool:
        if (calendar_id, on) in self.exceptions:
            return self.exceptions[calendar_id, on]
        c = self.calendars[calendar_id]
        if not c["start_on"] <= on <= c["end_on"] or not c[on.strftime("%A").lower()]:
            return False
        return not (c["holidays"] and on in holidays.country_holidays(c["holidays"], years=on.year))

    def open_spans(self, node_id: str) -> list[tuple[int, int]]:
        """When a node works, from a few days before start until 60 days after the end."""
        if node_id not in self.spans:
            node = self.nodes[node_id]
            first, last = instant(self.start).date() - timedelta(3), instant(self.end).date() + timedelta(60)
            opens = 0 if node["open_from"] is None else node["open_from"]
            closes = 1440 if node["open_until"] is None else node["open_until"]
            days = [first + timedelta(i) for i in range((last - first).days)]
            days = [on for on in days if node["calendar_id"] is None or self.works(node["calendar_id"], on)]
            spans = [(wall(node["timezone"], on, opens), wall(node["timezone"], on, closes)) for on in days]
            for c in self.closures:
                if c["node_id"] == node_id and c["capacity_factor"] == 0:
                    spans = [(a, min(b, c["from_at"])) for a, b in spans] + [
                        (max(a, c["until_at"]), b) for a, b in spans
                    ]
            self.spans[node_id] = sorted((a, b) for a, b in spans if a < b)
        return self.spans[node_id]

    def ready(self, node_id: str, arrive: int) -> int | None:
        """When a parcel arriving then is ready: its handling minutes spent while the node works."""
        left = self.nodes[node_id]["handling_minutes"]
        for opens, closes in self.open_spans(node_id):
            if closes <= arrive:
                continue
            begin = max(arrive, opens)
            if begin + left <= closes:
                return begin + left
            left -= closes - begin
            arrive = closes
        return None

    # --- departures

    def factor(self, transit_id: str | None, quantile: Fraction) -> Fraction:
        rows = [r for r in self.feed.transit.to_dicts() if r["transit_id"] == transit_id]
        points = sorted((money(r["quantile"]), money(r["factor"])) for r in rows)
        if not points:
            return Fraction(1)
        below = [p for p in points if p[0] <= quantile]
        above = [p for p in points if p[0] >= quantile]
        if not below or not above:
            return (below or above)[-1 if below else 0][1]
        (q0, f0), (q1, f1) = below[-1], above[0]
        return f0 if q0 == q1 else f0 + (f1 - f0) * (quantile - q0) / (q1 - q0)

    def minutes(self, base: int, transit_id: str | None) -> list[int]:
        """Minutes after each of the K outcomes."""
        k = self.outcomes
        return [ceil(base * self.factor(transit_id, Fraction(2 * i - 1, 2 * k))) for i in range(1, k + 1)]

    def _runs(self):
        first, last = instant(self.start).date() - timedelta(5), instant(self.end).date() + timedelta(2)
        for d in self.feed.departures.to_dicts():
            lane = self.lanes[d["lane_id"]]
            zone = self.nodes[lane["from_node"]]["timezone"]
            for on in (first + timedelta(i) for i in range((last - first).days + 1)):
                if not self.works(d["calendar_id"], on):
                    continue
                scheduled = depart = wall(zone, on, d["depart_minute"])
                capacity = 1.0
                for c in self.closures:
                    mine = c["departure_id"] == d["departure_id"] or c["lane_id"] == lane["lane_id"]
                    if (mine or c["node_id"] == lane["from_node"]) and c["from_at"] <= scheduled < c["until_at"]:
                        depart += c["delay_minutes"]
                        capacity *= c["capacity_factor"]
                if not self.start <= depart < self.end or capacity == 0:
                    continue
                arrive = depart + ceil(d["transit_minutes"] * self.factor(d["transit_id"], Fraction(1, 2)))
                arrivals = [depart + m for m in self.minutes(d["transit_minutes"], d["transit_id"])]
                to = lane["to_node"]
                yield Run(
                    d, lane, depart, depart - d["cutoff_minutes"], arrive, self.ready(to, arrive),
                    [self.ready(to, at) for at in arrivals], capacity, scheduled,
                )  # fmt: skip


class Order:
    """One order in a network: its terms, and its cheapest policy."""

    def __init__(self, network: Network, row: dict):
        self.network, self.row = network, row
        self.origin, pickup, self.missing_from = self._place(
            row["from_node"], row["from_country"], row["from_postal_code"]
        )
        self.destination, zone, self.missing_to = self._place(row["to_node"], row["to_country"], row["to_postal_code"])
        service = network.services.get(row["service_id"]) or {}
        self.modes = service.get("modes") or []
        self.late_cost = row["late_cost"] if row["late_cost"] is not None else service.get("late_cost", 20.0)
        self.late_per_day = service.get("late_cost_per_day") or 0.0
        self.time_cost = service.get("time_cost_per_day") or 0.0
        self.unassigned_cost = service.get("unassigned_cost", 50 * self.late_cost)
        self.confidence = service.get("confidence", 0.95)
        self.start = row["ready_at"] + (pickup["pickup_minutes"] if pickup else 0)
        self.fixed = money(pickup and pickup["pickup_cost"]) + money(zone and zone["delivery_cost"])
        self.last_mile = network.minutes(zone["delivery_minutes"], zone["delivery_id"]) if zone else [0]
        volume = (row["length_mm"] or 0) * (row["width_mm"] or 0) * (row["height_mm"] or 0)
        self.chargeable = max(row["weight_g"], volume / network.feed.info.volumetric_divisor_mm3_per_g)
        self.side = max(row["length_mm"] or 0, row["width_mm"] or 0, row["height_mm"] or 0)
        self.due = self._due(service)
        self.memo: dict[tuple[str, int], Best | None] = {}

    def _place(self, node_id, country, postal):
        if node_id is not None:
            return (node_id, None, None) if node_id in self.network.nodes else (None, None, "unknown_node")
        zones = [
            z
            for z in self.network.feed.zones.to_dicts()
            if z["country"] == country and (postal or "").startswith(z["postal_prefix"])
        ]
        if not zones:
            return None, None, "unknown_zone"
        zone = max(zones, key=lambda z: len(z["postal_prefix"]))
        return zone["node_id"], zone, None

    def _due(self, service) -> int | None:
        if self.row["due_at"] is not None:
            return self.row["due_at"]
        if service.get("due_hours") is not None:
            return self.row["ready_at"] + int(money(service["due_hours"]) * 60)
        if service.get("due_days") is not None and self.origin and self.destination:
            nodes = self.network.nodes
            ready = instant(self.row["ready_at"]).astimezone(ZoneInfo(nodes[self.origin]["timezone"]))
            on = ready.date() + timedelta(service["due_days"])
            return wall(nodes[self.destination]["timezone"], on, 1439)
        return None

    def may_use(self, lane: dict, limits=("goods", "weight", "side", "mode")) -> bool:
        weight, side = lane["max_weight_g"], lane["max_side_mm"]
        holds = {
            "goods": self.row["goods"] in lane["accepts"],
            "weight": weight is None or self.row["weight_g"] <= weight,
            "side": side is None or self.side <= side,
            "mode": not self.modes or lane["mode"] in self.modes,
        }
        return all(holds[limit] for limit in limits)

    def price(self, run: Run) -> Fraction:
        kilograms = money(self.chargeable) / 1000
        return money(run.departure["cost_per_parcel"]) + money(run.departure["cost_per_kg"]) * kilograms

    def end(self, ready: int) -> Best:
        """Delivered after being ready at the destination."""
        chance = Fraction(1, len(self.last_mile))
        delivered: dict[int, Fraction] = {}
        cost = expected = Fraction(0)
        for at in (ready + minutes for minutes in self.last_mile):
            delivered[at] = delivered.get(at, 0) + chance
            expected += chance * at
            cost += chance * money(self.time_cost) * (at - self.row["ready_at"]) / 1440
            if self.due is not None and at > self.due:
                days = ceil(Fraction(at - self.due, 1440))
                cost += chance * (money(self.late_cost) + money(self.late_per_day) * days)
        return Best(cost, expected, delivered)

    def best(self) -> Best | None:
        """The cheapest policy from the start, None when the order cannot be brought; pick-up and delivery included."""
        if self.origin is None or self.destination is None:
            return None
        best = self.end(self.start) if self.origin == self.destination else self.from_here(self.origin, self.start)
        if best is None:
            return None
        return Best(**{**best.__dict__, "cost": best.cost + self.fixed})

    def from_here(self, node: str, ready: int | None) -> Best | None:
        """The cheapest policy of a parcel ready at a node: try every departure still possible."""
        if ready is None:
            return None
        if node == self.destination:
            return self.end(ready)
        options = [
            run
            for run in self.network.runs
            if run.lane["from_node"] == node and ready <= run.cutoff and self.may_use(run.lane)
        ]
        key = (node, len(options))
        if key not in self.memo:
            tried = [best for best in map(self.riding, options) if best is not None]
            self.memo[key] = _cheapest(tried)
        return self.memo[key]

    def riding(self, run: Run) -> Best | None:
        """Riding one departure and then doing the best after each outcome; None when an outcome strands the parcel."""
        chance = Fraction(1, len(run.outcomes))
        number = id(run)
        total = Best(self.price(run), Fraction(0), {}, {number: Fraction(1)}, run)
        for ready in run.outcomes:
            after = self.from_here(run.lane["to_node"], ready)
            if after is None:
                return None
            total.cost += chance * after.cost
            total.expected += chance * after.expected
            for sums, parts in ((total.delivered, after.delivered), (total.rides, after.rides)):
                for what, share in parts.items():
                    sums[what] = sums.get(what, 0) + chance * share
            total.margin = min(total.margin, after.margin)
            total.tied |= after.tied
        return total

    def promised(self, best: Best) -> int:
        """The earliest local 23:59 at the destination by which the confidence is reached."""
        zone = self.network.nodes[self.destination]["timezone"]
        on = instant(min(best.delivered)).date() - timedelta(2)
        while True:
            end = wall(zone, on, 1439)
            if sum(chance for at, chance in best.delivered.items() if at <= end) >= money(self.confidence):
                return end
            on += timedelta(1)

    def on_time(self, best: Best) -> Fraction:
        return sum((p for at, p in best.delivered.items() if self.due is None or at <= self.due), Fraction(0))

    def median_runs(self, best: Best) -> list[Run]:
        """The departures ridden when every transit takes its median."""
        path = []
        while best.first is not None:
            path.append(best.first)
            best = self.from_here(best.first.lane["to_node"], best.first.ready)
        return path

    # --- why not

    def reasons(self) -> set[str]:
        """Every reason of an order that cannot be brought."""
        missing = {reason for reason in (self.missing_from, self.missing_to) if reason}
        if missing:
            return missing
        if not self._chain(()):
            return {"no_lane"}
        names = {
            "goods": "goods_not_accepted", "weight": "over_weight", "side": "over_size", "mode": "mode_not_allowed",
        }  # fmt: skip
        single = {reason for limit, reason in names.items() if not self._chain((limit,))}
        if single:
            return single
        if not self._chain(tuple(names)):
            return {"limits_combined"}
        n = self.network
        longer = Order(Network(n.feed, n.start, 2 * n.end - n.start, n.outcomes), self.row)
        return {"beyond_horizon"} if longer.best() else {"after_last_departure"}

    def _chain(self, limits: tuple[str, ...]) -> bool:
        served = set(self.network.feed.departures["lane_id"])
        seen = {self.origin}
        for _ in self.network.nodes:
            for lane in self.network.lanes.values():
                if lane["lane_id"] in served and lane["from_node"] in seen and self.may_use(lane, limits):
                    seen.add(lane["to_node"])
        return self.destination in seen


def _cheapest(options: list[Best]) -> Best | None:
    if not options:
        return None
    best = min(options, key=lambda o: (o.cost, o.expected))
    gaps = [float(o.cost - best.cost) for o in options if o.cost > best.cost]
    alike = [o for o in options if o is not best and (o.cost, o.expected) == (best.cost, best.expected)]
    tied = any(o.delivered != best.delivered or o.rides != best.rides for o in alike)
    margin = min([best.margin, *gaps, *(o.margin for o in alike)])
    return Best(**{**best.__dict__, "margin": margin, "tied": best.tied or tied})


@dataclass
class Plan:
    """A plan in the columns of the public text."""

    parcels: pl.DataFrame
    legs: pl.DataFrame
    loads: pl.DataFrame
    manifest: dict
    summary: dict

    def parts(self) -> tuple:
        return self.parcels, self.legs, self.loads, self.manifest, self.summary


def _overloaded(load: dict) -> bool:
    pieces, grams = load["capacity_parcels"], load["capacity_g"]
    too_many = pieces is not None and load["parcels"] > pieces + 1e-6
    return too_many or (grams is not None and load["grams"] > grams + 1e-3)


def plan(feed: Feed, orders: pl.DataFrame, start: datetime, horizon_days: int, outcomes: int) -> Plan:
    """The whole plan of a tiny network; orders for a service it lacks are left out."""
    begin = minute(start)
    network = Network(feed, begin, begin + horizon_days * 1440, outcomes)
    by_id = {id(run): run for run in network.runs}
    parcels, legs = [], []
    pieces, grams = {}, {}
    wanted = [row for row in orders.to_dicts() if row["service_id"] in {None, *network.services}]
    for order in (Order(network, row) for row in wanted):
        row, best = order.row, order.best()
        common = {
            "order_id": row["order_id"], "service_id": row["service_id"], "due_at": instant(order.due),
            "chargeable_g": order.chargeable, "reasons": [],
        }  # fmt: skip
        if best is None:
            cost = order.unassigned_cost * row["pieces"]
            reasons = sorted(order.reasons())
            parcels.append({**common, "status": "unassigned", "reasons": reasons, "cost": cost, "legs": 0})
            continue
        path = order.median_runs(best)
        prices = [float(order.price(run)) * row["pieces"] for run in path]
        parcels.append(
            {
                **common, "status": "planned", "promised_at": instant(order.promised(best)),
                "expected_at": instant(best.expected), "on_time_probability": float(order.on_time(best)),
                "cost": float(best.cost) * row["pieces"], "transport_cost": sum(prices), "legs": len(path),
            }
        )  # fmt: skip
        for seq, (run, price) in enumerate(zip(path, prices, strict=True), 1):
            facts = {key: run.lane[key] for key in ("lane_id", "carrier_id", "mode", "from_node", "to_node")}
            times = {"cutoff_at": instant(run.cutoff), "depart_at": instant(run.depart)}
            legs.append(
                {
                    **facts, **times, "order_id": row["order_id"], "seq": seq, "arrive_at": instant(run.arrive),
                    "departure_id": run.departure["departure_id"], "cost": price,
                }
            )  # fmt: skip
        for run, chance in best.rides.items():
            pieces[run] = pieces.get(run, 0) + chance * row["pieces"]
            grams[run] = grams.get(run, 0) + chance * row["pieces"] * money(row["weight_g"])
    loads = []
    for key, load in pieces.items():
        run = by_id[key]
        limits = {
            unit: None if run.departure[unit] is None else run.departure[unit] * run.capacity_factor
            for unit in ("capacity_parcels", "capacity_g")
        }
        loads.append(
            {
                **limits, "departure_id": run.departure["departure_id"], "depart_at": instant(run.depart),
                "parcels": float(load), "grams": float(grams[key]), "shadow_price": 0.0,
            }
        )  # fmt: skip
    frame = pl.DataFrame(parcels, schema=PLAN_PARCELS)
    count = {row["order_id"]: row["pieces"] for row in wanted}
    planned = [count[p["order_id"]] for p in parcels if p["status"] == "planned"]
    unassigned: dict[str, int] = {}
    for parcel in parcels:
        for reason in parcel["reasons"]:
            unassigned[reason] = unassigned.get(reason, 0) + count[parcel["order_id"]]
    end = instant(network.end).isoformat()
    manifest = {"start": start.isoformat(), "horizon_end": end, "horizon_days": horizon_days, "outcomes": outcomes}
    summary = {
        "parcels": sum(count.values()), "planned": sum(planned), "unassigned": unassigned,
        "cost": frame["cost"].sum(), "lower_bound": frame["cost"].sum(), "gap": 0.0, "congestion_gap": None,
        "capacity_violations": sum(_overloaded(load) for load in loads),
        "on_time_expected": sum(count[p["order_id"]] * p.get("on_time_probability", 0.0) for p in parcels)
        / max(1, sum(count.values())),
        "seconds": {}, "parcels_per_second": 0.0,
    }  # fmt: skip
    return Plan(frame, pl.DataFrame(legs, PLAN_LEGS), pl.DataFrame(loads, PLAN_LOADS), manifest, summary)
