"""The same code at scale: a service and two workers, on Valkey, PostgreSQL and S3, chosen by three addresses alone."""

import os
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from sterna.artifact import Artifact
from sterna.client import Client
from storage import Ledger
from tests.servers.real_server import free_port

ROOT = Path(__file__).parents[2]
READY_S = 300
WORK_S = 300


class Installation:
    """Processes of one installation, each with a data folder of its own, as on hosts of their own."""

    def __init__(self, folder, addresses):
        self.folder, self.addresses = folder, addresses
        self.url = f"http://127.0.0.1:{free_port()}"
        self.processes = []

    def start(self, name, *command):
        log = (self.folder / f"{name}.log").open("wb")
        environment = os.environ | self.addresses | {"STERNA_DATA_DIR": str(self.folder / name), "STERNA_LEASE_S": "10"}
        process = subprocess.Popen(
            [sys.executable, "-m", *command], cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
        log.close()
        self.processes.append(process)
        return process

    def wait_until_ready(self, *, workers):
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline:
            for process in self.processes:
                assert process.poll() is None, self.logs()
            try:
                ready = httpx.get(f"{self.url}/readyz", timeout=10).is_success
                if ready and len(httpx.get(f"{self.url}/v1/workers", timeout=10).json()["workers"]) == workers:
                    return
            except httpx.TransportError:
                ready = False
            time.sleep(0.2)
        raise AssertionError(self.logs())

    def logs(self):
        return "\n".join(f"{log.name}:\n{log.read_text()[-3000:]}" for log in sorted(self.folder.glob("*.log")))

    def end(self):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture
def installation(tmp_path, valkey_url, postgres_url, s3_url):
    addresses = {"STERNA_BROKER_URL": valkey_url, "STERNA_DATABASE_URL": postgres_url, "STERNA_STORAGE_URL": s3_url}
    one = Installation(tmp_path, addresses)
    try:
        one.start("service", "service", "--port", one.url.rpartition(":")[2])
        one.start("worker-1", "workers", "-c", "1")
        one.start("worker-2", "workers", "-c", "1")
        one.wait_until_ready(workers=2)
        yield one
    finally:
        one.end()


def test_a_job_and_a_sweep_pass_through_all_three_servers(installation, tiny, tmp_path, postgres_url):
    spec = {"budget": {"epochs": 2}}
    with Client(installation.url) as client:
        job = client.submit(tiny.model, tiny.data, spec | {"target_sparsity": 0.5})
        sweep = client.submit_sweep(tiny.model, tiny.data, spec | {"targets": [0.25, 0.75]})
        done = client.wait(job.id, timeout_s=WORK_S)
        assert done.state == "succeeded", f"{done.error}\n{installation.logs()}"
        with Artifact.open(client.download(job.id, "model.sterna", tmp_path / "model.sterna")) as artifact:
            artifact.verify()
            assert artifact.sparsity == 0.5
        points = client.wait_sweep(sweep.id, timeout_s=WORK_S).points
        assert [point.sparsity for point in points] == [0.25, 0.75]
    ledger = Ledger.open(postgres_url)
    assert {one.state for one in ledger.jobs().jobs} == {"succeeded"}
    ledger.close()
    # What lasts is with the servers: no database and no content lies on the hosts.
    lasting = [path for path in tmp_path.rglob("*") if path.suffix == ".db" or path.parent.parent.name == "blobs"]
    assert lasting == []


def test_servers_that_are_killed_and_come_back_cost_no_job(installation, tiny, postgres, valkey, s3):
    spec = {"budget": {"epochs": 2}, "target_sparsity": 0.5}
    with Client(installation.url) as client:
        upload = client.upload(tiny.model)
        postgres.kill()
        answer = httpx.get(f"{installation.url}/v1/jobs", timeout=60)
        assert_is_503(answer)
        postgres.start()
        s3.kill()
        assert_is_503(httpx.get(f"{installation.url}/v1/uploads/{upload.id}/inspection", timeout=60))
        s3.start()
        valkey.restart()
        postgres.restart()
        installation.wait_until_ready(workers=2)
        done = client.wait(client.submit(tiny.model, tiny.data, spec).id, timeout_s=WORK_S)
        assert done.state == "succeeded", f"{done.error}\n{installation.logs()}"
    assert all(process.poll() is None for process in installation.processes), installation.logs()


def assert_is_503(answer):
    assert answer.status_code == 503, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"]
    assert answer.json()["code"] == "SERVICE_UNAVAILABLE"
