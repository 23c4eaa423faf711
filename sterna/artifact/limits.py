"""What an artifact may not exceed: the numbers of docs/format.md, which bound what a stranger's file can ask for."""

from __future__ import annotations

MAX_HEADER_BYTES = 16 * 2**20
MAX_GRAPH_JSON_BYTES = 16 * 2**20
MAX_STORED_TENSORS = 2**17
MAX_NAME_CHARACTERS = 1024
MAX_DIMENSIONS = 16
MAX_SIZE = 2**48
"""Of one dimension and of one tensor in elements, so that no product of sizes leaves 64 bits."""
MAX_TERNARY_WEIGHTS = 2**32
MAX_CHUNK_WEIGHTS = 2**24
MAX_ANS_WEIGHTS = 2**14
"""Of a tensor in codec 5, which is decoded at some 20 M weights a second, ten times slower than the others there."""
MAX_WEIGHTS_PER_BYTE = 1024
"""A tensor's codes take at least a byte for so many weights: a small file cannot demand much memory."""
