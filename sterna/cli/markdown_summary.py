"""How a job ended, as a table in Markdown: what a pipeline shows to those who look at it."""

from __future__ import annotations

import re
from pathlib import Path

from api_schemas import Job, Result
from sterna.errors import AcceptanceMissed

_SPECIAL = re.compile(r"([\\`*_\[\]<>#!|~$&@])")


def append_summary(path: Path, job: Job) -> None:
    """Add the table at the end of a file, such as that of `GITHUB_STEP_SUMMARY`."""
    with path.open("a", encoding="utf-8") as file:
        file.write(markdown_summary(job))


def markdown_summary(job: Job) -> str:
    """A heading, a table, warnings. Whatever a model or a service named is text here, and no markup."""
    rows = [("job", job.id), ("target sparsity", f"{job.spec.target_sparsity:.4%}")]
    rows += [] if job.result is None else _rows(job.result)
    if job.error is not None:
        rows.append(("error", f"{job.error.code}: {job.error.message}"))
    verdict: str = "passed" if job.state == "succeeded" else job.state
    if job.error is not None and job.error.code == AcceptanceMissed.code:
        verdict = "acceptance missed"
    lines = [f"### Sterna: {_text(verdict)}", "", "| | |", "|---|---|"]
    lines += [f"| {name} | {_text(value)} |" for name, value in rows]
    return "\n".join(lines) + "\n\n"


def _rows(result: Result) -> list[tuple[str, str]]:
    met = "met" if result.target_met else "missed"
    rows = [("sparsity, counted in the file", f"{result.sparsity:.4%} ({met})")]
    if result.metric is not None:
        metric = result.metric
        rows.append(
            (metric.name, f"{metric.baseline:.4f} before, {metric.ternary:.4f} after (drop {metric.drop:+.4f})")
        )
    if result.agreement is not None:
        rows.append(("agreement with the original", f"{result.agreement:.4f}"))
    rows.append(("bits per weight", f"{result.bits_per_weight:.3f}"))
    rows.append(("bytes", f"{result.model_bytes:,} before, {result.artifact_bytes:,} after ({result.ratio:.1f}×)"))
    rows += [("sha-256 of " + artifact.name, artifact.sha256) for artifact in result.artifacts]
    if result.warnings:
        rows.append(("warnings", ", ".join(result.warnings)))
    return rows


def _text(value: str) -> str:
    """One line of plain text."""
    return _SPECIAL.sub(r"\\\1", " ".join(value.split()))
