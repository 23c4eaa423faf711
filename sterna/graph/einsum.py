"""Which axis of an einsum's operand is its output channel, where the einsum is a plain contraction.

`btd,dhk->bthk` sums over d, which operand 1 shares with operand 0, and passes on h and k, which it alone has: it is a
matrix with the rows d and the columns hk. A weight in it can be ternary, with a scale along h or along k; taken is the
longer of the axes that it alone passes on, the last one among equals.
"""

from __future__ import annotations

from collections.abc import Sequence


def output_channel_axis(equation: str, operand: int, shape: Sequence[int], operands: int) -> int | None:
    """The output-channel axis of one operand, None where it is no factor of a plain contraction.

    Args:
        equation: as `torch.einsum` takes it.
        operand: which one, from 0.
        shape: of that operand.
        operands: how many there are.
    """
    left, arrow, output = equation.replace(" ", "").partition("->")
    labels = left.split(",")
    if not arrow or len(labels) != operands or operand >= operands:
        return None
    own = labels[operand]
    if len(own) != len(shape) or len(set(own)) != len(own) or not own.isalpha():
        return None
    others = set("".join(labels[:operand] + labels[operand + 1 :]))
    summed = [label for label in own if label in others and label not in output]
    passed_on = [axis for axis, label in enumerate(own) if label in output and label not in others]
    lost = [label for label in own if label not in others and label not in output]
    if not summed or not passed_on or lost:
        return None
    return max(passed_on, key=lambda axis: (shape[axis], axis))
