"""The network of a `.pt2`: `models/model.json` becomes a checked `Graph`.

    "graph_module": {"signature": {"input_specs":  which inputs of the graph are parameters, buffers and constants,
                                   "output_specs": what is returned},
                     "graph":     {"nodes": …, "tensor_values": element types and sizes of all values}}

Left out are: assertions, and the arithmetic on sizes that only they need; counters that nothing reads, such as the
`num_batches_tracked` of batch normalisation; arguments that say where to run. Values that are overwritten in place are
read as new ones (`in_place.py`), parts without gradients as parts whose results are detached (`pt2_regions.py`).
`guards_code`, expressions on sizes, tree specs and stack traces are never looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sterna.errors import ModelCorrupt, ModelUnsafe, OperatorUnsupported
from sterna.graph import (
    FLOATING,
    OPERATORS,
    Argument,
    Graph,
    Input,
    Node,
    TensorInfo,
    TensorKind,
    TensorRef,
    ValueRef,
    check_graph,
)
from sterna.graph.check import check_operators, quoted
from sterna.intake.in_place import Values
from sterna.intake.json_text import Reader
from sterna.intake.limits import MODEL
from sterna.intake.pt2_arguments import read_argument, read_names
from sterna.intake.pt2_nodes import RawNode, needed_nodes
from sterna.intake.pt2_overwrites import needs_conversion
from sterna.intake.pt2_regions import Body
from sterna.intake.pt2_tensors import StoredTensor, scalar_type
from sterna.intake.write_back import layout, without_strides

_PLACES: Final = frozenset({"device", "layout", "pin_memory", "cudnn_enabled", "cudnn_enable"})
_NET = Reader("the network", MODEL)


@dataclass(frozen=True, slots=True)
class BoundTensor:
    """What an input of the exported graph stands for when it is no input of the network.

    Attributes:
        name: original dotted name.
        kind: parameter, buffer, or constant, to which buffers outside the state_dict count.
    """

    name: str
    kind: TensorKind


def read_graph(program: Mapping[str, object], stored: Mapping[str, StoredTensor]) -> Graph:
    """Read and check the graph.

    Args:
        program: the parsed `models/model.json`.
        stored: the tensors of the archive by original name.

    Raises:
        OperatorUnsupported, ModelUnsafe, ModelCorrupt, ModelTooLarge: as `check_graph` and the modules above.
    """
    module = _NET.get(program, "graph_module", dict)
    body = _NET.get(module, "graph", dict)
    signature = _NET.get(module, "signature", dict)
    return _GraphReader(body, signature, stored).read()


def read_output_shape(program: Mapping[str, object]) -> tuple[int | None, ...]:
    """The shape of what the network returns first, None for a size that may differ; it is the file's word."""
    module = _NET.get(program, "graph_module", dict)
    names = _output_names(_NET.get(_NET.get(module, "signature", dict), "output_specs", list))
    if not names:
        raise ModelCorrupt("the network returns nothing")
    metadata = _NET.get(_NET.get(module, "graph", dict), "tensor_values", dict)
    meta = _NET.get(metadata, names[0], dict)
    return tuple(_size(item) for item in _NET.get(meta, "sizes", list))


