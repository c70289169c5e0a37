"""Whose address counts: the connection's, or behind a proxy that is trusted the one it tells of."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from itertools import repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st
from litestar import Request
from serving_world import Served

from rookery.base.clock import WALL
from rookery.doors.http.proxies import VARIABLE, caller_of, trusted_proxies
from rookery.doors.http.server import Server
from rookery.terms.errors import InvalidInput

TRUSTED = trusted_proxies({VARIABLE: "10.0.0.5, 10.1.0.0/16,fd00::/64"})


def test_none_is_trusted_unless_named():
    """Unset and empty name none; blanks around an entry do no harm."""
    assert trusted_proxies({}) == trusted_proxies({VARIABLE: " "}) == ()
    assert [str(network) for network in TRUSTED] == ["10.0.0.5/32", "10.1.0.0/16", "fd00::/64"]


@pytest.mark.parametrize(
    "entry", ["", "proxy.example", "10.1.2.3/16", "10.0.0.256", "5", "10.0.0.5:80", "*", "::ffff:10.0.0.5"]
)
def test_what_is_no_network_is_refused(entry):
    """Each wrong entry is told by its place, the good ones beside it are not."""
    with pytest.raises(InvalidInput) as told:
        trusted_proxies({VARIABLE: f"10.0.0.5,{entry},10.0.0.6,no"})
    assert "entry 2: " in told.value.what and "entry 4: " in told.value.what
    assert "entry 1" not in told.value.what and "entry 3" not in told.value.what


@pytest.mark.parametrize(
    ("connection", "forwarded", "caller"),
    [
        ("10.0.0.5", ["192.0.2.7"], "192.0.2.7"),
        ("10.0.0.5", ["203.0.113.9, 192.0.2.7"], "192.0.2.7"),
        ("10.0.0.5", ["203.0.113.9", "192.0.2.7,10.1.9.9"], "192.0.2.7"),
        ("fd00::1", ["2001:DB8:0::7"], "2001:db8::7"),
        ("::ffff:10.0.0.5", ["::ffff:192.0.2.7"], "192.0.2.7"),
        ("10.0.0.5", ["junk, 192.0.2.7"], "192.0.2.7"),
        ("10.0.0.5", ["192.0.2.7, junk"], "10.0.0.5"),
        ("10.0.0.5", ["192.0.2.7,"], "10.0.0.5"),
        ("10.0.0.5", ["192.0.2.7:4711"], "10.0.0.5"),
        ("10.0.0.5", ["10.1.0.1, 10.1.0.2"], "10.0.0.5"),
        ("10.0.0.5", [], "10.0.0.5"),
        ("10.0.0.6", ["192.0.2.7"], "10.0.0.6"),
        ("", ["192.0.2.7"], ""),
    ],
)  # fmt: skip
def test_the_last_that_is_not_trusted_counts(connection, forwarded, caller):
    """Read from the end; what is malformed, or all of it trusted, is no word on anybody."""
    assert caller_of(connection, forwarded, TRUSTED) == caller


@given(st.lists(st.text() | st.ip_addresses().map(str)), st.ip_addresses(v=4).map(str))
def test_what_a_caller_writes_changes_nothing(written, real):
    """Whatever stands in front of what the proxy appended, and whatever comes from one that is not trusted."""
    assert caller_of("192.0.2.1", written, TRUSTED) == "192.0.2.1"
    assert caller_of("10.0.0.5", written, ()) == "10.0.0.5"
    assert caller_of("10.0.0.5", [*written, f"192.0.2.9, {real}"], trusted_proxies({VARIABLE: "10.0.0.5"})) == (
        real if real != "10.0.0.5" else "192.0.2.9"
    )


def test_a_request_s_headers_are_read_when_a_proxy_is_trusted():
    """Both X-Forwarded-For headers count, in order, however they are spelled; without trust neither does."""
    headers = [(b"x-forwarded-for", b"203.0.113.9"), (b"X-Forwarded-For", b"192.0.2.7")]
    request = Request({"type": "http", "headers": headers, "client": ("10.0.0.5", 4711)})  # type: ignore[typeddict-item]
    for trusted, address in ((TRUSTED, "192.0.2.7"), ((), "10.0.0.5")):
        server = Server(None, WALL, {}, trusted=trusted)  # type: ignore[arg-type]
        assert server.address_of(request) == address
        server.close()


def asked_in_vain(served: Served, addresses: Iterable[str]) -> set[int]:
    """Statuses of wrong keys, one under each forwarded address."""

    def ask(address: str) -> int:
        headers = {"X-API-Key": "rk_wrong", "X-Forwarded-For": f"203.0.113.1, {address}"}
        return served.ask("GET", "/parties", headers=headers).status

    return {ask(address) for address in addresses}


def test_a_trusted_proxy_s_callers_are_told_apart(fragile: Served, monkeypatch: pytest.MonkeyPatch):
    """Over real HTTP: without trust a header buys nobody a new allowance; with it one caller uses up his own alone."""
    others = [f"192.0.2.{number}" for number in range(100, 200)]
    assert asked_in_vain(fragile, others) == {401, 429}
    monkeypatch.setenv(VARIABLE, "127.0.0.1")
    fragile.restart()
    assert asked_in_vain(fragile, repeat("192.0.2.7", 100)) == {401, 429}
    assert asked_in_vain(fragile, others) == {401}


@pytest.mark.parametrize(
    "command", [["rookery.doors.http", "127.0.0.1", "0"], ["rookery.doors.cli.main", "serve", "--port", "0", "--data"]]
)
def test_a_server_with_a_malformed_list_does_not_start(tmp_path, monkeypatch: pytest.MonkeyPatch, command):
    """One sentence with what to write, exit code 1, and nothing was made."""
    monkeypatch.setenv(VARIABLE, "proxy.example")
    done = subprocess.run(
        [sys.executable, "-m", *command, str(tmp_path / "data")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert VARIABLE in done.stderr and "proxy.example" in done.stderr and "commas" in done.stderr
    assert not (tmp_path / "data").exists()
