"""Commands that talk to a service, against the live one: sweeps, estimates, what follows a job's end."""

import json

import pytest

from bench.api.running import running_service
from sterna.cli.progress import TransferProgress
from sterna.client import Client


def test_a_sweep_from_start_to_table(at_service, tiny):
    submitted = at_service(
        "sweep", "submit", tiny.model, "--data", tiny.data, "-s", 0.75, "-s", 0.5, "--epochs", 1,
        "--label", "of=sweep", "--wait", "--timeout", 120, "--json",
    )  # fmt: skip
    assert submitted.code == 0, submitted.err
    sweep = json.loads(submitted.out)
    assert (sweep["state"], sweep["id"] in submitted.err) == ("finished", True)
    assert [point["sparsity"] for point in sweep["points"]] == [0.5, 0.75]
    assert any(point["pareto"] for point in sweep["points"])
    listed = json.loads(at_service("list", "--label", "of=sweep", "--state", "succeeded", "--json").out)["jobs"]
    assert {job["id"] for job in listed} == {point["job_id"] for point in sweep["points"]}
    assert {job["spec"]["budget"]["epochs"] for job in listed} == {1.0}

    table = at_service("sweep", "status", sweep["id"])
    heading, first, second = table.out.splitlines()
    assert heading.split() == "target job state zeros metric drop bits bytes ratio pareto".split()  # noqa: SIM905
    assert [line.split()[0] for line in (first, second)] == ["0.5000", "0.7500"]


def test_trials_side_by_side_from_start_to_table(at_service, tiny):
    submitted = at_service(
        "sweep", "submit", tiny.model, "--data", tiny.data, "-s", 0.5, "--strategy", "trials", "--side-by-side", 2,
        "--epochs", 1, "--tolerance", 0.05, "--wait", "--timeout", 300, "--json",
    )  # fmt: skip
    assert submitted.code == 0, submitted.err
    sweep = json.loads(submitted.out)
    points = sweep["points"]
    assert (sweep["state"], {point["sparsity"] for point in points}) == ("finished", {0.5})
    assert max(point["round"] for point in points) in {1, 2, 3}
    assert [point["nearest"] for point in points].count(True) == 1
    table = at_service("sweep", "status", sweep["id"])
    assert "nearest" in table.out


def test_a_sweep_ends_as_its_jobs_did(at_service, tiny):
    sweep_id = at_service("sweep", "submit", tiny.model, "-s", 0.5, "--seconds", 600).out.strip()
    assert at_service("sweep", "wait", sweep_id, "--timeout", 0).code == 5
    (point,) = json.loads(at_service("sweep", "status", sweep_id, "--json").out)["points"]
    assert at_service("cancel", point["job_id"]).code == 0
    ended = at_service("sweep", "wait", sweep_id, "--timeout", 60)
    assert (ended.code, "error[CANCELLED]" in ended.err) == (3, True)

    assert json.loads(at_service("delete", point["job_id"], "--json").out) == {"id": point["job_id"], "deleted": True}
    assert at_service("status", point["job_id"]).code == 2
    assert at_service("sweep", "status", sweep_id).code == 2


def test_a_sweep_is_cancelled_or_stopped_and_deleted(at_service, tiny):
    for order in ("cancel", "stop"):
        sweep_id = at_service("sweep", "submit", tiny.model, "-s", 0.5, "-s", 0.75, "--seconds", 600).out.strip()
        asked = at_service("sweep", order, sweep_id, "--json")
        assert (asked.code, json.loads(asked.out)["id"]) == (0, sweep_id)
        if order == "stop":  # what it reaches may be the end that was asked for, or nothing yet
            assert at_service("sweep", "cancel", sweep_id).code in {0, 2}
        at_service("sweep", "wait", sweep_id, "--timeout", 60)
        again = at_service("sweep", order, sweep_id)
        assert (again.code, "error[CONFLICT]" in again.err) == (2, True)
        deleted = at_service("sweep", "delete", sweep_id, "--json")
        assert json.loads(deleted.out) == {"id": sweep_id, "deleted": True}
        assert at_service("sweep", "status", sweep_id).code == 2


