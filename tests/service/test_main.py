import re
import signal
import subprocess
import sys

import httpx
import pytest

from service.__main__ import main
from service.origin import is_loopback
from storage import Ledger, Settings


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "::1", "localhost"])
def test_loopback(host):
    assert is_loopback(host)


EVERYWHERE = "0.0.0.0"  # noqa: S104 - the address that must be refused


@pytest.mark.parametrize("host", [EVERYWHERE, "::", "", "192.168.1.5", "example.org", "127.0.0.1.example.org", "127.1"])
def test_any_other_address_is_refused_without_a_key_that_can_be_used(host, capsys, tmp_path, monkeypatch):
    for changes_this_process in ("hide_process", "log_as_json"):
        monkeypatch.setattr(f"service.__main__.{changes_this_process}", lambda: None)
    settings = Settings(data_dir=tmp_path)
    arguments = ["--host", host, "--data-dir", str(tmp_path)]
    assert main(arguments) == 2
    assert "refusing to listen" in capsys.readouterr().err
    ledger = Ledger.open(settings.database_url)
    key, _ = ledger.create_key(tenant="t", name="n", scope="read")
    ledger.revoke_key(key.id)
    ledger.close()
    assert main(arguments) == 2


def test_with_a_key_any_address_is_listened_on(tmp_path):
    ledger = Ledger.open(Settings(data_dir=tmp_path).prepared().database_url)
    _, key = ledger.create_key(tenant="t", name="n", scope="read")
    ledger.close()
    command = [sys.executable, "-m", "service", "--host", EVERYWHERE, "--port", "0", "--data-dir", str(tmp_path)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            port = next(m[1] for line in process.stderr if (m := re.search(r"http://0\.0\.0\.0:(\d+)", line)))
            address = f"http://127.0.0.1:{port}/v1/jobs"
            assert httpx.get(address, timeout=60).status_code == 401
            assert httpx.get(address, headers={"Authorization": f"Bearer {key}"}, timeout=60).status_code == 200
        finally:
            process.terminate()
            process.communicate(timeout=60)


def test_it_serves_and_ends(tmp_path):
    command = [sys.executable, "-m", "service", "--port", "0", "--data-dir", str(tmp_path / "data")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        address = next(m[1] for line in process.stderr if (m := re.search(r"(http://127\.0\.0\.1:\d+)", line)))
        assert httpx.get(f"{address}/livez", timeout=60).status_code == 200
        assert (tmp_path / "data" / "sterna.db").exists()
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode in {0, -signal.SIGINT, 130}
