"""The India example in the twin: the part at its smallest, and that intervals too narrow are found out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.twin import india, last_day
from benchmarks.twin.sizes import SMALLEST
from examples.india_express.extract import FILES, NoExtract, folder, read_extract
from rookery.twin.world import Network, travel_minutes

needs_data = pytest.mark.skipif(
    not all((folder() / name).is_file() for name in FILES),
    reason="ROOKERY_DATA (default ../shared/data) holds no promise/ folder with the Delhivery extract",
)
QUANTILES, FACTORS = np.array([0.02, 0.1, 0.5, 0.9, 0.98]), np.array([0.5, 0.7, 1.0, 1.6, 2.4])


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> india.Example:
    """The example, built once."""
    return india.example(read_extract(), tmp_path_factory.mktemp("india"))


def narrowed(net: Network) -> Network:
    """The network with every spread drawn half way to its median."""
    return replace(net, spreads={number: (at, np.sqrt(factors)) for number, (at, factors) in net.spreads.items()})


def test_an_absent_extract_stops_the_part_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is missing and what to set, before anything is planned."""
    monkeypatch.setenv("ROOKERY_DATA", str(tmp_path))
    with pytest.raises(NoExtract, match="ROOKERY_DATA"):
        india.run(SMALLEST, lambda text: None)


@pytest.mark.parametrize(("power", "low", "high"), [(1.0, -0.02, 0.02), (0.5, -0.5, -0.2), (2.0, 0.1, 0.5)])
def test_coverage_is_right_for_true_spreads_too_small_for_narrow_ones(power: float, low: float, high: float) -> None:
    """4,000 legs drawn from a known spread, foretold by it, by a narrower and by a wider one."""
    random = np.random.default_rng(3)
    minutes, number = np.full(4000, 300), np.zeros(4000, np.int64)
    observed = travel_minutes(minutes, number, {0: (QUANTILES, FACTORS)}, random.random(4000))
    foretold = {0: (QUANTILES, FACTORS**power)}
    drawn = np.array([travel_minutes(minutes, number, foretold, random.random(4000)) for _ in range(500)])
    off = last_day.covered(observed.astype(np.float64), drawn).coverage[:2] - last_day.LEVELS[:2]
    assert (low <= off).all() and (off <= high).all()


def test_a_minute_drawn_and_observed_counts_half() -> None:
    """All in one minute: it is the median, and the interval has no width."""
    one = last_day.covered(np.full(3, 7.0), np.full((10, 3), 7))
    assert (one.place == 0.5).all() and (one.coverage == 1).all() and (one.widths == 0).all()


@needs_data
def test_the_part_holds_plans_and_the_last_day_against_what_came() -> None:
    """Every figure has a name of its own, plans have targets, and each tenth's trips add up to all that are planned."""
    result = india.run(SMALLEST, lambda text: None)
    names = [show.what for show in result.shows]
    assert len(names) == len(set(names))
    assert sum(show.target is not None for show in result.shows) in (2, 6)  # one K, or two finer ones beside it
    assert sum(row[1] for row in result.tables[-3].rows) == 491
    shares = [show.value for show in result.shows if show.unit == "%" and "interval" in show.what]
    assert len(shares) == 21 and all(0 < share <= 100 for share in shares)


@needs_data
def test_legs_are_drawn_from_a_departure_of_their_own_lane(example: india.Example) -> None:
    """Each of the last day's 794 legs finds one, in order, and most find one in their own hour class."""
    found = last_day.departures(example.net, example.last)
    assert found["leg"].to_list() == list(range(794))
    assert (found["transit"] >= 0).all()  # none without a spread
    assert 600 < found["alike"].sum() < 794
    assert (found.filter("alike")["gap"] < last_day.QUARTER).all()


@needs_data
def test_spreads_planted_too_narrow_cover_too_few_legs_and_trips(example: india.Example) -> None:
    """The feed's spreads cover within ten points; half as wide they cover less, and no longer by chance."""
    narrow = narrowed(example.net)
    true, tight = (last_day.by_leg(net, example.last)["legs"] for net in (example.net, narrow))
    assert np.abs(true.coverage - last_day.LEVELS).max() < 0.1
    assert (tight.coverage < true.coverage - 0.05).all() and tight.coverage[1] < 0.7
    assert (tight.widths < 0.7 * true.widths).all()
    wide, thin = (last_day.by_trip(net, example.last, 0.0) for net in (example.net, narrow))
    assert all((thin[name].coverage <= wide[name].coverage).all() and thin[name].gap > wide[name].gap for name in wide)


@needs_data
def test_dwell_drawn_with_no_spread_is_the_usual_dwell(example: india.Example) -> None:
    """Two readings of trips agree there, and more spread widens the intervals."""
    calm, fitted = (
        last_day.by_trip(example.net, example.last, sigma)
        for sigma in (0.0, last_day.dwell_sigma(example.net.feed, example.before))
    )
    usual, strayed = (f"{last_day.TRIPS}legs independent, {name} dwell" for name in ("usual", "log-normal"))
    assert (calm[usual].place == calm[strayed].place).all()
    assert (fitted[strayed].widths > calm[usual].widths).all()
