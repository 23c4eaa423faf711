"""What `tests/module/test_overwriting.py` does not run: what a file might say and torch would not."""

import pytest

from sterna.graph import Node, ValueRef
from sterna.intake.write_back import can_be_put_back, looking_again, put_back, without_strides

Y = ValueRef("y")


def look(operator: str, **arguments: object) -> Node:
    return Node(operator, {"self": Y, **arguments}, ("v",))


@pytest.mark.parametrize(
    "node",
    [
        look("aten.reshape.default", shape=(2,)),
        look("aten.expand.default", size=(2, 2)),
        look("aten.detach.default"),
        look("aten.narrow.default", dim=0, start=ValueRef("n"), length=1),
        look("aten.narrow.default", dim=0),
        look("aten.permute.default", dims=(0, 0)),
        look("aten.permute.default", dims=(0, ValueRef("n"))),
        look("aten.permute.default"),
        Node("aten.select.int", {"dim": 0, "index": 0}, ("v",)),
        Node("aten.select.int", {"self": 3, "dim": 0, "index": 0}, ("v",)),
    ],
)
def test_what_cannot_be_put_back(node):
    assert not can_be_put_back(node)


@pytest.mark.parametrize(
    "operator", ["aten.movedim.int", "aten.select.int", "aten.transpose.int", "aten.chunk.default"]
)
def test_arguments_that_are_missing_are_left_to_the_run(operator):
    node = look(operator)
    assert can_be_put_back(node)
    assert put_back(node, "y", ["w"], "z").outputs == ("z",)


def test_a_narrow_may_count_from_the_end():
    for start, end in ((-2, 2**63 - 1), (-3, -1), (1, 3)):
        node = look("aten.narrow.default", dim=1, start=start, length=2)
        assert put_back(node, "y", ["w"], "z").arguments == {
            "self": Y, "src": ValueRef("w"), "dim": 1, "start": start, "end": end,
        }  # fmt: skip


def test_the_order_of_axes_is_undone():
    node = look("aten.permute.default", dims=(2, 0, -2))
    assert put_back(node, "y", ["w"], "z").arguments == {"self": ValueRef("w"), "dims": (1, 2, 0)}


def test_strides_are_not_asked_for_again():
    again = looking_again(look("aten.view.default", size=(2, 3)), "z", ("w",))
    assert again == Node("aten.reshape.default", {"self": ValueRef("z"), "shape": (2, 3)}, ("w",))
    assert without_strides(look("aten.view_as.default", other=Y)).operator == "aten.reshape_as.default"
    assert without_strides(look("aten.t.default")) == look("aten.t.default")
