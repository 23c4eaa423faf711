import re
import signal
import subprocess
import sys

import httpx
import pytest

from service.__main__ import main
from service.origin import is_loopback


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "::1", "localhost"])
def test_loopback(host):
    assert is_loopback(host)


EVERYWHERE = "0.0.0.0"  # noqa: S104 - the address that must be refused


@pytest.mark.parametrize("host", [EVERYWHERE, "::", "", "192.168.1.5", "example.org", "127.0.0.1.example.org", "127.1"])
def test_any_other_address_is_refused(host, capsys):
    assert main(["--host", host]) == 2
    assert "refusing to listen" in capsys.readouterr().err


def test_it_serves_and_ends(tmp_path):
    command = [sys.executable, "-m", "service", "--port", "0", "--data-dir", str(tmp_path / "data")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        address = next(m[1] for line in process.stderr if (m := re.search(r"(http://127\.0\.0\.1:\d+)", line)))
        assert httpx.get(f"{address}/livez").status_code == 200
        assert (tmp_path / "data" / "sterna.db").exists()
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    assert process.returncode in {0, -signal.SIGINT, 130}
