import io
import zipfile

import numpy as np
import pytest
import safetensors.numpy
import torch
from torch import nn

from sterna.errors import ModelVersionUnsupported, UnsupportedFormat
from sterna.intake import sniff_format


def zipped(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, b"")
    return buffer.getvalue()


def saved(write, thing) -> bytes:
    buffer = io.BytesIO()
    write(thing, buffer)
    return buffer.getvalue()


def test_a_pt2_is_known_by_its_content(export, tmp_path):
    path = export(nn.Linear(2, 2), torch.ones(2, 2)).rename(tmp_path / "model.onnx")
    assert sniff_format(path) == "pt2"


def test_an_onnx_is_known_by_its_content(tmp_path):
    path = tmp_path / "model.pt2"
    path.write_bytes(b"\x08\x07\x12\x07pytorch")
    assert sniff_format(path) == "onnx"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (lambda: b"", "an empty file"),
        (lambda: saved(torch.save, nn.Linear(2, 2)), "a pickle that torch.save has written"),
        (lambda: b"\x80\x04\x95", "a pickle"),
        (lambda: zipped("model/code/__torch__.py", "model/data.pkl", "model/constants.pkl"), "TorchScript"),
        (lambda: saved(lambda a, b: np.savez(b, x=a), np.ones(3)), "an .npz"),
        (lambda: safetensors.numpy.save({"x": np.ones(3)}), "a safetensors file"),
        (lambda: b"hello, world", "no format that is known"),
        (lambda: zipped("readme.txt"), "no kind that is known"),
    ],
)
def test_other_files_are_refused_with_the_remedy(tmp_path, content, words):
    path = tmp_path / "model.pt2"
    path.write_bytes(content())
    with pytest.raises(UnsupportedFormat, match=words) as caught:
        sniff_format(path)
    assert "torch.export.save(torch.export.export(" in caught.value.hint


@pytest.mark.parametrize("names", [("serialized_exported_program.json",), ("archive/archive_format",)])
def test_old_pt2_files_are_told_from_foreign_ones(tmp_path, names):
    path = tmp_path / "model.pt2"
    path.write_bytes(zipped(*names))
    with pytest.raises(ModelVersionUnsupported, match="too old"):
        sniff_format(path)
