"""The commands: each one calls a library function and prints what it gives. Heavy imports wait until they run."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

import rookery
from rookery.doors.cli.archive import archive_app
from rookery.doors.cli.audit import audit_app
from rookery.doors.cli.capacity import EXAMPLES as OF_CAPACITY
from rookery.doors.cli.capacity import capacity
from rookery.doors.cli.cases import cases_app
from rookery.doors.cli.closures import closure_app
from rookery.doors.cli.db import db_app
from rookery.doors.cli.keys import keys_app, parties_app
from rookery.doors.cli.options import (
    Feed,
    Gap,
    Horizon,
    Json,
    OrderFile,
    Outcomes,
    Prices,
    Seconds,
    Seed,
    Side,
    Start,
    examples,
    instant,
    within,
)
from rookery.doors.cli.publish import (
    OF_ACTIVATE,
    OF_LIST,
    OF_PUBLISH,
    OF_ROLLBACK,
    activate,
    listing,
    publish,
    rollback,
)
from rookery.doors.cli.record import IMPORT_EXAMPLES, import_orders, labels_app, numbers_app, vault_app
from rookery.doors.cli.replan import EXAMPLES as OF_REPLAN
from rookery.doors.cli.replan import replan
from rookery.doors.cli.serve import EXAMPLES as OF_SERVE
from rookery.doors.cli.serve import serve
from rookery.doors.cli.twin import EXAMPLES as OF_TWIN
from rookery.doors.cli.twin import twin
from rookery.doors.cli.whatif import EXAMPLES, whatif
from rookery.terms.errors import Conflict, InvalidInput

Goods = Literal["general", "battery", "liquid", "oversize", "cold"]
Size = Literal["tiny", "country", "world"]

app = typer.Typer(
    name="rookery",
    help="Promises, routes and checks every parcel of a network whose legs belong to other people.",
    epilog="First steps: rookery demo. Exit codes: 0 good, 1 the answer is bad news, 2 the command was not understood.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
network_app = typer.Typer(help="Networks: samples, and versions in the system of record.", no_args_is_help=True)
orders_app = typer.Typer(help="Orders: samples, and files taken into the system of record.", no_args_is_help=True)
app.add_typer(network_app, name="network")
app.add_typer(orders_app, name="orders")
app.add_typer(parties_app, name="parties")
app.add_typer(keys_app, name="keys")
app.add_typer(numbers_app, name="numbers")
app.add_typer(labels_app, name="labels")
app.add_typer(vault_app, name="vault")
app.add_typer(db_app, name="db")
app.add_typer(audit_app, name="audit")
app.add_typer(archive_app, name="archive")
app.add_typer(cases_app, name="cases")
app.add_typer(closure_app, name="closure")
app.command(epilog=OF_SERVE)(serve)
orders_app.command("import", epilog=IMPORT_EXAMPLES)(import_orders)
network_app.command("publish", epilog=OF_PUBLISH)(publish)
network_app.command("activate", epilog=OF_ACTIVATE)(activate)
network_app.command("rollback", epilog=OF_ROLLBACK)(rollback)
network_app.command("list", epilog=OF_LIST)(listing)


@app.callback(invoke_without_command=True)
def root(version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False) -> None:
    if version:
        typer.echo(f"rookery {rookery.__version__}")
        raise typer.Exit()


@app.command(
    epilog=examples(
        "rookery plan feed/ orders.csv --out plan/",
        "rookery plan feed.zip orders.parquet --out plan/ --outcomes 1 --json",
        "rookery plan feed/ orders.csv --out plan/ --start 2026-09-15T00:00Z --horizon-days 30 --policy",
        "rookery plan feed/ orders.csv --out plan/ --gap 0.001 --seconds 300 --prices yesterday/",
        "rookery plan feed/ orders.csv --out plan/ --calibration rehearsed/follow/calibration.json",
    )
)
def plan(
    feed: Feed,
    orders: OrderFile,
    out: Annotated[Path, typer.Option(help="Folder to write; an earlier plan there is replaced.")],
    start: Start = None,
    horizon_days: Horizon = None,
    outcomes: Outcomes = 8,
    gap: Gap = 0.005,
    seconds: Seconds = 60.0,
    prices: Prices = None,
    calibration: Annotated[
        Path | None,
        typer.Option(metavar="FILE", readable=False, help="Tell chances and promises as rehearsals found them."),
    ] = None,
    policy: Annotated[bool, typer.Option("--policy", help="Also write the tables that answer 'what next?'.")] = False,
    threads: Annotated[int | None, typer.Option(min=1, help="Default: all cores.")] = None,
    as_json: Json = False,
) -> None:
    """Plan a file of orders within all capacities: for every parcel a promise, an itinerary and a cost.

    Bad rows are told on stderr and left out; the others are planned.
    Where capacity binds, the plan is improved until --gap or --seconds is reached; the gap is proved and shown.
    Ctrl-C while it is improved writes the best plan so far, marked so: exit code 130.
    Exit code 1 when no parcel could be planned.
    """
    from rookery.doors.cli import console
    from rookery.doors.cli.plan_tables import print_plan
    from rookery.doors.cli.stopping import INTERRUPTED, best_so_far
    from rookery.doors.cli.words import percent
    from rookery.flows.checking import read_plan
    from rookery.flows.planning import PLAN_FOLDER
    from rookery.flows.planning import plan as plan_orders
    from rookery.flows.rehearsals.experimenting import read_calibration
    from rookery.network import read_feed
    from rookery.orders import read_orders

    PLAN_FOLDER.refuse_foreign(out)  # now, rather than when the work is done
    with best_so_far(), console.progress_bars() as progress:
        earlier = read_plan(prices) if prices is not None else None
        network, order_book = read_feed(feed), read_orders(orders)
        learnt = read_calibration(calibration, network) if calibration is not None else None
        made = plan_orders(
            network,
            order_book,
            start=start,
            horizon_days=horizon_days,
            outcomes=outcomes,
            gap=gap,
            seconds=seconds,
            prices=earlier,
            calibration=learnt,
            policy=policy,
            threads=threads,
            progress=progress,
        )
        made.write(out)
    console.tell_notices((*network.notices, *made.notices))
    if as_json:
        console.print_json(made.summary)
    else:
        print_plan(made, network, order_book, console.out)
        if learnt is not None:
            told = f"Chances and promises are told as {learnt.runs} rehearsals found them ({calibration})."
            console.out.print(told, soft_wrap=True, markup=False)
        console.out.print(f"Written to [bold]{out}[/].")
    if made.summary["interrupted"]:
        told = f"Stopped; {out} holds the best plan so far, proved to be within {percent(made.summary['gap'], 3)}."
        console.err.print(told, soft_wrap=True)
        raise typer.Exit(INTERRUPTED)
    if not made.summary["planned"]:
        raise typer.Exit(1)


@app.command(
    epilog=examples(
        "rookery check feed/ orders.csv plan/",
        "rookery check feed/ orders.csv plan/ --sample 500 --json",
    )
)
def check(
    feed: Feed,
    orders: OrderFile,
    plan_dir: Annotated[Path, typer.Argument(metavar="DIR", help="Folder that `rookery plan` wrote.", readable=False)],
    sample: Annotated[
        int | None,
        typer.Option(min=0, help="Parcels whose optimum is found again; default: as many as take seconds."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Derive a plan again, independently, and print every violation.

    The checker shares no code with the planner.
    Departures and node hours above a capacity are violations, and counted.
    Exit code 1 when there is a violation.
    """
    from rookery.doors.cli import console
    from rookery.doors.cli.answer_tables import print_check
    from rookery.flows.checking import check as check_plan
    from rookery.flows.checking import read_plan
    from rookery.network import read_feed
    from rookery.orders import read_orders

    with console.progress_bars() as progress:
        network, order_book = read_feed(feed), read_orders(orders)
        made = read_plan(plan_dir)
        report = check_plan(network, order_book, made, sample=sample, progress=progress)
    for what, told, read in (("feed", "feed has", network), ("orders", "orders have", order_book)):
        if made.manifest.get(what, {}).get("sha256") != read.sha256:
            console.err.print(f"[yellow]warning[/] the {told} changed since the plan was made.")
    if as_json:
        console.print_json(report)
    else:
        print_check(report, console.out)
    if report.violations:
        raise typer.Exit(1)


