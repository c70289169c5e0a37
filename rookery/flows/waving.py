"""Public acts about waves: plan what waits now, or every so often; and the job that does it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct, structs

from rookery.base import jobs
from rookery.base.access.ops import Metadata
from rookery.base.audit import note
from rookery.base.jobs import Desk
from rookery.base.operations import Context, operation
from rookery.base.paging import Limit, Page, page
from rookery.flows.closures.closing import REPLAN
from rookery.flows.numbering import number_wave
from rookery.flows.planning import MOST_HORIZON_DAYS, MOST_OUTCOMES
from rookery.flows.scanning import claim_in_pieces
from rookery.flows.waves import looking, wave
from rookery.network import live
from rookery.network.store import active_feed
from rookery.orders.booking import rerouted_numbers
from rookery.planning import schedules
from rookery.planning.plans import (
    Outcome,
    PlanRecord,
    WaveSettings,
    add_plan,
    begin_plan,
    fail_plan,
    find_test,
    get_plan,
    list_plans,
    tell_outcome,
)
from rookery.planning.schedules import Schedule
from rookery.terms.errors import Later, RookeryError
from rookery.terms.ids import new_id
from rookery.tracking.epcis.identifiers import sscc_uri

Days = Annotated[
    int, Meta(ge=1, le=MOST_HORIZON_DAYS, description="Days of departures; null: as the feed's services need.")
]
Outcomes = Annotated[
    int, Meta(ge=1, le=MOST_OUTCOMES, description="Equally likely transit times a departure; null: 8.")
]
Seconds = Annotated[float, Meta(gt=0, le=3600, description="Stop improving after so many seconds; null: 60.")]


class NewWave(Struct, frozen=True, forbid_unknown_fields=True):
    """A wave to plan."""

    horizon_days: Days | None = None
    outcomes: Outcomes | None = None
    seconds: Seconds | None = None
    metadata: Metadata = {}


@operation("waves.plan", kind="command", http="POST /waves", scope="operator", status=202)
def ask_for_wave(ctx: Context, ask: NewWave) -> PlanRecord:
    """Plan what waits now, on the active network.

    A worker does it; look at the wave again until its state is done or failed. Orders that wait are booked and
    promised a date; shipments whose first cut-off is ahead may get another route, never another promise.
    """
    settings = WaveSettings(ask.horizon_days, ask.outcomes, ask.seconds)
    plan_id = ask_wave(ctx, settings, ask.metadata)
    note(ctx, "waves.plan", plan_id)
    return get_plan(ctx.conn, plan_id)


def ask_wave(ctx: Context, settings: WaveSettings, metadata: dict[str, str]) -> str:
    """A wave that waits, and the job that plans it, in one transaction; one wave at a time, live and test apart."""
    now, test = ctx.clock.now(), ctx.who.test
    feed = active_feed(ctx.conn, test)
    plan_id = new_id("pln", now)
    add_plan(ctx.conn, plan_id, feed.feed_id, test, ctx.who.party_id, now, settings, metadata)
    jobs.defer(ctx.conn, PLAN_WAVE, lock=f"wave:{'test' if test else 'live'}", once=plan_id, plan_id=plan_id)
    return plan_id


class OneWave(Struct, frozen=True, forbid_unknown_fields=True):
    """Names a wave."""

    plan_id: Annotated[str, Meta(max_length=40, examples=["pln_01m8hyvan558x4225mfmdh7nwt"])]


@operation("waves.get", kind="query", http="GET /waves/{plan_id}", scope="operator")
def get_wave(ctx: Context, ask: OneWave) -> PlanRecord:
    """Get a wave."""
    return get_plan(ctx.conn, ask.plan_id)


class SomeWaves(Struct, frozen=True, forbid_unknown_fields=True):
    """A page of the list."""

    limit: Limit = 100
    after: Annotated[str, Meta(max_length=64, pattern=r"^[ -~]*$", description="`next` of the page before.")] = ""


@operation("waves.list", kind="query", http="GET /waves", scope="operator")
def list_waves(ctx: Context, ask: SomeWaves) -> Page[PlanRecord]:
    """List waves, the newest first."""
    return page(list_plans(ctx.conn, ctx.who.test, ask.after, ask.limit + 1), ask.limit, lambda plan: plan.plan_id)


class NewSchedule(Struct, frozen=True, forbid_unknown_fields=True):
    """When waves are planned by themselves."""

    every_minutes: Annotated[int, Meta(ge=1, le=10_080)]
    enabled: bool = True
    first_at: (
        Annotated[datetime, Meta(tz=True, description="The first wave; null: so many minutes from now.")] | None
    ) = None
    horizon_days: Days | None = None
    outcomes: Outcomes | None = None
    seconds: Seconds | None = None


@operation("waves.schedule", kind="command", http="PUT /waves/schedule", scope="operator")
def schedule_waves(ctx: Context, ask: NewSchedule) -> Schedule:
    """Plan a wave every so many minutes, live or test as the key says; it takes the place of an earlier schedule.

    A slot that passed while no worker ran is made up for once, by the latest.
    """
    now = ctx.clock.now()
    first = ask.first_at or now + timedelta(minutes=ask.every_minutes)
    settings = WaveSettings(ask.horizon_days, ask.outcomes, ask.seconds)
    made = Schedule(ctx.who.test, ask.every_minutes, first, ask.enabled, settings, now, ctx.who.party_id)
    schedules.put(ctx.conn, made)
    note(ctx, "waves.schedule", "", **_told(made))
    return made


def _told(schedule: Schedule) -> dict[str, Any]:
    return {
        "every_minutes": schedule.every_minutes,
        "enabled": schedule.enabled,
        "next_at": schedule.next_at.isoformat(),
    }


@jobs.tick("waves.scheduled")
def begin_due_waves(desk: Desk) -> None:
    """Ask for the wave of a slot that has come, live and test: one a slot, however many workers look."""
    for test in (False, True):
        with desk.context(test) as ctx:
            due = schedules.take_due(ctx.conn, test, ctx.clock.now())
            if due is None:
                continue
            try:
                plan_id = ask_wave(ctx, due.settings, {})
            except RookeryError as fault:  # no network is active: told, and the next slot may do better
                note(ctx, "waves.slot_missed", "", slot_at=due.next_at.isoformat(), code=fault.code)
            else:
                schedules.keep_slot(ctx.conn, test, due.next_at, plan_id)


PLAN_WAVE = "wave.plan"
MOST_TRIES = 5
"""How often a wave is begun, after workers that were killed or a database that was away, before it counts as failed."""
NO_NUMBER = "no_number"
"""Reason told for parcels that a wave booked, but found no waybill number for."""


@jobs.task(PLAN_WAVE)
def plan_wave(desk: Desk, *, plan_id: str) -> None:
    """Plan a wave that was asked for. Done again after a crash it begins anew; done twice, one of both writes.

    What cannot be planned makes the wave failed, so that the next one gets its turn; what passes (the database away) is
    raised, to be tried again, but not for ever.
    """
    found = _mode_of(desk, plan_id)
    if found is None:
        return
    try:
        with desk.context(found) as ctx:
            feed_id = active_feed(ctx.conn, found).feed_id
            version = begin_plan(ctx.conn, plan_id, feed_id, ctx.clock.now())
            settings = get_plan(ctx.conn, plan_id).settings
        if version is None:
            return
        if version > MOST_TRIES + 1:  # 1 when it was asked for, and one more each time it is begun
            raise RookeryError("waves.given_up", f"It was begun {MOST_TRIES} times and never ended.", "ask for another")
        with desk.context(found, readonly=True) as ctx:
            snapshot = looking.look(ctx, feed_id, settings)
        made = wave.make(snapshot, settings)
        with desk.context(found) as ctx:
            outcome = wave.write(ctx, plan_id, version, snapshot, made)
            _after_closures(ctx, snapshot, settings, outcome)
            unnumbered = sum((number_wave(ctx, plan_id) or {}).values())
            if unnumbered:
                outcome = structs.replace(outcome, reasons={**outcome.reasons, NO_NUMBER: unnumbered})
                tell_outcome(ctx.conn, plan_id, outcome)
            note(
                ctx,
                "waves.done",
                plan_id,
                **{k: v for k, v in msgspec.to_builtins(outcome).items() if isinstance(v, int)},
                **({NO_NUMBER: unnumbered} if unnumbered else {}),
            )
    except wave.Overtaken:
        return  # whoever took it over finishes it
    except Later as fault:
        if fault.code != "database.too_slow":
            raise
        _fail(desk, found, plan_id, f"{fault.code}: {fault.what}")  # it would be as slow the next time
    except RookeryError as fault:
        _fail(desk, found, plan_id, f"{fault.code}: {fault.what}")
    except Exception as fault:
        _fail(desk, found, plan_id, f"fault of the program: {type(fault).__name__}")
        raise
    else:  # who carries a parcel now may have scanned it before
        with desk.context(found, readonly=True) as ctx:
            things = [sscc_uri(number) for number in rerouted_numbers(ctx.conn, plan_id)]
        claim_in_pieces(desk, things, found)


def _after_closures(ctx: Context, snapshot: looking.Snapshot, settings: WaveSettings, outcome: Outcome) -> None:
    """What closures that were entered while a wave was planned leave to do, in the transaction that writes it.

    What this wave booked on them all the same is re-booked; what it left out is planned again.
    """
    changed, entered = looking.changed(ctx, snapshot)
    for closure_id in entered["closure_id"]:
        if live.get(ctx.conn, ctx.who.test, closure_id).replan:
            jobs.defer(ctx.conn, REPLAN, closure_id=closure_id)
    if changed and outcome.skipped:
        ask_wave(ctx, settings, {})


def _mode_of(desk: Desk, plan_id: str) -> bool | None:
    """Whether a wave is of test data; None when there is none."""
    for test in (False, True):
        with desk.context(test, readonly=True) as ctx:
            if find_test(ctx.conn, plan_id) is not None:
                return test
    return None


def _fail(desk: Desk, test: bool, plan_id: str, fault: str) -> None:
    with desk.context(test) as ctx:
        fail_plan(ctx.conn, plan_id, fault, ctx.clock.now())
        note(ctx, "waves.failed", plan_id)
