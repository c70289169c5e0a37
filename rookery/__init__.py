"""Rookery: an open smart-logistics network.

    import rookery as rk
    net = rk.read_feed("my-network")
    plan = rk.plan(net, rk.read_orders("orders.csv"))
    plan.parcels, plan.legs, plan.loads  # Polars frames

The names below are loaded when first used, so that `import rookery` costs nothing.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rookery.flows.changes import AddDepartures, CloseNode, DropLane, ScaleVolume
    from rookery.flows.checking import check, read_plan
    from rookery.flows.explaining import explain
    from rookery.flows.planning import Plan, plan
    from rookery.flows.promising import Offer, promise
    from rookery.flows.rehearsals.experimenting import Trials, compare_trials, read_calibration, run_experiment
    from rookery.flows.replanning import Replan, replan
    from rookery.flows.utilisation import Utilisation, utilisation
    from rookery.flows.whatif import Comparison, what_if
    from rookery.network import expand, read_closures, read_feed, sample_network, validate_feed
    from rookery.orders import check_orders, read_orders, sample_orders, write_orders
    from rookery.planning.check import CheckReport
    from rookery.planning.explain import Explanation
    from rookery.terms.calibration import Calibration
    from rookery.terms.errors import Conflict, InvalidInput, NotFound, RookeryError
    from rookery.terms.frames import Expansion, Feed, FeedInfo, Orders
    from rookery.terms.notice import Notice
    from rookery.terms.policy import Move, PolicyTable
    from rookery.twin.experiment import read_experiment
    from rookery.twin.model import Experiment, Incident, Trouble

__version__ = version("rookery")

_HOMES = {
    "rookery.flows.changes": ("AddDepartures", "CloseNode", "DropLane", "ScaleVolume"),
    "rookery.flows.checking": ("check", "read_plan"),
    "rookery.flows.rehearsals.experimenting": ("Trials", "compare_trials", "read_calibration", "run_experiment"),
    "rookery.flows.explaining": ("explain",),
    "rookery.flows.planning": ("Plan", "plan"),
    "rookery.flows.promising": ("Offer", "promise"),
    "rookery.flows.utilisation": ("Utilisation", "utilisation"),
    "rookery.flows.replanning": ("Replan", "replan"),
    "rookery.flows.whatif": ("Comparison", "what_if"),
    "rookery.network": ("expand", "read_closures", "read_feed", "sample_network", "validate_feed"),
    "rookery.orders": ("check_orders", "read_orders", "sample_orders", "write_orders"),
    "rookery.planning.check": ("CheckReport",),
    "rookery.planning.explain": ("Explanation",),
    "rookery.terms.calibration": ("Calibration",),
    "rookery.terms.errors": ("Conflict", "InvalidInput", "NotFound", "RookeryError"),
    "rookery.terms.frames": ("Expansion", "Feed", "FeedInfo", "Orders"),
    "rookery.terms.notice": ("Notice",),
    "rookery.terms.policy": ("Move", "PolicyTable"),
    "rookery.twin.experiment": ("read_experiment",),
    "rookery.twin.model": ("Experiment", "Incident", "Trouble"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "AddDepartures",
    "Calibration",
    "CheckReport",
    "CloseNode",
    "Comparison",
    "Conflict",
    "DropLane",
    "Expansion",
    "Experiment",
    "Explanation",
    "Feed",
    "FeedInfo",
    "Incident",
    "InvalidInput",
    "Move",
    "NotFound",
    "Notice",
    "Offer",
    "Orders",
    "Plan",
    "PolicyTable",
    "Replan",
    "RookeryError",
    "ScaleVolume",
    "Trials",
    "Trouble",
    "Utilisation",
    "check",
    "check_orders",
    "compare_trials",
    "expand",
    "explain",
    "plan",
    "promise",
    "read_calibration",
    "read_closures",
    "read_experiment",
    "read_feed",
    "read_orders",
    "read_plan",
    "replan",
    "run_experiment",
    "sample_network",
    "sample_orders",
    "utilisation",
    "validate_feed",
    "what_if",
    "write_orders",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'rookery' has no attribute {name!r}")
    return getattr(import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
