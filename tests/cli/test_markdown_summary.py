from datetime import UTC, datetime

import pytest

from api_schemas import ArtifactRef, Job, JobErrorInfo, Metric, Result
from sterna.cli.markdown_summary import append_summary, markdown_summary


@pytest.fixture
def job():
    figures = dict.fromkeys(Result.model_fields, 1) | {
        "warnings": ("NO_DATA",),
        "layers": (),
        "trials": (),
        "sparsity": 0.9,
    }
    artifact = ArtifactRef(name="model.sterna", sha256="ab" * 32, bytes=10, media_type="x/y")
    metric = Metric(name="accuracy", baseline=0.99, ternary=0.98, drop=0.01)
    return Job.model_validate(
        {
            "id": "job_1", "state": "succeeded", "attempt": 1, "created_at": datetime.now(UTC), "labels": {},
            "spec": {"model": "upl_" + "0" * 32, "target_sparsity": 0.9}, "progress": {}, "latest": {},
            "result": figures | {"artifacts": (artifact,), "metric": metric},
        }
    )  # fmt: skip


def test_a_job_that_succeeded(job):
    text = markdown_summary(job)
    lines = text.splitlines()
    assert lines[:4] == ["### Sterna: passed", "", "| | |", "|---|---|"]
    assert "| accuracy | 0.9900 before, 0.9800 after (drop +0.0100) |" in lines
    assert "| sparsity, counted in the file | 90.0000% (met) |" in lines
    assert f"| sha-256 of model.sterna | {'ab' * 32} |" in lines
    assert text.endswith("|\n\n")


def test_what_others_wrote_is_no_markup(job):
    error = JobErrorInfo(code="ACCEPTANCE_MISSED", message="a | b\n## <img src=x> [c](d)")
    text = markdown_summary(job.model_copy(update={"state": "failed", "result": None, "error": error}))
    assert "### Sterna: acceptance missed" in text
    assert r"| error | ACCEPTANCE\_MISSED: a \| b \#\# \<img src=x\> \[c\](d) |" in text


def test_it_is_added_to_what_is_there(job, tmp_path):
    path = tmp_path / "summary.md"
    path.write_text("before\n")
    append_summary(path, job)
    assert path.read_text() == "before\n" + markdown_summary(job)
