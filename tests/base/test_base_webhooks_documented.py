"""What the guide tells receivers to do verifies what is sent."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rookery.base.outbox import KINDS
from rookery.base.signing import Signer
from rookery.base.webhooks.signing import secret_of, signed

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "webhooks.md").read_text(encoding="utf-8")
SECRET, FORMER = (secret_of(Signer(bytes(32)), "whk_a", rotation) for rotation in (2, 1))
BODY = '{"type":"case.opened","timestamp":"2026-03-02T08:00:00.000000Z","data":{"text":"é"}}'.encode()


def block(language: str, word: str) -> str:
    """The guide's one piece of code of a language that has this word in it."""
    [found] = [text for text in re.findall(rf"```{language}\n(.*?)```", GUIDE, re.S) if word in text]
    return found


def test_the_guide_s_function_believes_what_was_signed_lately_and_nothing_else() -> None:
    """Either of two signatures is enough; another secret, another byte or an old instant is not believed."""
    names: dict[str, Any] = {}
    exec(block("python", "def verified"), names)
    verified, now = names["verified"], datetime.fromtimestamp(time.time(), UTC)
    headers = signed([SECRET, FORMER], "evt_1", now, BODY)
    assert verified(SECRET, headers, BODY) and verified(FORMER, headers, BODY)
    assert not verified(secret_of(Signer(bytes(32)), "whk_b", 1), headers, BODY)
    assert not verified(SECRET, headers, BODY + b" ") and not verified(SECRET, {**headers, "webhook-id": "evt_2"}, BODY)
    assert not verified(SECRET, signed([SECRET], "evt_1", now - timedelta(minutes=6), BODY), BODY)


def test_the_guide_s_openssl_prints_the_signature(tmp_path: Path) -> None:
    """Word for word the header's, with nothing but openssl and a shell."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl on this machine")
    (tmp_path / "body.json").write_bytes(BODY)
    headers = signed([SECRET], "evt_1", datetime(2026, 3, 2, 8, tzinfo=UTC), BODY)
    given = {"SECRET": SECRET, "ID": "evt_1", "TIMESTAMP": headers["webhook-timestamp"]}
    words = "".join(f"{name}='{value}'\n" for name, value in given.items()) + block("sh", "HEXKEY")
    told = subprocess.run(["sh", "-ec", words], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == headers["webhook-signature"]


def test_the_guide_names_all_kinds() -> None:
    """Each that an endpoint can ask to hear of."""
    assert not [kind for kind in KINDS if f"`{kind}`" not in GUIDE]
