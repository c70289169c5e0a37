"""Whose request it is behind a proxy: what a proxy that the operator trusts says of it, and nobody else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from rookery.terms.errors import InvalidInput

VARIABLE = "ROOKERY_TRUSTED_PROXIES"
_MAPPED = IPv6Network("::ffff:0:0/96")

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


def trusted_proxies(environ: Mapping[str, str]) -> tuple[Network, ...]:
    """The addresses and networks that ROOKERY_TRUSTED_PROXIES names, separated by commas; none where it is not set.

    Raises InvalidInput that tells of each entry that is neither.
    """
    text = environ.get(VARIABLE, "").strip()
    networks, wrong = [], []
    for place, entry in enumerate(text.split(",") if text else (), 1):
        try:
            networks.append(_network(entry.strip()))
        except ValueError as fault:
            wrong.append(f"entry {place}: {fault}")
    if wrong:
        remedy = "write addresses or networks with commas between them: 10.0.0.5,10.1.0.0/16,fd00::/64"
        raise InvalidInput("serve.trusted_proxies", f"{VARIABLE} cannot be read: {'; '.join(wrong)}.", remedy)
    return tuple(networks)


def caller_of(connection: str, forwarded: Sequence[str], trusted: Sequence[Network]) -> str:
    """The address that a request came from.

    connection: the address of whoever connected. forwarded: the X-Forwarded-For headers, in order. It is the
    connection's, unless that is a trusted proxy's: then the last one forwarded that is not a trusted proxy's, since
    what stands before it anybody may have written. The connection's too when what stands there is no address.
    """
    if not trusted:
        return connection
    try:
        if not _among(_address(connection), trusted):
            return connection
        for entry in reversed(",".join(forwarded).split(",")):
            address = _address(entry.strip())
            if not _among(address, trusted):
                return str(address)
    except ValueError:
        pass
    return connection


def _network(entry: str) -> Network:
    network = ip_network(entry)
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        raise ValueError(f"{entry!r} is an IPv4 address in IPv6 form; write it as IPv4")
    return network


def _address(text: str) -> Address:
    """An address; one of IPv4 that a socket of IPv6 tells is that of IPv4."""
    address = ip_address(text)
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address


def _among(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)
