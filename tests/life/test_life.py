"""One parcel's life over a real server, as a course: a01_quote.py, a02_accept.py, ... f05_shut.py, in this order.

The chapters build on each other, so that to whoever deals tests out to several processes they are this one file.
"""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

CHAPTERS = sorted(file.stem for file in Path(__file__).parent.glob("[a-f][0-9][0-9]_*.py"))

pytest.register_assert_rewrite(*CHAPTERS)
for chapter in CHAPTERS:
    for name, act in vars(importlib.import_module(chapter)).items():
        if name.startswith("test_"):
            assert name not in globals(), f"two chapters have a {name}"
            globals()[name] = act
