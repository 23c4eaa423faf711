"""Requests to addresses that strangers gave: never into this network, wherever a name leads today.

A name is resolved once; every address that it has must be one of the public internet, and the connection goes to the
address that was looked at, not to the name again. No redirect is followed, no proxy of the environment is used, and of
the answer no more than its status is read.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

import httpx

TIMEOUT_S: Final = 10.0
_NAT64: Final = IPv6Network("64:ff9b::/96")
_Address = IPv4Address | IPv6Address


class AddressRefused(Exception):
    """The address leads where strangers must not make this machine go, or nowhere."""


def post(url: str, body: str, headers: Mapping[str, str], *, allowed_networks: Sequence[str] = ()) -> int:
    """POST a body to a stranger's address; returns the status of the answer.

    Args:
        url: where, http or https.
        body: what.
        headers: with what.
        allowed_networks: networks that the operator allows although they are not public.

    Raises:
        AddressRefused: it leads into a network that is not public, or to nothing.
        httpx.HTTPError: it does not answer, or not in time.
    """
    target = httpx.URL(url)
    address = _resolve(target.host, target.port or (443 if target.scheme == "https" else 80), allowed_networks)
    port = "" if target.port is None else f":{target.port}"
    host = f"[{target.host}]" if ":" in target.host else target.host
    with httpx.Client(trust_env=False, follow_redirects=False, timeout=TIMEOUT_S) as client:
        request = client.build_request(
            "POST",
            target.copy_with(host=str(address)),
            content=body,
            headers=dict(headers) | {"Host": f"{host}{port}"},
            # The certificate has to be that of the name, whatever the address.
            extensions={"sni_hostname": target.host},
        )
        response = client.send(request, stream=True)
        response.close()
        return response.status_code


def _resolve(host: str, port: int, allowed_networks: Sequence[str]) -> _Address:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise AddressRefused(f"{host!r} leads nowhere") from error
    addresses = [ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
    for address in addresses:
        if not _may_be_called(address, allowed_networks):
            raise AddressRefused(f"{host!r} leads to {address}, which is no address of the public internet")
    return addresses[0]


def _may_be_called(address: _Address, allowed_networks: Sequence[str]) -> bool:
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return _may_be_called(address.ipv4_mapped, allowed_networks)
    for text in allowed_networks:
        network = ip_network(text)
        if network.version == address.version and address in network:
            return True
    if isinstance(address, IPv6Address) and (address in _NAT64 or address.sixtofour or address.teredo):
        return False  # an IPv4 address in disguise
    return address.is_global and not address.is_multicast
