"""`make compose-test`: builds the images, brings docker-compose.yml up and gives it work, for real.

For a Debian machine where this may be root; programs that are missing are installed by apt-get. It starts a Docker
daemon of its own in a temporary folder and works on a copy of the repository, so that neither images nor volumes nor
secrets are left behind. No image is pulled: a base image is made from Debian's packages, and `docker/stand-ins/` make
the three servers under the names that the composition asks for. With `--pull` the real ones are used.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx
import yaml

from api_schemas import Job
from examples.digits import write_example
from sterna.client import Client

ROOT: Final = Path(__file__).resolve().parents[1]
PACKAGES: Final = ("docker.io", "docker-compose", "iptables", "mmdebstrap")
BASE: Final = "python:3.11-slim-bookworm"
STAND_INS: Final = {
    "postgres": "postgres:17-bookworm",
    "valkey": "valkey/valkey:8.1-bookworm",
    "seaweedfs": "chrislusf/seaweedfs:4.48",
}
OURS: Final = ("service", "worker", "store")
LASTING: Final = (*OURS, "postgres", "redis")
CERTIFICATES: Final = Path("/etc/ssl/certs/ca-certificates.crt")
PROJECT: Final = "sterna-compose-test"
PORT: Final = 18_700
URL: Final = f"http://127.0.0.1:{PORT}"
WAIT_S: Final = 300.0
# A job that is still at work when its worker is taken away.
LONG: Final = {"target_sparsity": 0.9, "budget": {"epochs": 10_000, "seconds": 40}}

T = TypeVar("T")


class Daemon:
    """A Docker daemon of our own, as its two programs reach it.

    Args:
        folder: what it keeps lies here.
        copy: the repository that the composition is read from.
    """

    def __init__(self, folder: Path, copy: Path) -> None:
        self.socket = folder / "docker.sock"
        self.copy = copy
        self._folder = folder
        # Without BuildKit, which Debian's package has not.
        docker = {"DOCKER_HOST": f"unix://{self.socket}", "DOCKER_BUILDKIT": "0"}
        self._environment = os.environ | docker | {"COMPOSE_PROJECT_NAME": PROJECT, "STERNA_PORT": str(PORT)}

    @contextmanager
    def running(self) -> Iterator[None]:
        """Start it, and end it at the end of the block."""
        command = ("/usr/sbin/dockerd", "--oom-score-adjust=0", f"--data-root={self._folder / 'docker'}")
        own = (
            f"--exec-root={self._folder / 'exec'}",
            f"--pidfile={self._folder / 'pid'}",
            f"--host=unix://{self.socket}",
        )
        with (self._folder / "dockerd.log").open("wb") as log:
            process = subprocess.Popen((*command, *own), stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            wait_until(self.socket.exists, "the Docker daemon listens")
            self.docker("info")
            yield
        finally:
            process.terminate()
            process.wait(timeout=120)
            # A file system that the daemon mounted and leaves behind.
            subprocess.run(
                ("umount", str(self._folder / "exec" / "netns" / "default")), capture_output=True, check=False
            )

    def docker(self, *words: str, check: bool = True) -> str:
        """What `docker` says; Debian's, whatever else this machine has."""
        return self._said(("/usr/bin/docker", *words), check=check)

    def compose(self, *words: str, check: bool = True) -> str:
        """What `docker-compose` says."""
        return self._said(("/usr/bin/docker-compose", *words), check=check)

    def container(self, service: str) -> dict[str, Any]:
        """What the daemon knows of a service's one container."""
        [found] = json.loads(self.docker("inspect", *self.compose("ps", "--quiet", service).split()))
        return dict(found)

    def _said(self, command: Sequence[str], *, check: bool) -> str:
        done = subprocess.run(
            command, cwd=self.copy, env=self._environment, capture_output=True, text=True, check=False
        )
        if check and done.returncode != 0:
            sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")
        return done.stdout


