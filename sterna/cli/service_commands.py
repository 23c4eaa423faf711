"""`sterna submit`, `status`, `wait`, `events`, `download`, `cancel`, `stop` and `list`: a service at STERNA_URL."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.text import Text

from api_schemas import Event, Job, ProgressPoint
from api_schemas.events import Message, PhaseChange, StateChange
from sterna.cli.arguments import AsJson, DataFile, JobId, ModelFile
from sterna.cli.output import new_table, print_json, print_result, stderr_console, stdout_console
from sterna.cli.progress import JobProgress, point_text
from sterna.cli.spec_options import SpecFlags, takes_spec_flags
from sterna.client import Client, job_error
from sterna.errors import Cancelled, InvalidSpec, SternaError

DEFAULT_URL: Final = "http://127.0.0.1:8000"
TimeoutS = Annotated[float | None, typer.Option("--timeout", metavar="SECONDS", help="Give up after so long (exit 5).")]


@takes_spec_flags
def submit_command(  # noqa: PLR0913, PLR0917  a command's flags are its parameters
    flags: SpecFlags,
    model: ModelFile,
    data: DataFile = None,
    label: Annotated[
        list[str] | None, typer.Option("--label", metavar="KEY=VALUE", help="To find the job by. Repeatable.")
    ] = None,
    time_limit_s: Annotated[
        float | None,
        typer.Option(
            "--time-limit", metavar="SECONDS", help="Fail the job if an attempt runs longer; waiting is free."
        ),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the end, as `sterna wait` does.")] = False,
    as_json: AsJson = False,
) -> None:
    """Send a model to a service and print the job's id."""
    labels = dict(_label(text) for text in label or ())
    with service_client() as client:
        spec = flags.spec().model_dump(mode="json") | {"time_limit_s": time_limit_s}
        job = client.submit(model, data, spec, labels=labels)
        if wait:
            stderr_console().print(job.id)
            _wait_and_report(client, job.id, None, as_json=as_json)
        elif as_json:
            print_json(job)
        else:
            typer.echo(job.id)


def status_command(job_id: JobId, as_json: AsJson = False) -> None:
    """Show how a job stands. Ends with 0 whatever that is; `sterna wait` ends as the job did."""
    with service_client() as client:
        job = client.job(job_id)
    print_json(job) if as_json else _print_job(job)


def wait_command(job_id: JobId, timeout_s: TimeoutS = None, as_json: AsJson = False) -> None:
    """Wait for the end of a job, its progress shown, and end as it did (0 succeeded, 3 failed, 4 acceptance missed)."""
    with service_client() as client:
        _wait_and_report(client, job_id, timeout_s, as_json=as_json)


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
    with service_client() as client:
        path = client.download(job_id, name, output)
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


def delete_command(job_id: JobId) -> None:
    """Remove a job that has ended, with its files on the service."""
    with service_client() as client:
        client.delete(job_id)


def logs_command(job_id: JobId) -> None:
    """Print the end of what the job's runner wrote to its log."""
    with service_client() as client:
        typer.echo(client.log(job_id), nl=False)


def list_command(
    state: Annotated[str | None, typer.Option("--state", help="Only jobs in this state.")] = None,
    label: Annotated[
        str | None, typer.Option("--label", metavar="KEY=VALUE", help="Only jobs with this label.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", help="At most so many, newest first.", min=1)] = 50,
    as_json: AsJson = False,
) -> None:
    """List jobs, newest first."""
    with service_client() as client:
        jobs = list(client.jobs(state=state, label=_label(label) if label else None, limit=limit))
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


def _wait_and_report(client: Client, job_id: str, timeout_s: float | None, *, as_json: bool) -> None:
    with JobProgress() as progress:
        job = client.wait(job_id, timeout_s=timeout_s, on_update=progress.on_job)
    if as_json:
        print_json(job)
    elif job.result is not None:
        print_result(job.result)
    if job.error is not None:
        raise job_error(job.error)
    if job.state == "cancelled":
        raise Cancelled(f"{job.id} was cancelled")


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
