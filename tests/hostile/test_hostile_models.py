"""Networks and indexes that lie, in sound archives."""

import json

import pytest

from sterna.errors import ModelCorrupt, ModelTooLarge, ModelUnsafe, ModelVersionUnsupported, OperatorUnsupported
from sterna.intake import read_model

NETWORK = "models/model.json"
INDEX = "data/weights/model_weights_config.json"


def change(form, path, value):
    for step in path[:-1]:
        form = form[step]
    form[path[-1]] = value


def spoil_network(sound, path, value):
    program = sound.json(NETWORK)
    change(program["graph_module"], path, value)
    sound.put_json(NETWORK, program)
    return sound.save()


def spoil_index(sound, path, value):
    index = sound.json(INDEX)
    change(index["config"]["0.weight"], path, value)
    sound.put_json(INDEX, index)
    return sound.save()


NODE = ("graph", "nodes", 0)
FIRST = (*NODE, "inputs", 0, "arg")


@pytest.mark.parametrize(
    "text", [b"", b"[]", b"{", b"\xff\xfe", b"null", b"[" * 200_000, b'{"a": ' * 100_000, b"9" * 10_000]
)
@pytest.mark.parametrize("name", [NETWORK, INDEX])
def test_bad_json_is_refused(sound, name, text):
    sound.members[name] = text
    with pytest.raises(ModelCorrupt):
        read_model(sound.save())


@pytest.mark.parametrize(
    "target",
    ["torch.ops.aten.from_file.default", "torch.ops.aten.empty_strided.default",
     "torch.ops.aten.nonzero.default", "torch.ops.aten.as_strided.default", "os.system", "torch.ops.higher_order.cond",
     "torch.ops.aten.__class__.default", "torch._higher_order_ops.call_torchbind", "_operator.attrgetter",
     "torch.ops.aten.linear", "torch.ops.aten.linear.default.__call__"],
)  # fmt: skip
def test_unknown_operators_are_named(sound, target):
    with pytest.raises(OperatorUnsupported, match=target.removeprefix("torch.ops.").replace(".", r"\.")):
        read_model(spoil_network(sound, (*NODE, "target"), target))


@pytest.mark.parametrize(
    ("path", "value", "error"),
    [
        (FIRST, {"as_tensor": {"name": "relu"}}, ModelCorrupt),  # a forward reference
        (FIRST, {"as_tensor": {"name": "nobody"}}, ModelCorrupt),
        (FIRST, {"as_tensor": {"name": 3}}, ModelCorrupt),
        (FIRST, {"as_tensor": {}}, ModelCorrupt),
        (FIRST, {}, ModelCorrupt),
        (FIRST, {"as_int": True}, ModelCorrupt),
        (FIRST, {"as_int": 2**80}, ModelCorrupt),
        (FIRST, {"as_float": "1e5"}, ModelCorrupt),
        (FIRST, {"as_scalar_type": 99}, OperatorUnsupported),
        (FIRST, {"as_complex": {"real": 1.0, "imag": 0.0}}, OperatorUnsupported),
        (FIRST, {"as_graph": {"name": "g", "graph": {}}}, OperatorUnsupported),
        (FIRST, {"as_operator": "os.system"}, OperatorUnsupported),
        (FIRST, {"as_custom_obj": {"name": "o", "class_fqn": "os.system"}}, ModelUnsafe),
        (FIRST, {"as_string": "a" * 1000}, ModelTooLarge),
        (FIRST, {"as_ints": [0] * 100_000}, ModelTooLarge),
        ((*NODE, "outputs"), [], ModelCorrupt),
        ((*NODE, "outputs"), [{"as_tensor": {"name": "input"}}], ModelCorrupt),
        ((*NODE, "outputs"), [{"as_custom_obj": {"name": "o"}}], OperatorUnsupported),
        ((*NODE, "inputs", 0, "name"), "out", OperatorUnsupported),
        (("graph", "nodes"), {}, ModelCorrupt),
        (("graph", "custom_obj_values"), {"o": {"name": "o", "class_fqn": "f"}}, ModelUnsafe),
        (("graph", "tensor_values"), {}, ModelCorrupt),
        (("signature", "output_specs"), [], ModelCorrupt),
        (("signature", "input_specs"), [], ModelCorrupt),
        (("signature", "input_specs", 0), {"custom_obj": {"arg": {"name": "o"}}}, ModelUnsafe),
        (("signature", "input_specs", 0), {"token": {"arg": {"name": "t"}}}, ModelUnsafe),
        (("signature", "input_specs", 0, "parameter", "parameter_name"), "__class__", ModelCorrupt),
    ],
)
def test_networks_that_contradict_themselves_are_refused(sound, path, value, error):
    with pytest.raises(error):
        read_model(spoil_network(sound, path, value))


def test_too_many_nodes_are_refused(sound):
    nodes = sound.json(NETWORK)["graph_module"]["graph"]["nodes"]
    with pytest.raises(ModelTooLarge, match="nodes"):
        read_model(spoil_network(sound, ("graph", "nodes"), [{**nodes[0], "metadata": {}}] * 20_001))