def main() -> None:
    """Do all of it; ends with an error where something is not as it should be."""
    options = _options()
    if os.geteuid() != 0:
        sys.exit("compose-test starts a Docker daemon: run it as root, on a machine that may be changed")
    step("packages", _install)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sterna-compose-", dir="/var/tmp")))
        daemon = Daemon(folder, folder / "sterna")
        step("a copy of the repository", lambda: _copy(daemon.copy))
        stack.enter_context(daemon.running())
        if not options.pull:
            step("a base image", lambda: _make_base(daemon, folder))
            step("servers", lambda: _make_servers(daemon))
        with _torch_index(options.torch_wheels) as index:
            _build(daemon, index)
        step("what the images hold", lambda: _look_into_images(daemon))
        stack.callback(lambda: daemon.compose("down", "--volumes", "--timeout", "5", check=False))
        try:
            _use(daemon, folder)
        except BaseException:
            print(daemon.compose("ps", check=False), daemon.compose("logs", "--tail=40", "--no-color", check=False))
            raise
    print("all is well")


def _use(daemon: Daemon, folder: Path) -> None:
    """Everything that is asked of the running composition."""
    secrets = step("secrets", lambda: _make_secrets(daemon.copy))
    step("up, and all healthy", lambda: _up(daemon))
    step("walls of the containers", lambda: _look_at_containers(daemon))
    step("secrets are nowhere else", lambda: _look_for_secrets(daemon, secrets))
    model, data = step("a trained network", lambda: write_example("mlp", folder))
    key = secrets["STERNA_API_KEY"]
    step("a job, by the command line", lambda: _compress(key, model, data, folder))
    with Client(URL, api_key=key) as client:
        job = step("a job begins", lambda: _begun(client, model, data))
        step("its worker is killed, and comes back", lambda: _kill_the_worker(daemon))
        step("the job is done by its second attempt", lambda: _ends_well(client, job, attempt=2))
        job = step("another begins", lambda: _begun(client, model, data))
        step("its worker is asked to stop, and gives it back", lambda: _stop_the_worker(daemon, client, job))
        step("a new worker does it", lambda: _ends_well(client, job, attempt=2))
    step("down and up again, with what there was", lambda: _restart(daemon, key))


def step(name: str, do: Callable[[], T]) -> T:
    """Do it, and say how long it took."""
    began = time.monotonic()
    print(f"{name} …", end=" ", flush=True)
    result = do()
    print(f"{time.monotonic() - began:.0f} s", flush=True)
    return result


def wait_until(true: Callable[[], bool], what: str, *, within_s: float = WAIT_S) -> None:
    """Wait for something, or end with what did not come."""
    deadline = time.monotonic() + within_s
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {within_s:g} s: {what}")
        time.sleep(0.5)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make compose-test", description=__doc__)
    parser.add_argument("--pull", action="store_true", help="use the real images instead of stand-ins")
    parser.add_argument(
        "--torch-wheels", type=Path, help="a folder with torch's wheel, for machines that reach no index of it"
    )
    return parser.parse_args()


def _install() -> None:
    missing = [
        name for name in PACKAGES if subprocess.run(("dpkg", "-s", name), capture_output=True, check=False).returncode
    ]
    if missing:
        subprocess.run(
            ("apt-get", "install", "--yes", "--no-install-recommends", *missing), check=True, capture_output=True
        )


def _copy(target: Path) -> None:
    """What git would commit, and nothing that it ignores: no secrets, no environment."""
    listed = subprocess.run(
        ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"),
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)


def _make_base(daemon: Daemon, folder: Path) -> None:
    """Debian with Python, under the name of Python's image; it trusts whom this machine trusts."""
    packages = "python3,python3-venv,python3-pip,ca-certificates"
    tar = folder / "base.tar"
    command = ("mmdebstrap", "--quiet", "--variant=minbase", f"--include={packages}", "bookworm", str(tar))
    subprocess.run(command, check=True)
    daemon.docker(
        "import", "--change", "ENV PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", str(tar), "debian-python"
    )
    tar.unlink()
    context = folder / "base"
    context.mkdir()
    shutil.copy(CERTIFICATES, context / "ca-certificates.crt")
    (context / "Dockerfile").write_text(
        "FROM debian-python\n"
        f"COPY ca-certificates.crt {CERTIFICATES}\n"
        "RUN ln -s /usr/bin/python3 /usr/local/bin/python && rm -f /usr/lib/python3*/EXTERNALLY-MANAGED\n"
        f"ENV PIP_CERT={CERTIFICATES}\n"
    )
    daemon.docker("build", "--quiet", "--tag", BASE, str(context))


