"""Output folders: whole or absent, and never in the place of what somebody else made."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rookery.base.files import Output, irregular, json_says, write_aside
from rookery.terms.errors import Conflict

KIND = Output("plan", "about.json", json_says("program", "rookery"), frozenset({"about.json", "a.txt"}))
OURS = '{"program": "rookery 0.1.0"}'


def put(target: Path, text: str = "new") -> None:
    with write_aside(target, KIND) as folder:
        (folder / "a.txt").write_text(text)
        (folder / "about.json").write_text(OURS)


def earlier(folder: Path, **files: str) -> Path:
    """A folder with an earlier output in it."""
    folder.mkdir()
    for name, text in ({"about.json": OURS, "a.txt": "old"} | files).items():
        (folder / name).write_text(text)
    return folder


def below(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_a_new_an_empty_and_an_earlier_folder_are_filled(tmp_path):
    """What is not there, empty or an earlier output is replaced, and nothing is left beside it."""
    (tmp_path / "empty").mkdir()
    earlier(tmp_path / "again", **{".DS_Store": "left by the desktop"})
    for name in ("new/deep", "empty", "again"):
        put(tmp_path / name)
        assert below(tmp_path / name) == {"about.json": OURS, "a.txt": "new"}
    assert {path.name for path in tmp_path.iterdir()} == {"new", "empty", "again"}


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"about.json": '{"name": "My web app", "icons": []}'}, "was not written by this program"),
        ({"about.json": '{"program": "another one"}'}, "was not written by this program"),
        ({"about.json": "[1]"}, "was not written by this program"),
        ({"about.json": "\0"}, "was not written by this program"),
        ({"notes.txt": "mine"}, "it also holds notes.txt"),
    ],
)
def test_what_only_looks_like_an_earlier_output_is_left_alone(tmp_path, files, why):
    """A marker of the right name does not do: it must say what it is, and nothing else may lie beside it."""
    folder = earlier(tmp_path / "mine", **files)
    before = below(folder)
    with pytest.raises(Conflict, match=why) as told:
        put(folder)
    assert "left alone" in str(told.value) and "name another folder" in str(told.value)
    assert below(folder) == before and [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_other_things_are_left_alone(tmp_path):
    """A file, a folder without the marker and one whose marker is a folder are told for what they are."""
    (tmp_path / "file").write_text("text")
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "a.txt").write_text("mine")
    (tmp_path / "odd" / "about.json").mkdir(parents=True)
    for name, why in (("file", "no folder"), ("bare", "no about.json"), ("odd", "a folder where a file is expected")):
        with pytest.raises(Conflict, match=why):
            put(tmp_path / name)
    assert (tmp_path / "file").read_text() == "text" and (tmp_path / "bare" / "a.txt").read_text() == "mine"


def test_what_was_put_there_meanwhile_is_left_alone(tmp_path):
    """A folder that fills while the work goes on is not replaced when it ends."""
    with pytest.raises(Conflict), write_aside(tmp_path / "out", KIND) as folder:
        (folder / "about.json").write_text(OURS)
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "letter.txt").write_text("dear")
    assert below(tmp_path) == {"out/letter.txt": "dear"}


@pytest.mark.parametrize("fault", [OSError("no"), KeyboardInterrupt()])
def test_the_old_folder_comes_back_when_the_new_cannot_take_its_place(tmp_path, monkeypatch, fault):
    """A failure or a stop between the two renames leaves the earlier output where it was, and nothing else."""
    folder = earlier(tmp_path / "out")
    rename, calls = Path.rename, []

    def second_fails(self, target):
        calls.append(self)
        if len(calls) == 2:
            raise fault
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", second_fails)
    with pytest.raises(type(fault)):
        put(folder)
    assert len(calls) == 3
    assert below(tmp_path) == {"out/about.json": OURS, "out/a.txt": "old"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("place", [".", "..", "../here"])
def test_the_folder_one_stands_in_is_refused_before_work_begins(tmp_path, monkeypatch, place):
    """A folder that holds the current one cannot be renamed away; the error names a folder inside it."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    if place == "..":
        (tmp_path / "here").rmdir()
        (tmp_path / "about.json").write_text(OURS)
        (tmp_path / "a.txt").mkdir()
        monkeypatch.chdir(tmp_path / "a.txt")
    with pytest.raises(Conflict, match="name a folder inside it") as told, write_aside(Path(place), KIND):
        raise AssertionError("the work began")
    assert told.value.code == "output.cannot_be_replaced"
    assert str(tmp_path) in str(told.value)


def test_a_link_to_an_earlier_output_stays_a_link(tmp_path):
    """Written through a link, the folder it leads to is replaced and the link stays."""
    earlier(tmp_path / "real")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    put(tmp_path / "link")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real" / "a.txt").read_text() == "new"


def test_only_plain_files_are_files(tmp_path):
    """A file and a link to one are read; a pipe, a device behind a link, a folder and nothing are told apart."""
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "endless").symlink_to("/dev/zero")
    (tmp_path / "dangling").symlink_to(tmp_path / "gone")
    assert irregular(tmp_path / "file") is None and irregular(tmp_path / "link") is None
    for name, why in (("pipe", "pipe"), ("endless", "device"), (".", "folder"), ("dangling", "No such file")):
        assert why in (irregular(tmp_path / name) or "")