@app.command(
    epilog=examples(
        "rookery promise feed/ --from CN-SHENZHEN-W1 --to DE:10115 --ready-at 2026-03-02T10:00+08:00 --weight-g 800",
        "rookery promise feed/ --from A --to B --ready-at 2026-03-02T02:00Z --weight-g 800 --goods battery --json",
        "rookery promise feed/ --from A --to B --ready-at 2026-03-02T02:00Z --weight-g 800 --prices plan/",
    )
)
def promise(
    feed: Feed,
    origin: Annotated[str, typer.Option("--from", metavar="NODE", help="Where the parcel is; a node, no address.")],
    to: Annotated[str, typer.Option("--to", metavar="NODE|CC:POSTAL", help="Node, or country and postal code.")],
    ready_at: Annotated[datetime, typer.Option(parser=instant, metavar="TIME", help="ISO 8601 with offset.")],
    weight_g: Annotated[float, typer.Option(callback=within(70_000_000, zero=False), help="Grams.")],
    goods: Annotated[Goods, typer.Option(help="Goods class.")] = "general",
    confidence: Annotated[float, typer.Option(min=0, max=1, help="Chance with which a promise is kept.")] = 0.95,
    length_mm: Side = None,
    width_mm: Side = None,
    height_mm: Side = None,
    outcomes: Outcomes = 8,
    horizon_days: Horizon = None,
    prices: Prices = None,
    as_json: Json = False,
) -> None:
    """Price against date, before there is an order: every choice that no other beats in both.

    The cost is that of carrying and delivering; no lateness and no time is priced.
    With --prices what a plan has filled is dear: the cost then has a transport and a congestion part.
    Exit code 1 when the parcel cannot be brought; the reasons are told.
    """
    from rookery.doors.cli import console
    from rookery.doors.cli.answer_tables import print_no_offer, print_offers
    from rookery.doors.cli.quote import Wish, offers_of, reasons_against
    from rookery.flows.checking import read_plan
    from rookery.network import read_feed

    wish = Wish(origin, to, ready_at, weight_g, goods, length_mm, width_mm, height_mm)
    with console.progress_bars():
        network = read_feed(feed)
        made = read_plan(prices) if prices is not None else None
        offers = offers_of(
            network, wish, confidence=confidence, outcomes=outcomes, horizon_days=horizon_days, prices=made
        )
        reasons = [] if offers else reasons_against(network, wish, outcomes=outcomes, horizon_days=horizon_days)
    console.tell_notices(network.notices)
    if as_json:
        answer = {"currency": network.info.currency, "confidence": confidence, "offers": offers, "reasons": reasons}
        console.print_json(console.rounded(answer))
    elif offers:
        print_offers(offers, network, console.out, priced=made is not None)
    else:
        print_no_offer(reasons, console.out)
    if not offers:
        raise typer.Exit(1)


