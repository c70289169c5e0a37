"""Closed vocabularies of the feed: kinds of node, modes of transport, classes of goods, reasons."""

KINDS = ("origin", "hub", "airport", "port", "customs", "depot", "station", "locker")
MODES = ("truck", "van", "air", "sea", "rail", "bike", "foot", "drone")
GOODS = ("general", "battery", "liquid", "oversize", "cold")
REASONS = (
    "unknown_node",
    "unknown_zone",
    "no_lane",
    "goods_not_accepted",
    "over_weight",
    "over_size",
    "mode_not_allowed",
    "limits_combined",
    "beyond_horizon",
    "after_last_departure",
    "no_capacity",
)
"""Why a parcel is unassigned; a parcel carries every reason that applies."""

DEFAULT_LATE_COST = 20.0
DEFAULT_CONFIDENCE = 0.95
UNASSIGNED_PER_LATE = 50.0
"""Refusing a parcel costs this many times being late, unless the service says otherwise."""
