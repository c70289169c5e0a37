"""Experiments as files: a TOML text that says what is to be tried, read strictly, all its faults told at once."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from datetime import datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import msgspec

from rookery.base.files import irregular
from rookery.terms.errors import InvalidInput, NotFound
from rookery.twin.model import POLICIES, TROUBLES, Experiment, Incident, Trouble

LARGEST = 1 << 20
"""Bytes of an experiment's file."""
TARGETS = ("node_id", "lane_id", "departure_id")


def read_experiment(path: str | Path) -> Experiment:
    """An experiment as written. Raises NotFound when there is no file, InvalidInput with every fault in it."""
    path = Path(path)
    if not path.exists():
        raise NotFound("experiment.none_here", f"There is no experiment {path}.", "name a .toml file; see the examples")
    if why := irregular(path):
        raise InvalidInput("experiment.unreadable", f"{path} {why}.", "name a .toml file")
    if path.stat().st_size > LARGEST:
        raise InvalidInput("experiment.too_large", f"{path} is larger than {LARGEST:,} bytes.", "name a .toml file")
    try:
        told = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise InvalidInput(
            "experiment.unreadable", f"{path} is no TOML: {fault}.", "mend the line that is named"
        ) from None
    faults = [*_unknown(told), *_values(told)]
    if not faults:
        try:
            return msgspec.convert(told, Experiment)
        except msgspec.ValidationError as fault:
            faults = [str(fault)]
    raise InvalidInput(
        "experiment.faults", f"{path} cannot be used: {'; '.join(faults)}.", "mend what is named; nothing was run"
    )


def trouble_of(experiment: Experiment) -> Trouble:
    """The trouble of an experiment: its base, with what it changes. Raises InvalidInput for figures without sense."""
    base = msgspec.to_builtins(TROUBLES[experiment.base])
    return Trouble(**{**base, **experiment.trouble})


def _unknown(told: dict[str, Any]) -> Iterable[str]:
    """Words that mean nothing here, and which was probably meant."""
    yield from _strange(told, Experiment.__struct_fields__, "")
    if isinstance(told.get("trouble"), dict):
        yield from _strange(told["trouble"], Trouble.__struct_fields__, "trouble.")
    for number, incident in enumerate(told.get("incidents", [])) if isinstance(told.get("incidents"), list) else ():
        if isinstance(incident, dict):
            yield from _strange(incident, Incident.__struct_fields__, f"incidents[{number}].")


def _strange(given: dict[str, Any], known: tuple[str, ...], where: str) -> Iterable[str]:
    for name in given:
        if name not in known:
            near = get_close_matches(name, known, 1)
            yield f"{where}{name} is not known" + (f" (did you mean {near[0]}?)" if near else "")


def _values(told: dict[str, Any]) -> Iterable[str]:
    """Values that cannot be meant so."""
    if "name" not in told:
        yield "name is missing"
    policies = told.get("policies", [])
    for policy in policies if isinstance(policies, list) else ():
        if policy not in POLICIES:
            yield f"policies holds {policy!r}; there are {', '.join(POLICIES)}"
    if isinstance(policies, list) and "policies" in told and not policies:
        yield "policies is empty"
    for name, least, most in (
        ("runs", 1, 10_000),
        ("outcomes", 1, 64),
        ("every_hours", 0.01, 8760),
        ("seed", 0, 2**31),
    ):
        value = told.get(name, least)
        if isinstance(value, int | float) and not isinstance(value, bool) and not least <= value <= most:
            yield f"{name} is {value:g} and should be from {least:g} to {most:g}"
    scale = told.get("scale_volume", 1.0)
    if isinstance(scale, int | float) and not 0 < scale <= 100:
        yield f"scale_volume is {scale:g} and should be above 0, and at most 100"
    if "known_at" in told:
        yield from _instant(told["known_at"], "known_at")
    for number, incident in enumerate(told.get("incidents", [])) if isinstance(told.get("incidents"), list) else ():
        if not isinstance(incident, dict):
            yield f"incidents[{number}] is no table: write [[incidents]]"
            continue
        where = f"incidents[{number}]."
        named = [name for name in TARGETS if name in incident]
        if len(named) != 1:
            yield f"{where[:-1]} names {' and '.join(named) or 'nothing'}; give one of {', '.join(TARGETS)}"
        for name in ("from_at", "until_at"):
            if name not in incident:
                yield f"{where}{name} is missing"
            else:
                yield from _instant(incident[name], where + name)


def _instant(value: Any, where: str) -> Iterable[str]:
    """TOML has instants of its own; text is taken too."""
    if isinstance(value, datetime):
        if value.tzinfo is None:
            yield f"{where} has no offset; write it like 2026-03-02T10:00:00Z"
        return
    try:
        if datetime.fromisoformat(str(value)).tzinfo is None:
            yield f"{where} has no offset; write it like 2026-03-02T10:00:00Z"
    except ValueError:
        yield f"{where} is {value!r}, which is no time; write it like 2026-03-02T10:00:00Z"
