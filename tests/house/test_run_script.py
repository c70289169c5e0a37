"""The ./run script: one clear sentence wherever it cannot go on, and nothing half-made taken for ready."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ("sh", "dirname", "cksum", "cat", "grep", "tail", "cut", "sed", "rm", "mkdir")


@pytest.fixture
def clone(tmp_path):
    """What a fresh clone holds of the script's needs, in a folder whose name has a space."""
    folder = tmp_path / "my clone"
    folder.mkdir()
    for name in ("run", "pyproject.toml"):
        shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture
def bare_path(tmp_path):
    """A PATH with the tools of any POSIX system and no Python."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in TOOLS:
        (folder / tool).symlink_to(shutil.which(tool) or pytest.fail(f"no {tool} here"))
    return folder


def call(clone, *arguments, path=None, cwd=None, **env):
    """Run the clone's script in an environment that holds nothing but `path` and `env`."""
    return subprocess.run(
        [str(clone / "run"), *arguments],
        env={"PATH": str(path or os.environ["PATH"]), **env},
        cwd=cwd or clone.parent,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


def stand_in(folder, name, script):
    """An executable of that name on the bare PATH."""
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return file


@pytest.mark.parametrize("shell", ["sh", "dash", "bash"])
def test_every_shell_can_read_it(shell):
    """The script is POSIX sh: plain sh, dash and bash all parse it."""
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")
    subprocess.run([shell, "-n", str(ROOT / "run")], check=True)


@pytest.mark.parametrize("arguments", [(), ("help",), ("--help",)])
def test_help_needs_nothing(clone, bare_path, arguments):
    """Help is printed without Python, from any folder, and prepares nothing."""
    done = call(clone, *arguments, path=bare_path, cwd="/")
    assert done.returncode == 0
    assert "./run COMMAND" in done.stdout
    assert not (clone / ".venv").exists()


def test_unknown_command_is_a_usage_error(clone):
    """An unknown command is named, help goes to stderr, and the exit code is 2."""
    done = call(clone, "frobnicate")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "frobnicate" in done.stderr
    assert "./run COMMAND" in done.stderr


def test_no_python_is_said(clone, bare_path):
    """Without any Python the script says which one it needs and how to name it."""
    done = call(clone, "setup", path=bare_path)
    assert done.returncode == 1
    assert "Python 3.11 or newer" in done.stderr
    assert "no Python at all" in done.stderr
    assert "PYTHON=" in done.stderr
    assert not (clone / ".venv").exists()


@pytest.mark.parametrize("version", ["3.9.2", "3.10.13", "2.7.18"])
def test_old_python_is_said(clone, bare_path, version):
    """A Python that is too old is named with its version, and nothing is made with it."""
    stand_in(bare_path, "python3", f'echo "{version} /usr/bin/python3"')
    done = call(clone, "setup", path=bare_path)
    assert done.returncode == 1
    assert f"python3 is {version}" in done.stderr
    assert "3.11 or newer" in done.stderr
    assert not (clone / ".venv").exists()


def test_newer_python_behind_an_old_one_is_found(clone, bare_path):
    """An old python3 is passed over for a newer python3.12; a Python without venv is said with the remedy."""
    stand_in(bare_path, "python3", 'echo "3.9.2 /usr/bin/python3"')
    newer = bare_path / "python3.12"
    stand_in(bare_path, "python3.12", f'case $2 in *ensurepip*) exit 1 ;; esac\necho "3.12.4 {newer}"')
    done = call(clone, "setup", path=bare_path)
    assert done.returncode == 1
    assert f"Python 3.12.4 ({newer}) comes without venv" in done.stderr
    assert "python3.12-venv" in done.stderr
    assert not (clone / ".venv").exists()


def test_unreachable_registry_is_said_and_never_taken_for_ready(clone):
    """When pip finds no package the script says so with the log's place, and the next call says it again."""
    offline = {"PYTHON": sys.executable, "PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull}
    for _ in range(2):
        done = call(clone, "setup", **offline)
        assert done.returncode == 1
        assert "The package registry could not be reached" in done.stderr
        assert str(clone / ".venv" / "pip.log") in done.stderr
        assert "Traceback" not in done.stderr
        assert "Ready" not in done.stderr


def test_an_installation_cut_short_is_made_anew(clone, bare_path):
    """A .venv that an interrupted call left behind is not used, whatever its stamp says."""
    left = clone / ".venv"
    (left / "bin").mkdir(parents=True)
    (left / ".unfinished").touch()
    (left / ".rookery-stamp").write_text("dev\n")
    stand_in(left / "bin", "rookery", "echo half-made")
    maker = bare_path / "python3"
    stand_in(bare_path, "python3", f'case $1 in -m) echo "no room"; exit 1 ;; esac\necho "3.12.4 {maker}"')
    done = call(clone, "demo", path=bare_path)
    assert done.returncode == 1
    assert "half-made" not in done.stdout
    assert "no room" in done.stderr
    assert not (left / "bin" / "rookery").exists()


def test_kernels_are_kept_apart_by_what_they_are_made_from(clone, bare_path):
    """An edit of any kernel's file, or of the policy table, sends compiled kernels elsewhere, unless told where."""
    maker = stand_in(bare_path, "python3", 'case $1 in -m) echo "kernels: $NUMBA_CACHE_DIR"; exit 1 ;; esac\n')
    maker.write_text(maker.read_text() + f'echo "3.12.4 {maker}"\n')
    engine, terms = clone / "rookery" / "planning" / "engine", clone / "rookery" / "terms"
    engine.mkdir(parents=True)
    terms.mkdir(parents=True)
    places = []
    for file in (engine / "vector.py", engine / "scan.py", terms / "policy.py"):
        file.write_text("one = 1\n")
        done = call(clone, "setup", path=bare_path)
        (place,) = [line.split("kernels: ")[1] for line in done.stderr.splitlines() if "kernels: " in line]
        assert place.startswith(str(clone / ".venv" / "numba-cache") + "/")
        places.append(place)
    again = call(clone, "setup", path=bare_path)
    assert places[-1] in again.stderr and len(set(places)) == 3
    given = call(clone, "setup", path=bare_path, NUMBA_CACHE_DIR="/elsewhere")
    assert "kernels: /elsewhere" in given.stderr
