"""What outlives a process: the job ledger (SQL) and the blob store (files under their sha-256)."""

from storage.blobs import BlobStore
from storage.claims import Lease
from storage.ledger import Ledger
from storage.settings import Settings

__all__ = ["BlobStore", "Lease", "Ledger", "Settings"]
