"""Operators that take and put elements by their place: selections, indices, images."""

import numpy as np
import onnx
from onnx import helper

from tests.intake.onnx.making import COLUMNS, CUBES, GRID, IMAGE, ROWS, SEQUENCE, WHOLE, WIDE, ints, node, normal

CASES = {
    # operator: (node, inputs, tensors, opset, whether the first axis is dynamic)
    "AffineGrid": (node("AffineGrid", "x", "s"), {"x": normal(2, 2, 3)}, {"s": ints(2, 3, 4, 5)}, 20, False),
    "AffineGrid-corners": (
        node("AffineGrid", "x", "s", align_corners=1), {"x": normal(2, 3, 4)}, {"s": ints(2, 1, 3, 4, 5)}, 20, False,
    ),
    "Col2Im": (
        node("Col2Im", "x", "i", "k", strides=[2, 1], pads=[1, 0, 1, 0]), {"x": normal(2, 12, 12)},
        {"i": ints(5, 5), "k": ints(3, 2)},
    ),
    "DepthToSpace": (node("DepthToSpace", "x", blocksize=2), {"x": IMAGE}),
    "DepthToSpace-crd": (node("DepthToSpace", "x", blocksize=2, mode="CRD"), {"x": normal(1, 8, 2, 3)}),
    "EyeLike": (node("EyeLike", "x"), {"x": ROWS}),
    "EyeLike-above": (node("EyeLike", "x", k=2, dtype=onnx.TensorProto.INT32), {"x": ROWS}),
    "EyeLike-below": (node("EyeLike", "x", k=-1), {"x": ROWS}),
    "Gather": (node("Gather", "e", "x"), {"x": np.array([[1, 2], [0, 3]])}, {"e": normal(4, 3)}),
    "Gather-one": (node("Gather", "x", "i", axis=1), {"x": SEQUENCE}, {"i": np.int64(-1)}),
    "Gather-some": (node("Gather", "x", "i", axis=2), {"x": SEQUENCE}, {"i": np.array([[0, 5], [-1, 2]])}),
    "GatherElements": (
        node("GatherElements", "x", "i", axis=1), {"x": ROWS, "i": np.array([[0, 2, 1], [5, 5, 0]])},
    ),
    "GatherElements-negative": (
        node("GatherElements", "x", "i", axis=-1), {"x": ROWS, "i": np.array([[0, -2, 1], [-6, 5, 0]], np.int32)},
    ),
    "GatherElements-constant": (
        node("GatherElements", "x", "i", axis=1), {"x": ROWS}, {"i": np.array([[0, -2, 1], [-6, 5, 0]])}, 18, False,
    ),
    "GatherND": (node("GatherND", "x", "i"), {"x": SEQUENCE, "i": np.array([[[0, 4]], [[1, -5]]])}),
    "GatherND-batch": (
        node("GatherND", "x", "i", batch_dims=1), {"x": SEQUENCE, "i": np.array([[[0], [3]], [[4], [-2]]])},
    ),
    "GatherND-batches": (
        node("GatherND", "x", "i", batch_dims=2), {"x": normal(2, 2, 4, 3), "i": np.array([[[1], [3]], [[0], [-2]]])},
    ),
    "GridSample": (node("GridSample", "x", "g"), {"x": IMAGE, "g": GRID}, {}, 20),
    "GridSample-nearest": (
        node("GridSample", "x", "g", mode="nearest", padding_mode="border"), {"x": IMAGE, "g": GRID}, {}, 20,
    ),
    "GridSample-cubic": (
        node("GridSample", "x", "g", mode="bicubic", padding_mode="reflection", align_corners=1),
        {"x": IMAGE, "g": GRID}, {}, 16,
    ),
    "GridSample-3d": (node("GridSample", "x", "g"), {"x": CUBES, "g": normal(2, 3, 2, 4, 3)}, {}, 20),
    "NonZero": ([helper.make_node("NonZero", ["c"], ["i"]), node("GatherND", "x", "j")], {"x": ROWS},
                {"c": np.array([[0, 3], [1, 0]]), "j": np.array([[1]])}),
    "OneHot": (node("OneHot", "x", "d", "v"), {"x": WHOLE}, {"d": np.int64(4), "v": normal(2)}),
    "OneHot-axis": (
        node("OneHot", "x", "d", "v", axis=1), {"x": WHOLE.astype(np.float32)},
        {"d": np.array([3], np.float32), "v": normal(2)},
    ),
    "OneHot-first": (node("OneHot", "i", "d", "x", axis=-2), {"x": normal(2)},
                     {"i": WHOLE.astype(np.int32), "d": np.array([5], np.int32)}, 18, False),
    "Resize": (
        node("Resize", "x", "", "f", coordinate_transformation_mode="asymmetric", nearest_mode="floor"),
        {"x": IMAGE}, {"f": np.array([1, 1, 2, 3], np.float32)},
    ),
    "Resize-half": (node("Resize", "x", "", "f"), {"x": IMAGE}, {"f": np.array([1, 1, 3, 2], np.float32)}),
    "Resize-linear": (
        node("Resize", "x", "", "", "s", mode="linear"), {"x": IMAGE[:1]}, {"s": ints(1, 4, 13, 16)}, 18, False,
    ),
    "Resize-corners": (
        node("Resize", "x", "", "f", mode="linear", coordinate_transformation_mode="align_corners"),
        {"x": IMAGE}, {"f": np.array([1, 1, 2, 2], np.float32)},
    ),
    "Resize-cubic": (
        node("Resize", "x", "", "f", mode="cubic", cubic_coeff_a=-0.75), {"x": IMAGE},
        {"f": np.array([1, 1, 2, 2], np.float32)},
    ),
    "ReverseSequence": (
        node("ReverseSequence", "x", "n", time_axis=1, batch_axis=0), {"x": SEQUENCE, "n": ints(2, 5)},
    ),
    "ReverseSequence-time": (node("ReverseSequence", "x", "n"), {"x": WIDE}, {"n": ints(2, 0, 1)}, 18, False),
    "Scatter": (node("Scatter", "x", "i", "u", axis=1), {"x": ROWS, "i": COLUMNS, "u": normal(2, 3)}, {}, 10),
    "ScatterElements": (
        node("ScatterElements", "x", "i", "u", axis=-1), {"x": ROWS, "i": COLUMNS, "u": normal(2, 3)},
    ),
    "ScatterElements-add": (
        node("ScatterElements", "x", "i", "u", axis=1, reduction="add"),
        {"x": ROWS, "i": COLUMNS * 0, "u": normal(2, 3)},
    ),
    **{
        f"ScatterElements-{reduction}": (
            node("ScatterElements", "x", "i", "u", axis=1, reduction=reduction),
            {"x": ROWS, "i": COLUMNS * 0 - 1, "u": normal(2, 3)},
        )
        for reduction in ("mul", "min", "max")
    },
    "ScatterElements-rows": (
        node("ScatterElements", "w", "i", "x"), {"x": normal(2, 3)},
        {"w": normal(4, 3), "i": np.array([[0, -1, 1], [2, 3, 0]], np.int32)}, 18, False,
    ),
    "ScatterND": (
        node("ScatterND", "x", "i", "u"), {"x": SEQUENCE}, {"i": np.array([[1, 2], [0, -1]]), "u": normal(2, 6)},
    ),
    "ScatterND-add": (
        node("ScatterND", "w", "i", "x", reduction="add"), {"x": ROWS, "i": np.array([[1], [1]])}, {"w": normal(3, 6)},
    ),
    "Slice": (
        node("Slice", "x", "s", "e", "a", "t"), {"x": SEQUENCE},
        {"s": ints(1, -4), "e": ints(2**62, -1), "a": ints(1, 2), "t": ints(2, 1)},
    ),
    "Slice-9": (node("Slice", "x", starts=[1], ends=[3], axes=[1]), {"x": SEQUENCE}, {}, 9),
    "Slice-backwards": (
        node("Slice", "x", "s", "e", "a", "t"), {"x": SEQUENCE},
        {"s": ints(-1), "e": ints(-(2**62)), "a": ints(1), "t": ints(-1)},
    ),
    "SpaceToDepth": (node("SpaceToDepth", "x", blocksize=2), {"x": normal(2, 3, 4, 6)}),
    "Split": (node("Split", "x", "s", axis=1, outputs=2), {"x": ROWS}, {"s": ints(2, 4)}),
    "Split-even": (node("Split", "x", axis=-1, outputs=3, num_outputs=3), {"x": WIDE}),
    "Split-11": (node("Split", "x", axis=1, outputs=2, split=[1, 5]), {"x": ROWS}, {}, 11),
    "TopK": (node("TopK", "x", "k", outputs=2), {"x": SEQUENCE}, {"k": ints(3)}),
    "TopK-least": (node("TopK", "x", "k", axis=1, largest=0, outputs=2), {"x": WHOLE}, {"k": ints(6)}),
    "TopK-9": (node("TopK", "x", k=2, axis=1, outputs=2), {"x": ROWS}, {}, 9),
    "Upsample": (
        node("Upsample", "x", "f", mode="nearest"), {"x": IMAGE}, {"f": np.array([1, 1, 2, 2], np.float32)}, 9,
    ),
}  # fmt: skip