def test_a_submission_that_is_waited_for_in_vain_goes_on_and_its_log_is_there(at_service, tiny):
    submitted = at_service(
        "submit", tiny.model, "--sparsity", 0.5, "--seconds", 600, "--label", "of=log", "--label", "n=1", "--wait",
        "--timeout", 0,
    )  # fmt: skip
    assert (submitted.code, "error[WAIT_TIMEOUT]" in submitted.err) == (5, True)
    job_id = submitted.err.split()[0]
    assert json.loads(at_service("cancel", job_id, "--json").out)["id"] == job_id
    assert at_service("wait", job_id, "--timeout", 60).code == 3

    both = ("--label", "of=log", "--label", "n=1", "--json")
    assert [job["id"] for job in json.loads(at_service("list", *both).out)["jobs"]] == [job_id]
    assert json.loads(at_service("list", *both, "--label", "n=2").out) == {"jobs": []}
    for states, found in ((("queued", "cancelled"), [job_id]), (("queued", "failed"), [])):
        wanted = [word for state in states for word in ("--state", state)]
        assert [job["id"] for job in json.loads(at_service("list", *both, *wanted).out)["jobs"]] == found


def test_the_log_of_an_attempt(at_service, monkeypatch):
    monkeypatch.setattr(Client, "log", lambda _, job_id, *, attempt: f"{job_id} {attempt}\n")
    assert at_service("logs", "job_x", "--attempt", 2).out == "job_x 2\n"
    assert json.loads(at_service("logs", "job_x", "--json").out) == {"log": "job_x None\n"}


def test_who_may_not_and_who_has_had_enough_end_with_6(sterna, tiny, tmp_path, monkeypatch):
    with running_service(tmp_path, with_key=True, STERNA_TENANT_QUEUED="1") as service:
        monkeypatch.setenv("STERNA_URL", service.url)
        for key in ("", "sterna_unknown"):
            monkeypatch.setenv("STERNA_API_KEY", key)
            done = sterna("list")
            assert (done.code, "error[UNAUTHENTICATED]" in done.err) == (6, True)
        monkeypatch.setenv("STERNA_API_KEY", service.key)
        codes = [sterna("submit", tiny.model, "--sparsity", 0.5).code for _ in range(2)]
        assert codes == [0, 6]
        assert "error[QUOTA_EXCEEDED]" in sterna("submit", tiny.model, "--sparsity", 0.5).err


def test_estimate(at_service, tiny):
    told = json.loads(at_service("estimate", tiny.model, "--data", tiny.data, "-s", 0.5, "--json").out)
    assert (told["ternarisable_weights"], told["parameters"]) == (4 * 8 + 8 * 2, 4 * 8 + 8 + 8 * 2 + 2)
    words = at_service("estimate", tiny.model, "-s", 0.5).out
    assert [line.split()[0] for line in words.splitlines()] == ["time", "memory", "artifact", "weights"]
    assert "48 of 58" in words


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["sweep", "submit", "MODEL", "-s", "0.5", "-s", "0.5"], 2, "twice"),
        (["sweep", "submit", "MODEL", "-s", "0.5", "-s", "1.5"], 2, "less than 1"),
        (["sweep", "submit", "MODEL"], 2, "--sparsity"),
        (["sweep", "submit", "MODEL", "-s", "0.5", "--side-by-side", "2"], 2, "side_by_side is given only with"),
        (["sweep", "wait", "swp_x"], 2, "error[NOT_FOUND]"),
        (["sweep", "cancel", "swp_x"], 2, "error[NOT_FOUND]"),
        (["sweep", "stop", "swp_x"], 2, "error[NOT_FOUND]"),
        (["sweep", "delete", "swp_x"], 2, "error[NOT_FOUND]"),
        (["estimate", __file__, "-s", "0.5"], 7, "error[UNSUPPORTED_FORMAT]"),
        (["logs", "job_x"], 2, "error[NOT_FOUND]"),
        (["retry", "job_x"], 2, "error[NOT_FOUND]"),
        (["delete", "job_x"], 2, "error[NOT_FOUND]"),
    ],
)
def test_refusals_in_words(at_service, tiny, arguments, code, words):
    done = at_service(*(tiny.model if one == "MODEL" else one for one in arguments))
    assert (done.code, done.out) == (code, "")
    assert words in done.err


def test_a_transfer_shows_its_bytes_at_a_terminal_alone(monkeypatch, capfd):
    for terminal in (True, False):
        monkeypatch.setenv("FORCE_COLOR", "1" if terminal else "")
        with TransferProgress("upload") as progress:
            progress.on_bytes(500, 2000)
            progress.on_bytes(2000, 2000)
        out, err = capfd.readouterr()
        assert (out, "upload" in err, "2.0/2.0 kB" in err) == ("", terminal, terminal)
