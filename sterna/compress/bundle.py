"""A bundle of transformers, which says what it is and not what it does, as the `.pt2` that stock torch makes of it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sterna.errors import UnsupportedFormat
from sterna.intake import preflight, sniff_format


@contextmanager
def runnable(model_path: Path) -> Iterator[Path]:
    """A file whose network has nodes: the model itself, or for as long as it is looked at a `.pt2` made of the bundle.

    Raises:
        UnsupportedFormat: it is a bundle, and transformers is not installed here.
        InputError: the bundle cannot be built.
    """
    if sniff_format(model_path) != "bundle":
        yield model_path
        return
    preflight(model_path, None)
    try:
        from sterna.module.pretrained import export_bundle  # noqa: PLC0415  transformers is an extra
    except ModuleNotFoundError as error:
        raise UnsupportedFormat(
            f"the model is a bundle of Hugging Face transformers, and {error.name} is not installed here",
            hint="Install the extra 'bundles' where jobs are run: pip install 'sterna[bundles]'.",
        ) from None
    with tempfile.TemporaryDirectory() as folder:  # mapped files live on when they are removed
        yield export_bundle(model_path, Path(folder) / "model.pt2")
