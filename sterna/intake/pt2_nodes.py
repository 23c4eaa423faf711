"""The nodes of a `.pt2` before their arguments are read: which are needed, and what their operators are called here."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Self

from sterna.errors import ModelTooLarge
from sterna.graph import OPERATORS
from sterna.graph.check import MAX_NODES
from sterna.intake.json_text import Reader
from sterna.intake.limits import MODEL

_ATEN = "torch.ops.aten."
_SIZE_OPERATORS: Final = {
    **{f"_operator.{name}": name for name in ("add", "sub", "mul", "floordiv", "truediv", "mod", "pow", "neg")},
    **{f"math.{name}": name for name in ("floor", "ceil", "trunc", "sqrt")},
    "builtins.round": "round",
    "torch.sym_int": "trunc",
    "torch.sym_float": "of",
    "torch.sym_max": "max",
    "torch.sym_min": "min",
    "torch._sym_sqrt": "sqrt",
}
# Where to run is not the file's to say, so what goes to a device and a type goes to the type. Memory that nobody has
# written may hold anything, so also zeros, the same in every run. For all but complex numbers `sgn` is `sign`.
_READ_AS: Final = {
    "aten.to.device": "aten.to.dtype",
    "aten.sgn.default": "aten.sign.default",
    "aten.empty.memory_format": "aten.zeros.default",
    "aten.empty_like.default": "aten.zeros_like.default",
    "aten.new_empty.default": "aten.new_zeros.default",
}
# What overwrites all of its first argument: what gives the same, and the arguments of that by those in the file.
_FILLS: Final[Mapping[str, tuple[str, Mapping[str, str]]]] = {
    "aten.copy_.default": ("aten.expand_as.default", {"src": "self", "self": "other"}),
    "aten.fill_.Tensor": ("aten.expand_as.default", {"value": "self", "self": "other"}),
    "aten.fill_.Scalar": ("aten.full_like.default", {"self": "self", "value": "fill_value"}),
    "aten.zero_.default": ("aten.zeros_like.default", {"self": "self"}),
}
_ASSERTIONS: Final = frozenset(
    {
        "torch.ops.aten._assert_scalar.default",
        "torch.ops.aten._assert_tensor_metadata.default",
        "torch.ops.aten.sym_constrain_range.default",
        "torch.ops.aten.sym_constrain_range_for_size.default",
    }
)
_TENSOR_OUTPUTS: Final = frozenset({"as_tensor", "as_tensors"})
_SIZE_OUTPUTS: Final = frozenset({"as_sym_int", "as_sym_bool", "as_sym_float"})
_NODE = Reader("a node of the network", MODEL)


@dataclass(frozen=True)
class RawNode:
    """One node as it stands in the file.

    Attributes:
        target: name of the operator in the file.
        arguments: name and unread form of each.
        outputs: unread forms.
        region: the part without gradients in which it stands, 0 outside of them.
    """

    target: str
    arguments: tuple[tuple[str, object], ...]
    outputs: tuple[object, ...]
    region: int = 0

    @classmethod
    def read(cls, form: object) -> Self:
        """Take apart what a node of the file is made of."""
        inputs = _NODE.get(form, "inputs", list)
        arguments = tuple((_NODE.get(item, "name", str), _NODE.get(item, "arg", dict)) for item in inputs)
        return cls(_NODE.get(form, "target", str), arguments, tuple(_NODE.get(form, "outputs", list)))

    @cached_property
    def operator(self) -> str:
        """Key of `OPERATORS`; where there is none, the name by which to refuse it.

        `aten.relu_.default` overwrites its argument with what `aten.relu.default` gives, and is read as that.
        """
        if self.computes_sizes:
            gives_float = any(isinstance(form, dict) and "as_sym_float" in form for form in self.outputs)
            return f"{'float' if gives_float else 'int'}.{_SIZE_OPERATORS[self.target]}"
        name = self.target.removeprefix("torch.ops.")
        return _out_of_place(name) if self.in_place else _READ_AS.get(name, name)

    @cached_property
    def in_place(self) -> bool:
        """Whether it overwrites its first argument, or gives it other axes."""
        return _out_of_place(self.target.removeprefix("torch.ops.")) in OPERATORS

    @property
    def turns(self) -> bool:
        """Whether it is in place and overwrites no memory, but gives its first argument other axes or no gradients."""
        entry = OPERATORS[self.operator]
        return self.in_place and not self.fills and entry.may_alias and entry.mode is None

    @property
    def fills(self) -> Mapping[str, str]:
        """Where it overwrites all of its first argument: the arguments of `operator` by those in the file."""
        _, arguments = _FILLS.get(self.target.removeprefix("torch.ops."), ("", {}))
        return arguments

    @cached_property
    def names(self) -> frozenset[str]:
        """Every value that the arguments mention."""
        return self.names_but(())

    def names_but(self, left_out: Collection[str]) -> frozenset[str]:
        """Every value that the arguments mention, but for some of these."""
        return frozenset(
            name for argument, form in self.arguments if argument not in left_out for name in _names_in(form)
        )

    @property
    def first_name(self) -> str | None:
        """The value that is its first argument, None where that is something else."""
        names = list(_names_in(self.arguments[0][1])) if self.arguments else []
        return names[0] if len(names) == 1 else None

    @property
    def first_names(self) -> frozenset[str]:
        """The values in the first argument that holds any."""
        held = (frozenset(_names_in(form)) for _, form in self.arguments)
        return next(filter(None, held), frozenset())

    @cached_property
    def output_names(self) -> frozenset[str]:
        """Every value that it makes."""
        return frozenset(name for form in self.outputs for name in _names_in(form))

    @property
    def is_pure(self) -> bool:
        """Whether it surely does nothing but give tensors."""
        namespace, _, function = self.target.removeprefix("torch.ops.").partition(".")
        name, _, overload = function.partition(".")
        gives_tensors = all(isinstance(form, dict) and form.keys() <= _TENSOR_OUTPUTS for form in self.outputs)
        return gives_tensors and namespace == "aten" and not name.endswith("_") and not overload.endswith("out")

    @property
    def computes_sizes(self) -> bool:
        """Whether it is arithmetic on sizes."""
        return self.target in _SIZE_OPERATORS

    @property
    def makes_sizes(self) -> bool:
        """Whether it makes sizes and truths about sizes, and no tensor."""
        return all(isinstance(form, dict) and form.keys() <= _SIZE_OUTPUTS for form in self.outputs)


def needed_nodes(nodes: Sequence[RawNode], outputs: Iterable[str], *, counters: Collection[str]) -> list[RawNode]:
    """The nodes that the outputs depend on or that might matter otherwise.

    Left out are assertions, what nothing uses (a loss beside the logits, sizes), and counting that nothing reads.

    Args:
        nodes: all of them, in order.
        outputs: names of the values that the network returns.
        counters: names of the integer tensors of the network, which may be counters.
    """
    if len(nodes) > MAX_NODES:
        raise ModelTooLarge(f"the network has {len(nodes)} nodes; at most {MAX_NODES} are read")
    nodes = [node for node in nodes if node.target not in _ASSERTIONS]
    used = set(outputs)
    read = used.union(*(node.names for node in nodes if not _counts(node, counters)))
    kept: list[RawNode] = []
    for node in reversed(nodes):
        idle = node.makes_sizes or node.is_pure or (_counts(node, counters) and node.first_name not in read)
        if idle and not node.output_names & used:
            continue
        kept.append(node)
        used |= node.names
    return kept[::-1]


def _counts(node: RawNode, counters: Collection[str]) -> bool:
    """Whether a node adds a constant to a counter, or changes it in such a way, and does nothing else."""
    return node.in_place and node.first_name in counters and node.names == {node.first_name}


def _out_of_place(name: str) -> str:
    """`aten.relu.default` for `aten.relu_.default`, an empty text for what has no underscore there."""
    if name in _FILLS:
        return _FILLS[name][0]
    namespace, _, rest = name.partition(".")
    function, _, overload = rest.partition(".")
    if not function.endswith("_") or function.startswith("__"):
        return ""
    return f"{namespace}.{function[:-1]}.{overload}"


def _names_in(form: object) -> Iterator[str]:
    """The names of values in the unread form of arguments or outputs."""
    pending = [form]
    while pending:
        item = pending.pop()
        if isinstance(item, list):
            pending.extend(item)
        elif isinstance(item, dict):
            for key, value in item.items():
                if key in {"name", "as_name"} and isinstance(value, str):
                    yield value
                elif isinstance(value, dict | list):
                    pending.append(value)
