"""The network: its feed read and validated, laid out over dates, and orders placed in it. See README.md."""

from rookery.network.expansion import expand
from rookery.network.overlay import closures_outside, read_closures
from rookery.network.placing import place
from rookery.network.reader import read_feed
from rookery.network.sample import sample_network
from rookery.network.validator import too_small_for_any, validate_feed, validate_orders
from rookery.network.zones import find_zones

__all__ = [
    "closures_outside",
    "expand",
    "find_zones",
    "place",
    "read_closures",
    "read_feed",
    "sample_network",
    "too_small_for_any",
    "validate_feed",
    "validate_orders",
]
