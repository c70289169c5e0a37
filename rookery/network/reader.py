"""A network feed from disk: every file read, good rows kept, faults told, so that what is handed on fits together."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
import polars as pl

from rookery.base.archive import files_of
from rookery.base.columns import keep
from rookery.base.files import irregular
from rookery.base.kinds import minute_text
from rookery.base.notices import Findings
from rookery.base.tables import read_table, sha256
from rookery.network.model import COLUMNS, NOTICES, REQUIRED
from rookery.network.references import resolve
from rookery.terms.errors import InvalidInput
from rookery.terms.frames import FEED, Feed, FeedInfo, empty
from rookery.terms.goods import UNASSIGNED_PER_LATE
from rookery.terms.time import DAY

_FORMS = (".csv", ".parquet")
_WANTED = {"feed.json"} | {table + form for table in COLUMNS for form in _FORMS}
_MAX_INFO_BYTES = 1 << 20
_INFO = {*FeedInfo.__struct_fields__, "sample"}  # `sample`: what drew the network, when it is an invented one
NO_CURRENCY = "XXX"
"""What ISO 4217 writes where no currency is involved: prices of a feed that names none still add up."""


def read_feed(path: str | Path) -> Feed:
    """A network feed from a folder or .zip of CSV or Parquet files, with a notice for everything wrong in it.

    Rows keep the order of their file; defaults are filled in. A row with a fault, a row whose id stood before and a row
    that names something unknown are left out, each with an error notice; all others are in the feed, and every id in
    it resolves. `sha256` is of the contents, whatever the packing. Raises InvalidInput, holding every notice, only when
    nothing can be done: no such path, no feed.json that can be read, or no usable nodes, lanes or departures.
    Source: docs/reference/formats.md.
    """
    path = Path(path)
    findings = Findings(NOTICES)
    if not path.exists():
        raise InvalidInput("feed.not_found", f"There is no {path}.", "name the folder or .zip of a network feed")
    with files_of(path, _WANTED.__contains__, findings) as present:
        if present is None:
            raise _unusable(path, "it cannot be opened", findings)
        return _read(path, present, findings)


def _read(path: Path, present: dict[str, Path], findings: Findings) -> Feed:
    info = _read_info(path, present.get("feed.json"), findings)
    files = {table: _file_of(table, present, findings) for table in COLUMNS}
    frames: dict[str, pl.DataFrame] = {}
    read: dict[str, Path] = {}
    for table, columns in COLUMNS.items():
        file = files[table]
        frame = None
        if file in present:
            frame = read_table(present[file], file, columns, FEED[table], findings)
        elif table in REQUIRED:
            findings.add("missing_file", file)
        frames[table] = empty(FEED[table]) if frame is None else frame
        if frame is not None:
            read[file] = present[file]
    frames = resolve(_completed(frames, files, findings), files, findings)
    lacking = [files[table] for table in REQUIRED if frames[table].is_empty()]
    told = {notice.file for notice in findings.notices() if notice.severity == "error"}
    for file in lacking:
        if file not in told:
            findings.add("no_usable_row", file)
    if info is None:
        raise _unusable(path, "feed.json is missing or cannot be read", findings)
    if lacking:
        raise _unusable(path, f"no usable row is left in {', '.join(lacking)}", findings)
    return Feed(
        info=info,
        **frames,
        notices=findings.notices(),
        sha256=_sha256(read | {"feed.json": present["feed.json"]}),
        source=str(path),
        files=files,
    )


def _unusable(path: Path, why: str, findings: Findings) -> InvalidInput:
    notices = findings.notices()
    errors = sum(notice.count for notice in notices if notice.severity == "error")
    told = f"{path} is no usable network feed: {why} ({errors} {'error' if errors == 1 else 'errors'} found)."
    return InvalidInput("feed.unusable", told, "correct the errors listed, the first one first", notices)


def _file_of(table: str, present: dict[str, Path], findings: Findings) -> str:
    """The file a table is read from: the CSV where both forms are there."""
    csv, parquet = (table + form for form in _FORMS)
    if csv in present and parquet in present:
        findings.add("two_forms", parquet)
    return parquet if parquet in present and csv not in present else csv


def _read_info(path: Path, file: Path | None, findings: Findings) -> FeedInfo | None:
    """feed.json; None (and a finding) when it cannot be read at all, defaults for single fields that cannot."""
    if file is None:
        findings.add("missing_file", "feed.json", remedy='write {"name": ..., "version": ..., "currency": "EUR"}')
        return None
    if why := irregular(file):
        findings.add("unreadable_file", "feed.json", message=why)
        return None
    try:
        with file.open("rb") as stream:
            text = stream.read(_MAX_INFO_BYTES + 1)
        if len(text) > _MAX_INFO_BYTES:
            findings.add("file_too_large", "feed.json", message="feed.json is over 1 MiB")
            return None
        said = msgspec.json.decode(text.removeprefix(b"\xef\xbb\xbf"))
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        findings.add("unreadable_file", "feed.json", message=f"is no readable JSON: {fault}", remedy="correct it")
        return None
    if not isinstance(said, dict):
        findings.add("unreadable_file", "feed.json", message="is no JSON object", remedy='write {"name": ..., ...}')
        return None
    for name in said.keys() - _INFO:
        findings.add("unknown_column", "feed.json", value=name)

    def text_of(name: str, default: str) -> str:
        value = said.get(name, default)
        if isinstance(value, str) and value.strip():
            return value.strip()
        if name in said or name == "currency":
            _bad_info(findings, name, said.get(name), "must be text")
        return default

    currency = text_of("currency", NO_CURRENCY)
    if not (len(currency) == 3 and currency.isascii() and currency.isupper()):
        _bad_info(findings, "currency", currency, f"must be three capital letters, ISO 4217; {NO_CURRENCY} is taken")
        currency = NO_CURRENCY
    divisor = said.get("volumetric_divisor_mm3_per_g", 5000)
    if isinstance(divisor, bool) or not isinstance(divisor, (int, float)) or not 0 < divisor <= 1e9:
        _bad_info(findings, "volumetric_divisor_mm3_per_g", divisor, "must be a number above 0; 5000 is taken")
        divisor = 5000
    return FeedInfo(text_of("name", path.stem), text_of("version", ""), currency, float(divisor))


def _bad_info(findings: Findings, name: str, value: object, message: str) -> None:
    findings.add(
        "bad_feed_info", "feed.json", column=name, value=None if value is None else str(value), message=message
    )


def _completed(frames: dict[str, pl.DataFrame], files: dict[str, str], findings: Findings) -> dict[str, pl.DataFrame]:
    """Frames with the defaults that depend on other columns, and without rows whose columns contradict each other."""
    nodes = frames["nodes"]
    for given, lacking in (("open_from", "open_until"), ("open_until", "open_from")):
        paired = nodes[given].is_null() | nodes[lacking].is_not_null()
        message = f"{given} is given and {lacking} is not"
        nodes = keep(nodes, paired, findings, files["nodes"], "open_hours_incomplete", column=lacking, message=message)
    crosses = pl.col("open_until") <= pl.col("open_from")
    return frames | {
        "nodes": nodes.with_columns(
            pl.col("name").fill_null(pl.col("node_id")),
            pl.when(crosses).then(pl.col("open_until") + DAY).otherwise(pl.col("open_until")).alias("open_until"),
        ),
        "lanes": frames["lanes"].with_columns(pl.col("accepts").fill_null(pl.lit(["general"]))),
        "services": frames["services"].with_columns(
            pl.col("name").fill_null(pl.col("service_id")),
            pl.col("modes").fill_null(pl.lit([], pl.List(pl.String))),
            pl.col("unassigned_cost").fill_null(pl.col("late_cost") * UNASSIGNED_PER_LATE),
        ),
        "closures": completed_closures(frames["closures"], files["closures"], findings),
    }


def completed_closures(closures: pl.DataFrame, file: str, findings: Findings) -> pl.DataFrame:
    """Closures of one thing each for some time, factor and delay filled in; the others are told and left out."""
    targets = ("node_id", "lane_id", "departure_id")
    one = closures.select(pl.sum_horizontal(pl.col(name).is_not_null() for name in targets) == 1).to_series()
    closures = keep(closures, one, findings, file, "closure_target", shows=targets)
    ahead = closures["until_at"] > closures["from_at"]
    closures = keep(closures, ahead, findings, file, "closure_span", column="until_at", words=minute_text)
    closed = pl.when(pl.col("delay_minutes").is_null()).then(0.0).otherwise(1.0)
    return closures.with_columns(pl.col("capacity_factor").fill_null(closed), pl.col("delay_minutes").fill_null(0))


def _sha256(files: dict[str, Path]) -> str:
    """One digest of the files' names and contents."""
    listing = "".join(f"{sha256(path)}  {name}\n" for name, path in sorted(files.items()))
    return hashlib.sha256(listing.encode()).hexdigest()
