"""Signatures by Standard Webhooks 1.0 (https://www.standardwebhooks.com): receivers see that it is Rookery who
speaks."""

from __future__ import annotations

import base64
import hmac
import secrets as chance
from collections.abc import Sequence
from datetime import datetime

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from rookery.base.signing import Signer

PURPOSE = "webhook secret"
PREFIX = "whsec_"
NONCE = 12


def secret_of(signer: Signer, endpoint_id: str, rotation: int) -> str:
    """The secret of an endpoint, "whsec_" and 32 bytes as base64. rotation: 1 for its first, 2 for the next.

    It is kept nowhere: it follows from the server's signing key. Where that key is changed, all of them are.
    """
    return PREFIX + base64.b64encode(signer.derive(PURPOSE, f"{endpoint_id} {rotation}".encode())).decode()


def signed(secrets: Sequence[str], event_id: str, now: datetime, body: bytes) -> dict[str, str]:
    """The headers of one attempt; a signature for each secret that counts now, by the instant of this attempt."""
    timestamp = str(int(now.timestamp()))
    content = f"{event_id}.{timestamp}.".encode() + body
    macs = (hmac.digest(base64.b64decode(secret.removeprefix(PREFIX)), content, "sha256") for secret in secrets)
    return {
        "webhook-id": event_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(f"v1,{base64.b64encode(mac).decode()}" for mac in macs),
    }


def sealed_token(signer: Signer, endpoint_id: str, token: str) -> bytes:
    """A receiver's own token as it is kept: who has the database and not the server's signing key cannot read it."""
    nonce = chance.token_bytes(NONCE)
    return nonce + _sealer(signer).encrypt(nonce, token.encode(), endpoint_id.encode())


def opened_token(signer: Signer, endpoint_id: str, sealed: bytes) -> bytes | None:
    """The token again; None where the signing key is another now, or the token was another endpoint's."""
    try:
        return _sealer(signer).decrypt(sealed[:NONCE], sealed[NONCE:], endpoint_id.encode())
    except InvalidTag:
        return None


def signed_also(token: bytes, body: bytes) -> dict[str, str]:
    """The header that EPCIS 2.0 has for it: HMAC-SHA256 of the body by the receiver's own token, in hexadecimal."""
    return {"GS1-Signature": hmac.digest(token, body, "sha256").hex()}


def _sealer(signer: Signer) -> AESGCM:
    return AESGCM(signer.derive("webhook token", b""))