def _make_servers(daemon: Daemon) -> None:
    for name, image in STAND_INS.items():
        recipe = f"docker/stand-ins/{name}.Dockerfile"
        daemon.docker("build", "--quiet", "--network=host", "--file", recipe, "--tag", image, "docker/stand-ins")


@contextmanager
def _torch_index(wheels: Path | None) -> Iterator[str | None]:
    """Serve a folder with torch's wheel as an index, on this machine alone; None where there is no such folder."""
    if wheels is None:
        yield None
        return
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "torch").symlink_to(wheels.resolve())
        handler = partial(_Quiet, directory=folder)
        with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            yield f"http://127.0.0.1:{server.server_port}"
            server.shutdown()
            thread.join()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _build(daemon: Daemon, torch_index: str | None) -> None:
    """As `docker-compose build` would, which cannot be told to use this machine's network."""
    composition = yaml.safe_load((daemon.copy / "docker-compose.yml").read_text())
    for name in OURS:
        service = composition["services"][name]
        context, image = service["build"]["context"], _image(service)
        recipe = Path(context) / service["build"]["dockerfile"]
        arguments = ("--build-arg", f"TORCH_INDEX={torch_index}") if torch_index and name == "worker" else ()
        words = ("build", "--quiet", "--network=host", "--file", str(recipe), "--tag", image, *arguments, context)
        step(f"the image {image}", lambda words=words: daemon.docker(*words))  # type: ignore[misc]


def _image(service: Mapping[str, Any]) -> str:
    return re.sub(r"\$\{[A-Z_]+:-([^}]*)\}", r"\1", service["image"])


def _look_into_images(daemon: Daemon) -> None:
    composition = yaml.safe_load((daemon.copy / "docker-compose.yml").read_text())
    images = {name: _image(composition["services"][name]) for name in OURS}
    has = (
        "import importlib.util as u, shutil;"
        "print(*(bool(u.find_spec(name)) for name in ('torch', 'fastapi')), shutil.which('cc'))"
    )
    for name, expected in {"service": "False True None", "worker": "True True None"}.items():
        said = daemon.docker("run", "--rm", "--network=none", images[name], "python", "-c", has).strip()
        assert said == expected, f"{name}: {said}"
    for image in images.values():
        [found] = json.loads(daemon.docker("inspect", image))
        assert int(found["Config"]["User"].split(":")[0]) > 0
        print(f"{image} {found['Size'] / 1e6:.0f} MB,", end=" ")


def _make_secrets(copy: Path) -> dict[str, str]:
    subprocess.run(("/bin/sh", "docker/make-secrets.sh"), cwd=copy, check=True, capture_output=True)
    files = (copy / "docker" / "secrets").glob("*.env")
    return dict(line.split("=", 1) for file in files for line in file.read_text().splitlines())


def _up(daemon: Daemon) -> None:
    daemon.compose("up", "--detach", "--no-build")
    for service in LASTING:
        wait_until(lambda service=service: _health(daemon, service) == "healthy", f"{service} is healthy")  # type: ignore[misc]
    wait_until(lambda: httpx.get(f"{URL}/readyz").is_success, "the service is ready")


def _health(daemon: Daemon, service: str) -> str:
    return str(daemon.container(service)["State"]["Health"]["Status"])


