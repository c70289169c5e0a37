"""The whole example: extract -> spread -> feed -> orders -> plan -> check -> what came of it.

python -m examples.india_express [--out DIR] [--picture FILE]
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

if not __package__:  # run as a file: make the project's root importable
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import polars as pl

from examples.india_express import build, evaluate, trips
from examples.india_express.extract import NoExtract, read_extract
from examples.india_express.spread import DECILES, described, learn
from rookery.flows.checking import check
from rookery.flows.planning import Plan, plan
from rookery.network.reader import read_feed
from rookery.orders import read_orders

OUTCOMES = 8
HORIZON_DAYS = 14


def main(arguments: list[str] | None = None) -> int:
    """Run the example and print its tables; 0 when the plan holds, 1 when not or when there is no data."""
    parser = argparse.ArgumentParser(
        prog="python -m examples.india_express", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--out", type=Path, default=Path("out/india_express"), help="folder for feed, orders and plan")
    parser.add_argument("--picture", type=Path, help="the calibration picture (default: in the out folder)")
    given = parser.parse_args(arguments)
    try:
        extract = read_extract()
    except NoExtract as absent:
        print(absent, file=sys.stderr)
        return 1
    begin = time.perf_counter()
    legs = described(extract.legs, extract.corridors)
    fit_legs, last_legs = legs.filter(pl.col("day") < extract.last_day), legs.filter(pl.col("day") == extract.last_day)

    spread, comparison = learn(extract)
    _show("Ideas for the spread, each day of the fit foretold from the other two", comparison)
    print(f"kept: {spread.idea.name}")

    ordered = trips.trips(extract.legs, extract.last_day)
    orders_file = given.out / "orders.csv"
    feed_folder = build.write(build.tables(extract, spread), given.out / "feed")
    trips.orders(ordered, extract).write_csv(orders_file)
    feed, orders = read_feed(feed_folder), read_orders(orders_file)
    for notice in (*feed.notices, *orders.notices):
        print(notice)
    made = plan(feed, orders, outcomes=OUTCOMES, horizon_days=HORIZON_DAYS)
    made.write(given.out / "plan")
    report = check(feed, orders, made)
    _show_plan("The plan of the last day's trips", made)
    print(f"check: {len(report.violations)} violations; {report.checked}")

    dwell = build.dwell_minutes(extract.centres)
    recorded = trips.recorded(extract.legs, ordered, dwell)
    _show_record(evaluate.judge_plan(ordered, recorded, made.parcels, made.legs))

    fit_days = fit_legs["day"].unique().to_list()
    blind = read_feed(build.write(build.tables(extract, spread, fit_days), given.out / "feed_of_fit_days"))
    foretold = plan(blind, orders, outcomes=OUTCOMES, horizon_days=HORIZON_DAYS)
    _show_plan("The same with a timetable from the fit's days only", foretold)
    _show_record(evaluate.judge_plan(ordered, recorded, foretold.parcels, foretold.legs))

    by_leg = evaluate.judge_legs(spread, last_legs)
    by_chain = evaluate.judge_chains(spread, last_legs, dwell)
    judged = {f"legs ({len(by_leg.actual)})": by_leg} | {
        f"trips ({len(j.actual)}): {n}": j for n, j in by_chain.items()
    }
    shares = {name: (one.shares * 100).round(1) for name, one in judged.items()}
    _show("Share (%) at or below each foretold quantile, last day", pl.DataFrame({"quantile": DECILES, **shares}))
    _show("Loss on the last day's legs", evaluate.losses(spread, fit_legs, last_legs))

    print(f"\n{_drawn(by_leg, by_chain, given.picture or given.out / 'calibration.png')}")
    print(f"feed, orders and plan in {given.out}; {time.perf_counter() - begin:.1f} s")
    return 1 if report.violations else 0


def _drawn(by_leg: evaluate.Judged, by_chain: dict[str, evaluate.Judged], out: Path) -> str:
    try:
        from examples.india_express.picture import draw  # the only part that needs matplotlib
    except ModuleNotFoundError:
        return "no picture: install the pictures extra (pip install 'rookery[pictures]')"
    return str(draw(by_leg, by_chain["legs independent, usual dwell"], out))


def _show(title: str, table: pl.DataFrame) -> None:
    print(f"\n{title}")
    with pl.Config(
        tbl_rows=-1, tbl_cols=-1, tbl_width_chars=160, fmt_str_lengths=60, float_precision=3,
        tbl_hide_dataframe_shape=True, tbl_hide_column_data_types=True, tbl_formatting="MARKDOWN",
    ):  # fmt: skip
        print(table)


def _show_record(judged: pl.DataFrame) -> None:
    _show("Plan against record", evaluate.plan_table(judged))


def _show_plan(title: str, made: Plan) -> None:
    told = made.summary
    print(f"\n{title}")
    share = told["planned"] / told["parcels"]
    print(f"{told['planned']} of {told['parcels']} planned ({share:.1%}); why not: {told['unassigned']}")
    on_time = made.parcels.filter(status="planned")["on_time_probability"]
    print(f"mean on-time probability of the planned {on_time.mean():.3f}; {told['departures']} dated departures")


if __name__ == "__main__":
    raise SystemExit(main())
