"""ONNX operators that have weights: products and convolutions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from string import ascii_letters
from typing import Final

from sterna.errors import ModelCorrupt
from sterna.graph import Argument
from sterna.intake.onnx.arrangement import padded
from sterna.intake.onnx.call import Call, Converter
from sterna.intake.onnx.values import Shape, Value, broadcast
from sterna.intake.onnx.windows import Window, read_window, transposed_sizes
from sterna.intake.onnx.wire import HINT

_CONVOLUTIONS: Final = ("", "aten.conv1d.default", "aten.conv2d.default", "aten.conv3d.default")
_TRANSPOSED: Final = (
    "",
    "aten.conv_transpose1d.default",
    "aten.conv_transpose2d.input",
    "aten.conv_transpose3d.input",
)


def _matmul(call: Call) -> Value:
    a, b = call.input(0), call.input(1)
    left, right = call.graph.tensor(a, "parameter"), call.graph.tensor(b, "parameter")
    return call.graph.emit("aten.matmul.default", a.dtype, _product_shape(a.shape, b.shape), self=left, other=right)


def _product_shape(a: Shape | None, b: Shape | None) -> Shape | None:
    if a is None or b is None or not a or not b:
        return None
    if len(a) == 1 or len(b) == 1:
        return (*a[:-1],) if len(b) == 1 else (*b[:-2], b[-1])
    batch = broadcast(a[:-2], b[:-2])
    return None if batch is None else (*batch, a[-2], b[-1])


def _gemm(call: Call) -> Value:
    """Compute alpha · A · B + beta · C, as torch's linear layer where it is one."""
    a, b, c = call.input(0), call.input(1), call.given(2)
    alpha, beta = call.attributes.number("alpha", 1.0), call.attributes.number("beta", 1.0)
    flip_a, flip_b = call.attributes.integer("transA", 0), call.attributes.integer("transB", 0)
    left = _turned(call, a, flip=bool(flip_a))
    columns = None if b.shape is None or len(b.shape) != 2 else b.shape[0 if flip_b else 1]
    rows = None if a.shape is None or len(a.shape) != 2 else a.shape[1 if flip_a else 0]
    bias = None if c is None else call.graph.tensor(c, "parameter")
    plain = alpha == beta == 1.0 and (c is None or (c.shape is not None and len(c.shape) == 1))
    if flip_b and plain:
        weight = call.graph.tensor(b, "parameter")
        return call.graph.emit("aten.linear.default", a.dtype, (rows, columns), input=left, weight=weight, bias=bias)
    right = _turned(call, b, flip=bool(flip_b))
    if bias is not None:
        return call.graph.emit(
            "aten.addmm.default", a.dtype, (rows, columns), self=bias, mat1=left, mat2=right, beta=beta, alpha=alpha
        )
    product = call.graph.emit("aten.mm.default", a.dtype, (rows, columns), self=left, mat2=right)
    if alpha == 1.0:
        return product
    return call.like("aten.mul.Tensor", product, self=product.ref, other=alpha)


def _turned(call: Call, value: Value, *, flip: bool) -> Argument:
    tensor = call.graph.tensor(value, "parameter")
    return call.graph.emit("aten.t.default", value.dtype, None, self=tensor).ref if flip else tensor


def _einsum(call: Call) -> Value:
    tensors = tuple(call.graph.tensor(call.input(index), "parameter") for index in range(len(call.inputs)))
    terms, output = _explicit(call, call.attributes.text("equation", "").replace(" ", ""))
    sizes: dict[str, int | None] = {}
    for letters, index in zip(terms, range(len(call.inputs)), strict=False):
        shape = call.input(index).shape
        sizes.update(zip(letters, shape or (), strict=False))
    shape = tuple(sizes.get(letter) for letter in output)
    equation = f"{','.join(terms)}->{output}"
    return call.graph.emit("aten.einsum.default", call.input(0).dtype, shape, equation=equation, tensors=tensors)