@app.command(
    epilog=examples(
        "rookery explain feed/ orders.csv O00000001",
        "rookery explain feed/ orders.csv O00000001 --json",
        "rookery explain feed/ orders.csv O00000001 --prices plan/",
    )
)
def explain(
    feed: Feed,
    orders: OrderFile,
    order_id: Annotated[str, typer.Argument(metavar="ORDER_ID", help="Which order of the file.")],
    start: Start = None,
    horizon_days: Horizon = None,
    outcomes: Outcomes = 8,
    prices: Prices = None,
    as_json: Json = False,
) -> None:
    """Why one parcel goes the way it goes, or why it cannot go and what would mend it.

    Give --start, --horizon-days and --outcomes as the plan had them.
    Without --prices nothing is full; with the plan's prices every option costs what its room is worth, too.
    """
    from rookery.doors.cli import console
    from rookery.doors.cli.answer_tables import print_explanation
    from rookery.flows.checking import read_plan
    from rookery.flows.explaining import explain as explain_order
    from rookery.network import read_feed
    from rookery.orders import read_orders

    with console.progress_bars():
        network, order_book = read_feed(feed), read_orders(orders)
        made = read_plan(prices) if prices is not None else None
        span = {"start": start, "horizon_days": horizon_days}
        answer = explain_order(network, order_book, order_id, **span, outcomes=outcomes, prices=made)
    if as_json:
        console.print_json(console.rounded(answer))
    else:
        print_explanation(answer, network, console.out)


