"""One request: to an address that was looked at, followed nowhere, and read no further than it needs."""

from __future__ import annotations

import asyncio
import socket
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from receiving import Answer, Receiver, receiving

from rookery.base.webhooks.sending import MOST_READ, Outcome, Sender
from rookery.base.webhooks.targets import Targets

PRIVATE = Targets(private=True)


def send(url: str, targets: Targets = PRIVATE, many: int = 1, total_s: float = 15.0) -> Outcome:
    """What came of the last of some requests, one after the other."""

    async def all_of_them() -> Outcome:
        async with Sender(targets, total_s) as sender:
            for _ in range(many - 1):
                await sender.send(url, b"{}", {"webhook-id": "evt_1"})
            return await sender.send(url, b"{}", {"webhook-id": "evt_1"})

    return asyncio.run(all_of_them())


@pytest.mark.parametrize(
    ("status", "error"),
    [(200, None), (204, None), (299, None), (400, "answered 400"), (500, "answered 500"), (410, "answered 410"),
     (301, "answered 301: redirects are not followed"), (304, "answered 304: redirects are not followed")],
)  # fmt: skip
def test_only_what_is_answered_with_2xx_is_delivered(status: int, error: str | None) -> None:
    """All else is a failure, and is told with its status."""
    with receiving() as receiver:
        receiver.answer = lambda heard: Answer(status, {"Retry-After": "7"})
        assert send(receiver.url) == Outcome(status, error, "7")
    assert receiver.heard[0].headers["content-type"] == "application/json"


def test_a_redirect_is_not_followed_wherever_it_leads() -> None:
    """Not to a private address, nor to any other."""
    with receiving() as receiver, receiving() as elsewhere:
        receiver.answer = lambda heard: Answer(307, {"Location": elsewhere.url})
        assert send(receiver.url).error == "answered 307: redirects are not followed"
        assert len(receiver.heard) == 1 and not elsewhere.heard


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "2130706433", "[::ffff:127.0.0.1]"])
def test_private_targets_are_refused_before_a_connection_is_made(host: str) -> None:
    """By whatever way of writing them, in whatever scheme: nobody listening there hears anything."""
    with receiving() as receiver:
        port = receiver.url.rsplit(":", 1)[1]
        for scheme in ("http", "https"):
            outcome = send(f"{scheme}://{host}:{port}", Targets())
            assert outcome.status is None and outcome.error is not None
            assert outcome.error.startswith(("refused", "the URL"))
        assert not receiver.heard and receiver.at_once == 0


def names(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """From now on names stand for these addresses, another list each time they are asked for; the names asked."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def told(host: str, port: int, *rest: object, **more: object) -> list[tuple]:
        if not host.endswith(".example.com"):
            return real(host, port, *rest, **more)  # type: ignore[arg-type]
        asked.append(host)
        if not answers:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        found = answers[min(len(asked), len(answers)) - 1]
        kinds = {4: socket.AF_INET, 6: socket.AF_INET6}
        return [(kinds[ip_address(one).version], socket.SOCK_STREAM, 6, "", (one, port)) for one in found]

    monkeypatch.setattr(socket, "getaddrinfo", told)
    return asked


def test_one_private_address_among_a_name_s_spoils_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that also stands for this machine is not sent to at its public address either."""
    names(monkeypatch, ["8.8.8.8", "127.0.0.1"])
    outcome = send("https://both.example.com/", Targets())
    assert outcome.error is not None and outcome.error.startswith("refused")


def test_the_connection_is_made_to_the_address_that_was_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name is asked for once, so that it cannot stand for something else when the connection is made."""
    with receiving() as receiver:
        asked = names(monkeypatch, ["127.0.0.1"], ["203.0.113.9"])
        port = receiver.url.rsplit(":", 1)[1]
        assert send(f"http://once.example.com:{port}", PRIVATE).delivered
    assert asked == ["once.example.com"] and receiver.heard[0].headers["host"].startswith("once.example.com")


def test_what_hangs_is_given_up_in_time() -> None:
    """An endpoint that takes the message and never answers."""
    with receiving() as receiver:
        receiver.answer = lambda heard: Answer(hangs=True)
        assert send(receiver.url, total_s=0.2) == Outcome(None, "no answer within the time")


def test_of_an_endless_answer_little_is_read() -> None:
    """2 GB are cut off soon; what its status said stands, and the next message goes over a new connection."""
    with receiving() as receiver:
        receiver.answer = lambda heard: Answer(200, endless=True)
        assert send(receiver.url, many=2).delivered
        assert receiver.sent < 200 * MOST_READ  # what lies in the machine's buffers, not 2 GB


@pytest.mark.parametrize(
    "told", [b"SSH-2.0-OpenSSH\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: " + b"y" * 20_000 + b"\r\n\r\n", b""]
)
def test_what_is_no_answer_is_a_failure(told: bytes) -> None:
    """Another protocol, endless headers, a connection that ends at once."""

    class Odd(Receiver):
        async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(told)
            writer.close()

    async def ask() -> Outcome:
        server = await asyncio.start_server(Odd().serve, "127.0.0.1", 0)
        async with server, Sender(PRIVATE) as sender:
            return await sender.send(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", b"{}", {})

    assert asyncio.run(ask()) == Outcome(None, "the connection failed or broke off")


def test_where_nobody_listens_or_no_name_is_known_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """In words of our own, without addresses."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        assert send(f"http://127.0.0.1:{free.getsockname()[1]}/").error == "nobody listens there"
    names(monkeypatch)
    assert send("https://nobody.example.com/", Targets()).error == "the host's name is not known"


def test_a_certificate_that_cannot_be_verified_is_a_failure(tmp_path: Path) -> None:
    """Nothing is said to whoever only claims to be the host."""
    with receiving(_self_signed(tmp_path)) as receiver:
        assert send(receiver.url).error == "the certificate could not be verified, or TLS failed"
        assert not receiver.heard


def _self_signed(folder: Path) -> ssl.SSLContext:
    """A server's context with a certificate that nobody vouches for."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / "both.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context
