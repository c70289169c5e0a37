"""What a parcel's state is called: ten statuses for everyone, and a small detail code that says why or where."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, get_args

from msgspec import Struct

Status = Literal[
    "pre_transit", "picked_up", "in_transit", "out_for_delivery", "available_for_pickup", "delivery_failed", "on_hold",
    "delivered", "return_to_sender", "cancelled",
]  # fmt: skip
"""The milestones of a parcel, as everyone who may see it reads them."""

STATUSES: tuple[Status, ...] = get_args(Status)
"""The statuses in the order of a parcel's life; those that are not on the straight way stand where they leave it."""

Severity = Literal["normal", "attention", "problem"]
"""How a public page tells it: as it should be; somebody may have to act; it will not arrive as promised."""


class StatusInfo(Struct, frozen=True):
    """What a status means; `end`: nothing more is expected to happen to the parcel."""

    means: str
    severity: Severity
    end: bool = False


class Detail(Struct, frozen=True):
    """What a detail code means and the statuses it may stand beside, the usual one first; `end`: nothing follows."""

    means: str
    statuses: tuple[Status, ...]
    end: bool = False


STATUS_INFO: Mapping[Status, StatusInfo] = MappingProxyType(
    {
        "pre_transit": StatusInfo("The parcel is announced; no carrier has it yet.", "normal"),
        "picked_up": StatusInfo("A carrier has taken the parcel over from the sender.", "normal"),
        "in_transit": StatusInfo("The parcel is on its way through the network.", "normal"),
        "out_for_delivery": StatusInfo("The parcel is on its last leg to the recipient.", "normal"),
        "available_for_pickup": StatusInfo("The parcel waits for the recipient to collect it.", "attention"),
        "delivery_failed": StatusInfo("The parcel was brought and could not be handed over.", "attention"),
        "on_hold": StatusInfo("The parcel does not go on until something is settled.", "problem"),
        "delivered": StatusInfo("The parcel has reached the recipient.", "normal", end=True),
        "return_to_sender": StatusInfo("The parcel goes back, or has gone back, to the sender.", "problem"),
        "cancelled": StatusInfo(
            "The parcel will not be delivered, and nothing more is done with it.", "problem", end=True
        ),
    }
)
"""What each status means."""


