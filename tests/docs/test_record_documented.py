"""The half hour with the system of record can be followed: its commands run, and answer as the page says."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from datetime import date
from pathlib import Path

import pytest
from ports import held_port

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "start" / "record.md"
BLOCKS = re.findall(r"^```sh\n(.*?)^```\n+(?:^```\w*\n(.*?)^```$)?", PAGE.read_text(), re.MULTILINE | re.DOTALL)
"""Each block of commands, and what the page says it prints."""
MARK = "~~~"
# what is another at each reading: ids, instants, the departure of the day, numbers of waybills, sizes, figures
CHANGING = (
    r"\b[a-z]{3}_[\w-]+|\d{4}-\d\d-\d\dT[\d:.]+Z|work-CN:\d{4}|\b09520\d{13}|\b[\d,]+ bytes|\"bytes\":\d+|\d+\.\d+"
)


@pytest.fixture(scope="module")
def printed(tmp_path_factory) -> list[str]:
    """What each block prints, all typed into one shell in an empty folder."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    if date.today() > date(2027, 11, 30):
        pytest.skip("nothing runs in sample networks after 2027")
    folder = tmp_path_factory.mktemp("record")
    (folder / ".venv").mkdir()
    (folder / ".venv" / "bin").symlink_to(Path(sys.executable).parent)
    with held_port() as port:
        script = f"\necho; echo '{MARK}'\n".join(commands.replace("8080", str(port)) for commands, _ in BLOCKS)
        shell = subprocess.Popen(
            ["bash", "-eu", "-c", script], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            start_new_session=True,
        )  # fmt: skip
        try:
            told, _ = shell.communicate(timeout=900)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGTERM)
    log = folder / "out" / "serve.log"
    assert shell.returncode == 0, f"{told}\n{log.read_text() if log.exists() else ''}"
    return told.split(f"{MARK}\n")


def alike(line: str) -> str:
    return re.sub(CHANGING, "#", line).strip()


def test_every_block_prints_what_the_page_says(printed: list[str]):
    """Line by line but for what changes from reading to reading; `...` stands for what was left out."""
    assert len(printed) == len(BLOCKS)
    for (commands, shown), told in zip(BLOCKS, printed):
        lines = [alike(line) for line in told.splitlines()]
        for line in map(alike, shown.splitlines()):
            pattern = ".*".join(re.escape(part) for part in line.split("..."))
            assert any(re.fullmatch(pattern, said) for said in lines), f"{commands}\nnot printed: {line}\n{told}"
