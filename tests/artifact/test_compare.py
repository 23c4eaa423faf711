"""Two artifacts are the same network where they decode to the same, however they are stored."""

from dataclasses import replace

import numpy as np
import pytest

from sterna.artifact import Artifact, TernaryTensor, write_artifact
from sterna.artifact.compare import compare_artifacts
from sterna.graph import TensorInfo


@pytest.fixture
def compare(tmp_path):
    def run(one, other, **options):
        write_artifact(tmp_path / "a", one)
        write_artifact(tmp_path / "b", other, **options)
        with Artifact.open(tmp_path / "a") as a, Artifact.open(tmp_path / "b") as b:
            return compare_artifacts(a, b)

    return run


def test_the_same_contents_in_other_chunks_are_the_same_network(compare, mixed_contents):
    found = compare(mixed_contents, mixed_contents, chunk_weights=7)
    assert found.same_network
    assert {tensor.name for tensor in found.tensors} == mixed_contents.graph.tensors.keys()
    assert found.report == {}


def test_changed_codes_scales_values_and_reports_are_counted(compare, page_contents):
    codes = page_contents.ternary["fc.weight"].codes.copy()
    codes[0] = [0, 0, -1]  # one of six
    other = replace(
        page_contents,
        ternary={"fc.weight": TernaryTensor(codes, page_contents.ternary["fc.weight"].scale)},
        dense={"fc.bias": page_contents.dense["fc.bias"] + np.float32(0.25)},
        report={**page_contents.report, "alpha": 0.5},
    )
    found = compare(page_contents, other)
    assert not found.same_network
    assert found.same_graph
    weight, bias = found.tensors
    assert (weight.state, weight.codes_changed, weight.sparsity, weight.largest) == ("changed", 1, (3 / 6, 4 / 6), 2.0)
    assert (bias.state, bias.codes_changed, bias.largest) == ("changed", None, 0.25)
    assert found.report == {"alpha": (0.25, 0.5)}


def test_other_tensors_and_other_graphs_are_named(compare, page_contents, graph_of):
    extra = {"spare": np.zeros(3, np.float32)}
    info = {"spare": TensorInfo("buffer", "float32", (3,))}
    found = compare(
        page_contents, replace(page_contents, graph=graph_of(extra=info), dense={**page_contents.dense, **extra})
    )
    assert [(tensor.name, tensor.state) for tensor in found.tensors][-1] == ("spare", "only in b")
    found = compare(
        replace(page_contents, graph=graph_of(extra=info), dense={**page_contents.dense, **extra}), page_contents
    )
    assert [(tensor.name, tensor.state) for tensor in found.tensors][-1] == ("spare", "only in a")
    wide = TernaryTensor(np.ones((2, 4), np.int8), np.ones((2, 1), np.float32))
    found = compare(page_contents, replace(page_contents, graph=graph_of((2, 4)), ternary={"fc.weight": wide}))
    assert found.tensors[0].state == "other shape or type"
    assert not found.same_network
