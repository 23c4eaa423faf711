"""A network as data becomes a torch module that runs, trains and is saved like any other.

The module walks the nodes of the graph and calls one function of the explicit table for each: an interpreter. Nothing
is generated, compiled or evaluated, so no name of a stranger's file ever becomes code (docs/decisions/0001).
Parameters and buffers lie in a tree of plain modules under their original names, so `state_dict`, `named_parameters`,
`torch.func.functional_call` and optimisers see what they would see in the original.

`train()` and `eval()` set the mode of every dropout, batch normalisation, recurrent layer and attention at once,
whatever the export recorded. A network that keeps some of them in the other mode on purpose is thereby not reproduced.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import torch
from torch import Tensor, nn

from sterna.errors import ModelUnsafe
from sterna.graph import OPERATORS, Argument, Dtype, Graph, Network, Node, TensorRef, ValueRef, check_graph
from sterna.module.arrays import to_tensor
from sterna.module.growth import check_growth, has_unusual_number
from sterna.module.operators import DTYPES, FUNCTIONS, MEMORY_FORMATS


def build_module(network: Network) -> nn.Module:
    """Build a module in training mode from a network; the bytes of its tensors are copied.

    Raises:
        ModelUnsafe: a tensor has a name that would hide a part of `torch.nn.Module`.
        ModelCorrupt, OperatorUnsupported, ModelTooLarge: the graph is not sound.
    """
    check_graph(network.graph)
    return RebuiltNetwork(network)


_FAILED: Final = "in the node "


def node_that_failed(error: BaseException) -> str:
    """Which node of a rebuilt network raised an error, in words; empty where none did."""
    return next((note for note in getattr(error, "__notes__", ()) if note.startswith(_FAILED)), "")


class Branch(nn.Module):
    """A place in the tree of names; it holds parameters, buffers and further branches, and computes nothing."""


class RebuiltNetwork(nn.Module):
    """A network that was rebuilt from data.

    Takes its inputs by position or by name; gives one tensor, or a tuple where the graph has several outputs.
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        self._sterna_program = _Program.of(network.graph)
        self._sterna_owners: dict[str, tuple[nn.Module, str]] = {}
        for name in network.graph.tensors:
            self._sterna_owners[name] = _place(self, name, network)

    def forward(self, /, *args: Tensor, **kwargs: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Run the network.

        Raises:
            TypeError: inputs are missing, given twice or unknown.
        """
        program = self._sterna_program
        values: dict[str, Any] = _bind(program.graph, args, kwargs)
        device = next(iter(values.values())).device if values else None
        for node, finished in zip(program.graph.nodes, program.last_uses, strict=True):
            try:
                self._run(node, values, device)
            except Exception as error:
                error.add_note(f"{_FAILED}{node.operator}, which makes {', '.join(node.outputs[:3])}")
                raise
            for name in finished:
                del values[name]
        outputs = tuple(values[output.name] for output in program.graph.outputs)
        return outputs[0] if len(outputs) == 1 else outputs

    def _run(self, node: Node, values: dict[str, Any], device: torch.device | None) -> None:
        operator, function = OPERATORS[node.operator], FUNCTIONS[node.operator]
        arguments = {name: self._value(argument, values) for name, argument in node.arguments.items()}
        needs = operator.mode_needs
        if operator.mode is not None and (needs is None or arguments.get(needs) is not None):
            arguments[operator.mode] = self.training
        if operator.rate in arguments and not self.training:
            arguments[operator.rate] = 0.0
        if operator.makes:
            arguments["device"] = device
        if "memory_format" in arguments:
            arguments["memory_format"] = MEMORY_FORMATS.get(arguments["memory_format"])
        if operator.grows or has_unusual_number(operator, arguments):
            check_growth(node.operator, function, arguments)
        result = function(**arguments)
        if node.unpacked or len(node.outputs) > 1:
            values.update(zip(node.outputs, result, strict=True))
        else:
            values[node.outputs[0]] = result

    def _value(self, argument: Argument, values: Mapping[str, Any]) -> Any:  # noqa: ANN401  whatever the operator takes
        if isinstance(argument, ValueRef):
            return values[argument.name]
        if isinstance(argument, TensorRef):
            owner, leaf = self._sterna_owners[argument.name]
            # Not by attribute: functional_call and .to() change these dictionaries, and all they hold is tensors.
            parameter = owner._parameters.get(leaf)
            return owner._buffers[leaf] if parameter is None else parameter
        if isinstance(argument, tuple):
            return [self._value(item, values) for item in argument]
        return DTYPES[argument.name] if isinstance(argument, Dtype) else argument


@dataclass(frozen=True)
class _Program:
    """The graph, and for each node the values that nothing uses after it. Immutable, so copies of a module share it."""

    graph: Graph
    last_uses: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, graph: Graph) -> Self:
        last: dict[str, int] = {}
        for index, node in enumerate(graph.nodes):
            for name in (*_values_in(tuple(node.arguments.values())), *node.outputs):
                last[name] = index
        kept = {output.name for output in graph.outputs}
        finished: list[list[str]] = [[] for _ in graph.nodes]
        for name, index in last.items():
            if name not in kept:
                finished[index].append(name)
        return cls(graph, tuple(map(tuple, finished)))

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self


_RESERVED: Final = frozenset(dir(nn.Module())) | {"_sterna_program", "_sterna_owners"} | frozenset(dir(RebuiltNetwork))


def _place(root: nn.Module, name: str, network: Network) -> tuple[nn.Module, str]:
    """Put a tensor into the tree under its dotted name: the branch that holds it, and its name there."""
    *path, leaf = name.split(".")
    for part in (*path, leaf):
        if part in _RESERVED:
            raise ModelUnsafe(
                f"a tensor is called {name!r}; {part!r} would hide a part of torch.nn.Module",
                hint="Rename the parameter or the module that holds it and export again.",
            )
    branch = root
    for part in path:
        if part not in branch._modules:
            branch.register_module(part, Branch())
        branch = branch._modules[part] or branch
    info = network.graph.tensors[name]
    tensor = to_tensor(network.tensors[name], info.dtype)
    if info.kind == "parameter":
        branch.register_parameter(leaf, nn.Parameter(tensor, requires_grad=tensor.is_floating_point()))
    else:
        branch.register_buffer(leaf, tensor, persistent=info.kind == "buffer")
    return branch, leaf


def _bind(graph: Graph, args: tuple[Tensor, ...], kwargs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    names = [item.name for item in graph.inputs]
    given = dict(zip(names, args, strict=False))
    if len(args) > len(names) or given.keys() & kwargs.keys() or {*given, *kwargs} != set(names):
        raise TypeError(
            f"the network takes {', '.join(names)}; given were {len(args)} by position and {sorted(kwargs)} by name"
        )
    return {**given, **kwargs}


def _values_in(argument: Argument) -> list[str]:
    if isinstance(argument, ValueRef):
        return [argument.name]
    if isinstance(argument, tuple):
        return [name for item in argument for name in _values_in(item)]
    return []
