"""Checks, offers, explanations and findings as a person reads them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from rich.console import Console

from rookery.doors.cli.console import SHOWN, counts_by_code, print_notice
from rookery.doors.cli.plan_tables import NAME, table_of
from rookery.doors.cli.words import MODE_COLOURS, Places, count_of, percent, safe, utc
from rookery.flows.promising import Offer
from rookery.planning.check import CheckReport, Violation
from rookery.planning.explain import Explanation, Option, Reason
from rookery.terms.errors import RookeryError
from rookery.terms.frames import Feed
from rookery.terms.notice import Notice


def print_check(report: CheckReport, console: Console) -> None:
    """The first violations, how many there are of each code when there are more, then what was looked at."""
    for violation in report.violations[:SHOWN]:
        console.print(f"[red]violation[/] {safe(_told(violation))}", soft_wrap=True)
    if len(report.violations) > SHOWN:
        counts = Counter(violation.code for violation in report.violations).most_common()
        console.print(f"... and {len(report.violations) - SHOWN:,} more; --json tells them all")
        console.print(f"[dim]By code: {', '.join(f'{count:,} {code}' for code, count in counts)}[/]")
    looked_at = ", ".join(f"{count:,} {what.replace('_', ' ')}" for what, count in report.checked.items() if count)
    if report.violations:
        console.print(f"[bold red]{count_of(len(report.violations), 'violation')}.[/] Looked at: {looked_at}.")
    else:
        console.print(f"[bold green]No violation.[/] Derived again: {looked_at}.")
    if report.overloads:
        console.print(f"[bold red]Over capacity:[/] {report.overloads:,} of the dated departures and node hours.")


def _told(violation: Violation) -> str:
    """A violation in a line: its code, whose it is, what is wrong, what was expected and found."""
    whose = {"order": violation.order_id, "departure": violation.departure, "node": violation.node}
    place = "".join(f" {what} {name}" for what, name in whose.items() if name)
    found = f"(expected {violation.expected or '-'}, found {violation.found or '-'})"
    return f"{violation.code}{place}: {violation.what} {found}"


def print_no_offer(reasons: Sequence[Reason], console: Console) -> None:
    """That nothing can be promised, every reason, and what would mend it."""
    console.print("[bold red]No itinerary brings this parcel there within the horizon.[/]")
    _print_reasons(reasons, console)


def _print_reasons(reasons: Sequence[Reason], console: Console) -> None:
    for reason in reasons:
        console.print(f"\n[bold]{reason.code}[/]: {safe(reason.text)}.\n  [green]Fix:[/] {safe(reason.fix)}.")


def print_offers(offers: Sequence[Offer], feed: Feed, console: Console, *, priced: bool = False) -> None:
    """The frontier as a table, then what the first offer asks for; priced: with both parts of the cost."""
    places = Places(feed)
    table = table_of()
    table.add_column("promised by (local)", style="bold", justify="right")
    table.add_column(feed.info.currency, justify="right", style="bold")
    for name in ("transport", "congestion") if priced else ():
        table.add_column(name, justify="right")
    table.add_column("kept with", justify="right")
    table.add_column("expected", justify="right")
    table.add_column("way")
    for offer in offers:
        last = offer.legs[-1].to_node
        way = safe(offer.legs[0].from_node) + "".join(
            f" [{MODE_COLOURS.get(leg.mode, 'white')}]{leg.mode}[/] {safe(leg.to_node)}" for leg in offer.legs
        )
        table.add_row(
            places.local(offer.promised_at, last),
            f"{offer.cost:,.2f}",
            *((f"{offer.transport:,.2f}", f"{offer.congestion:,.2f}") if priced else ()),
            percent(offer.probability),
            places.local(offer.expected_at, last),
            way,
        )
    console.print(table)
    first = offers[0].legs[0]
    console.print(
        f"The first has to be ready at {safe(places.name(first.from_node))} by "
        f"{places.local(first.cutoff_at, first.from_node)} (UTC {utc(first.cutoff_at)}). "
        + ("Each line is later and cheaper than the one above. " if len(offers) > 1 else "No later date is cheaper.")
    )


def print_explanation(answer: Explanation, feed: Feed, console: Console) -> None:
    """A planned parcel node by node with its options; an unassigned one with its reasons and what would mend them."""
    if answer.status != "planned":
        console.print(f"[bold]{safe(answer.order_id)}[/] is [bold red]unassigned[/].")
        _print_reasons(answer.reasons, console)
        return
    places = Places(feed)
    _print_outcome(answer, places, console)
    for step in answer.steps:
        ready = places.local(step.ready_at, step.node)
        table = table_of(f"At {safe(places.name(step.node))}, ready {ready} (UTC {utc(step.ready_at)})")
        table.add_column("")
        table.add_column("by", no_wrap=True)
        table.add_column("to")
        table.add_column("leaves", no_wrap=True, justify="right")
        table.add_column(f"{answer.currency} from here", justify="right")
        table.add_column("on time", justify="right")
        table.add_column("why")
        for option in step.options:
            table.add_row(*_option_row(option, step.node, places), style="bold" if option.chosen else "")
        console.print(table)


def _print_outcome(answer: Explanation, places: Places, console: Console) -> None:
    if not answer.steps:
        console.print(f"[bold]{safe(answer.order_id)}[/] is planned and needs no leg: it is where it is going.")
        return
    last = next(option.to_node for option in answer.steps[-1].options if option.chosen)
    assert answer.cost is not None and answer.on_time_probability is not None
    told = [f"{answer.cost:,.2f} {answer.currency} a piece"]
    if answer.expected_at:
        told.append(f"expected {places.local(answer.expected_at, last)}")
    if answer.promised_at:
        told.append(f"promised by {places.local(answer.promised_at, last)}")
    if answer.due_at:
        told.append(f"due {places.local(answer.due_at, last)}")
    told.append(f"on time with {percent(answer.on_time_probability)}")
    console.print(f"[bold]{safe(answer.order_id)}[/] is [bold green]planned[/]: {', '.join(told)}.")


def _option_row(option: Option, node: str, places: Places) -> list[str]:
    colour = MODE_COLOURS.get(option.mode, "white")
    return [
        "[green]●[/]" if option.chosen else " ",
        f"[{colour}]{option.mode}[/]",
        safe(places.name(option.to_node, NAME)),
        places.local(option.depart_at, node),
        "-" if option.cost is None else f"{option.cost:,.2f}",
        "-" if option.chance is None else percent(option.chance),
        safe(option.why),
    ]


def print_findings(
    notices: Sequence[Notice], counts: Mapping[str, int], unusable: RookeryError | None, console: Console
) -> None:
    """Every notice, then the counts and whether the feed can be used."""
    for notice in notices:
        print_notice(notice, console)
    if notices:
        console.print(f"[dim]By code: {', '.join(counts_by_code(notices))}[/]")
    told = ", ".join(count_of(count, word) for word, count in counts.items())
    if unusable is not None:
        console.print(f"[bold red]{safe(unusable.what)}[/] Next: {safe(unusable.action)}.")
    elif counts["error"]:
        console.print(f"[bold yellow]Usable without the faulty rows:[/] {told}.")
    else:
        console.print(f"[bold green]Good:[/] {told}.")
