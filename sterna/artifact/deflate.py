"""DEFLATE without wrapper, and its inflation that cannot be made to swell.

Independent symbols have no repetitions: `Z_HUFFMAN_ONLY` is nearer to the entropy than any level of zlib that searches
for some, and many times faster. A range or ANS coder would save the last half per cent, at the price of a dependency
for every reader.
"""

from __future__ import annotations

import zlib

from sterna.artifact.chunk_error import ChunkError


def deflate_symbols(data: bytes) -> bytes:
    """Compress bytes that are independent of one another."""
    return _deflate(data, zlib.Z_HUFFMAN_ONLY)


def deflate_text(data: bytes) -> bytes:
    """Compress bytes that repeat one another."""
    return _deflate(data, zlib.Z_DEFAULT_STRATEGY)


def inflate(data: bytes | memoryview, size_bytes: int) -> bytes:
    """Give the `size_bytes` bytes that `data` holds; never more than one byte beyond is inflated.

    Raises:
        ChunkError: `data` is not one whole stream of exactly that many bytes, with nothing after it.
    """
    inflated = inflate_at_most(data, size_bytes)
    if len(inflated) != size_bytes:
        raise ChunkError(f"the DEFLATE stream yields {len(inflated)} bytes, {size_bytes} are declared")
    return inflated


def inflate_at_most(data: bytes | memoryview, most_bytes: int) -> bytes:
    """Give what `data` holds, of which all that is known is its greatest possible length.

    Raises:
        ChunkError: `data` is not one whole stream of at most that many bytes, with nothing after it.
    """
    stream = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    try:
        # One more than allowed: else the end of a stream of the greatest length would not be reached.
        inflated = stream.decompress(data, most_bytes + 1)
    except zlib.error as error:
        raise ChunkError(f"the DEFLATE stream is invalid: {error}") from None
    if len(inflated) > most_bytes:
        raise ChunkError(f"the DEFLATE stream yields more than the {most_bytes} bytes that are declared")
    if not stream.eof:
        raise ChunkError(f"the DEFLATE stream breaks off after {len(inflated)} bytes")
    if stream.unused_data:
        raise ChunkError(f"{len(stream.unused_data)} bytes follow the DEFLATE stream")
    return inflated


def _deflate(data: bytes, strategy: int) -> bytes:
    stream = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL + 1, strategy)
    return stream.compress(data) + stream.flush()
