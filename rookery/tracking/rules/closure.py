"""A closure that is laid over the ways of parcels: whatever comes of it for how many parcels, it is one case."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from rookery.tracking.rules.shape import PARCEL, UNDER_WAY, Rule, found, short

FELL = 0.005
"""A chance that fell by less is as before."""
_AS_PROMISED = (pl.col("chance") >= pl.col("confidence")).fill_null(False)
_FOLLOWS = pl.col("kind").is_in(["chance_low", "dwell"]) | (
    (pl.col("kind") == "scan_missing") & pl.col("cause").str.starts_with("node:")
)
_OWN = pl.col("cause") == PARCEL


def find(looked: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """A closure touches a booked leg still ahead, or the node where it stands, and matters: the chance fell, other legs
    are better now, or none are left; also where the chance merely is below what was promised, if it shuts or delays.
    Of a parcel that merely stands at a shut node, and leaves after that or long since should have, only a fall below
    what was promised tells, or that no way is left.

    A row for each closure that matters to a parcel: what one has done to it does not make another's harm less.
    """
    below = (pl.col("chance") < pl.col("confidence")).fill_null(False)
    fell = (pl.col("chance") < pl.col("chance_before") - FELL).fill_null(False)
    # at the first look it comes from where it was when it was promised
    fell |= below & pl.col("chance_before").is_null() & (pl.col("promised_chance") >= pl.col("confidence"))
    thins = pl.col("closures_thin").list.contains(pl.col("closure_id")).fill_null(False)
    stands = pl.col("closures_stood").list.contains(pl.col("closure_id")).fill_null(False)
    matters = pl.when(stands).then(fell & ~_AS_PROMISED).otherwise(fell | pl.col("off_plan") | (below & ~thins))
    matters |= pl.col("why").eq_missing("no_way")
    touched = looked.filter(UNDER_WAY, pl.col("closures").list.len() > 0)
    rows = touched.with_columns(closure_id="closures").explode("closure_id").filter(matters)
    return found(
        rows, "closure:" + pl.col("closure_id"), "Closure " + pl.col("closure_id") + " is on its booked way.", now
    )


def lasts(members: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """Until the closure touches it no more: lifted, over, or booked around. What merely stands at a shut node stays
    until it is to be on time as surely as promised; so does, in an open case, what was booked around it and is late.
    What is looked up under other closures than there are tells nothing yet.
    """
    closure_id = pl.col("case_cause").str.strip_prefix("closure:")
    touched = pl.col("closures").list.contains(closure_id).fill_null(False)
    stands = pl.col("closures_stood").list.contains(closure_id).fill_null(False)
    late = pl.col("open") & pl.col("case_in_force") & short(pl.col("below"), now)
    return members.filter(UNDER_WAY, pl.col("stale") | (touched & ~(stands & _AS_PROMISED)) | late)


def follows(looked: pl.DataFrame, under: pl.DataFrame) -> pl.Expr:
    """What (kind, cause, epc) follows from a closure, of parcels in the cases of closures (`under`: epc, cause): they
    are in no other case for that. A missed departure does where that run itself is touched; one of which no scan of
    arriving came never does. Of what none of these closures touches any more, as it was booked around them, only that
    it is late does, where that has no cause but the parcel.
    """
    run_touched = pl.col("closed_departures").list.contains(pl.col("booked_departure_id")).fill_null(False)
    excused = (pl.col("kind") == "departure_missed") & pl.col("epc").is_in(looked.filter(run_touched)["epc"].implode())
    closure_id = pl.col("cause").str.strip_prefix("closure:")
    touched = under.join(looked.select("epc", "closures"), on="epc").filter(
        pl.col("closures").list.contains(closure_id).fill_null(False)
    )
    late = (pl.col("kind") == "chance_low") & _OWN
    of_touched = pl.col("epc").is_in(touched["epc"].implode())
    return pl.when(of_touched).then(_FOLLOWS | excused).otherwise(late & pl.col("epc").is_in(under["epc"].implode()))


RULE = Rule("closure", find, lasts)
