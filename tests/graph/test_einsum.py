import pytest
import torch

from sterna.graph.einsum import output_channel_axis


@pytest.mark.parametrize(
    ("equation", "operand", "shape", "axis"),
    [
        ("bi,io->bo", 1, (3, 5), 1),
        ("bi,oi->bo", 1, (5, 3), 0),
        ("oi,bi->bo", 0, (5, 3), 0),
        ("btd,dhk->bthk", 1, (12, 3, 4), 2),
        ("btd,dhk->bthk", 1, (12, 8, 4), 1),
        ("bthk,hkd->btd", 1, (3, 4, 12), 2),
        ("b t d, d e -> b t e", 1, (3, 5), 1),
        ("ebd,edh->ebh", 1, (4, 6, 10), 2),  # a stack of matrices, one for each expert
    ],
)
def test_plain_contractions(equation, operand, shape, axis):
    assert output_channel_axis(equation, operand, shape, 2) == axis


@pytest.mark.parametrize(
    ("equation", "shape"),
    [
        ("bd,bd->bd", (3, 4)),  # a product of elements
        ("bd,td->btd", (3, 4)),  # nothing is summed
        ("bd,d->b", (4,)),  # it passes nothing on
        ("bd,dd->bd", (4, 4)),  # a diagonal
        ("bd,do->b", (4, 5)),  # its own axis is summed away
        ("bd,do", (4, 5)),  # no output is named
        ("...d,do->...o", (4, 5, 6)),  # fewer labels than axes
        ("bd,...o->bo", (4, 5)),
        ("bd->b", (4, 5)),
        ("", (4, 5)),
    ],
)
def test_everything_else_is_none(equation, shape):
    assert output_channel_axis(equation, 1, shape, 2) is None


def test_a_scale_along_the_axis_can_be_drawn_out():
    """What an output channel means: scaling the weight along it scales the output, whatever the input is."""
    torch.manual_seed(0)
    x, w = torch.randn(2, 5, 6), torch.randn(6, 3, 4)
    axis = output_channel_axis("btd,dhk->bthk", 1, w.shape, 2)
    scale = torch.rand(4)
    torch.testing.assert_close(torch.einsum("btd,dhk->bthk", x, w * scale), torch.einsum("btd,dhk->bthk", x, w) * scale)
    assert axis == 2
