"""The folder that one attempt of one job works in: inputs copied in, files of the result carried out.

    <job>-<attempt>/spec.json  model  [data]  out/  tmp/  runner.log

The runner may have been made to do a stranger's will, so nothing that it left is trusted: a result names plain files in
`out/`, no links, and their bytes must have the digests that it stated.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from types import TracebackType
from typing import Self

from api_schemas import ArtifactRef, CompressSpec, Result
from sterna.digest import file_digest
from sterna.errors import RunnerCrashed
from storage import BlobStore, Lease, Ledger

LOG_NAME = "runner.log"
LOG_BYTES = 16 * 2**20
_KEPT_BYTES = 2**16
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_NOT_THE_RUNNERS_OWN = ("model", "data", "labels", "time_limit_s")


class WorkFolder:
    """A folder for the length of a `with` block. Afterwards only the log is left, and not even that after a success.

    Attributes:
        path: the folder.
        keep_log: whether `runner.log` outlives the block.
    """

    def __init__(self, root: Path, lease: Lease) -> None:
        self.path = root / f"{lease.job.id}-{lease.attempt}"
        self.keep_log = True
        self._root = root
        self._job_id = lease.job.id

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _clear(self.path)
        if not self.keep_log:
            shutil.rmtree(self.path, ignore_errors=True)

    @property
    def log(self) -> Path:
        """Where the runner's standard error goes."""
        return self.path / LOG_NAME

    def cap_log(self) -> None:
        """Cut a log that has grown too long to its end, in place: the runner keeps it open and appends to it."""
        if self.log.stat().st_size <= LOG_BYTES:
            return
        end = self.log_tail(_KEPT_BYTES)
        os.truncate(self.log, 0)
        with self.log.open("a") as log:
            log.write(f"(what was before this was cut: the log was longer than {LOG_BYTES} bytes)\n{end}")

    def log_tail(self, size_bytes: int = 4096) -> str:
        """The end of the runner's log."""
        if not self.log.exists():
            return ""
        with self.log.open("rb") as log:
            log.seek(max(0, self.log.stat().st_size - size_bytes))
            return log.read(size_bytes).decode(errors="replace")

    def fill(self, lease: Lease, ledger: Ledger, blobs: BlobStore) -> None:
        """Make the folder, write the spec and copy the uploads in, their digests verified; may be done again."""
        # An earlier attempt whose worker was killed could not clean up behind itself.
        for earlier in self._root.glob(f"{self._job_id}-*"):
            _clear(earlier)
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in ("out", "tmp"):
            (self.path / name).mkdir()
        plain = CompressSpec.model_validate(lease.job.spec.model_dump(exclude=set(_NOT_THE_RUNNERS_OWN)))
        (self.path / "spec.json").write_text(plain.model_dump_json())
        for role, sha256 in ledger.inputs(lease).items():
            blobs.fetch(sha256, self.path / role)

    def publish(self, result: Result, ledger: Ledger, blobs: BlobStore) -> Result:
        """Store the files of the result as blobs.

        Returns:
            The same result, with digests and sizes as they were stored.

        Raises:
            RunnerCrashed: a file is missing, is not a plain file, or has other bytes than the result says.
        """
        names = [artifact.name for artifact in result.artifacts]
        if len(set(names)) < len(names):
            raise RunnerCrashed("the runner's result names a file twice")
        stored = tuple(self._publish_one(artifact, ledger, blobs) for artifact in result.artifacts)
        return result.model_copy(update={"artifacts": stored})

    def _publish_one(self, artifact: ArtifactRef, ledger: Ledger, blobs: BlobStore) -> ArtifactRef:
        path = self.path / "out" / artifact.name
        links = path.resolve() != self.path.resolve() / "out" / artifact.name  # `out` itself may have become one
        if not _PLAIN_NAME.fullmatch(artifact.name) or links or not path.is_file():
            raise RunnerCrashed(f"the runner's result names {artifact.name!r}, which is not a file of its folder out/")
        found = file_digest(path)
        if found != artifact.sha256:
            raise RunnerCrashed(
                f"the runner's result gives {artifact.name} the sha-256 {artifact.sha256[:80]}; its bytes have {found}"
            )
        ledger.pin(found)
        sha256, size_bytes = blobs.put_file(path)
        return artifact.model_copy(update={"sha256": sha256, "bytes": size_bytes, "url": None})


def _clear(folder: Path) -> None:
    """Remove everything but the log."""
    if not folder.is_dir():
        return
    for entry in folder.iterdir():
        if entry.name == LOG_NAME:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)
