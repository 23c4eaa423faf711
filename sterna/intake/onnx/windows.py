"""The windows that convolutions and poolings slide over their inputs: sizes, strides, dilations, pads."""

from __future__ import annotations

from dataclasses import dataclass

from sterna.errors import ModelCorrupt
from sterna.intake.onnx.call import Call
from sterna.intake.onnx.values import Shape, Value
from sterna.intake.onnx.wire import HINT


@dataclass(frozen=True, slots=True)
class Window:
    """A window over the spatial axes, which are those after the second.

    Attributes:
        sizes: of the window along each axis.
        strides, dilations: along each axis.
        pads: before and after each axis.
    """

    sizes: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: tuple[tuple[int, int], ...]

    def sizes_after(self, before: Shape, pads: tuple[int, ...] | None = None, *, ceil: bool = False) -> Shape:
        """How many places the window has along each axis.

        Args:
            before: sizes of the axes.
            pads: on both ends, instead of the window's own.
            ceil: count a last place that reaches over the end.
        """
        result: list[int | None] = []
        for at, size in enumerate(before):
            if size is None or ceil:
                result.append(None)
                continue
            both = sum(self.pads[at]) if pads is None else 2 * pads[at]
            reach = self.dilations[at] * (self.sizes[at] - 1) + 1
            result.append((size + both - reach) // self.strides[at] + 1)
        return tuple(result)


def read_window(call: Call, value: Value, sizes: Shape, *, may_fit: bool = True) -> Window:
    """The window that the attributes of a node describe.

    Args:
        call: the node.
        value: what the window slides over.
        sizes: of the window.
        may_fit: whether `auto_pad` may ask for pads that keep the size.
    """
    known = tuple(size for size in sizes if size is not None)
    axes = len(sizes)
    strides = call.attributes.integers("strides") or (1,) * axes
    dilations = call.attributes.integers("dilations") or (1,) * axes
    pads = call.attributes.integers("pads") or (0,) * (2 * axes)
    automatic = call.attributes.text("auto_pad", "NOTSET")
    if len(known) != axes or not axes:
        raise call.refuse("the size of its window is not known")
    if not 2 * len(strides) == 2 * len(dilations) == len(pads) == 2 * axes or min(*strides, *dilations, *known, 1) < 1:
        raise ModelCorrupt(f"{call.operator} has a window that does not fit {axes} axes", hint=HINT)
    window = Window(known, strides, dilations, tuple(zip(pads[:axes], pads[axes:], strict=True)))
    if automatic in {"NOTSET", "VALID"}:
        return window
    if automatic not in {"SAME_UPPER", "SAME_LOWER"} or not may_fit:
        raise call.refuse(f"its auto_pad is {automatic!r}")
    return _fitted(call, value, window, upper=automatic == "SAME_UPPER")


def _fitted(call: Call, value: Value, window: Window, *, upper: bool) -> Window:
    """Pads that give one place for each stride, the odd one at the end (`upper`) or at the beginning."""
    pads: list[tuple[int, int]] = []
    shape = value.shape[2:] if value.shape is not None else (None,) * len(window.sizes)
    for at, stride in enumerate(window.strides):
        size = shape[at] if at < len(shape) else None
        reach = window.dilations[at] * (window.sizes[at] - 1) + 1
        if size is None and stride != 1:
            raise call.refuse("its auto_pad depends on a size that may differ")
        places = 0 if size is None else -(-size // stride)
        total = reach - 1 if size is None else max(0, (places - 1) * stride + reach - size)
        small = total // 2
        pads.append((small, total - small) if upper else (total - small, small))
    return Window(window.sizes, window.strides, window.dilations, tuple(pads))


def transposed_sizes(window: Window, before: Shape, extra: tuple[int, ...]) -> Shape:
    """The sizes that a transposed convolution makes of sizes."""
    result: list[int | None] = []
    for at, size in enumerate(before):
        reach = window.dilations[at] * (window.sizes[at] - 1) + 1
        more = extra[at] if at < len(extra) else 0
        whole = None if size is None else (size - 1) * window.strides[at] - sum(window.pads[at]) + reach + more
        result.append(whole)
    return tuple(result)
