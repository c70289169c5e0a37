"""Help: quick, with examples, and in step with the reference page."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer.main

from rookery.doors.cli.commands import app

ROOT = Path(__file__).resolve().parents[2]


def commands() -> dict[str, Any]:
    """Every command by the words that call it."""
    found = {}
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        inner = getattr(command, "commands", None)
        found |= {f"{name} {word}": sub for word, sub in inner.items()} if inner else {name: command}
    return found


def test_help_needs_none_of_the_heavy_packages():
    """Help is there at once: neither the data frames nor the compiler are imported for it."""
    code = (
        "import sys; sys.argv = ['rookery', '--help']\n"
        "from rookery.doors.cli.main import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code\n"
        "assert not {'polars', 'numba', 'numpy', 'matplotlib', 'holidays'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "validate" in done.stdout


@pytest.mark.parametrize("name", sorted(commands()))
def test_every_command_shows_examples(name):
    """Every command's help says what it does and shows a command that can be typed."""
    command = commands()[name]
    assert command.help
    assert f"  rookery {name}" in (command.epilog or "")


@pytest.mark.parametrize("name", sorted(commands()))
def test_every_option_is_documented(name):
    """The reference page has a section for each command that names each of its options."""
    page = (ROOT / "docs" / "reference" / "cli.md").read_text()
    section = re.search(rf"^## {name}\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    assert section, f"docs/reference/cli.md has no section '## {name}'"
    options = [word for option in commands()[name].params for word in option.opts if word.startswith("--")]
    assert not [word for word in options if word != "--help" and word not in section.group(1)]
