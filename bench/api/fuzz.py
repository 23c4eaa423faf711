"""`make fuzz-api`: schemathesis over the OpenAPI document, all checks, against a service that asks for keys.

The service is a real process. It is asked twice: with ids that lead nowhere, and with those of a finished job, an
upload, a sweep and a webhook. Ends with 1 when an answer was a 5xx, of a status or a shape that the document does not
have, when a wrong request was accepted, or when the service's log tells of an error.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from bench.api.furnished import furnish
from bench.api.running import Running, running_service

CONFIG = Path(__file__).with_name("schemathesis.toml")
SETTINGS = {
    "STERNA_MAX_WAIT_S": "0.1",
    "STERNA_REQUESTS_PER_MINUTE": "1000000",
    "STERNA_WORKER_ALIVE_S": "3600",
}
_GENERATED = re.compile(r"(\d+) generated")


def fuzz(service: Running, config: Path, *arguments: str) -> tuple[int, int]:
    """Runs schemathesis once; what it keeps for itself stays in the folder of the service.

    Returns:
        Its exit code and how many cases it made. What it says goes to standard output.
    """
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run"]
    command += [f"{service.url}/openapi.json", "--url", service.url, "--checks", "all"]
    command += ["--suppress-health-check", "all", "--warnings", "off", "--continue-on-failure", "--no-color"]
    command += ["--header", f"Authorization: Bearer {service.key}", *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=service.settings.data_dir.parent)
    sys.stdout.write(done.stdout + done.stderr)
    made = _GENERATED.search(done.stdout)
    return done.returncode, 0 if made is None else int(made[1])


def configured(folder: Path, parameters: Mapping[str, str]) -> Path:
    """The configuration, with values for path parameters."""
    lines = [f'"path.{name}" = "{value}"' for name, value in parameters.items()]
    path = folder / "schemathesis.toml"
    path.write_text("\n".join((CONFIG.read_text(), "[parameters]", *lines, "")))
    return path


def main() -> int:
    """Starts a service and fuzzes it."""
    parser = argparse.ArgumentParser(description="schemathesis against a service of its own")
    parser.add_argument("--cases", type=int, default=60, help="random cases of each call; others are added")
    parser.add_argument("--seed", default="1", help="the same seed makes the same cases")
    parser.add_argument("--phases", default="examples,coverage,fuzzing,stateful")
    parser.add_argument("--short", action="store_true", help="only with ids that lead somewhere")
    options = parser.parse_args()
    chosen = ("--max-examples", str(options.cases), "--seed", options.seed, "--phases", options.phases)
    with tempfile.TemporaryDirectory() as name, running_service(Path(name), with_key=True, **SETTINGS) as service:
        folder = Path(name)
        furnished = configured(folder, furnish(service.settings, folder, tenant="bench"))
        # What is deleted would lead nowhere afterwards.
        runs = [fuzz(service, furnished, *chosen, "--exclude-method", "DELETE")]
        if not options.short:
            runs.append(fuzz(service, CONFIG, *chosen))
        log = (folder / "service.log").read_text()
    faults = [line for line in log.splitlines() if '"level": "error"' in line]
    sys.stdout.write("".join(f"fault: {line[:2000]}\n" for line in faults[:10]))
    sys.stdout.write(f"{sum(cases for _, cases in runs)} cases, {len(faults)} faults in the service's log\n")
    return 1 if faults else max(code for code, _ in runs)


if __name__ == "__main__":
    sys.exit(main())