def test_other_schemas_are_refused(sound):
    program = sound.json(NETWORK)
    program["schema_version"]["major"] = 9
    sound.put_json(NETWORK, program)
    with pytest.raises(ModelVersionUnsupported, match="schema 9"):
        read_model(sound.save())


def test_archives_with_pickled_weights_are_refused_by_version(sound):
    program = sound.json(NETWORK)
    program["torch_version"] = "2.8.0"
    sound.put_json(NETWORK, program)
    sound.members = {name: one for name, one in sound.members.items() if not name.startswith("data/")}
    sound.members["data/weights/model.pt"] = b"PK"
    with pytest.raises(ModelVersionUnsupported, match=r"written by torch '2\.8\.0', which pickles") as caught:
        read_model(sound.save())
    assert "2.13" in caught.value.hint


@pytest.mark.parametrize("minor", [1, 14, 21, 999])
def test_other_minor_versions_of_the_schema_are_read(sound, minor):
    """They differ in members that may be left out (torch's own rule), so what is not needed may be missing or new."""
    program = sound.json(NETWORK)
    program["schema_version"]["minor"] = minor
    program["member_of_the_future"] = {}
    for name in ("guards_code", "torch_version", "verifiers", "opset_version", "range_constraints"):
        del program[name]
    module = program["graph_module"]
    for name in ("module_call_graph", "metadata", "treespec_namedtuple_fields"):
        del module[name]
    for name in ("custom_obj_values", "sym_float_values", "sym_int_values", "sym_bool_values"):
        del module["graph"][name]
    for node in module["graph"]["nodes"]:
        for name in ("name", "is_hop_single_tensor_return", "metadata"):
            node.pop(name, None)
        for item in node["inputs"]:
            del item["kind"]
    wanted = read_model(sound.save()).graph
    sound.put_json(NETWORK, program)
    assert read_model(sound.save()).graph == wanted


def region(nodes, outputs, given=(), taken=(), enabled=False):
    graph = {"inputs": list(taken), "nodes": list(nodes), "outputs": list(outputs), "tensor_values": {}}
    arguments = [{"as_bool": enabled}, {"as_graph": {"name": "g", "graph": graph}}, *given]
    return {
        "target": "torch.ops.higher_order.wrap_with_set_grad_enabled",
        "inputs": [{"name": "", "arg": one} for one in arguments],
        "outputs": list(outputs),
    }


def tensor(name):
    return {"as_tensor": {"name": name}}


def call(target, output, **inputs):
    return {"target": target, "inputs": [{"name": k, "arg": v} for k, v in inputs.items()], "outputs": [tensor(output)]}


RELU = call("torch.ops.aten.relu.default", "r", self=tensor("y"))
Y = {"given": [tensor("input")], "taken": [tensor("y")]}


def nested(depth):
    inner = RELU
    for _ in range(depth):
        inner = region([inner], [tensor("r")], [tensor("y")], [tensor("y")])
    return region([inner], [tensor("r")], **Y)


def deep_argument(depth):
    form = {"as_int": 1}
    for _ in range(depth):
        form = {"as_sym_ints": [form]}
    return region([call("torch.ops.aten.relu.default", "r", self=form)], [tensor("r")], **Y)


@pytest.mark.parametrize(
    ("node", "error"),
    [
        (region([RELU], [tensor("r")]), ModelCorrupt),  # it uses what it was not given
        (region([RELU], [tensor("r")], given=[tensor("input")]), ModelCorrupt),  # it does not take what it is given
        (region([RELU], [tensor("elsewhere")], **Y), ModelCorrupt),
        (region([RELU], [{"as_sym_int": {"as_name": "r"}}], **Y), OperatorUnsupported),
        (region([RELU], [tensor("r")], given=[{"as_int": 3}], taken=[tensor("y")]), ModelCorrupt),
        (region([RELU], [tensor("r")], enabled=1, **Y), ModelCorrupt),
        (
            region([region([RELU], [tensor("r")], [tensor("y")], [tensor("y")], enabled=True)], [tensor("r")], **Y),
            OperatorUnsupported,
        ),
        (region([call("os.system", "r", self=tensor("y"))], [tensor("r")], **Y), OperatorUnsupported),
        (region([RELU] * 20_001, [tensor("r")], **Y), ModelTooLarge),
        (nested(5), ModelTooLarge),
        (deep_argument(200), ModelTooLarge),
        ({**region([], []), "inputs": []}, ModelCorrupt),
        ({**region([], []), "inputs": [{"name": "", "arg": {"as_bool": False}}]}, ModelCorrupt),
    ],
)
def test_regions_that_lie_are_refused(sound, node, error):
    program = sound.json(NETWORK)
    graph = program["graph_module"]["graph"]
    graph["nodes"].append(node)
    program["graph_module"]["signature"]["output_specs"] = [{"user_output": {"arg": tensor("r")}}]
    graph["tensor_values"]["r"] = next(iter(graph["tensor_values"].values()))
    sound.put_json(NETWORK, program)
    with pytest.raises(error):
        read_model(sound.save())


