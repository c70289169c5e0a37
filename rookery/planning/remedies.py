"""What would mend an unassigned parcel: the nearest thing to change, for each of its reasons."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rookery.planning.explain import Reason, barriers, own_tables, start_row
from rookery.planning.ops import Model
from rookery.planning.reasons import OF_LIMIT, Roads
from rookery.terms.geo import great_circle_km
from rookery.terms.goods import GOODS, MODES
from rookery.terms.time import DAY, from_minute

LOOK_BACK_DAYS = 7
"""How long before the horizon a departure may have gone to be named as the last that was missed."""


def remedies(
    model: Model,
    over_days: Callable[[int, int], Model],
    parcel: pl.DataFrame,
    codes: list[str],
    order: dict[str, object],
) -> list[Reason]:
    """Each reason of one parcel (one row of schema PARCELS; `order` as the file had it) with its text and its fix.

    over_days: compiles the feed from a minute on, for so many days, to look before and behind the horizon.
    """
    return [_remedy(code, model, over_days, parcel, order) for code in codes]


def _remedy(
    code: str,
    model: Model,
    over_days: Callable[[int, int], Model],
    parcel: pl.DataFrame,
    order: dict[str, object],
) -> Reason:
    start, days = model.timetable.start, (model.timetable.end - model.timetable.start) // DAY
    if code == "unknown_node":
        return _unknown_node(model, order)
    if code == "unknown_zone":
        return _unknown_zone(order)
    if code == "no_lane":
        return _no_lane(model, parcel)
    if code == "limits_combined":
        return _barred(code, model, parcel, ("goods", "weight", "side", "mode"))
    if code in ("after_last_departure", "beyond_horizon") and int(parcel["start_at"][0]) >= model.timetable.end:
        return _behind_the_horizon(code, model)
    if code == "beyond_horizon":
        return _beyond(model, over_days(start, 2 * days), parcel)
    if code == "after_last_departure":
        return _too_late(over_days(start - LOOK_BACK_DAYS * DAY, days + LOOK_BACK_DAYS), parcel)
    return _barred(code, model, parcel, tuple(limit for limit, reason in OF_LIMIT.items() if reason == code))


def _unknown_node(model: Model, order: dict[str, object]) -> Reason:
    known = model.feed.nodes["node_id"].to_list()
    unknown = [
        str(order[end]) for end in ("from_node", "to_node") if order[end] is not None and order[end] not in known
    ]
    close = get_close_matches(unknown[0], known, 1) if unknown else []
    hint = f"did you mean {close[0]!r}? Otherwise add it to nodes.csv" if close else "add it to nodes.csv"
    return Reason("unknown_node", f"the feed has no node {', '.join(map(repr, unknown))}", hint)


def _unknown_zone(order: dict[str, object]) -> Reason:
    missing = [
        f"{order[f'{end}_country']} {order[f'{end}_postal_code']}"
        for end in ("from", "to")
        if order[f"{end}_node"] is None
    ]
    return Reason(
        "unknown_zone",
        f"no zone covers {' or '.join(missing)}",
        "add a row to zones.csv with that country and a prefix of the postal code (empty = the whole country)",
    )


def _ends(model: Model, parcel: pl.DataFrame, limits: tuple[str, ...]) -> tuple[Roads, NDArray, NDArray]:
    """The lanes, the nodes that the parcel can get to, and the nodes from which it could get to its destination."""
    roads = Roads(model.feed.nodes, model.feed.lanes, model.feed.departures)
    nodes = model.feed.nodes.height
    each = pl.concat([parcel] * nodes)
    number = pl.Series(np.arange(nodes), dtype=pl.Int32)
    gets_to = roads.joined(each.with_columns(destination=number), limits)
    leads_on = roads.joined(each.with_columns(origin=number), limits)
    return roads, gets_to, leads_on


def _no_lane(model: Model, parcel: pl.DataFrame) -> Reason:
    _, gets_to, leads_on = _ends(model, parcel, ())
    nodes = model.feed.nodes
    names, lat, lon = nodes["node_id"], nodes["lat"].to_numpy(), nodes["lon"].to_numpy()
    here, there = np.flatnonzero(gets_to), np.flatnonzero(leads_on)

    def gaps(node: int) -> NDArray[np.float64]:
        return great_circle_km(lat[node], lon[node], lat[there], lon[there])

    i = int(np.argmin([gaps(node).min() for node in here.tolist()]))  # a row at a time: all pairs may be too many
    j = int(gaps(int(here[i])).argmin())
    kilometres = gaps(int(here[i]))[j]
    frm, to = names[int(here[i])], names[int(there[j])]
    origin, destination = names[int(parcel["origin"][0])], names[int(parcel["destination"][0])]
    return Reason(
        "no_lane",
        f"no chain of lanes with departures leads from {origin} to {destination}",
        f"a lane with departures from {frm} to {to} ({kilometres:,.0f} km, the shortest gap) would serve it",
    )


def _barred(code: str, model: Model, parcel: pl.DataFrame, limits: tuple[str, ...]) -> Reason:
    roads, gets_to, leads_on = _ends(model, parcel, limits)
    wish = parcel.row(0, named=True)
    used = model.feed.lanes.with_row_index("row").filter(
        pl.col("lane_id").is_in(model.feed.departures["lane_id"].unique().implode())
    )
    bridge = np.flatnonzero(gets_to[roads.frm] & leads_on[roads.to])
    word = {
        "goods": f"a {GOODS[wish['goods']]} lane",
        "weight": f"a lane for {wish['weight_g']:,.0f} g",
        "side": f"a lane for sides of {wish['side_mm']:,.0f} mm",
        "mode": "a service that allows " + " or ".join(sorted({str(used["mode"][int(b)]) for b in bridge})),
    }
    what = {
        "goods_not_accepted": f"chains of lanes exist, none takes {GOODS[wish['goods']]} goods all the way",
        "over_weight": f"chains of lanes exist, none takes {wish['weight_g']:,.0f} g all the way",
        "over_size": f"chains of lanes exist, none takes a side of {wish['side_mm']:,.0f} mm all the way",
        "mode_not_allowed": "chains of lanes exist, none within the modes of the service ("
        + ", ".join(mode for place, mode in enumerate(MODES) if wish["modes"] >> place & 1)
        + ")",
        "limits_combined": "each limit alone leaves a chain of lanes, all limits together leave none",
    }[code]
    if len(bridge) == 0:
        return Reason(code, what, "more than one lane on the way would have to change: see the lanes' limits")
    lane = int(used["row"][int(bridge[0])])
    held = "; ".join(barriers(model, parcel, lane))
    frm = used["from_node"][int(bridge[0])]
    need = word[limits[0]] if len(limits) == 1 else "a lane without that limit"
    return Reason(code, what, f"{need} from {frm} would serve it: {used['lane_id'][int(bridge[0])]} {held}")


def _last_chance(model: Model, parcel: pl.DataFrame) -> int | None:
    """The last row at the origin from which the parcel can still be brought; None = there is none."""
    tables = own_tables(model, parcel)
    net, origin = model.timetable.net, int(parcel["origin"][0])
    mine = net.node_rows[net.node_from[origin] : net.node_from[origin + 1]]
    good = mine[np.isfinite(tables.value[mine, 0])]
    return int(good[-1]) if len(good) else None


def _behind_the_horizon(code: str, model: Model) -> Reason:
    table = model.timetable
    begin, end = (f"{from_minute(minute):%Y-%m-%d %H:%M} UTC" for minute in (table.start, table.end))
    return Reason(
        code,
        f"it is ready only after the planned days, {begin} to {end}, which begin with the earliest order",
        "mend the ready_at of a stale order, or give a later --start or more --horizon-days",
    )


def _too_late(model: Model, parcel: pl.DataFrame) -> Reason:
    row = _last_chance(model, parcel)
    ready, table = int(parcel["start_at"][0]), model.timetable
    if row is None or table.cutoff[row] >= ready:
        return Reason(
            "after_last_departure",
            "lanes exist, but no departures of theirs connect to the destination in every outcome",
            "look at the calendars and opening hours on the way, or add departures",
        )
    missed, name = ready - int(table.cutoff[row]), model.feed.departures["departure_id"][int(table.departure[row])]
    return Reason(
        "after_last_departure",
        f"cut-off missed by {missed} min: {name} at {from_minute(table.cutoff[row]):%Y-%m-%d %H:%M} UTC was the last "
        "that still connects",
        f"have the parcel ready {missed} min earlier, or extend the calendars of the departures on the way",
    )


def _beyond(model: Model, later: Model, parcel: pl.DataFrame) -> Reason:
    tables = own_tables(later, parcel)
    journey = tables.follow(0, start_row(later, parcel), 0.95)
    if journey is None:
        return Reason("beyond_horizon", "reachable only after the horizon", "plan with twice --horizon-days")
    horizon = (model.timetable.end - model.timetable.start) // DAY
    days = -(-(int(later.timetable.depart[journey.legs].max()) + 1 - model.timetable.start) // DAY)
    return Reason(
        "beyond_horizon",
        f"the departures it needs lie beyond the horizon of {horizon} days",
        f"plan with --horizon-days {days} or more (a few more where transit times vary)",
    )
