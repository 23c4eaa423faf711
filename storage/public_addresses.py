"""Which addresses strangers may make an installation call: those of the public internet, and what is allowed besides.

A name is resolved each time that it is called, for it may lead elsewhere tomorrow. An address that is given as numbers
never changes, so that it can be refused the moment somebody names it.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address

_NAT64: Final = IPv6Network("64:ff9b::/96")


class AddressRefused(Exception):
    """The address leads where strangers must not make this machine go, or nowhere."""


def public_address(host: str, port: int, *, allowed_networks: Sequence[str] = ()) -> Address:
    """Resolve a host; every address that it has must be one that may be called.

    Args:
        host: a name, or an address in any form that the system's resolver takes.
        port: where to.
        allowed_networks: networks that the operator allows although they are not public.

    Raises:
        AddressRefused: it leads into a network that is not public, or to nothing.
    """
    try:
        addresses = _addresses(host, port)
    except (OSError, UnicodeError) as error:
        raise AddressRefused(f"{host!r} leads nowhere") from error
    _check(host, addresses, allowed_networks)
    return addresses[0]


def check_literal(host: str, *, allowed_networks: Sequence[str] = ()) -> None:
    """Refuse a host that is an address, in any form, and may not be called; no name is resolved.

    Raises:
        AddressRefused: it leads into a network that is not public.
    """
    try:
        addresses = _addresses(host, 0, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return  # a name
    _check(host, addresses, allowed_networks)


def _addresses(host: str, port: int, *, flags: int = 0) -> list[Address]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    return [ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]


def _check(host: str, addresses: Sequence[Address], allowed_networks: Sequence[str]) -> None:
    for address in addresses:
        if not _may_be_called(address, allowed_networks):
            raise AddressRefused(f"{host!r} leads to {address}, which is no address of the public internet")


def _may_be_called(address: Address, allowed_networks: Sequence[str]) -> bool:
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return _may_be_called(address.ipv4_mapped, allowed_networks)
    for text in allowed_networks:
        network = ip_network(text)
        if network.version == address.version and address in network:
            return True
    if isinstance(address, IPv6Address) and (address in _NAT64 or address.sixtofour or address.teredo):
        return False  # an IPv4 address in disguise
    return address.is_global and not address.is_multicast