def test_a_sound_region_passes(sound):
    """What the cases above would be if they did not lie."""
    program = sound.json(NETWORK)
    graph = program["graph_module"]["graph"]
    graph["nodes"].append(nested(3))
    program["graph_module"]["signature"]["output_specs"] = [{"user_output": {"arg": tensor("r")}}]
    graph["tensor_values"]["r"] = next(iter(graph["tensor_values"].values()))
    sound.put_json(NETWORK, program)
    assert read_model(sound.save()).graph.nodes[-1].operator == "aten.detach.default"


def size(value):
    return [{"as_int": value}, {"as_int": 4}]


@pytest.mark.parametrize(
    ("path", "value", "error"),
    [
        (("use_pickle",), True, ModelUnsafe),
        (("path_name",), "custom_obj_0", ModelUnsafe),
        (("path_name",), "../../../etc/passwd", ModelUnsafe),
        (("path_name",), "weight_99", ModelCorrupt),
        (("tensor_meta",), None, ModelCorrupt),
        (("tensor_meta", "sizes"), size(4), ModelCorrupt),  # one row more than there are bytes
        (("tensor_meta", "sizes"), size(2**40), ModelCorrupt),
        (("tensor_meta", "sizes"), size(-3), ModelCorrupt),
        (("tensor_meta", "sizes"), [{"as_int": 3}], ModelCorrupt),
        (("tensor_meta", "sizes"), [{"as_expr": {"expr_str": "__import__('os')"}}, {"as_int": 4}], ModelCorrupt),
        (("tensor_meta", "strides"), [{"as_int": -4}, {"as_int": 1}], ModelCorrupt),
        (("tensor_meta", "strides"), [{"as_int": 400}, {"as_int": 1}], ModelCorrupt),
        (("tensor_meta", "storage_offset"), {"as_int": 1}, ModelCorrupt),
        (("tensor_meta", "dtype"), 8, ModelCorrupt),  # float64 needs twice the bytes
        (("tensor_meta", "dtype"), 9, OperatorUnsupported),
        (("tensor_meta", "layout"), 2, OperatorUnsupported),
    ],
)
def test_indexes_that_lie_are_refused(sound, path, value, error):
    with pytest.raises(error):
        read_model(spoil_index(sound, path, value))


@pytest.mark.parametrize(
    ("member", "words"),
    [
        ("custom_obj_0", "pickled object"),
        ("../..", r"is said to lie in '\.\./\.\.'; tensors lie in members called weight_N"),
        ("weight_0/../../x", "is said to lie in"),
        ("/etc/passwd", "is said to lie in '/etc/passwd'"),
    ],
)
def test_a_member_of_another_name_is_refused_for_its_name(sound, member, words):
    with pytest.raises(ModelUnsafe, match=words):
        read_model(spoil_index(sound, ("path_name",), member))


def test_few_bytes_do_not_become_many(sound):
    """A stride of 0 repeats one element: 4 stored bytes would stand for 2^40."""
    index = sound.json(INDEX)
    meta = index["config"]["0.weight"]["tensor_meta"]
    meta["sizes"], meta["strides"] = size(2**38), [{"as_int": 0}, {"as_int": 0}]
    sound.put_json(INDEX, index)
    with pytest.raises(ModelCorrupt, match="grow"):
        read_model(sound.save())


def test_empty_tensors_have_shapes_that_an_array_can_have(sound):
    index = sound.json(INDEX)
    meta = index["config"]["0.weight"]["tensor_meta"]
    meta["sizes"] = [{"as_int": 0}, *[{"as_int": 2**48}] * 2]
    meta["strides"] = [{"as_int": 1}] * 3
    sound.put_json(INDEX, index)
    with pytest.raises(ModelCorrupt, match=r"'0\.weight' has a shape that no array has"):
        read_model(sound.save())


@pytest.mark.parametrize("name", ["__class__", "a.__dict__.b", "a/b", "0.weight\n", "a" * 600])
def test_names_that_no_module_has_are_refused(sound, name):
    index, program = sound.json(INDEX), sound.json(NETWORK)
    index["config"][name] = index["config"].pop("0.weight")
    specs = program["graph_module"]["signature"]["input_specs"]
    next(spec for spec in specs if spec.get("parameter", {}).get("parameter_name") == "0.weight")["parameter"][
        "parameter_name"
    ] = name
    sound.put_json(INDEX, index)
    sound.put_json(NETWORK, program)
    with pytest.raises(ModelUnsafe, match="is called"):
        read_model(sound.save())


def test_messages_do_not_repeat_a_stranger_at_length(sound):
    with pytest.raises(OperatorUnsupported) as caught:
        read_model(spoil_network(sound, (*NODE, "target"), "x" * 100_000 + "\x1b[2J"))
    assert len(str(caught.value)) < 300
    assert "\x1b" not in str(caught.value)
    assert json.dumps(str(caught.value))
