"""`sterna submit`, `estimate`, `status`, `wait`, `events`, `logs`, `download`, `cancel`, `stop`, `retry`, `delete`.

And `list`. All of them talk to the service at STERNA_URL, with the key STERNA_API_KEY where it asks for one.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.text import Text

from api_schemas import Estimate, Event, Job, ProgressPoint
from api_schemas.events import Message, PhaseChange, StateChange
from sterna.cli.arguments import AsJson, DataFile, JobId, Labels, ModelFile, TimeoutS
from sterna.cli.markdown_summary import append_summary
from sterna.cli.output import new_table, print_json, print_result, stderr_console, stdout_console
from sterna.cli.progress import JobProgress, TransferProgress, point_text
from sterna.cli.spec_options import SpecFlags, takes_spec_flags
from sterna.client import Client, job_error
from sterna.errors import Cancelled, InvalidSpec, SternaError

DEFAULT_URL: Final = "http://127.0.0.1:8000"
_Summary = Annotated[
    Path | None,
    typer.Option(
        "--summary", metavar="FILE", dir_okay=False, help="Add a table in Markdown to this file, however the job ends."
    ),
]


@takes_spec_flags
def submit_command(  # noqa: PLR0913, PLR0917  a command's flags are its parameters
    flags: SpecFlags,
    model: ModelFile,
    data: DataFile = None,
    label: Labels = None,
    time_limit_s: Annotated[
        float | None,
        typer.Option(
            "--time-limit", metavar="SECONDS", help="Fail the job if an attempt runs longer; waiting is free."
        ),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the end, as `sterna wait` does.")] = False,
    timeout_s: TimeoutS = None,
    as_json: AsJson = False,
) -> None:
    """Send a model to a service and print the job's id."""
    spec = flags.spec().model_dump(mode="json") | {"time_limit_s": time_limit_s}
    with service_client() as client:
        with TransferProgress("upload") as progress:
            job = client.submit(model, data, spec, labels=labels_of(label), on_progress=progress.on_bytes)
        if wait:
            stderr_console().print(job.id)
            _report(_waited(client, job.id, timeout_s), as_json=as_json)
        elif as_json:
            print_json(job)
        else:
            typer.echo(job.id)


@takes_spec_flags
def estimate_command(flags: SpecFlags, model: ModelFile, data: DataFile = None, as_json: AsJson = False) -> None:
    """Show what a job would take. The files are sent, and no job is made."""
    spec = flags.spec()
    with service_client() as client, TransferProgress("upload") as progress:
        estimate = client.estimate(model, data, spec, on_progress=progress.on_bytes)
    print_json(estimate) if as_json else _print_estimate(estimate)


def status_command(job_id: JobId, as_json: AsJson = False) -> None:
    """Show how a job stands. Ends with 0 whatever that is; `sterna wait` ends as the job did."""
    with service_client() as client:
        job = client.job(job_id)
    print_json(job) if as_json else _print_job(job)


def wait_command(job_id: JobId, timeout_s: TimeoutS = None, summary: _Summary = None, as_json: AsJson = False) -> None:
    """Wait for the end of a job, its progress shown, and end as it did (0 succeeded, 3 failed, 4 acceptance missed)."""
    with service_client() as client:
        job = _waited(client, job_id, timeout_s)
    if summary is not None:
        append_summary(summary, job)
    _report(job, as_json=as_json)


def events_command(
    job_id: JobId,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the job has ended.")] = False,
    after: Annotated[int, typer.Option("--after", metavar="N", help="Only events after this number.", min=0)] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """Print what happened to a job."""
    with service_client() as client:
        for event in client.events(job_id, after=after, follow=follow):
            typer.echo(event.model_dump_json(by_alias=True) if as_json else event_text(event))


def download_command(
    job_id: JobId,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="OUT", help="A file, or a folder. Default: here.", show_default=False),
    ] = Path(),
    name: Annotated[str, typer.Option("--name", help="Which file of the job.")] = "model.sterna",
    as_json: AsJson = False,
) -> None:
    """Fetch a file of a job, its digest verified; a broken connection is resumed."""
    with service_client() as client, TransferProgress("download") as progress:
        path = client.download(job_id, name, output, on_progress=progress.on_bytes)
    size_bytes = path.stat().st_size
    if as_json:
        print_json({"path": str(path), "bytes": size_bytes})
    else:
        typer.echo(f"{path} ({size_bytes:,} bytes), sha-256 verified")


def cancel_command(job_id: JobId, as_json: AsJson = False) -> None:
    """Throw a job away."""
    with service_client() as client:
        job = client.cancel(job_id)
    print_json(job) if as_json else _print_job(job)


def stop_command(job_id: JobId, as_json: AsJson = False) -> None:
    """Have a running job finish now, with the best so far."""
    with service_client() as client:
        job = client.stop(job_id)
    print_json(job) if as_json else _print_job(job)


def retry_command(job_id: JobId, as_json: AsJson = False) -> None:
    """Queue a job that failed or was cancelled once more."""
    with service_client() as client:
        job = client.retry(job_id)
    print_json(job) if as_json else _print_job(job)


