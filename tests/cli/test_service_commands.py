"""Commands that talk to a service, against the live one: sweeps, estimates, what follows a job's end."""

import json

import pytest

from sterna.cli.progress import TransferProgress


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


def test_a_sweep_ends_as_its_jobs_did(at_service, tiny):
    sweep_id = at_service("sweep", "submit", tiny.model, "-s", 0.5, "--seconds", 600).out.strip()
    assert at_service("sweep", "wait", sweep_id, "--timeout", 0).code == 5
    (point,) = json.loads(at_service("sweep", "status", sweep_id, "--json").out)["points"]
    assert at_service("cancel", point["job_id"]).code == 0
    ended = at_service("sweep", "wait", sweep_id, "--timeout", 60)
    assert (ended.code, "error[CANCELLED]" in ended.err) == (3, True)

    assert json.loads(at_service("delete", point["job_id"], "--json").out) == {"id": point["job_id"], "deleted": True}
    assert at_service("status", point["job_id"]).code == 2


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
        (["sweep", "wait", "swp_x"], 2, "error[NOT_FOUND]"),
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
