"""How numbers, route codes and masked names are formed and checked. Pure: no clock, no database."""

from rookery.waybill.rules.masking import mask
from rookery.waybill.rules.numbers import (
    BadNumber,
    carrier_scheme,
    digital_link,
    read_number,
    read_s10,
    read_sscc,
    s10_scheme,
    sscc_scheme,
    write_numbers,
)
from rookery.waybill.rules.route_code import route_code

__all__ = [
    "BadNumber",
    "carrier_scheme",
    "digital_link",
    "mask",
    "read_number",
    "read_s10",
    "read_sscc",
    "route_code",
    "s10_scheme",
    "sscc_scheme",
    "write_numbers",
]
