"""The folder that one attempt of one job works in: inputs copied in, files of the result carried out.

    <job>-<attempt>/spec.json  model  [data]  [checkpoint]  out/  tmp/  runner.log

The runner may have been made to do a stranger's will, so nothing that it left is trusted: a result names plain files in
`out/`, no links, and their bytes must have the digests that it stated.

A checkpoint is stored while its runner lives, so it is copied to where the runner cannot write before its digest is
taken. The copy begins with a line that names the job: no other job and no upload can have the same content, so that
the blob can be removed the moment that this job lets go of it.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from api_schemas import ArtifactRef, CompressSpec, Result
from sterna.digest import file_digest
from sterna.errors import ArtifactDigestMismatch, NotFound, RunnerCrashed
from storage import BlobStore, Lease, Ledger
from workers.protocol import CheckpointLine

LOG_NAME = "runner.log"
CHECKPOINT = "checkpoint"
LOG_BYTES = 16 * 2**20
_KEPT_BYTES = 2**16
_COPY_BYTES = 4 * 2**20
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_RUNNERS_OWN = (LOG_NAME, "out", "tmp")
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
        self._adopted = False

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

    def adopt(self, folder: Path) -> bool:
        """Take over a folder that a runner already works in, with its `out/`, `tmp/` and log, before it is filled.

        Returns:
            False where it cannot be: this attempt has left something behind.
        """
        try:
            folder.rename(self.path)
        except OSError:
            return False
        self._adopted = True
        return True

    def fill(self, lease: Lease, ledger: Ledger, blobs: BlobStore) -> None:
        """Make the folder, write the spec and copy the uploads in, their digests verified; may be done again."""
        # An earlier attempt whose worker was killed could not clean up behind itself.
        for earlier in self._root.glob(f"{self._job_id}-*"):
            _clear(earlier, but=_RUNNERS_OWN if self._adopted and earlier == self.path else (LOG_NAME,))
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in ("out", "tmp"):
            # Not made anew: the walls of a runner that waits have these very folders in them.
            (self.path / name).mkdir(exist_ok=self._adopted)
        plain = CompressSpec.model_validate(lease.job.spec.model_dump(exclude=set(_NOT_THE_RUNNERS_OWN)))
        (self.path / "spec.json").write_text(plain.model_dump_json())
        for role, sha256 in ledger.inputs(lease).items():
            blobs.fetch(sha256, self.path / role)

    def fetch_checkpoint(self, sha256: str, blobs: BlobStore) -> bool:
        """Put the checkpoint of an earlier attempt into the folder.

        Returns:
            False where the store does not have it, or has something else.
        """
        stored, checkpoint = self.path / "tmp" / CHECKPOINT, self.path / CHECKPOINT
        try:
            blobs.fetch(sha256, stored)
        except (NotFound, ArtifactDigestMismatch):
            stored.unlink(missing_ok=True)
            return False
        with stored.open("rb") as source, checkpoint.open("wb") as target:
            sealed = source.read(len(self._seal)) == self._seal
            shutil.copyfileobj(source, target, _COPY_BYTES)
        stored.unlink()
        if not sealed:
            checkpoint.unlink()
        return sealed

    def seal_checkpoint(self, said: CheckpointLine, *, most_bytes: int) -> tuple[Path, str] | None:
        """Copy what the runner says that it has written to where it cannot change it.

        Returns:
            The copy and its sha-256; None where it is another file by now, or never was the one that it was said to be.
        """
        path = self.path / "out" / CHECKPOINT
        if path.resolve() != self.path.resolve() / "out" / CHECKPOINT or said.bytes > most_bytes:
            return None
        sealed, digest, whole = self.path / "sealed-checkpoint", hashlib.sha256(), hashlib.sha256(self._seal)
        try:
            # What the runner has put there may be a pipe, which would hold up who opens it.
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            return None
        with open(descriptor, "rb") as source, sealed.open("wb") as target:  # noqa: PTH123  a descriptor
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode) or found.st_size != said.bytes:
                return None
            target.write(self._seal)
            while chunk := source.read(min(_COPY_BYTES, most_bytes + 1)):
                digest.update(chunk)
                whole.update(chunk)
                target.write(chunk)
                if target.tell() > most_bytes + len(self._seal):
                    return None
        return (sealed, whole.hexdigest()) if digest.hexdigest() == said.sha256 else None

    @property
    def _seal(self) -> bytes:
        return f"sterna checkpoint of {self._job_id}\n".encode()

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


def _clear(folder: Path, but: Sequence[str] = (LOG_NAME,)) -> None:
    """Remove everything but what is named: the log, if nothing else."""
    if not folder.is_dir():
        return
    for entry in folder.iterdir():
        if entry.name in but:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)
