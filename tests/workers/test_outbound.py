import socket

import pytest

from storage.public_addresses import AddressRefused
from workers import outbound
from workers.outbound import post

PRIVATE = [
    "127.0.0.1", "127.9.9.9", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.1.2.3",
    "224.0.0.1", "255.255.255.255", "[::1]", "[::]", "[fe80::1]", "[fc00::1]", "[::ffff:127.0.0.1]",
    "[::ffff:169.254.169.254]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[2001:0:7f00:1::]", "[ff02::1]",
    "localhost", "2130706433", "0x7f000001", "127.1", "no.such.name.invalid", "a" * 64 + ".example", "[::1", "xn--",
]  # fmt: skip


@pytest.mark.parametrize("host", PRIVATE)
def test_no_way_leads_inside(host):
    with pytest.raises(AddressRefused):
        post(f"http://{host}:9/x", "{}", {})


def test_one_private_address_among_public_ones_is_one_too_many(monkeypatch):
    def resolve(_host, port, **_):
        return [(socket.AF_INET, 1, 6, "", (one, port)) for one in ("93.184.216.34", "10.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with pytest.raises(AddressRefused, match=r"10\.0\.0\.1"):
        post("https://rebinding.example/", "{}", {})


def test_a_name_is_asked_once_and_the_connection_goes_where_it_led(monkeypatch):
    """A name that changes its mind between the look and the call leads nowhere else."""
    asked = []
    real = socket.getaddrinfo

    def resolve(host, port, *rest, **more):
        asked.append(host)
        return real("127.0.0.1" if host == "changes.example" else host, port, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        port = server.getsockname()[1]
        monkeypatch.setattr(outbound, "TIMEOUT_S", 0.5)
        with pytest.raises(outbound.httpx.HTTPError):
            post(f"http://changes.example:{port}/", "{}", {}, allowed_networks=["127.0.0.0/8"])
        connection, _ = server.accept()
        assert f"Host: changes.example:{port}".encode() in connection.recv(4096)
        connection.close()
    assert asked.count("changes.example") == 1