def _explicit(call: Call, equation: str) -> tuple[list[str], str]:
    """The letters of each operand and of the result: an ellipsis gets letters, a result that is left out its own."""
    inputs, arrow, output = equation.partition("->")
    terms = inputs.split(",")
    if len(terms) != len(call.inputs):
        raise ModelCorrupt(f"Einsum has {len(call.inputs)} inputs for {len(terms)} terms", hint=HINT)
    free = [letter for letter in ascii_letters if letter not in equation]
    hidden = [
        call.rank(call.input(at)) - len(term.replace("...", "")) if "..." in term else 0
        for at, term in enumerate(terms)
    ]
    if not 0 <= min(hidden) <= max(hidden) <= len(free):
        raise ModelCorrupt("Einsum has more letters than axes", hint=HINT)
    named = "".join(free[: max(hidden)])
    if not arrow:
        counts = Counter(inputs)
        output = "..." + "".join(sorted(letter for letter in ascii_letters if counts[letter] == 1))
    expanded = [term.replace("...", named[len(named) - axes :]) for term, axes in zip(terms, hidden, strict=True)]
    return expanded, output.replace("...", named)


def _conv(call: Call) -> Value:
    value, weight = call.input(0), call.input(1)
    spatial = _spatial(call, weight)
    call.attributes.integers("kernel_shape")  # the weight says it
    window = read_window(call, value, (weight.shape or ())[2:])
    groups = call.attributes.integer("group", 1)
    value, pads = _symmetric(call, value, window)
    shape = None
    if value.shape is not None and weight.shape is not None and len(value.shape) == spatial + 2:
        shape = (value.shape[0], weight.shape[0], *window.sizes_after(value.shape[2:], pads))
    return call.graph.emit(
        _CONVOLUTIONS[spatial],
        value.dtype,
        shape,
        input=call.graph.tensor(value),
        weight=call.graph.tensor(weight, "parameter"),
        bias=optional(call, 2),
        stride=window.strides,
        padding=pads,
        dilation=window.dilations,
        groups=groups,
    )


def _symmetric(call: Call, value: Value, window: Window) -> tuple[Value, tuple[int, ...]]:
    """Pads that torch has, which are alike at both ends of an axis; others become a node of their own."""
    if all(before == after for before, after in window.pads):
        return value, tuple(before for before, _ in window.pads)
    return padded(call, value, [(0, 0), (0, 0), *window.pads]), (0,) * len(window.pads)


def optional(call: Call, index: int) -> Argument:
    """A parameter that may be left out."""
    value = call.given(index)
    return None if value is None else call.graph.tensor(value, "parameter")


def _spatial(call: Call, weight: Value) -> int:
    axes = call.rank(weight) - 2
    if not 1 <= axes <= 3:
        raise call.refuse(f"its weight has {axes + 2} axes; read are 3 to 5")
    return axes


def _conv_transpose(call: Call) -> Value:
    value, weight = call.input(0), call.input(1)
    spatial = _spatial(call, weight)
    if call.attributes.has("output_shape"):
        raise call.refuse("it is given its output shape")
    call.attributes.integers("kernel_shape")
    window = read_window(call, value, (weight.shape or ())[2:], may_fit=False)
    if any(before != after for before, after in window.pads):
        raise call.refuse("its two ends are padded differently")
    extra = call.attributes.integers("output_padding") or (0,) * spatial
    groups = call.attributes.integer("group", 1)
    shape = None
    if value.shape is not None and weight.shape is not None and len(value.shape) == spatial + 2:
        channels = weight.shape[1]
        after = transposed_sizes(window, value.shape[2:], extra)
        shape = (value.shape[0], None if channels is None else channels * groups, *after)
    return call.graph.emit(
        _TRANSPOSED[spatial],
        value.dtype,
        shape,
        input=call.graph.tensor(value),
        weight=call.graph.tensor(weight, "parameter"),
        bias=optional(call, 2),
        stride=window.strides,
        padding=tuple(before for before, _ in window.pads),
        output_padding=extra,
        groups=groups,
        dilation=window.dilations,
    )


LAYERS: Final[Mapping[str, Converter]] = {
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Einsum": _einsum,
    "Gemm": _gemm,
    "MatMul": _matmul,
}
