import socket
from ipaddress import ip_address

import pytest

from storage.public_addresses import AddressRefused, check_literal, public_address

PRIVATE = (
    "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.1.2.3", "224.0.0.1",
    "::1", "fe80::1", "fc00::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "ff02::1",
    "2130706433", "0x7f000001", "127.1", "0177.0.0.1",
)  # fmt: skip


@pytest.mark.parametrize("host", PRIVATE)
def test_no_address_of_a_private_network_in_any_form(host):
    for refuse in (lambda: check_literal(host), lambda: public_address(host, 80)):
        with pytest.raises(AddressRefused, match="no address of the public internet"):
            refuse()


@pytest.mark.parametrize("host", ["93.184.216.34", "2606:4700::1111"])
def test_public_addresses_may_be_called(host):
    check_literal(host)
    assert public_address(host, 443) == ip_address(host)


def test_what_the_operator_allows_and_no_more():
    check_literal("10.1.2.3", allowed_networks=["10.0.0.0/8"])
    check_literal("::ffff:10.1.2.3", allowed_networks=["10.0.0.0/8"])
    with pytest.raises(AddressRefused):
        check_literal("192.168.1.1", allowed_networks=["10.0.0.0/8"])


@pytest.mark.parametrize("host", ["ci.example", "localhost", "127.0.0.1.example", "", "a" * 64 + ".example"])
def test_a_name_is_not_resolved_before_it_is_called(host, monkeypatch):
    real = socket.getaddrinfo

    def resolve(*given, flags=0, **more):
        assert flags & socket.AI_NUMERICHOST, "it was looked up"
        return real(*given, flags=flags, **more)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    check_literal(host)
