"""How long work tells how far it is, without knowing who is watching."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called as work advances: the stage's name, how much is done and how much there is (in any unit)."""

    def __call__(self, stage: str, done: int, total: int) -> None: ...


def silent(stage: str, done: int, total: int) -> None:
    """Nobody is watching."""
