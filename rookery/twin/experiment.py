"""Experiments as files: a TOML text that says what is to be tried, read strictly, all its faults told at once."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from datetime import datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec.structs import fields, replace

from rookery.base.files import irregular
from rookery.terms.errors import InvalidInput, NotFound
from rookery.twin.model import POLICIES, TROUBLES, Experiment, Incident, Trouble

LARGEST = 1 << 20
"""Bytes of an experiment's file."""
TARGETS = ("node_id", "lane_id", "departure_id")
INSTANTS = ("from_at", "until_at", "known_at")
YEARS = (1970, 2199)
"""As in a feed."""
KINDS: dict[Any, str] = {
    str: "text",
    str | None: "text",
    int: "a whole number",
    float: "a number",
    float | None: "a number",
    Literal["calm", "rough"]: "calm or rough",
    list[str]: 'a list like ["follow", "greedy"]',
    list[dict]: "a list of tables: write [[incidents]]",
    dict: "a table: write [trouble]",
}
"""What a value should be, in words."""
TAKEN = {"policies": list[str], "incidents": list[dict], "trouble": dict}
"""What is looked at first of values whose parts are looked at one by one."""


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
    if faults := [*_unknown(told), *_values(told)]:
        raise InvalidInput(
            "experiment.faults", f"{path} cannot be used: {'; '.join(faults)}.", "mend what is named; nothing was run"
        )
    incidents = [_dated(incident) for incident in told.get("incidents", [])]
    return msgspec.convert({**_dated(told), "incidents": incidents}, Experiment)


def trouble_of(experiment: Experiment) -> Trouble:
    """The trouble of an experiment: its base, with what it changes. Raises InvalidInput for figures without sense."""
    strange = list(_strange(experiment.trouble, Trouble.__struct_fields__, "trouble."))
    if strange:
        raise InvalidInput("twin.trouble", f"The trouble makes no sense: {'; '.join(strange)}.", "mend the names")
    return replace(TROUBLES[experiment.base], **experiment.trouble)


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


def _kinds(given: dict[str, Any], struct: type[msgspec.Struct], where: str) -> Iterable[str]:
    """Values of another kind than they should be."""
    for field in fields(struct):
        if field.name not in given or field.name in INSTANTS:
            continue
        value, kind = given[field.name], TAKEN.get(field.name, field.type)
        try:
            msgspec.convert(value, kind)
        except msgspec.ValidationError:
            yield f"{where}{field.name} is {value!r} and should be {KINDS[kind]}"


def _values(told: dict[str, Any]) -> Iterable[str]:
    """Values that cannot be meant so."""
    if "name" not in told:
        yield "name is missing"
    yield from _kinds(told, Experiment, "")
    policies = told.get("policies")
    for policy in policies if isinstance(policies, list) else ():
        if isinstance(policy, str) and policy not in POLICIES:
            yield f"policies holds {policy!r}; there are {', '.join(POLICIES)}"
    if policies == []:
        yield "policies is empty"
    for name, least, most in (
        ("runs", 1, 1_000),
        ("outcomes", 1, 64),
        ("every_hours", 0.01, 8760),
        ("seed", 0, 2**31),
    ):
        value = told.get(name, least)
        if _is_number(value) and not least <= value <= most:
            yield f"{name} is {value:g} and should be from {least:g} to {most:,g}"
    scale = told.get("scale_volume", 1.0)
    if _is_number(scale) and not 0 < scale <= 100:
        yield f"scale_volume is {scale:g} and should be above 0, and at most 100"
    if isinstance(told.get("trouble"), dict):
        yield from _trouble(told["trouble"])
    if "known_at" in told:
        yield from _instant(told["known_at"], "known_at")
    incidents = told.get("incidents")
    for number, incident in enumerate(incidents if isinstance(incidents, list) else ()):
        if isinstance(incident, dict):
            yield from _incident(incident, f"incidents[{number}]")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _trouble(told: dict[str, Any]) -> Iterable[str]:
    wrong = list(_kinds(told, Trouble, "trouble."))
    yield from wrong
    if not wrong:
        try:
            Trouble(**{name: value for name, value in told.items() if name in Trouble.__struct_fields__})
        except InvalidInput as fault:
            yield fault.what[0].lower() + fault.what[1:-1]


def _incident(told: dict[str, Any], where: str) -> Iterable[str]:
    yield from _kinds(told, Incident, f"{where}.")
    named = [name for name in TARGETS if name in told]
    if len(named) != 1:
        yield f"{where} names {' and '.join(named) or 'nothing'}; give one of {', '.join(TARGETS)}"
    for name in ("from_at", "until_at"):
        if name in told:
            yield from _instant(told[name], f"{where}.{name}")
        else:
            yield f"{where}.{name} is missing"


def _dated(told: dict[str, Any]) -> dict[str, Any]:
    """Times that are text as instants."""
    texts = {name: told[name] for name in INSTANTS if isinstance(told.get(name), str)}
    return {**told, **{name: datetime.fromisoformat(text) for name, text in texts.items()}}


def _instant(value: Any, where: str) -> Iterable[str]:
    """TOML has instants of its own; text is taken too."""
    try:
        at = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        yield f"{where} is {value!r}, which is no time; write it like 2026-03-02T10:00:00Z"
        return
    if at.tzinfo is None:
        yield f"{where} has no offset; write it like 2026-03-02T10:00:00Z"
    elif not YEARS[0] <= at.year <= YEARS[1]:
        yield f"{where} is of the year {at.year} and should be of {YEARS[0]} to {YEARS[1]}"
