"""Fetches one artifact: into a file beside its place, resumed after a broken connection, put in place once verified."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from io import BufferedRandom
from pathlib import Path

import httpx

from api_schemas import ArtifactRef
from sterna.client.connection import PATIENCE_S, Away, Connection, Retry
from sterna.errors import ArtifactDigestMismatch, InvalidSpec, SternaError

OnProgress = Callable[[int, int], None]
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/\d+")


@dataclass(frozen=True, slots=True)
class Source:
    """Where an artifact is and what its bytes must be."""

    path: str
    artifact: ArtifactRef


def download_file(connection: Connection, source: Source, target: Path, on_progress: OnProgress) -> None:
    """Stream an artifact to `target`, which appears complete or not at all.

    Raises:
        InvalidSpec: at `target` is a folder or a device, whose place a file must not take.
        ArtifactDigestMismatch: the bytes are not those that the service announced.
        ServiceUnavailable: nothing more came for as long as the patience lasts.
    """
    if target.exists() and not target.is_file():
        raise InvalidSpec(f"{target} is no regular file", hint="Give the name of a new file, or of one to replace.")
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
    partial = Path(name)
    try:
        with os.fdopen(descriptor, "w+b") as file:
            _fetch(connection, source, file, on_progress)
            file.flush()
            os.fsync(file.fileno())
            _verify(file, source.artifact)
        partial.chmod(0o666 & ~_umask())
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def _fetch(connection: Connection, source: Source, file: BufferedRandom, on_progress: OnProgress) -> None:
    retry = Retry(PATIENCE_S)
    while (have := file.tell()) < source.artifact.bytes:
        trouble: SternaError = connection.unavailable("the answer ended early")
        after_s = 0.0
        try:
            _fetch_rest(connection, source, file, on_progress)
        except httpx.TransportError as error:
            trouble = connection.unavailable(error)
        except Away as away:
            trouble, after_s = away.problem, away.after_s
        if file.tell() >= source.artifact.bytes:
            return
        if file.tell() > have:
            retry = Retry(PATIENCE_S)  # it moves: patience begins anew
        if not retry.pause(after_s):
            raise trouble


def _fetch_rest(connection: Connection, source: Source, file: BufferedRandom, on_progress: OnProgress) -> None:
    have = file.tell()
    # Compressed on the way, ranges would count other bytes.
    headers = {"Accept": "*/*", "Accept-Encoding": "identity"}
    if have:
        headers |= {"Range": f"bytes={have}-", "If-Range": f'"{source.artifact.sha256}"'}
    with connection.stream(source.path, headers) as response:
        if _start_of(response) != have:
            file.seek(0)
            file.truncate()
        have = file.tell()
        for block in response.iter_bytes():
            file.write(block)
            have += len(block)
            if have > source.artifact.bytes:
                return  # a lie about the length; the digest will say so
            on_progress(have, source.artifact.bytes)


def _start_of(response: httpx.Response) -> int:
    found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    return int(found[1]) if response.status_code == httpx.codes.PARTIAL_CONTENT and found else 0


def _verify(file: BufferedRandom, artifact: ArtifactRef) -> None:
    file.seek(0)
    found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != artifact.sha256:
        raise ArtifactDigestMismatch(
            f"{artifact.name} arrived with the sha-256 {found}; the service announced {artifact.sha256}",
            hint="Download it again; if it happens again, the store or a proxy damages it.",
        )


def _umask() -> int:
    current = os.umask(0o077)
    os.umask(current)
    return current