class _GraphReader:
    """One reading: what the names of the file stand for so far."""

    def __init__(
        self, body: dict[str, object], signature: dict[str, object], stored: Mapping[str, StoredTensor]
    ) -> None:
        self._body = Body(body)
        self._stored = stored
        self._nodes: list[Node] = []
        self._values = Values(self._nodes)
        self._filled = False
        self._bound: dict[str, BoundTensor] = {}
        self._inputs: list[Input] = []
        for spec in _NET.get(signature, "input_specs", list):
            self._read_input(*_NET.union(spec, "input_specs"))
        self._share_tied()
        self._output_names = _output_names(_NET.get(signature, "output_specs", list))

    def read(self) -> Graph:
        integers = {name for name, bound in self._bound.items() if self._stored[bound.name].dtype not in FLOATING}
        needed = needed_nodes(self._body.nodes, self._output_names, counters=integers)
        check_operators(node.operator for node in needed)
        for node in needed:
            self._read_node(node)
        outputs = tuple(self._read_output(name) for name in self._output_names)
        graph = Graph(tuple(self._inputs), self._tensors(needed), tuple(self._nodes), outputs)
        check_graph(graph)
        return graph

    def _read_input(self, sort: str, spec: object) -> None:
        if sort == "user_input":
            self._read_user_input(*_NET.union(_NET.get(spec, "arg", dict), "arg"))
        elif sort in {"parameter", "buffer", "tensor_constant"}:
            name = _NET.get(spec, f"{sort}_name", str)
            if name not in self._stored:
                raise ModelCorrupt(f"the archive has no bytes for {quoted(name)}")
            kind: TensorKind = "parameter" if sort == "parameter" else "constant"
            if sort == "buffer" and _NET.get(spec, "persistent", bool):
                kind = "buffer"
            self._bound[_NET.get(_NET.get(spec, "arg", dict), "name", str)] = BoundTensor(name, kind)
        elif sort != "constant_input":  # its value stands in the nodes already
            raise ModelUnsafe(f"the network takes a {quoted(sort)}", hint="Export a network of tensors alone.")

    def _read_user_input(self, sort: str, value: object) -> None:
        if sort == "as_tensor":
            name = _NET.get(value, "name", str)
            meta = _NET.get(self._body.metadata, name, dict)
            sizes = tuple(_size(item) for item in _NET.get(meta, "sizes", list))
            self._inputs.append(Input(name, scalar_type(_NET.get(meta, "dtype", int)), sizes))
            self._values.define(name)
        elif sort != "as_none":
            raise OperatorUnsupported(
                f"an input of the network is {quoted(sort)}; inputs are tensors",
                hint="Give numbers as constants of the module and export again.",
            )

    def _share_tied(self) -> None:
        """Give tensors that are the same bytes one name: that of the first which the graph binds."""
        first: dict[StoredTensor, BoundTensor] = {}
        for value, bound in self._bound.items():
            stored = self._stored[bound.name]
            if stored.size_bytes:
                self._bound[value] = first.setdefault(stored, bound)

    def _read_node(self, raw: RawNode) -> None:
        if raw.in_place:
            self._overwrite(raw)
            return
        self._refuse_masks(raw)
        outputs, listed = self._outputs(raw)
        node = Node(raw.operator, self._arguments(raw), outputs, listed or len(outputs) > 1)
        laid_out_anew = self._filled or self._values.made_anew
        self._nodes.append(without_strides(node) if laid_out_anew else node)
        self._define(raw, node)

    def _refuse_masks(self, raw: RawNode) -> None:
        """Raise where `x[mask]` is taken of a mask that is computed: how many elements it gives only the data tells."""
        computed = raw.names - self._bound.keys() - {raw.first_name} if raw.operator == "aten.index.Tensor" else ()
        for name in computed:
            if self._dtype_of(name) in {"bool", "uint8"}:
                raise OperatorUnsupported(
                    f"{raw.target} takes elements by the mask {quoted(name)}: how many these are only the data tells",
                    hint="Multiply by the mask, or choose by torch.where, and export again.",
                )

    def _overwrite(self, raw: RawNode) -> None:
        target, (output, *_) = self._overwritten(raw), self._outputs(raw)[0]
        converted = needs_conversion(raw, target, self._dtype_of)
        old = self._resolve(target)
        made = f"{output}_unconverted" if converted else output
        self._nodes.append(Node(raw.operator, self._arguments(raw), (made,)))
        if converted:
            self._nodes.append(Node("aten.type_as.default", {"self": ValueRef(made), "other": old}, (output,)))
        self._filled |= bool(raw.fills)
        (self._values.turn if raw.turns else self._values.overwrite)(target, output, region=raw.region)

    def _arguments(self, raw: RawNode) -> dict[str, Argument]:
        arguments = {name: form for name, form in raw.arguments if name not in _PLACES}
        taken = OPERATORS[raw.operator].arguments
        if raw.fills:
            arguments = {raw.fills[name]: form for name, form in arguments.items() if name in raw.fills}
        elif raw.in_place:  # dropout_(self, …) is dropout(input, …)
            first = raw.arguments[0][0]
            arguments = {taken[0]: arguments.pop(first, None), **arguments}
        elif raw.computes_sizes:  # math.floor(x) is floor(a)
            arguments = dict(zip(taken, arguments.values(), strict=False))
        return {name: read_argument(form, self._resolve) for name, form in arguments.items()}

    def _outputs(self, raw: RawNode) -> tuple[tuple[str, ...], bool]:
        read = [read_names(form) for form in raw.outputs]
        return tuple(name for names, _ in read for name in names), any(listed for _, listed in read)

    def _overwritten(self, raw: RawNode) -> str:
        """The value that an in-place node overwrites."""
        target = raw.first_name
        if target is None or target in self._bound or len(self._outputs(raw)[0]) != 1:
            raise OperatorUnsupported(
                f"{raw.target} overwrites a parameter or a buffer of the network",
                hint="Compute it without changing the module's own tensors and export again.",
            )
        return target

    def _dtype_of(self, name: str) -> str | None:
        if name not in self._body.metadata:
            return None
        return scalar_type(_NET.get(_NET.get(self._body.metadata, name, dict), "dtype", int))

    def _define(self, raw: RawNode, node: Node) -> None:
        sources = frozenset(name for name in raw.first_names if self._may_look_into(node, name))
        if node.operator == "aten.einsum.default" and len(raw.first_names) > 1:
            sources = frozenset()  # of several it makes a product, which is new
        shared, owned = sorted(sources - self._bound.keys()), bool(sources & self._bound.keys())
        if len(shared) == 1 and not owned and self._values.define_views(shared[0], node):
            return
        for output in node.outputs:
            self._values.define(output, sharing=shared, shown=layout(node), owned_by_network=owned, region=raw.region)

    def _may_look_into(self, node: Node, source: str) -> bool:
        """Whether what a node makes may be memory of a source; it is not where it has another element type."""
        types = {self._dtype_of(name) for name in (source, *node.outputs)} - {None}
        return OPERATORS[node.operator].may_alias and len(types) < 2

    def _resolve(self, name: str) -> Argument:
        if name in self._bound:
            return TensorRef(self._bound[name].name)
        return ValueRef(self._values.read(name))

    def _read_output(self, name: str) -> ValueRef:
        if name not in self._bound:
            return ValueRef(self._values.read(name))
        output = f"{name}_returned"
        self._values.define(output, owned_by_network=True)
        self._nodes.append(Node("aten.alias.default", {"self": self._resolve(name)}, (output,)))
        return ValueRef(output)

    def _tensors(self, needed: list[RawNode]) -> dict[str, TensorInfo]:
        """What the network owns, in its own order, without counters that nothing reads."""
        read = {name for node in needed for name in node.names} | set(self._output_names)
        used = {self._bound[value].name for value in read & self._bound.keys()}
        tensors = {}
        for bound in self._bound.values():
            stored = self._stored[bound.name]
            is_counter = bound.kind == "buffer" and stored.shape == () and stored.dtype not in FLOATING
            if bound.name in used or not is_counter:
                tensors[bound.name] = TensorInfo(bound.kind, stored.dtype, stored.shape)
        return tensors


def _output_names(specs: list[object]) -> list[str]:
    """The tensors that the network returns; None, as attention returns for weights nobody asked for, is left out."""
    names = [_output_name(*_NET.union(spec, "output_specs")) for spec in specs]
    return [name for name in names if name is not None]


def _output_name(sort: str, spec: object) -> str | None:
    if sort != "user_output":
        raise OperatorUnsupported(
            f"the network has an output of the sort {quoted(sort)}; it may return tensors and change nothing else",
            hint="Save what torch.export.export gives, without run_decompositions().",
        )
    choice, value = _NET.union(_NET.get(spec, "arg", dict), "arg")
    if choice == "as_none":
        return None
    if choice != "as_tensor":
        raise OperatorUnsupported(
            f"the network returns {quoted(choice)}; outputs are tensors", hint="Return tensors alone and export again."
        )
    return _NET.get(value, "name", str)


def _size(item: object) -> int | None:
    choice, value = _NET.union(item, "sizes")
    return _NET.typed(value, int, "sizes") if choice == "as_int" else None
