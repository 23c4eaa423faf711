"""What a codec raises; the reader adds which tensor and which chunk, and makes an `ArtifactCorrupt` of it."""


class ChunkError(Exception):
    """The bytes of a chunk are not what its codec and its declared counts allow."""