app.command(epilog=OF_CAPACITY)(capacity)
app.command(epilog=EXAMPLES)(whatif)
app.command(epilog=OF_REPLAN)(replan)
app.command(epilog=OF_TWIN)(twin)


@app.command(
    epilog=examples(
        "rookery validate feed/",
        "rookery validate feed.zip --json",
        "rookery validate feed/ --orders orders.csv",
    )
)
def validate(
    feed: Feed,
    orders: Annotated[
        Path | None, typer.Option(metavar="FILE", readable=False, help="Also an order file, against this feed.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Everything that is wrong or suspicious in a feed: file, line, column, value and what to do.

    Exit code 1 when there are errors.
    """
    from rookery.doors.cli import console
    from rookery.doors.cli.answer_tables import print_findings
    from rookery.network import place, read_feed, validate_feed, validate_orders
    from rookery.orders import read_orders

    unusable: InvalidInput | None = None
    notices = ()
    with console.progress_bars():
        try:
            network = read_feed(feed)
            notices = (*network.notices, *validate_feed(network))
            if orders is not None:
                order_book = read_orders(orders)
                frame, file = order_book.frame, order_book.file
                placed = (*place(network, frame, file)[1], *validate_orders(network, frame, file))
                notices = (*notices, *order_book.notices, *placed)
        except InvalidInput as fault:
            if not fault.notices:
                raise
            unusable, notices = fault, (*notices, *fault.notices)
    counts = {
        severity: sum(notice.count for notice in notices if notice.severity == severity)
        for severity in ("error", "warning", "info")
    }
    if as_json:
        console.print_json({"usable": unusable is None, "counts": counts, "notices": notices})
    else:
        print_findings(notices, counts, unusable, console.out)
    if counts["error"] or unusable:
        raise typer.Exit(1)


@network_app.command("sample", epilog=examples("rookery network sample --size tiny --seed 7 --out feed/"))
def network_sample(
    out: Annotated[Path, typer.Option(help="Folder to write; an earlier sample there is replaced.")],
    size: Annotated[Size, typer.Option(help="12, about 120 or about 930 nodes.")] = "tiny",
    seed: Seed = 1,
) -> None:
    """Write a synthetic network: real cities and airports, invented lanes, times and prices."""
    from rookery.doors.cli import console
    from rookery.network import read_feed, sample_network

    with console.progress_bars() as progress:
        feed = read_feed(sample_network(size, seed, out, progress))
    console.out.print(
        f"{feed.nodes.height:,} nodes, {feed.lanes.height:,} lanes and {feed.departures.height:,} repeating departures "
        f"written to [bold]{out}[/]. They are synthetic."
    )


@orders_app.command(
    "sample",
    epilog=examples(
        "rookery orders sample feed/ --count 200 --seed 7 --out orders.csv",
        "rookery orders sample feed/ --count 1000000 --ready-on 2026-12-01 --out orders.parquet",
    ),
)
def orders_sample(
    feed: Feed,
    count: Annotated[int, typer.Option(min=1, help="How many orders.")],
    out: Annotated[Path, typer.Option(help="File to write: .csv, .parquet or .jsonl.")],
    seed: Seed = 1,
    ready_on: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The day they are ready; default 2026-09-15.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
) -> None:
    """Write an invented day of orders on a network, drawn from a gravity model."""
    from rookery.doors.cli import console
    from rookery.network import read_feed
    from rookery.orders import sample_orders, write_orders

    if out.exists() and not force:  # now, rather than when the work is done
        raise Conflict(
            "output.not_empty", f"{out} is there already; it is left alone.", "name another file, or add --force"
        )
    with console.progress_bars():
        network = read_feed(feed)
        written = write_orders(sample_orders(network, count, seed, ready_on.date() if ready_on else None), out)
    console.out.print(f"{count:,} orders written to [bold]{written}[/]. They are synthetic.")


@app.command(
    epilog=examples("rookery bench planning", "rookery bench planning --part tables --json"),
)
def bench(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Which benchmark.")],
    as_json: Annotated[bool, typer.Option("--json", help="End with one line of JSON on stdout.")] = False,
    part: Annotated[str | None, typer.Option(metavar="PART", help="Run this part only.")] = None,
    long: Annotated[bool, typer.Option("--long", help="Add what takes more than 20 minutes.")] = False,
    events: Annotated[
        str | None, typer.Option(metavar="N", help="tracking: how many events are stored in the end, as 500k or 10M.")
    ] = None,
) -> None:
    """Repeat the measurements behind the published figures (from a source checkout)."""
    from rookery.doors.cli.bench import run_benchmark

    arguments = ["--json"] * as_json + (["--part", part] if part else []) + ["--long"] * long
    arguments += ["--events", events] if events else []
    raise typer.Exit(run_benchmark(name, arguments))


@app.command(
    epilog=examples(
        "rookery demo",
        "rookery demo --size country --speed 300 --reset",
        "rookery demo --headless --json --out /tmp/demo",
    ),
)
def demo(
    headless: Annotated[
        bool, typer.Option("--headless", help="A day planned instead: no server, no animation, nothing is opened.")
    ] = False,
    show: Annotated[bool, typer.Option("--open", help="The same day planned, and its page opened.")] = False,
    size: Annotated[Literal["tiny", "country", "world"], typer.Option(help="Of the live demo's network.")] = "world",
    speed: Annotated[
        float, typer.Option(min=1, max=100_000, help="Simulated seconds a second, where the machine can follow.")
    ] = 600,
    orders: Annotated[int, typer.Option(min=1, max=20_000, help="Orders that come in each simulated hour.")] = 200,
    waves: Annotated[float, typer.Option(min=0.1, max=168, help="Simulated hours between waves.")] = 4,
    reset: Annotated[bool, typer.Option("--reset", help="Begin anew; what the live demo has kept is removed.")] = False,
    seconds: Annotated[
        float | None, typer.Option(min=1, help="End by itself after running for so long; default: never.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="End with one line of JSON on stdout.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write; default: demo-live, and demo with --headless or --open.")
    ] = None,
) -> None:
    """A network at work in simulated time: orders come in, waves are planned, couriers scan, and things go wrong.

    PostgreSQL, the HTTP server and a worker run in a folder of their own until Ctrl-C; the next start goes on from
    there. Close a hub from another terminal and watch what becomes of it.

    With --headless: 20,000 orders planned, checked, rehearsed and shown, in about two minutes: the network, the orders,
    the plan, three pictures and a page to look at. Exit code 1 when the check finds a violation.
    """
    if headless or show:
        from rookery.doors.cli.demo import run_demo

        raise typer.Exit(run_demo(out or Path("demo"), headless=headless, as_json=as_json))
    from rookery.doors.cli.live.driving import run_live
    from rookery.doors.cli.live.figures import Wanted

    wanted = Wanted(
        out or Path("demo-live"), size=size, speed=speed, orders=orders, wave_hours=waves, seconds=seconds, reset=reset,
        as_json=as_json,
    )  # fmt: skip
    raise typer.Exit(run_live(wanted))
