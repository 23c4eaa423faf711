"""A large file over a connection that breaks again and again: it arrives whole, and the service stays small.

The long form, 2 GB, is part of `make bench-api`.
"""

import hashlib
import os

from bench.api.cutting_proxy import CuttingProxy
from bench.api.running import running_service
from sterna.client import Client
from storage import BlobStore

MIB = 2**20
FILE_BYTES = 100 * MIB
MOST_GROWTH_BYTES = 64 * MIB


def test_a_file_arrives_whole_though_ten_connections_break(tmp_path):
    block = os.urandom(MIB)
    digest = hashlib.sha256()
    path = tmp_path / "large"
    with path.open("wb") as file:
        for n in range(FILE_BYTES // MIB):
            piece = n.to_bytes(4, "big") + block[4:]
            digest.update(piece)
            file.write(piece)
    with running_service(tmp_path, STERNA_PART_BYTES=str(8 * MIB)) as service:
        with Client(service.url) as client:
            list(client.jobs())
        before = service.memory_bytes()
        port = int(service.url.rpartition(":")[2])
        with CuttingProxy(port, cuts=10, after_bytes=12 * MIB) as proxy, Client(proxy.url) as client:
            upload = client.upload(path)
            assert client.upload(path).complete  # known by now: nothing is sent
        assert proxy.cuts == 10
        assert service.memory_bytes() - before < MOST_GROWTH_BYTES
    assert (upload.complete, upload.sha256) == (True, digest.hexdigest())
    stored = hashlib.sha256()
    for chunk in BlobStore.open(service.settings.storage_url).stream(upload.sha256):
        stored.update(chunk)
    assert stored.hexdigest() == digest.hexdigest()
    assert not any(service.settings.scratch_folder.iterdir())
