"""What someone must act on: one rule a file, each pure, over the frame LOOKED (rookery/tracking/looked.py)."""

from rookery.tracking.rules import (
    chance_low,
    closure,
    damage,
    departure_missed,
    dwell,
    hold,
    scan_missing,
    wrong_place,
)

RULES = (
    closure.RULE,
    chance_low.RULE,
    departure_missed.RULE,
    scan_missing.RULE,
    dwell.RULE,
    wrong_place.RULE,
    damage.RULE,
    hold.RULE,
)
"""All rules over parcels that were looked at; the closure first, under which others are gathered."""
