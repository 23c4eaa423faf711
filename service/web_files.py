"""The files of the service's own page, as they are served.

They are read once from `service/web/` in the installed package. The address of each holds a digest of all of them, so a
browser may keep it for good, and a page and its scripts are always of one make. The script that draws plots is that of
the installed package `plotly`; it is large, so it has an address of its own that a newer page does not change.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.metadata
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import Final

from service.conditional import content_etag

PAGE: Final = "index.html"
_MEDIA_TYPES: Final = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
_LEAST_COMPRESSED_BYTES: Final = 512


@dataclass(frozen=True)
class WebFile:
    """One file, and the same compressed.

    Attributes:
        name: of the file, for its type.
        content: as it lies in the package.
    """

    name: str
    content: bytes

    @property
    def media_type(self) -> str:
        """What it is."""
        return _MEDIA_TYPES[PurePosixPath(self.name).suffix]

    @cached_property
    def etag(self) -> str:
        """Weak, for the file is one thing in two encodings."""
        return f"W/{content_etag(self.content)}"

    @cached_property
    def gzipped(self) -> bytes | None:
        """Compressed once, when somebody first asks for it; None where that would gain nothing."""
        if len(self.content) < _LEAST_COMPRESSED_BYTES:
            return None
        return gzip.compress(self.content, compresslevel=9, mtime=0)


@cache
def web_page(*, max_upload_bytes: int) -> WebFile:
    """The page, with the addresses of its files filled in, and how large an upload may be."""
    raw = _own_files()
    text = raw[PAGE].decode()
    plotly = _plotly_path()
    return WebFile(
        PAGE,
        text.replace("{files}", f"/web/{_digest(raw)}")
        .replace("{plotly}", "" if plotly is None else f"/web/{_plotly_address()}")
        .replace("{max_upload_bytes}", str(max_upload_bytes))
        .encode(),
    )


@cache
def web_files() -> Mapping[str, WebFile]:
    """What lies under `/web/`, by the rest of its address."""
    raw = _own_files()
    digest = _digest(raw)
    files = {f"{digest}/{name}": WebFile(name, content) for name, content in raw.items() if name != PAGE}
    if (plotly := _plotly_path()) is not None:
        files[_plotly_address()] = WebFile(plotly.name, plotly.read_bytes())
    return files


@cache
def _own_files() -> dict[str, bytes]:
    folder = resources.files("service") / "web"
    return {
        item.name: item.read_bytes()
        for item in sorted(folder.iterdir(), key=lambda item: item.name)
        if PurePosixPath(item.name).suffix in _MEDIA_TYPES
    }


def _digest(files: Mapping[str, bytes]) -> str:
    """The same for the same names and contents."""
    whole = hashlib.sha256()
    for name, content in files.items():
        whole.update(f"{name}\0{len(content)}\0".encode() + content)
    return whole.hexdigest()[:16]


def _plotly_address() -> str:
    return f"plotly-{importlib.metadata.version('plotly')}/plotly.min.js"


def _plotly_path() -> Path | None:
    """The script in the installed package, which is found without loading it; None: the page shows no plots."""
    found = importlib.util.find_spec("plotly")
    for folder in (found.submodule_search_locations or ()) if found is not None else ():
        path = Path(folder) / "package_data" / "plotly.min.js"
        if path.is_file():
            return path
    return None
