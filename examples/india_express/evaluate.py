"""What was foretold against what was recorded on the last day, which no fit has seen: legs, chains of legs, plans."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from examples.india_express.extract import ENDS
from examples.india_express.spread import DECILES, Fitted, pinball

DRAWS, SEED = 2000, 7


@dataclass(frozen=True)
class Judged:
    """Actual minutes of legs or chains, their foretold deciles (rows, 9), and the share at or below each decile."""

    actual: NDArray[np.float64]
    deciles: NDArray[np.float64]

    @property
    def shares(self) -> NDArray[np.float64]:
        return (self.actual[:, None] <= self.deciles).mean(axis=0)

    @property
    def errors(self) -> NDArray[np.float64]:
        """Standard error of each share if the deciles were true and the rows independent."""
        return np.sqrt(DECILES * (1 - DECILES) / len(self.actual))


def judge_legs(spread: Fitted, legs: pl.DataFrame) -> Judged:
    """Described legs against the fitted spread: what the feed says of the leg's corridor at its hour."""
    return Judged(legs["actual_time"].to_numpy(), spread.minutes(legs, DECILES))


def losses(spread: Fitted, fitted_on: pl.DataFrame, legs: pl.DataFrame) -> pl.DataFrame:
    """way, loss (mean pinball over deciles of log minutes, x 1000), loss_minutes, median_error (minutes) on `legs`.

    A way that tells one number only is taken to foretell it at every quantile.
    """
    actual = legs["actual_time"].to_numpy()
    ratio = (fitted_on["actual_time"] / fitted_on["osrm_time"]).to_numpy()
    road, typical = legs["osrm_time"].to_numpy(), legs["median_actual_min"].to_numpy()
    flat = np.ones(len(DECILES))
    ways = {
        "road minutes x one ratio": np.outer(road * np.median(ratio), flat),
        "road minutes x quantiles of the ratio": np.outer(road, np.quantile(ratio, DECILES)),
        "corridor median": np.outer(typical, flat),
        "corridor median, fitted spread": spread.minutes(legs, DECILES),
    }
    rows = [
        (
            way,
            pinball(np.log(actual), np.log(deciles), DECILES).mean() * 1000,
            pinball(actual, deciles, DECILES).mean(),
            float(np.median(np.abs(actual - deciles[:, 4]))),
        )
        for way, deciles in ways.items()
    ]
    return pl.DataFrame(rows, schema=["way", "loss", "loss_minutes", "median_error"], orient="row")


def judge_chains(spread: Fitted, legs: pl.DataFrame, dwell: pl.DataFrame) -> dict[str, Judged]:
    """Trips of two and more joined legs, from first scan to last arrival, under three readings.

    legs: described legs. Readings: legs stray independently, dwell is each centre's usual one (what the planner
    assumes); the same with dwell as recorded; legs of a trip all at the same quantile, dwell as recorded.
    """
    chains = (
        legs.sort("trip_uuid", "od_start_time")
        .join(dwell, left_on=ENDS[0], right_on="center", how="left", maintain_order="left")
        .with_columns(
            next_start=pl.col("od_start_time").shift(-1).over("trip_uuid"),
            joined=(pl.col("destination_center") == pl.col("source_center").shift(-1).over("trip_uuid")).fill_null(
                True
            ),
            count=pl.len().over("trip_uuid"),
        )
        .filter(pl.col("joined").all().over("trip_uuid") & (pl.col("count") > 1))
        .with_columns(
            waited=((pl.col("next_start") - pl.col("od_start_time")).dt.total_seconds() / 60 - pl.col("actual_time")),
            dwell=pl.when(pl.col("next_start").is_null()).then(0.0).otherwise("dwell"),
        )
        .with_columns(pl.col("waited").fill_null(0.0))
    )
    first = np.flatnonzero(chains["trip_uuid"] != chains["trip_uuid"].shift().fill_null(""))
    total = np.add.reduceat((chains["waited"] + chains["actual_time"]).to_numpy(), first)
    waited, usual = (np.add.reduceat(chains[name].to_numpy(), first)[:, None] for name in ("waited", "dwell"))
    # Every leg's evenly spread outcomes, shuffled on their own: independent of those of the other legs.
    even = (np.arange(DRAWS) + 0.5) / DRAWS
    drawn = np.random.default_rng(SEED).permuted(spread.minutes(chains, even), axis=1)
    driven = np.quantile(np.add.reduceat(drawn, first, axis=0), DECILES, axis=1).T
    together = np.add.reduceat(spread.minutes(chains, DECILES), first, axis=0)
    return {
        "legs independent, usual dwell": Judged(total, driven + usual),
        "legs independent, recorded dwell": Judged(total, driven + waited),
        "legs alike, recorded dwell": Judged(total, together + waited),
    }


def judge_plan(trips: pl.DataFrame, recorded: pl.DataFrame, parcels: pl.DataFrame, legs: pl.DataFrame) -> pl.DataFrame:
    """Each planned trip: planned_minutes and real_minutes from ready to arrival, promised and really kept.

    trips and recorded as from trips.py; parcels and legs of the plan. The planned arrival is the median itinerary's.
    """
    arrivals = legs.group_by("order_id").agg(pl.col("arrive_at").max())
    return (
        trips.filter("whole")
        .join(recorded, on="trip_uuid")
        .join(parcels.drop("legs"), left_on="trip_uuid", right_on="order_id")
        .join(arrivals, left_on="trip_uuid", right_on="order_id")
        .with_columns(
            planned_minutes=(pl.col("arrive_at") - pl.col("ready_at")).dt.total_seconds() / 60,
            really_at=pl.col("ready_at") + pl.duration(seconds=pl.col("real_minutes") * 60),
        )
        .with_columns(
            really_on_time=pl.col("really_at") <= pl.col("due_at"), kept=pl.col("really_at") <= pl.col("promised_at")
        )
        .select(
            "trip_uuid", "legs", "service_id", "planned_minutes", "real_minutes", "on_time_probability",
            "really_on_time", "kept",
        )
    )  # fmt: skip


def plan_table(judged: pl.DataFrame) -> pl.DataFrame:
    """judge_plan in figures, one row for single legs and one for longer trips."""
    over = pl.col("planned_minutes") - pl.col("real_minutes")
    return (
        judged.group_by(
            trips=pl.when(pl.col("legs") == 1).then(pl.lit("one leg")).otherwise(pl.lit("two legs and more"))
        )
        .agg(
            pl.len().alias("count"),
            real_hours=pl.col("real_minutes").median() / 60,
            planned_hours=pl.col("planned_minutes").median() / 60,
            half_within_minutes=over.abs().median(),
            day_lost=(over > 600).mean(),  # ten hours over: the next morning's departure was taken
            on_time_foretold=pl.col("on_time_probability").mean(),
            on_time_real=pl.col("really_on_time").mean(),
            promise_kept=pl.col("kept").mean(),
        )
        .sort("trips")
    )
