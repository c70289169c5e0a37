"""Plans whose chances and promises are told as rehearsals found them: what changes, and that the check knows."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import capacity_cases
import msgspec
import numpy as np
import polars as pl
import pytest
import random_feeds
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from rookery.flows.planning import plan
from rookery.planning.check import check_plan
from rookery.terms.calibration import Calibration
from rookery.terms.errors import InvalidInput
from rookery.terms.frames import Orders
from rookery.terms.time import utc_to_local

LINE = Calibration(predicted=(0.2, 0.6, 1.0), realised=(0.1, 0.3, 0.9), later_days={"days": 2, "": 1})
_some = settings(
    max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)  # fmt: skip


def _planned(case: random_feeds.Case, calibration: Calibration | None):
    return plan(
        case.feed, Orders(case.orders), start=case.start, horizon_days=case.horizon_days, outcomes=case.outcomes,
        calibration=calibration, threads=1, seconds=0.1,
    )  # fmt: skip


def _violations(case: random_feeds.Case, made, parcels: pl.DataFrame | None = None) -> set[str]:
    report = check_plan(
        case.feed, case.orders, made.parcels if parcels is None else parcels, made.legs, made.loads, made.manifest,
        made.summary, hours=made.hours,
    )  # fmt: skip
    return {violation.code for violation in report.violations}


@given(case=random_feeds.cases(outcomes=(1, 4)))
@_some
def test_the_same_plan_is_told_otherwise_and_the_check_agrees(case) -> None:
    """Chances follow the line, promises come whole days later, all else stays, and the checker finds it right."""
    case = random_feeds.roomy(case)
    plain, told = _planned(case, None), _planned(case, LINE)
    assert _violations(case, told) == set()
    same = [name for name in plain.parcels.columns if name not in ("on_time_probability", "promised_at")]
    assert plain.parcels.select(same).equals(told.parcels.select(same))
    planned = (plain.parcels["status"] == "planned").to_numpy()
    own, now = (each.parcels["on_time_probability"].to_numpy()[planned] for each in (plain, told))
    np.testing.assert_allclose(now, np.interp(own, LINE.predicted, LINE.realised))
    zones = dict(zip(case.feed.nodes["node_id"], case.feed.nodes["timezone"]))
    last = told.legs.sort("seq").group_by("order_id", maintain_order=True).agg(pl.col("to_node").last())
    ends = dict(last.iter_rows())
    rows = plain.parcels.select("order_id", "service_id", "promised_at").iter_rows()
    for (order_id, service, was), is_now in zip(rows, told.parcels["promised_at"]):
        if was is None or order_id not in ends:
            continue
        days = LINE.later_days.get(service or "", 0)
        assert timedelta(days=days, hours=-1) <= is_now - was <= timedelta(days=days, hours=1)
        wall = utc_to_local(zones[ends[order_id]], np.array([int(is_now.timestamp()) // 60]))
        assert wall[0] % 1440 == 1439


@given(case=random_feeds.cases(outcomes=(4,)))
@_some
def test_a_plan_that_is_not_told_as_its_calibration_says_is_found_out(case) -> None:
    """With the chances and promises of the plain plan under a manifest that names a calibration, the check objects."""
    case = random_feeds.roomy(case)
    plain, told = _planned(case, None), _planned(case, LINE)
    totals = [made.summary["on_time_expected"] for made in (plain, told)]
    if abs(totals[0] - totals[1]) > 1e-3:
        assert "wrong_total" in _violations(case, told, plain.parcels)


def test_a_calibration_that_is_not_told_is_found_out(make_feed, make_orders) -> None:
    """One certain parcel told as likely as the line says: right with the calibration, wrong without."""
    feed = capacity_cases.lane(make_feed, [{}], late_cost=1.0)
    orders = capacity_cases.parcels(make_orders, 1, due_at=capacity_cases.BEGIN + 5000)
    case = random_feeds.Case(feed, orders, capacity_cases.MORNING, 3, 1)
    told = _planned(case, LINE)
    assert told.parcels["on_time_probability"].to_list() == [0.9]
    assert _violations(case, told) == set()
    silent = replace(told, manifest={**told.manifest, "calibration": None})
    assert "wrong_chance" in _violations(case, silent)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"predicted": (), "realised": ()}, "same number"),
        ({"predicted": (0.5, 0.5), "realised": (0.1, 0.2)}, "does not rise"),
        ({"predicted": (0.1, 0.5), "realised": (0.4, 0.2)}, "realised falls"),
        ({"predicted": (0.1, 1.5), "realised": (0.4, 0.5)}, "outside 0 to 1"),
        ({"later_days": {"express": -1}}, "express is -1"),
    ],
)
def test_a_calibration_without_sense_is_refused(wrong, said) -> None:
    """Every fault of a calibration is named."""
    with pytest.raises(InvalidInput, match=said):
        Calibration(**{"predicted": (0.0, 1.0), "realised": (0.0, 1.0), **wrong})


@given(points=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=9, unique_by=lambda p: p[0]))
@settings(deadline=None)
def test_a_calibration_survives_its_file(points) -> None:
    """Written and read again it tells the same chances, which never fall as the predicted ones rise."""
    rising = sorted(x for x, _ in points), sorted(y for _, y in points)
    line = Calibration(predicted=tuple(rising[0]), realised=tuple(rising[1]))
    again = msgspec.json.decode(msgspec.json.encode(line), type=Calibration)
    asked = np.linspace(0, 1, 21)
    np.testing.assert_array_equal(again.chances(asked), line.chances(asked))
    assert (np.diff(line.chances(asked)) >= -1e-12).all()
