"""`sterna sweep submit|status|wait|cancel|stop|delete`: one model at several sparsities, and what they cost."""

from __future__ import annotations

from typing import Annotated

import typer

from api_schemas import JobErrorInfo
from api_schemas.sweeps import Sweep, SweepPoint
from sterna.cli.arguments import AsJson, DataFile, Labels, ModelFile, TimeoutS
from sterna.cli.output import new_table, print_json, stderr_console, stdout_console
from sterna.cli.progress import SweepProgress, TransferProgress
from sterna.cli.service_commands import labels_of, service_client
from sterna.cli.spec_options import SpecFlags, takes_spec_flags
from sterna.client import Client, job_error
from sterna.errors import AcceptanceMissed, Cancelled, JobError, SternaError

app = typer.Typer(help="One model at several sparsities.", no_args_is_help=True)

_SweepId = Annotated[str, typer.Argument(metavar="SWEEP", help="Such as swp_1f0c….", show_default=False)]


@app.command("submit")
@takes_spec_flags
def submit_command(  # noqa: PLR0913, PLR0917  a command's flags are its parameters
    flags: SpecFlags,
    model: ModelFile,
    sparsity: Annotated[
        list[float], typer.Option("--sparsity", "-s", metavar="SHARE", help="A share of zeros to try. Repeatable.")
    ],
    side_by_side: Annotated[
        int | None,
        typer.Option("--side-by-side", help="With --strategy trials: so many α at once for each target, 2 to 8."),
    ] = None,
    data: DataFile = None,
    label: Labels = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the end, as `sterna sweep wait` does.")] = False,
    timeout_s: TimeoutS = None,
    as_json: AsJson = False,
) -> None:
    """Send a model once, have a job made for each sparsity, and print the sweep's id."""
    spec = flags.spec().model_dump(mode="json", exclude={"target_sparsity"}) | {"targets": sparsity}
    if side_by_side is not None:
        spec["side_by_side"] = side_by_side
    with service_client() as client:
        with TransferProgress("upload") as progress:
            sweep = client.submit_sweep(model, data, spec, labels=labels_of(label), on_progress=progress.on_bytes)
        if wait:
            stderr_console().print(sweep.id)
            _wait_and_report(client, sweep.id, timeout_s, as_json=as_json)
        elif as_json:
            print_json(sweep)
        else:
            typer.echo(sweep.id)


@app.command("status")
def status_command(sweep_id: _SweepId, as_json: AsJson = False) -> None:
    """Show the table as it stands. Ends with 0 whatever that is; `sterna sweep wait` ends as the jobs did."""
    with service_client() as client:
        sweep = client.sweep(sweep_id)
    print_json(sweep) if as_json else _print_sweep(sweep)


@app.command("wait")
def wait_command(sweep_id: _SweepId, timeout_s: TimeoutS = None, as_json: AsJson = False) -> None:
    """Wait for the end of every job and show the table; ends with 0 only if all of them succeeded."""
    with service_client() as client:
        _wait_and_report(client, sweep_id, timeout_s, as_json=as_json)


@app.command("cancel")
def cancel_command(sweep_id: _SweepId, as_json: AsJson = False) -> None:
    """Throw all jobs of a sweep away."""
    with service_client() as client:
        sweep = client.cancel_sweep(sweep_id)
    print_json(sweep) if as_json else _print_sweep(sweep)


@app.command("stop")
def stop_command(sweep_id: _SweepId, as_json: AsJson = False) -> None:
    """Have the jobs that run finish now, with the best so far; those that wait are cancelled."""
    with service_client() as client:
        sweep = client.stop_sweep(sweep_id)
    print_json(sweep) if as_json else _print_sweep(sweep)


@app.command("delete")
def delete_command(sweep_id: _SweepId, as_json: AsJson = False) -> None:
    """Remove a sweep that has ended, with all its jobs and their files on the service."""
    with service_client() as client:
        client.delete_sweep(sweep_id)
    if as_json:
        print_json({"id": sweep_id, "deleted": True})


def _wait_and_report(client: Client, sweep_id: str, timeout_s: float | None, *, as_json: bool) -> None:
    with SweepProgress() as progress:
        sweep = client.wait_sweep(sweep_id, timeout_s=timeout_s, on_update=progress.on_sweep)
    print_json(sweep) if as_json else _print_sweep(sweep)
    errors = [_error(client, point.job_id) for point in sweep.points if point.state != "succeeded"]
    if errors:
        # A failure that is more than a missed acceptance decides how the command ends.
        raise next((error for error in errors if not isinstance(error, AcceptanceMissed)), errors[0])


def _error(client: Client, job_id: str) -> SternaError:
    job = client.job(job_id)
    if job.state == "cancelled":
        return Cancelled(f"{job_id} was cancelled")
    info = job.error or JobErrorInfo(code=JobError.code, message=f"it is {job.state}")
    return job_error(info.model_copy(update={"message": f"{job_id}: {info.message}"}))


def _print_sweep(sweep: Sweep) -> None:
    left = ("job", "state", "pareto")
    trials = ("α", "zeros by α", "nearest") if any(point.round is not None for point in sweep.points) else ()
    columns = ("target", *left[:2], "zeros", "metric", "drop", "bits", "bytes", "ratio", left[2], *trials)
    table = new_table(columns, left=left)
    for point in sweep.points:
        metric = point.metric
        table.add_row(
            f"{point.target_sparsity:.4f}",
            point.job_id,
            point.state,
            "" if point.sparsity is None else f"{point.sparsity:.4f}",
            "" if metric is None else f"{metric.ternary:.4f}",
            "" if metric is None else f"{metric.drop:+.4f}",
            "" if point.bits_per_weight is None else f"{point.bits_per_weight:.3f}",
            "" if point.artifact_bytes is None else f"{point.artifact_bytes:,}",
            "" if point.ratio is None else f"{point.ratio:.1f}×",
            "yes" if point.pareto else "",
            *(_trial_cells(point) if trials else ()),
        )
    stdout_console().print(table)
    if sweep.ended_because is not None:
        stderr_console().print(sweep.ended_because)


def _trial_cells(point: SweepPoint) -> tuple[str, str, str]:
    return (
        "" if point.trial_alpha is None else f"{point.trial_alpha:.4f}",
        "" if point.trial_sparsity is None else f"{point.trial_sparsity:.4f}",
        "yes" if point.nearest else "",
    )