def delete_command(job_id: JobId, as_json: AsJson = False) -> None:
    """Remove a job that has ended, with its files on the service."""
    with service_client() as client:
        client.delete(job_id)
    if as_json:
        print_json({"id": job_id, "deleted": True})


def logs_command(
    job_id: JobId,
    attempt: Annotated[
        int | None, typer.Option("--attempt", metavar="N", help="Of this attempt. Default: the newest.", min=1)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print the end of what the job's runner wrote to its log."""
    with service_client() as client:
        text = client.log(job_id, attempt=attempt)
    print_json({"log": text}) if as_json else typer.echo(text, nl=False)


def list_command(
    state: Annotated[
        list[str] | None, typer.Option("--state", help="Only jobs in this state; again for another state.")
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option("--label", metavar="KEY=VALUE", help="Only jobs with this label; again for one more label."),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", help="At most so many, newest first.", min=1)] = 50,
    as_json: AsJson = False,
) -> None:
    """List jobs, newest first."""
    with service_client() as client:
        jobs = list(client.jobs(states=state or (), labels=labels_of(label), limit=limit))
    if as_json:
        print_json({"jobs": [job.model_dump(mode="json", by_alias=True) for job in jobs]})
    else:
        _print_jobs(jobs)


def service_client() -> Client:
    """The service that the environment names. Keys are not taken from the command line, where other users see them."""
    url, api_key = os.environ.get("STERNA_URL") or DEFAULT_URL, os.environ.get("STERNA_API_KEY") or None
    return Client(url, api_key, on_trouble=_Patience().tell)


def event_text(event: Event) -> str:
    """One line for people."""
    body = event.body
    words = ""
    if isinstance(body, ProgressPoint):
        words = point_text(body)
    elif isinstance(body, PhaseChange):
        words = body.phase
    elif isinstance(body, Message):
        words = f"{body.code}: {body.text}"
    elif isinstance(body, StateChange):
        error = f" {body.error.code}: {body.error.message}" if body.error else ""
        words = f"{body.state} (attempt {body.attempt}){error}"
    return f"{event.id:>5}  {event.at:%Y-%m-%d %H:%M:%S}  {body.kind:<8}  {words}"


class _Patience:
    """Says once, on standard error, what a command is waiting for, so that it does not seem to hang."""

    def __init__(self) -> None:
        self._said = False

    def tell(self, trouble: SternaError, left_s: float) -> None:
        if not self._said:
            self._said = True
            stderr_console().print(Text(f"{trouble.detail}; trying for {left_s:.0f} s more"))


def labels_of(texts: Sequence[str] | None) -> dict[str, str]:
    """`KEY=VALUE` of each flag as a mapping."""
    return dict(_label(text) for text in texts or ())


def _waited(client: Client, job_id: str, timeout_s: float | None) -> Job:
    with JobProgress() as progress:
        return client.wait(job_id, timeout_s=timeout_s, on_update=progress.on_job)


def _report(job: Job, *, as_json: bool) -> None:
    """Print a job that has ended, and end as it did."""
    if as_json:
        print_json(job)
    elif job.result is not None:
        print_result(job.result)
    if job.error is not None:
        raise job_error(job.error)
    if job.state == "cancelled":
        raise Cancelled(f"{job.id} was cancelled")


def _print_estimate(estimate: Estimate) -> None:
    bases = {"model": "earlier jobs with this model", "history": "earlier jobs", "rule": "an ordinary machine"}
    console = stdout_console()
    basis = bases.get(estimate.basis, estimate.basis)
    console.print(f"time       {estimate.seconds:,.0f} s for {estimate.steps:,} steps (from {basis})")
    console.print(f"memory     {estimate.memory_bytes:,} bytes")
    console.print(f"artifact   {estimate.artifact_bytes:,} bytes")
    console.print(f"weights    {estimate.ternarisable_weights:,} of {estimate.parameters:,} can be made ternary")


def _print_job(job: Job) -> None:
    console = stdout_console()
    phase = f", {job.phase}" if job.phase else ""
    console.print(Text(f"{job.id}  {job.state}{phase}  (attempt {job.attempt})"))
    if job.result is not None:
        print_result(job.result)
    elif job.progress.steps:
        latest = ProgressPoint(step=job.progress.step, steps=job.progress.steps, **job.latest.model_dump())
        console.print(Text(f"{job.progress.fraction:.0%}  {point_text(latest)}"))
    if job.error is not None:
        console.print(Text(f"{job.error.code}: {job.error.message}"))


def _print_jobs(jobs: Sequence[Job]) -> None:
    table = new_table(("job", "state", "target", "zeros", "created"), left=("job", "state", "created"))
    for job in jobs:
        zeros = f"{job.result.sparsity:.4f}" if job.result else ""
        created = f"{job.created_at:%Y-%m-%d %H:%M:%S}"
        table.add_row(job.id, job.phase or job.state, f"{job.spec.target_sparsity:.4f}", zeros, created)
    stdout_console().print(table)


def _label(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise InvalidSpec(f"label {text!r} is not KEY=VALUE", hint="For example --label team=vision.")
    return key, value
