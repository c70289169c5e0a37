"""Asks prepared questions one at a time, in a process of its own: `python -m benchmarks.tracking.asking URL FILE`, the
keys on stdin as a JSON object by asker.

FILE has in each line {"kind", "who", "path", "tells"}, asked in that order; an answer that has not the text `tells` in
it is wrong, but for one that the search would take too long (413): that is counted. Of a question of the kind NEXT the
first page is asked for and not timed, and the one its Link names is. Prints one line of JSON: a list of {"kind", "who",
"ms": every answer's in ascending order, "wrong", "refused", "bytes"}.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.record.wire import Answer, Wire, asked

NEXT = "next page"
TOO_COMPLEX = 413
_LINK = re.compile(rb"\r\nlink:[^\r]*?<([^>]+)>\s*;\s*rel=\"?next", re.IGNORECASE)


def measured(url: str, keys: dict[str, str], questions: list[dict[str, str]]) -> list[dict[str, Any]]:
    """Each question once; answers' times by kind and asker."""
    took: dict[tuple[str, str], list[float]] = {}
    wrong: Counter[tuple[str, str]] = Counter()
    refused: Counter[tuple[str, str]] = Counter()
    size: Counter[tuple[str, str]] = Counter()
    with Wire(url, 120.0) as wire:
        for question in questions:
            kind, who, path = question["kind"], question["who"], question["path"]
            if kind == NEXT:
                first = wire.ask(asked("GET", path, keys[who]))
                wrong[kind, who] += first.status not in (200, TOO_COMPLEX)
                refused[kind, who] += first.status == TOO_COMPLEX
                path = following(first)
                if path is None:
                    continue
            request = asked("GET", path, keys[who])
            began = time.perf_counter()
            answer = wire.ask(request)
            seconds = time.perf_counter() - began
            took.setdefault((kind, who), []).append(1000 * seconds)
            refused[kind, who] += answer.status == TOO_COMPLEX
            told = answer.status == TOO_COMPLEX or question["tells"].encode() in answer.body
            wrong[kind, who] += answer.status not in (200, TOO_COMPLEX) or not told
            size[kind, who] += len(answer.body)
    return [
        {"kind": kind, "who": who, "ms": sorted(times), "wrong": wrong[kind, who],
         "refused": refused[kind, who], "bytes": size[kind, who] / len(times)}
        for (kind, who), times in took.items()
    ]  # fmt: skip


def following(answer: Answer) -> str | None:
    """The path of the page after an answer; None when it was the last, or no page at all."""
    match = _LINK.search(answer.headers) if answer.status == 200 else None
    if match is None:
        return None
    parts = urlsplit(match[1].decode())
    return f"{parts.path}?{parts.query}"


if __name__ == "__main__":
    where, file = sys.argv[1:]
    secrets = json.loads(sys.stdin.readline())
    lines = [json.loads(line) for line in Path(file).read_text().splitlines()]
    print(json.dumps(measured(where, secrets, lines)))
