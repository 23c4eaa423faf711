"""A load of many clients that ask as fast as they are answered: `python -m bench.api.load URL CLIENTS SECONDS`.

Written on bare sockets, so that the client is not what is measured. Prints one JSON object.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from urllib.parse import urlsplit


async def _client(host: str, port: int, request: bytes, until: float, times: list[float]) -> None:
    reader, writer = await asyncio.open_connection(host, port)
    while time.perf_counter() < until:
        began = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise SystemExit(head.decode())
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
        times.append(time.perf_counter() - began)
    writer.close()


async def measure(url: str, clients: int, seconds: float) -> dict[str, float]:
    """Requests a second and the 50th and 99th percentile of their time, in ms."""
    parts = urlsplit(url)
    request = f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode()
    times: list[float] = []
    until = time.perf_counter() + seconds
    assert parts.hostname is not None
    assert parts.port is not None
    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(_client(parts.hostname, parts.port, request, until, times))
    times.sort()
    return {
        "requests_per_s": len(times) / seconds,
        "p50_ms": 1e3 * times[len(times) // 2],
        "p99_ms": 1e3 * times[len(times) * 99 // 100],
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(measure(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))))