DETAILS: Mapping[str, Detail] = MappingProxyType(
    {
        # before the journey
        "label_created": Detail("A label was made; the parcel itself was not seen.", ("pre_transit",)),
        "awaiting_pickup": Detail("The parcel waits for a carrier to fetch it.", ("pre_transit",)),
        "pickup_failed": Detail("A carrier came for the parcel and could not take it.", ("pre_transit",)),
        "accepted": Detail("A carrier took the parcel over.", ("picked_up",)),
        "dropped_off": Detail("The sender brought the parcel to a counter or a locker.", ("picked_up",)),
        # on the way
        "arrived": Detail("The parcel arrived at a place of the network.", ("in_transit", "return_to_sender")),
        "departed": Detail("The parcel left a place of the network.", ("in_transit", "return_to_sender")),
        "loaded": Detail("The parcel was put into a vehicle.", ("in_transit", "out_for_delivery")),
        "unloaded": Detail("The parcel was taken out of a vehicle.", ("in_transit",)),
        "bagged": Detail("The parcel was put into a bag or another container.", ("in_transit",)),
        "unbagged": Detail("The parcel was taken out of a bag or another container.", ("in_transit",)),
        "sorted": Detail("The parcel was sorted to its next direction.", ("in_transit",)),
        "ready_to_depart": Detail("The parcel stands ready for its next departure.", ("in_transit",)),
        "handed_over": Detail("One carrier gave the parcel to another.", ("in_transit",)),
        "at_destination_country": Detail("The parcel arrived in the country it is meant for.", ("in_transit",)),
        "at_delivery_depot": Detail("The parcel arrived at the depot that delivers it.", ("in_transit",)),
        "redirected": Detail("The parcel was sent on to another address.", ("in_transit",)),
        "found": Detail("A parcel that was missing was found.", ("in_transit",)),
        "appointment_made": Detail("A time of delivery was agreed.", ("in_transit", "out_for_delivery")),
        # customs and authorities
        "customs_submitted": Detail("The parcel was declared or shown to customs.", ("in_transit",)),
        "customs_inspection": Detail("Customs look into the parcel.", ("on_hold", "in_transit")),
        "customs_hold": Detail("Customs keep the parcel.", ("on_hold",)),
        "customs_cleared": Detail("Customs released the parcel.", ("in_transit",)),
        "security_check": Detail("The parcel is kept for a security check.", ("on_hold",)),
        "prohibited": Detail("The contents may not be carried or imported.", ("on_hold", "return_to_sender")),
        "documents_missing": Detail("Documents or data are missing or wrong.", ("on_hold",)),
        "payment_due": Detail("Duty, tax, cash on delivery or a charge must be paid.", ("on_hold", "delivery_failed")),
        # what goes wrong
        "delayed": Detail("The parcel is late.", ("in_transit", "on_hold", "out_for_delivery", "delivery_failed")),
        "weather": Detail("Weather delays the parcel.", ("in_transit", "on_hold", "delivery_failed")),
        "disruption": Detail(
            "A strike, a disaster or another force beyond the carrier delays the parcel.",
            ("in_transit", "on_hold", "delivery_failed"),
        ),
        "misrouted": Detail("The parcel went a wrong way.", ("in_transit", "on_hold")),
        "left_behind": Detail("The parcel was not on the departure it was planned for.", ("in_transit", "on_hold")),
        "damaged": Detail("The parcel is damaged.", ("on_hold", "in_transit", "delivery_failed", "delivered")),
        "lost": Detail("The parcel cannot be found.", ("on_hold",)),
        "investigating": Detail("The carrier looks into what happened to the parcel.", ("on_hold",)),
        "packaging": Detail("The packaging is unfit or was renewed.", ("in_transit", "on_hold")),
        "parcel_unfit": Detail("The parcel is not as announced, or outside of what is carried.", ("on_hold",)),
        "address_wrong": Detail(
            "The address is wrong, incomplete or was corrected.",
            ("delivery_failed", "on_hold", "in_transit", "return_to_sender"),
        ),
        "recipient_moved": Detail("The recipient has moved away.", ("delivery_failed", "return_to_sender")),
        # at the door
        "nobody_home": Detail("Nobody was there to take the parcel.", ("delivery_failed",)),
        "business_closed": Detail("The business was closed.", ("delivery_failed",)),
        "no_access": Detail("The door could not be reached.", ("delivery_failed",)),
        "identity_unproven": Detail("The recipient could not prove to be the one.", ("delivery_failed",)),
        "refused": Detail("The recipient does not want the parcel.", ("delivery_failed", "return_to_sender")),
        "rescheduled": Detail(
            "The delivery was moved to another time.", ("in_transit", "out_for_delivery", "delivery_failed")
        ),
        "last_attempt": Detail("No further attempt to deliver will be made.", ("delivery_failed",)),
        # where it waits or was left
        "at_pickup_point": Detail("The parcel waits at a shop, a post office or a depot.", ("available_for_pickup",)),
        "in_locker": Detail("The parcel waits in a locker.", ("available_for_pickup",)),
        "not_collected": Detail(
            "The recipient has not collected the parcel.",
            ("delivery_failed", "available_for_pickup", "return_to_sender"),
        ),
        "to_recipient": Detail("The recipient took the parcel.", ("delivered",)),
        "collected": Detail("The recipient collected the parcel.", ("delivered",)),
        "with_neighbour": Detail("A neighbour took the parcel.", ("delivered",)),
        "at_reception": Detail("A reception or a mail room took the parcel.", ("delivered",)),
        "safe_place": Detail("The parcel was left where it was agreed.", ("delivered",)),
        "in_mailbox": Detail("The parcel was put into a mailbox.", ("delivered",)),
        "in_part": Detail("A part of the consignment was delivered.", ("delivered",)),
        # back, or nowhere
        "return_in_transit": Detail("The parcel is on its way back.", ("return_to_sender",)),
        "returned_to_sender": Detail("The sender has the parcel back.", ("return_to_sender",), end=True),
        "withdrawn": Detail("The sender called the parcel off.", ("cancelled",), end=True),
        "not_accepted": Detail("The carrier does not take the parcel.", ("cancelled", "on_hold")),
        "disposed": Detail("The parcel was destroyed or given away.", ("cancelled",), end=True),
    }
)
"""Every detail code. A courier without codes of its own sends these (codes/inward, vocabulary `rookery`)."""


def is_end(status: Status, detail: str | None = None) -> bool:
    """Whether nothing more is expected to happen to a parcel: delivered, cancelled, or back with the sender."""
    return STATUS_INFO[status].end or (detail is not None and DETAILS[detail].end)


def fits(status: Status, detail: str | None) -> bool:
    """Whether a detail code may stand beside a status; no detail always may."""
    return detail is None or (detail in DETAILS and status in DETAILS[detail].statuses)
