"""What follows from plain values: which addresses may be sent to, signatures, when something is tried again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.base.signing import Signer
from rookery.base.webhooks.backoff import TRIED, next_attempt, rest_s, retry_after
from rookery.base.webhooks.signing import secret_of, signed
from rookery.base.webhooks.targets import Targets

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
REFUSED = [
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "127.0.0.1",
    "127.8.8.8",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "3fff::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "text",
]
PUBLIC = ["8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a00:1450:4001::200e"]


@pytest.mark.parametrize("address", REFUSED)
def test_what_is_not_of_the_public_internet_is_refused(address: str) -> None:
    """This machine, private networks, cloud metadata, carriers' inner networks, IPv6 that stands for any of them."""
    assert not Targets().allows(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_what_is_of_the_public_internet_is_allowed(address: str) -> None:
    """With TLS; without it nothing is."""
    assert Targets().allows(address)
    assert not Targets().allows(address, plain=True) and not Targets(private=True).allows(address, plain=True)


def test_where_private_targets_are_allowed_metadata_and_groups_are_not() -> None:
    """Tests and demos may send to this machine and private networks, never to link-local or multicast ones."""
    allowed = Targets(private=True)
    assert all(allowed.allows(one, plain=True) for one in ("127.0.0.1", "10.0.0.9", "::1", "fd00::1"))
    assert not any(
        allowed.allows(one) for one in ("169.254.169.254", "fe80::1", "224.0.0.1", "0.0.0.0", "::ffff:10.0.0.1")
    )
    assert Targets.read({"ROOKERY_WEBHOOK_PRIVATE": "1"}).private and not Targets.read({}).private


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)))
def test_nothing_is_allowed_that_the_language_calls_private(address: IPv4Address | IPv6Address) -> None:
    """Python's own tables, made from IANA's registries, never refuse what is allowed here."""
    if Targets().allows(str(address)):
        assert address.is_global and not address.is_multicast
        assert address.version == 4 or address in ip_network("2000::/3")


@pytest.mark.parametrize(
    ("url", "codes"),
    [
        ("https://shop.example.com/hooks?a=1", set()),
        ("https://shop.example.com:8443", set()),
        ("http://shop.example.com/", {"bad_scheme"}),
        ("ftp://localhost/", {"bad_scheme", "private_target"}),
        ("https://ada:secret@shop.example.com/#top", {"has_password", "malformed"}),
        ("https://localhost/", {"private_target"}),
        ("https://LOCALHOST./", {"private_target"}),
        ("https://db.internal/", {"private_target"}),
        ("https://intranet/", {"private_target"}),
        ("https://169.254.169.254/latest/meta-data", {"private_target"}),
        ("https://[::1]/", {"private_target"}),
        ("https://127.1/", {"private_target"}),
        ("https://2130706433/", {"private_target"}),
        ("https://0x7f000001/", {"private_target"}),
        ("https://[::ffff:127.0.0.1]/", {"private_target"}),
        ("https://shop.example.com:0/", {"malformed"}),
        ("https://shop.example.com:99999/", {"malformed"}),
        ("https:///path", {"malformed"}),
        ("https://[::1/", {"malformed"}),
        ("https://shop.example.com/a b", {"malformed"}),
        ("https://straße.example.com/", {"malformed"}),
        ("shop.example.com", {"bad_scheme", "malformed"}),
    ],
)
def test_all_that_is_wrong_with_a_url_is_told(url: str, codes: set[str]) -> None:
    """Every fault of a URL that can be seen without asking anybody."""
    assert {fault.code for fault in Targets().faults(url)} == codes


def test_a_signature_is_the_standard_s() -> None:
    """The example of Standard Webhooks 1.0: this secret, id, instant and body have this signature."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    body = b'{"test": 2432232314}'
    headers = signed([secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", datetime.fromtimestamp(1614265330, UTC), body)
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert headers["webhook-timestamp"] == "1614265330"


def test_secrets_follow_from_the_key_and_are_all_different() -> None:
    """By endpoint, rotation and the server's key; the same again whenever it is asked for."""
    one = Signer(bytes(32))
    made = {secret_of(one, endpoint, rotation) for endpoint in ("whk_a", "whk_b") for rotation in (1, 2)}
    assert len(made | {secret_of(Signer(bytes(31) + b"1"), "whk_a", 1)}) == 5
    assert secret_of(one, "whk_a", 1) in made and all(len(secret) == len("whsec_") + 44 for secret in made)


def test_a_message_is_tried_for_three_days_ever_more_rarely() -> None:
    """From 5 s to 12 h between attempts, the last of them at the end of the third day; then never."""
    at, waits, attempts = NOW, [], 1
    while (after := next_attempt("evt_1", attempts, NOW, at, 0.0)) is not None:
        waits.append((after - at).total_seconds())
        at, attempts = after, attempts + 1
    assert at == NOW + TRIED and attempts == len(waits) + 1
    wanted = (5, 30, 120, 600, 1800, 3600, 7200, 14_400, 28_800, 43_200, 43_200, 43_200)
    assert all(0.8 * due <= wait <= 1.2 * due for due, wait in zip(wanted, waits[:-1], strict=False))
    assert 12 <= len(waits) <= 16


@given(st.text(max_size=8), st.integers(1, 40), st.floats(0, 72), st.floats(0, 1e6))
def test_an_attempt_is_never_sooner_than_asked_nor_after_the_third_day(
    event: str, attempts: int, hours: float, asked: float
) -> None:
    """Whatever an endpoint asks for, it waits at most an hour for that, and three days in all."""
    now = NOW + timedelta(hours=hours)
    after = next_attempt(event, attempts, NOW, now, asked)
    if after is None:
        assert now >= NOW + TRIED
        return
    assert after > now and after <= max(NOW + TRIED, now + timedelta(seconds=5))
    assert (
        after == NOW + TRIED
        or (after - now).total_seconds() >= min(asked, 3600) - 1e-3
        or after - now >= timedelta(seconds=5)
    )
    assert after == next_attempt(event, attempts, NOW, now, asked)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, 0), ("", 0), ("120", 120), (" 7 ", 7), ("999999999999", 3600), ("-5", 0), ("soon", 0), ("1.5", 0),
        ("٣", 0),
        ("Mon, 02 Mar 2026 08:02:00 GMT", 120), ("Mon, 02 Mar 2026 07:00:00 GMT", 0),
        ("Tue, 03 Mar 2026 08:00:00 GMT", 3600),
    ],
)  # fmt: skip
def test_retry_after_is_seconds_or_a_date_and_an_hour_at_most(header: str | None, seconds: float) -> None:
    """What cannot be read asks for nothing."""
    assert retry_after(header, NOW) == seconds


def test_an_endpoint_that_is_down_is_left_alone_ever_longer() -> None:
    """Nothing until the fifth failure in a row, then from a second to a minute."""
    assert [rest_s(n) for n in (0, 4, 5, 6, 9, 11, 500)] == [0, 0, 1, 2, 16, 60, 60]
