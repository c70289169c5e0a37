"""The stochastic pass: eight outcomes a departure, four classes, cost and chance, against the deterministic pass."""

from __future__ import annotations

from benchmarks.form import Result, Say, Show, Table
from benchmarks.planning.instance import PLAIN, REAL, Instance, Pass, certain, chance, cost
from benchmarks.planning.sizes import Size


def run(size: Size, say: Say) -> Result:
    """Time the three passes over all destinations in turn; the best of each counts."""
    instance = Instance(size)
    four = instance.blocks(instance.uncertain, REAL)
    passes = {
        "deterministic, 1 class": Pass(
            instance.certain, instance.blocks(instance.certain, PLAIN), certain, size.threads
        ),
        "K = 8, 4 classes, cost": Pass(instance.uncertain, four, cost, size.threads),
        "K = 8, 4 classes, cost and chance": Pass(instance.uncertain, four, chance, size.threads),
    }
    best = dict.fromkeys(passes, float("inf"))
    for number in range(size.rounds):
        for name, one in passes.items():
            repeats = 3 if number == 0 or one.outcomes == 1 else 1
            best[name] = min(best[name], *(one.seconds() for _ in range(repeats)))
        say(f"round {number + 1} of {size.rounds}: " + ", ".join(f"{seconds:.3f} s" for seconds in best.values()))
    plain, costs, chances = best.values()
    net = instance.uncertain.net
    return Result(
        shows=[
            Show("stochastic pass with chances against the deterministic pass", chances / plain, "times", "<= 20"),
            Show("stochastic pass, cost only, against the deterministic pass", costs / plain, "times"),
            Show("stochastic pass with chances, all destinations", chances, "s"),
        ],
        tables=[
            Table(
                f"one pass over {len(net.frm):,} departures x {size.nodes} destinations, {size.threads} threads",
                ("", "s", "times the deterministic"),
                [(name, seconds, seconds / plain) for name, seconds in best.items()],
                f"{len(net.catch_row) / len(net.frm):.2f} distinct next departures for 8 outcomes, on average",
            )
        ],
    )
