"""Which addresses may be sent to: those of the public internet alone, unless whoever runs Rookery allows private
ones.

An endpoint's URL is somebody else's word, and whoever sends to any address lets others ask within this network:
databases, cloud metadata, what listens on this machine (OWASP, server-side request forgery). What is judged is
therefore each address that a connection is about to be made to, never a name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

from rookery.terms.notice import Fault

VARIABLE = "ROOKERY_WEBHOOK_PRIVATE"
LONGEST = 2000
"""Characters of a URL."""

# IANA's special-purpose and multicast registries, of IPv4 what is not globally reachable.
_NOT_PUBLIC_4 = tuple(
    map(
        ip_network,
        (
            "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
            "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16",
            "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
        ),
    )
)  # fmt: skip
# Of IPv6 all but global unicast is refused (loopback, unique local, link-local, multicast, IPv4-mapped ::ffff:0:0/96,
# NAT64 64:ff9b::/96 and 64:ff9b:1::/48), and of that what holds an IPv4 address within (Teredo, 6to4) or is not routed.
_PUBLIC_6 = ip_network("2000::/3")
_NOT_PUBLIC_6 = tuple(map(ip_network, ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")))
_PRIVATE = tuple(
    map(ip_network, ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7"))
)
_LOCAL_NAMES = (".localhost", ".local", ".internal", ".home.arpa")


@dataclass(frozen=True)
class Targets:
    """What may be sent to. private: also this machine and private networks, and these by plain http."""

    private: bool = False

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Targets:
        """As the environment tells: ROOKERY_WEBHOOK_PRIVATE=1 allows private addresses, for tests and demos."""
        return cls(environ.get(VARIABLE) == "1")

    def allows(self, address: str, plain: bool = False) -> bool:
        """Whether a connection may be made to this address (as text). plain: it is to be one without TLS."""
        found = parsed(address)
        if found is None:
            return False
        if self.private and any(found in network for network in _PRIVATE):
            return True
        return not plain and _public(found)

    def faults(self, url: str) -> list[Fault]:
        """Everything that is wrong with an endpoint's URL by itself; what its name stands for is seen when it is sent
        to.
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            return [_fault("malformed", "this is no URL", "write https://host/path")]
        found: list[Fault] = []
        if not url.isascii() or any(c.isspace() or not c.isprintable() for c in url):
            found.append(_fault("malformed", "the URL holds spaces or letters beyond ASCII", "percent-encode them"))
        if parts.scheme not in (("https", "http") if self.private else ("https",)):
            found.append(_fault("bad_scheme", "only https is sent to", "write https://host/path"))
        if not host or port == 0:
            found.append(_fault("malformed", "the URL names no host, or port 0", "write https://host/path"))
        if parts.username is not None or parts.password is not None:
            found.append(
                _fault("has_password", "the URL holds a name or password", "leave it out: messages are signed")
            )
        if parts.fragment:
            found.append(
                _fault("malformed", "the URL has a fragment, which is never sent", "leave out `#` and the rest")
            )
        if host and self._plainly_private(host):
            found.append(
                _fault(
                    "private_target", "the host is not of the public internet", "name one that others can reach, too"
                )
            )
        return found

    def _plainly_private(self, host: str) -> bool:
        """Of an address, whether it is refused; of a name, whether it can only be one of this network."""
        host = host.rstrip(".").lower()
        if parsed(host) is not None:
            return not self.allows(host)
        if host.replace(".", "").isdigit() or host.startswith("0x"):
            return True  # 127.1, 2130706433, 0x7f000001: addresses in disguise
        return not self.private and (host == "localhost" or host.endswith(_LOCAL_NAMES) or "." not in host)


def parsed(address: str) -> IPv4Address | IPv6Address | None:
    """An address from its text, without a zone; None when it is none."""
    try:
        return ip_address(address.partition("%")[0])
    except ValueError:
        return None


def _public(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_4)
    return address in _PUBLIC_6 and not any(address in network for network in _NOT_PUBLIC_6)


def _fault(code: str, message: str, remedy: str) -> Fault:
    return Fault("$.url", code, message, remedy)
