"""The GitHub Action and the GitLab template as their runners would run them, against the live service."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from sterna.artifact import Artifact

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "examples/ci/compress.sh"


def environment(env):
    """What a pipeline names, and the commands of this environment."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("STERNA_")}
    return kept | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"} | env


def shell(command, folder, env):
    """As a pipeline runs it, in its own folder."""
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", command],  # noqa: S607
        cwd=folder,
        env=environment(env),
        capture_output=True,
        text=True,
        check=False,
    )


def run_action(folder, given):
    """The steps of the composite action, its expressions replaced as the runner does; what they wrote."""
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    unknown = given.keys() - action["inputs"].keys()
    assert not unknown
    missing = {name for name, one in action["inputs"].items() if one.get("required")} - given.keys()
    assert not missing
    values = {f"inputs.{name}": given.get(name, one.get("default", "")) for name, one in action["inputs"].items()}
    values |= {"github.action_path": str(ROOT), "runner.temp": str(folder)}
    files = {"GITHUB_STEP_SUMMARY": str(folder / "summary.md"), "GITHUB_OUTPUT": str(folder / "output")}
    for step in action["runs"]["steps"]:
        assert "${{" not in step["run"], "an input would be read as a script"
        if step.get("if") == "inputs.install != 'none'" and values["inputs.install"] == "none":
            continue
        env = {
            name: re.sub(r"\$\{\{ (\S+) }}", lambda found: values[found[1]], text) for name, text in step["env"].items()
        }
        done = shell(step["run"], folder, env | files)
        if done.returncode:
            break
    return done


def told(folder):
    return dict(line.split("=", 1) for line in (folder / "output").read_text().splitlines())


def test_the_action_gives_a_verified_artifact_and_a_summary(service, tiny, tmp_path):
    done = run_action(
        tmp_path,
        {
            "url": service, "model": str(tiny.model), "data": str(tiny.data), "sparsity": "0.5", "max-drop": "1",
            "args": "--epochs 1 --label team=ci --exclude 2.*", "install": "none", "output": "out/small.sterna",
        },
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    job = json.loads((tmp_path / "sterna-job.json").read_text())
    assert told(tmp_path) == {"job": job["id"], "artifact": "out/small.sterna"}
    assert (job["labels"], job["spec"]["exclude"]) == ({"team": "ci"}, ["2.*"])
    assert job["spec"]["acceptance"] == {"max_drop": 1.0, "on_miss": "fail"}
    with Artifact.open(tmp_path / "out/small.sterna") as artifact:
        artifact.verify()
        assert artifact.sparsity == 0.5
    summary = (tmp_path / "summary.md").read_text()
    assert summary.startswith("### Sterna: passed\n\n| | |\n|---|---|\n")
    assert "| sparsity, counted in the file | 50.0000% (met) |" in summary
    assert f"| sha-256 of model.sterna | {job['result']['artifacts'][0]['sha256']} |" in summary


@pytest.fixture(scope="module")
def own_answers(tiny, tmp_path_factory):
    """Data that the tiny network answers without a fault, and that no ternary one with 12 weights left can."""
    import torch  # noqa: PLC0415  the network of the fixture, made again

    inputs = np.random.default_rng(1).standard_normal((400, 4), dtype=np.float32)
    network = torch.export.load(tiny.model).module()
    target = network(torch.from_numpy(inputs)).argmax(1).numpy()
    path = tmp_path_factory.mktemp("own") / "own.npz"
    np.savez(path, input=inputs, target=target)
    return path


def test_the_template_fails_on_a_missed_acceptance_and_still_tells_why(service, tiny, own_answers, tmp_path):
    template = yaml.safe_load((ROOT / "examples/ci/gitlab.yml").read_text())[".sterna"]
    env = template["variables"] | {
        "STERNA_URL": service, "STERNA_API_KEY": "", "STERNA_SCRIPT": str(SCRIPT), "STERNA_MODEL": str(tiny.model),
        "STERNA_DATA": str(own_answers), "STERNA_SPARSITY": "0.75", "STERNA_MAX_DROP": "0",
        "STERNA_ARGS": "--epochs 0.1",
    }  # fmt: skip
    done = shell("\n".join(template["script"]), tmp_path, env)
    assert done.returncode == 4, done.stderr
    assert "error[ACCEPTANCE_MISSED]" in done.stderr
    assert (tmp_path / env["STERNA_SUMMARY"]).read_text().startswith("### Sterna: acceptance missed\n")
    assert json.loads((tmp_path / "sterna-job.json").read_text())["error"]["code"] == "ACCEPTANCE_MISSED"
    assert not (tmp_path / env["STERNA_OUTPUT"]).exists()
    kept = template["artifacts"]
    paths = {path.replace("$STERNA_OUTPUT", env["STERNA_OUTPUT"]) for path in kept["paths"]}
    assert (kept["when"], paths) == ("always", {"model.sterna", "sterna-summary.md", "sterna-job.json"})


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"STERNA_SPARSITY": ""}, 2, "must be set"),
        ({"STERNA_SPARSITY": "2"}, 2, "less than 1"),
        ({"STERNA_MODEL": __file__}, 7, "UNSUPPORTED_FORMAT"),
    ],
)
def test_what_is_wrong_ends_with_its_own_code_and_no_job(service, tiny, tmp_path, change, code, words):
    env = {"STERNA_URL": service, "STERNA_MODEL": str(tiny.model), "STERNA_SPARSITY": "0.5"}
    env["STERNA_OUTPUTS"] = str(tmp_path / "output")
    done = shell(f"bash {SCRIPT}", tmp_path, env | change)
    assert (done.returncode, done.stdout) == (code, "")
    assert words in done.stderr
    assert not (tmp_path / "output").exists()


def test_a_pipeline_that_is_cancelled_cancels_its_job(at_service, service, tiny, tmp_path):
    env = {"STERNA_URL": service, "STERNA_MODEL": str(tiny.model), "STERNA_SPARSITY": "0.5"}
    env["STERNA_ARGS"] = "--seconds 600"
    with subprocess.Popen(
        ["bash", str(SCRIPT)],  # noqa: S607
        cwd=tmp_path,
        env=environment(env),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        job_id = process.stdout.readline().removeprefix("job ").strip()
        assert process.stderr.readline() in {"queued\n", "validating\n", "running\n", "baseline\n", "search\n"}
        process.terminate()
        process.communicate(timeout=60)
    assert process.returncode == 130
    assert at_service("wait", job_id, "--timeout", 60).code == 3
    assert json.loads(at_service("status", job_id, "--json").out)["state"] == "cancelled"
