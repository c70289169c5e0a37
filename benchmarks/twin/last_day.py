"""The last day of the India example, which nobody fitted: what the twin draws against what was recorded, in minutes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.form import Show, Table
from benchmarks.twin.worlds import SEED
from examples.india_express.extract import ENDS
from examples.india_express.spread import DECILES
from rookery.terms.frames import Feed
from rookery.terms.time import DAY
from rookery.twin.world import DWELL, REGION, TRAVEL, Network, shares, stream, travel_minutes

LEVELS = (0.5, 0.8, 0.95)
DRAWS = 2000
TRIPS = "trips: "
QUARTER = 360
"""Minutes of an hour class, of which the Indian day has four."""


@dataclass(frozen=True)
class Covered:
    """Observed minutes among drawn ones. place (n): share of draws below what was observed, ties by half."""

    place: NDArray[np.float64]
    widths: NDArray[np.float64]  # median minutes of the intervals LEVELS

    @property
    def coverage(self) -> NDArray[np.float64]:
        """Share of what was observed that lies inside each of the central intervals LEVELS."""
        return (np.abs(self.place - 0.5)[:, None] <= np.array(LEVELS) / 2).mean(axis=0)

    @property
    def below(self) -> NDArray[np.float64]:
        """Share at or below each foretold decile."""
        return (self.place[:, None] <= DECILES).mean(axis=0)

    @property
    def gap(self) -> float:
        """How far coverage is from what it should be, percentage points, in the mean of LEVELS."""
        return 100 * float(np.abs(self.coverage - LEVELS).mean())


def departures(net: Network, legs: pl.DataFrame) -> pl.DataFrame:
    """For each leg, in order: the departure of its lane in its hour class nearest its start, else the nearest of all.

    transit_minutes, transit (number of the spread), gap (minutes between both starts, around the clock), alike (whether
    the hour class is the leg's own).
    """
    feed = net.feed
    dwell = feed.nodes["handling_minutes"].gather(net.runs["from_node"])
    minute = feed.departures["depart_minute"].gather(net.runs["departure"])
    runs = net.runs.select("transit_minutes", "transit", lane_id=feed.lanes["lane_id"].gather(net.runs["lane"]))
    # a departure of the example leaves a dwell after the scan that opens its legs
    runs = runs.with_columns(starts=(minute - dwell) % DAY)
    apart = (pl.col("starts") - pl.col("start_minute")).abs()
    return (
        legs.select(
            "start_minute", lane_id=pl.concat_str(*ENDS, pl.col("major_route_type").str.to_uppercase(), separator="-")
        )
        .with_row_index("leg")
        .join(runs, on="lane_id", how="left", maintain_order="left_right")
        .with_columns(
            gap=pl.min_horizontal(apart, DAY - apart),
            alike=pl.col("starts") // QUARTER == pl.col("start_minute") // QUARTER,
        )
        .sort("leg", "alike", "gap", descending=[False, True, False], maintain_order=True)
        .unique("leg", keep="first", maintain_order=True)
    )


def drawn_minutes(net: Network, legs: pl.DataFrame, together: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
    """(DRAWS, n) minutes of each leg as the twin draws them; together (n): legs of one number all take one quantile."""
    found = departures(net, legs)
    if together is None:
        normal = stream(SEED, TRAVEL).standard_normal((DRAWS, legs.height))
    else:
        normal = stream(SEED, REGION).standard_normal((DRAWS, int(together.max(initial=0)) + 1))[:, together]
    flat = [np.tile(found[name].to_numpy(), DRAWS) for name in ("transit_minutes", "transit")]
    return travel_minutes(flat[0], flat[1], net.spreads, shares(normal.ravel())).reshape(normal.shape)


def covered(observed: NDArray[np.float64], drawn: NDArray) -> Covered:
    """What was observed (n) held against draws of it (draws, n), minutes."""
    # minutes are whole: one that is both drawn and observed lies half below, else an interval had both ends to itself
    place = (drawn < observed).mean(axis=0) + (drawn == observed).mean(axis=0) / 2
    ends = np.quantile(drawn, [(1 + sign * level) / 2 for sign in (-1, 1) for level in LEVELS], axis=0)
    return Covered(place, np.median(ends[len(LEVELS) :] - ends[: len(LEVELS)], axis=1))


def by_leg(net: Network, legs: pl.DataFrame) -> dict[str, Covered]:
    """Driving minutes of all (described) legs, and of those whose lane has a departure in the leg's hour class."""
    drawn, observed = drawn_minutes(net, legs), legs["actual_time"].to_numpy()
    seen = departures(net, legs)["alike"].to_numpy()
    return {
        "legs": covered(observed, drawn),
        "legs with a departure in their hour class": covered(observed[seen], drawn[:, seen]),
    }


def by_trip(net: Network, legs: pl.DataFrame, sigma: float) -> dict[str, Covered]:
    """Trips of two and more legs from first scan to last arrival, read in several ways.

    sigma: of dwell, in logs. The readings with recorded dwell tell what driving alone does; they foretell nothing.
    """
    legs = chained(legs, net.feed)
    first = np.flatnonzero(legs["trip_uuid"] != legs["trip_uuid"].shift().fill_null(""))
    trip = np.repeat(np.arange(len(first)), np.diff(first, append=legs.height))
    waited, usual = legs["waited"].fill_null(0.0).to_numpy(), legs["usual"].to_numpy()
    usual = np.where(legs["waited"].is_null(), 0, usual)
    strayed = np.rint(usual * np.exp(sigma * stream(SEED, DWELL).standard_normal((DRAWS, legs.height))))
    apart, alike = drawn_minutes(net, legs), drawn_minutes(net, legs, trip)
    readings = {
        "legs independent, usual dwell": apart + usual,
        "legs independent, recorded dwell": apart + waited,
        "legs all alike, recorded dwell": alike + waited,
        "legs independent, log-normal dwell": apart + strayed,
        "legs all alike, log-normal dwell": alike + strayed,
    }
    observed = np.add.reduceat(legs["actual_time"].to_numpy() + waited, first)
    return {
        f"{TRIPS}{name}": covered(observed, np.add.reduceat(drawn, first, axis=1)) for name, drawn in readings.items()
    }


def chained(legs: pl.DataFrame, feed: Feed) -> pl.DataFrame:
    """The legs of trips in which each begins where the one before ended, two at least, in order.

    Adds usual (handling minutes of the centre it leaves) and waited (minutes from the scan that opens a leg to the next
    one's that are not driving; null for a trip's last leg).
    """
    handling = feed.nodes.select(pl.col("node_id").alias(ENDS[0]), usual="handling_minutes")
    following = pl.col(ENDS[0]).shift(-1).over("trip_uuid")
    between = (pl.col("od_start_time").shift(-1).over("trip_uuid") - pl.col("od_start_time")).dt.total_seconds() / 60
    return (
        legs.sort("trip_uuid", "od_start_time")
        .join(handling, on=ENDS[0], how="left", maintain_order="left")
        .with_columns(
            joined=(pl.col(ENDS[1]) == following).fill_null(True),
            legs=pl.len().over("trip_uuid"),
            waited=between - pl.col("actual_time"),
        )
        .filter(pl.col("joined").all().over("trip_uuid") & (pl.col("legs") > 1))
    )


def dwell_sigma(feed: Feed, legs: pl.DataFrame) -> float:
    """How far dwell strays from the usual one, in logs: of a log-normal multiple with median 1, as likely as can be."""
    found = chained(legs, feed).filter(pl.col("waited") > 0)
    return float(np.sqrt(np.mean(np.log((found["waited"] / found["usual"]).to_numpy()) ** 2)))


def shows_of(found: dict[str, Covered], sigma: float) -> list[Show]:
    """Coverage of every interval."""
    return [
        *(
            Show(f"India, last day, {name}: inside the {level:.0%} interval", 100 * share, "%")
            for name, one in found.items()
            for level, share in zip(LEVELS, one.coverage.tolist())
        ),
        Show("India: sigma of dwell, fitted to the days before", sigma, "log"),
    ]


def tables_of(found: dict[str, Covered], sigma: float) -> list[Table]:
    """Coverage of intervals and shares below quantiles, for people."""
    closest = min((name for name in found if name.startswith(TRIPS)), key=lambda name: found[name].gap)
    names, levels = [f"{level:.0%}" for level in LEVELS], np.array(LEVELS)
    rows = []
    for name, one in found.items():
        chance = 200 * np.sqrt(levels * (1 - levels) / len(one.place))
        cells = (f"{100 * share:.1f} +- {wide:.1f}" for share, wide in zip(one.coverage, chance))
        rows.append((name, len(one.place), *cells, f"{one.gap:.1f}", *(f"{width:.0f}" for width in one.widths)))
    return [
        Table(
            "India, last day: % of what was observed inside the central interval, +- 2 standard errors of chance alone",
            ("", "n", *names, "off, points", *(f"{name} wide, minutes" for name in names)),
            rows,
            f"off: mean over the three; widths are medians; dwell strays by {sigma:.3f} in logs on the days before;"
            f" closest reading of {closest}",
        ),
        Table(
            "India, last day: % at or below each foretold quantile",
            ("", *(f"{quantile:.0%}" for quantile in DECILES)),
            [(name, *(f"{100 * share:.1f}" for share in one.below)) for name, one in found.items()],
        ),
    ]
