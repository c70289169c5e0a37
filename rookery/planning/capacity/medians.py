"""The same network as if every departure took its median time: where the search for prices begins when K > 1.

A sweep over medians costs a fraction of one over K outcomes, and the prices it finds are nearly right.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rookery.planning.blocks import LastMiles
from rookery.planning.capacity.resources import HOUR, Resources
from rookery.planning.timetable import Timetable
from rookery.terms.time import NEVER


def on_medians(timetable: Timetable, resources: Resources, miles: LastMiles) -> tuple[Timetable, Resources, LastMiles]:
    """Timetable, resources and last miles with one outcome, the median; departures and hours keep their numbers."""
    net = timetable.net
    count = len(net.frm)
    certain = net._replace(
        ready=net.median_ready[:, None],
        catch_from=np.arange(count + 1, dtype=np.int64),
        catch_row=net.median_catch,
        catch_share=np.ones(count),
    )
    span = int(NEVER) // HOUR + 1
    known = resources.hour_node.astype(np.int64) * span + resources.hour_at // HOUR  # ascending
    asked = net.to.astype(np.int64) * span + net.median_ready // HOUR
    place = np.searchsorted(known, asked)
    found = np.append(known, -1)[place] == asked
    hour = np.where(found, place, len(known)).astype(np.int32)[:, None]
    middle = miles.minutes[:, [miles.minutes.shape[1] // 2]]
    return (
        replace(timetable, net=certain, outcomes=1),
        replace(resources, hour=hour),
        replace(miles, minutes=middle),
    )
