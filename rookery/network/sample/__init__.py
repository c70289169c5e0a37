"""Sample networks: real city and airport facts, invented lanes, times and prices."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from rookery.base.files import Output, json_says, write_aside
from rookery.base.progress import Progress, silent
from rookery.network.sample.country import draft_country
from rookery.network.sample.draft import COLUMNS
from rookery.network.sample.tiny import draft_tiny
from rookery.network.sample.world import draft_world
from rookery.terms.errors import InvalidInput

Size = Literal["tiny", "country", "world"]
SAMPLE = Output(
    name="sample",
    marker="feed.json",
    says_so=json_says("sample", "rookery "),
    holds=frozenset({"feed.json", *(f"{table}.csv" for table in COLUMNS)}),
)


def sample_network(size: Size, seed: int, out: Path, progress: Progress = silent) -> Path:
    """Writes a synthetic parcel network as a feed folder and returns it; the same seed gives the same bytes.

    tiny: 12 nodes; country: Germany, about 120 nodes; world: about 950 nodes and 40 air hubs. Costs in EUR,
    departures from 2026-01-01 to 2027-12-31. Raises InvalidInput for another size or a negative seed, Conflict when
    `out` holds anything but an earlier sample (whose feed.json says "sample": "rookery ..."), RookeryError when the
    packages of `rookery[samples]` are not installed. See docs/concepts/samples.md.
    """
    if size not in get_args(Size):
        raise InvalidInput("sample.size", f"There is no sample network of size {size!r}.", "use tiny, country or world")
    if seed < 0:
        raise InvalidInput("sample.seed", f"The seed {seed} is negative.", "use a whole number from 0 on")
    draft = {"tiny": draft_tiny, "country": draft_country, "world": draft_world}[size]
    with write_aside(Path(out), SAMPLE) as folder:
        progress("sample network", 0, 2)
        feed = draft(seed)
        progress("sample network", 1, 2)
        feed.write(folder, sample=f"rookery {size}, seed {seed}")
        progress("sample network", 2, 2)
    return Path(out)
