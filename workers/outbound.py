"""Requests to addresses that strangers gave: never into this network, wherever a name leads today.

A name is resolved once; every address that it has must be one of the public internet, and the connection goes to the
address that was looked at, not to the name again. No redirect is followed, no proxy of the environment is used, and of
the answer no more than its status is read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import httpx

from storage.public_addresses import AddressRefused, public_address

TIMEOUT_S: Final = 10.0


def post(url: str, body: str, headers: Mapping[str, str], *, allowed_networks: Sequence[str] = ()) -> int:
    """POST a body to a stranger's address; returns the status of the answer.

    Args:
        url: where, http or https.
        body: what.
        headers: with what.
        allowed_networks: networks that the operator allows although they are not public.

    Raises:
        AddressRefused: it is no address, or leads into a network that is not public, or to nothing.
        httpx.HTTPError: it does not answer, or not in time.
    """
    try:
        target = httpx.URL(url)
        host = target.host
    except (httpx.InvalidURL, UnicodeError) as error:
        raise AddressRefused(f"it is no address: {error}") from error
    to_port = target.port or (443 if target.scheme == "https" else 80)
    address = public_address(host, to_port, allowed_networks=allowed_networks)
    port = "" if target.port is None else f":{target.port}"
    host_header = f"[{host}]{port}" if ":" in host else f"{host}{port}"
    with httpx.Client(trust_env=False, follow_redirects=False, timeout=TIMEOUT_S) as client:
        request = client.build_request(
            "POST",
            target.copy_with(host=str(address)),
            content=body,
            headers=dict(headers) | {"Host": host_header},
            # The certificate has to be that of the name, whatever the address.
            extensions={"sni_hostname": host},
        )
        response = client.send(request, stream=True)
        response.close()
        return response.status_code
