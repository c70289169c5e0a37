"""Prints labels on one core, in a process of its own: `python -m benchmarks.record.printing MANY DECODED`, one line of
JSON: seconds on the wall and of the processor for each form and size, and how many PNGs were read back whole.
"""

from __future__ import annotations

import io
import json
import os
import sys
import time
from typing import Any

import numpy as np
import zxingcpp
from PIL import Image

from rookery.waybill.labels import render
from rookery.waybill.model import Block, Form, Label, Size
from rookery.waybill.rules import route_code, sscc_scheme, write_numbers

FORMS: tuple[Form, ...] = ("pdf", "png", "zpl")
SIZES: tuple[Size, ...] = ("100x150", "76x130")
RUNS = 2
NAMES = (
    ("Ada Example", "Straße", "Berlin", "DE"),
    ("张示例", "示例路", "广州市", "CN"),
    ("محمد المثال", "شارع المثال", "الرياض", "SA"),
    ("Zoë Exemple", "Rue de l’Exemple", "Paris", "FR"),
)


def labels(many: int) -> list[Label]:
    """Labels for different people, in turn of Latin, Chinese and Arabic script, half of them in full."""
    numbers = write_numbers(sscc_scheme("9520000", 0), range(many))
    sender = Block(name="Shop Example", street=("Industrieweg 12",), postal_code="1011 AB", city="Delft", country="NL")
    made = []
    for at in range(many):
        name, street, city, country = NAMES[at % len(NAMES)]
        block = Block(
            name=f"{name} {at}", street=(f"{street} {at}",), postal_code=f"{10000 + at}", city=city, country=country,
            phone=f"+49 30 9{at:07d}",
        )  # fmt: skip
        made.append(
            Label(
                sscc=numbers[at], route=route_code(["CAN-HUB"], "BER", f"{at % 300}"), recipient=block, sender=sender,
                piece=1 + at % 3, pieces=3, weight_g=200 + at, reference=f"A-{at}", full=at % 2 == 0,
            )
        )  # fmt: skip
    return made


def read_back(png: bytes, label: Label) -> bool:
    """Whether both codes of a picture at 203 dpi say what the label was to say."""
    found = {str(code.text) for code in zxingcpp.read_barcodes(np.array(Image.open(io.BytesIO(png)).convert("L")))}
    return {f"(00){label.sscc}", f"{label.link}/00/{label.sscc}"} <= found


def measured(many: int, decoded: int) -> dict[str, Any]:
    """The best of a few runs of each, interleaved."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    made = labels(many)
    took: dict[str, list[tuple[float, float]]] = {}
    good = 0
    render(made[: min(many, 10)], "pdf")  # fonts are read once
    for turn in range(RUNS):
        for size in SIZES:
            for form in FORMS:
                wall, cpu = time.perf_counter(), time.process_time()
                files = render(made, form, size).files
                spent = (time.perf_counter() - wall, time.process_time() - cpu)
                took.setdefault(f"{form} {size}", []).append(spent)
                if form == "png" and turn == 0:
                    step = max(1, many // decoded)
                    chosen = list(range(0, many, step))[:decoded]
                    good += sum(read_back(files[at], made[at]) for at in chosen)
    return {"took": {name: min(spent) for name, spent in took.items()}, "decoded": good}


if __name__ == "__main__":
    print(json.dumps(measured(int(sys.argv[1]), int(sys.argv[2]))))
