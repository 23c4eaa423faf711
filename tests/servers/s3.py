"""An S3 store: SeaweedFS from its wheel, as one process."""

from __future__ import annotations

import http
import http.client
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.servers.real_server import RealServer, free_port

_KEY, _SECRET = "sterna", "sterna-secret"
_NO_CATALOGS = ("-s3.port.iceberg=0", "-s3.port.lance=0")


class RealS3(RealServer):
    """A SeaweedFS with the S3 protocol on a port of this machine.

    Attributes:
        bucket: the one that is there; each more would take seven of the server's volumes.
    """

    bucket = "tests"

    def __init__(self) -> None:
        super().__init__("s3")
        self._others = {name: free_port() for name in ("master", "volume", "filer")}

    def prepare(self) -> None:
        """Write down who may do what."""
        actions = ["Admin", "Read", "Write", "List", "Tagging"]
        credentials = [{"accessKey": _KEY, "secretKey": _SECRET}]
        identity = {"name": "tests", "credentials": credentials, "actions": actions}
        (self.folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
        (self.folder / "data").mkdir()

    def command(self) -> Sequence[str | Path]:
        """Master, volume server, filer and S3 in one process."""
        ports = [f"-{name}.port={port}" for name, port in self._others.items()]
        grpc = [f"-{name}.port.grpc={free_port()}" for name in (*self._others, "s3")]
        place = [f"-dir={self.folder / 'data'}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
        small = ["-master.volumeSizeLimitMB=64", "-volume.max=50", "-volume.minFreeSpace=10MiB"]
        # Two of its parts would take ports that are always the same: a second store on this machine could not start.
        s3 = ["-s3", f"-s3.port={self.port}", f"-s3.config={self.folder / 's3.json'}", *_NO_CATALOGS]
        return (Path(sys.executable).with_name("weed"), "server", *place, *ports, *grpc, *small, *s3)

    def answers(self) -> bool:
        """Whether a bucket can be made, which takes all its parts."""
        import obstore  # noqa: PLC0415
        from obstore.store import S3Store  # noqa: PLC0415

        if not self._s3_listens():
            return False
        try:
            self.make_bucket(self.bucket)
            store = S3Store(self.bucket, **self._options(), retry_config={"max_retries": 0})
            obstore.put(store, "ready", b"x")
        except (obstore.exceptions.BaseError, OSError):
            return False
        return True

    def environment(self) -> dict[str, str]:
        """What a process needs to speak to it."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_ACCESS_KEY_ID": _KEY,
            "AWS_SECRET_ACCESS_KEY": _SECRET,
            "AWS_REGION": "us-east-1",
            "AWS_ALLOW_HTTP": "true",
        }

    def make_bucket(self, name: str) -> None:
        """Make a bucket, as a folder of the filer: obstore knows no call for it."""
        connection = http.client.HTTPConnection("127.0.0.1", self._others["filer"], timeout=60)
        connection.request("POST", f"/buckets/{name}/")
        status = connection.getresponse().status
        connection.close()
        if status >= 300 and status != http.HTTPStatus.CONFLICT:  # it is there
            raise OSError(f"making the bucket was answered with {status}")

    def _options(self) -> dict[str, str | dict[str, object]]:
        return {
            "endpoint": f"http://127.0.0.1:{self.port}",
            "access_key_id": _KEY,
            "secret_access_key": _SECRET,
            "region": "us-east-1",
            "client_options": {"allow_http": True},
        }

    def _s3_listens(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        connection.request("GET", "/")
        connection.getresponse().read()
        connection.close()
        return True