def _look_at_containers(daemon: Daemon) -> None:
    for service in LASTING:
        host = daemon.container(service)["HostConfig"]
        assert host["ReadonlyRootfs"], service
        assert host["CapDrop"] == ["ALL"], service
        assert host["Memory"] > 0, service
        assert host["NanoCpus"] > 0, service
        assert host["PidsLimit"] > 0, service
        # As the kernel sees the process itself.
        said = daemon.compose("exec", "-T", service, "sh", "-c", "id -u; cat /proc/1/status; touch /x 2>&1 || true")
        assert int(said.split()[0]) > 0, service
        assert re.search(r"CapEff:\s+0{16}\s", said), service
        assert re.search(r"NoNewPrivs:\s+1\s", said), service
        assert re.search(r"Seccomp:\s+2\s", said), service
        assert "Read-only file system" in said, service
    published = daemon.docker("ps", "--format", "{{.Ports}}")
    assert set(re.findall(r"(\S+)->", published)) == {f"127.0.0.1:{PORT}"}, published


def _look_for_secrets(daemon: Daemon, secrets: Mapping[str, str]) -> None:
    """Not in the layers of an image, not in its settings, not in a list of processes, not in a log."""
    # The name of the store's key is none: the store writes it to its log.
    values = {found for value in secrets.values() for found in re.findall(r"[0-9a-f]{48}|sterna_\S{43}", value)}
    values.remove(secrets["AWS_ACCESS_KEY_ID"])
    assert len(values) == 4
    images = daemon.docker("images", "--quiet").split()
    told = daemon.docker("inspect", *images) + "".join(daemon.docker("history", "--no-trunc", one) for one in images)
    told += "".join(daemon.docker("top", daemon.container(service)["Id"]) for service in LASTING)
    told += daemon.compose("logs", "--no-color")
    assert not any(value in told for value in values)


def _compress(key: str, model: Path, data: Path, folder: Path) -> None:
    """Submit, wait, download and verify, as somebody at a terminal does."""
    environment = os.environ | {"STERNA_URL": URL, "STERNA_API_KEY": key}

    def sterna(*words: str) -> str:
        command = (str(Path(sys.executable).with_name("sterna")), *words)
        done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{words} ended with {done.returncode}: {done.stderr[-2000:]}")
        return done.stdout.strip()

    job = sterna("submit", str(model), "--data", str(data), "--sparsity", "0.9")
    sterna("wait", job)
    told = json.loads(sterna("status", job, "--json"))
    assert told["state"] == "succeeded", told
    assert told["sandbox"] == "bubblewrap", told
    assert abs(told["result"]["sparsity"] - 0.9) <= 0.0005, told
    sterna("download", job)
    sterna("verify", "model.sterna")


def _begun(client: Client, model: Path, data: Path) -> Job:
    job = client.submit(model, data, LONG)
    wait_until(lambda: (client.job(job.id).latest.loss or 0) > 0, "the job's training has begun")
    assert client.job(job.id).attempt == 1
    return job


def _kill_the_worker(daemon: Daemon) -> None:
    """As the kernel would for memory; not by Docker, which then takes it for somebody's wish and restarts nothing."""
    before = daemon.container("worker")
    os.kill(before["State"]["Pid"], signal.SIGKILL)
    wait_until(lambda: daemon.container("worker")["RestartCount"] == before["RestartCount"] + 1, "a restart")
    wait_until(lambda: _health(daemon, "worker") == "healthy", "the worker is healthy again")


def _stop_the_worker(daemon: Daemon, client: Client, job: Job) -> None:
    daemon.compose("stop", "worker")
    found = client.job(job.id)
    assert (found.state, found.attempt) == ("queued", 2), found  # at once, not when a lease has run out
    assert daemon.container("worker")["State"]["ExitCode"] == 0
    daemon.compose("start", "worker")


def _ends_well(client: Client, job: Job, *, attempt: int) -> None:
    done = client.wait(job.id, timeout_s=WAIT_S)
    assert (done.state, done.attempt) == ("succeeded", attempt), done


def _restart(daemon: Daemon, key: str) -> None:
    with Client(URL, api_key=key) as client:
        before = [job.id for job in client.jobs()]
        daemon.compose("down")
        _up(daemon)
        assert [job.id for job in client.jobs()] == before
        assert len(before) == 3


if __name__ == "__main__":
    main()
