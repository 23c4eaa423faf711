"""Code that travels in files is never run: bombs that would leave a file behind, and what the readers do not import."""

import ast
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import sterna
from sterna.errors import DataUnsafe, InputError, ModelUnsafe, UnsupportedFormat
from sterna.intake import preflight, read_data, read_model

WEIGHT = "data/weights/weight_0"
INDEX = "data/weights/model_weights_config.json"
NETWORK = "models/model.json"
READERS = [*Path(sterna.__file__).parent.glob("intake/**/*.py"), *Path(sterna.__file__).parent.glob("graph/*.py")]


class Bomb:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, crater: Path):
        self._crater = str(crater)

    def __reduce__(self):
        return exec, (f"open({self._crater!r}, 'w').close()",)


@pytest.fixture
def crater(tmp_path) -> Path:
    return tmp_path / "crater"


@pytest.fixture
def bomb(crater) -> bytes:
    return pickle.dumps(Bomb(crater))


def test_the_bomb_works(bomb, crater):
    pickle.loads(bomb)  # noqa: S301  to see that it would go off
    assert crater.exists()


def test_a_pickled_tensor_is_not_opened(sound, bomb, crater):
    sound.members[WEIGHT] = bomb
    index = sound.json(INDEX)
    next(iter(index["config"].values()))["use_pickle"] = True
    sound.put_json(INDEX, index)
    with pytest.raises(ModelUnsafe, match="pickled"):
        preflight(sound.save(), None)
    assert not crater.exists()


def test_sample_inputs_are_not_opened(sound, bomb, crater):
    sound.members["data/sample_inputs/model.pt"] = bomb
    read_model(sound.save())
    assert not crater.exists()


def test_custom_objects_are_not_opened(sound, bomb, crater):
    sound.members["data/constants/custom_obj_0"] = bomb
    sound.put_json(
        "data/constants/model_constants_config.json",
        {"config": {"o": {"path_name": "custom_obj_0", "is_param": False, "use_pickle": True, "tensor_meta": None}}},
    )
    with pytest.raises(ModelUnsafe, match="pickled object"):
        read_model(sound.save())
    assert not crater.exists()


def test_expressions_and_guards_are_not_evaluated(sound, crater):
    program = sound.json(NETWORK)
    code = f"open({str(crater)!r}, 'w').close()"
    program["guards_code"] = [code]
    graph = program["graph_module"]["graph"]
    for meta in graph["tensor_values"].values():
        for index, one in enumerate(meta["sizes"]):
            if "as_expr" in one:
                meta["sizes"][index] = {"as_expr": {"expr_str": code, "hint": None}}
    graph["sym_int_values"] = {"s0": {"as_expr": {"expr_str": code, "hint": None}}}
    sound.put_json(NETWORK, program)
    read_model(sound.save())
    assert not crater.exists()


def test_a_bare_pickle_is_not_opened(sound, bomb, crater):
    with pytest.raises(UnsupportedFormat):
        preflight(sound.write(bomb), None)
    assert not crater.exists()


def test_arrays_of_objects_are_not_opened(sound, crater, tmp_path):
    graph = read_model(sound.save()).graph
    data = tmp_path / "data.npz"
    np.savez(data, input=np.array([Bomb(crater)], dtype=object))
    with pytest.raises(DataUnsafe, match="objects"):
        read_data(data, graph)
    assert not crater.exists()


def test_numpy_headers_are_not_evaluated(sound, tmp_path):
    graph = read_model(sound.save()).graph
    data = tmp_path / "data.npz"
    np.savez(data, input=np.zeros((2, 4), np.float32))
    content = data.read_bytes()
    header = b"'fortran_order': False"
    data.write_bytes(content.replace(header, b"'fortran_order': 1 < 2"))
    with pytest.raises(InputError):
        read_data(data, graph)


@pytest.mark.parametrize("path", READERS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_readers_have_no_means_to_run_code(path):
    tree = ast.parse(path.read_text())
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    roots = {name.partition(".")[0] for name in imported}
    assert not roots & {"pickle", "marshal", "shelve", "importlib", "subprocess", "torch", "sympy", "ctypes", "runpy"}
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert not called & {"eval", "exec", "compile", "getattr", "setattr", "__import__", "globals", "vars"}
    attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not attributes & {"extract", "extractall", "fromstring", "load", "literal_eval"}


def test_reading_imports_no_loader(sound):
    path = sound.save()
    script = (
        "import sys; from sterna.intake import preflight; "
        f"preflight({str(path)!r}, None); "
        "print(sorted({'torch', 'sympy', 'torch.export', 'torch.serialization', 'ml_dtypes'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


_WITHOUT_PICKLE = """
import pickle, sys
for name in ("load", "loads", "Unpickler", "_Unpickler"):
    setattr(pickle, name, None)  # numpy imports the module itself
for name in ("torch", "sympy", "onnx"):
    sys.modules[name] = None  # importing it raises
from sterna.intake import inspect_model, preflight, read_model
model = sys.argv[1]
print(inspect_model(model).parameters, preflight(model, None).ternarisable_weights, len(read_model(model).tensors))
"""


def test_reading_needs_neither_pickle_nor_torch_nor_sympy(sound):
    """Not only not named in the reader's own files: whatever these import in turn works without them too."""
    path = sound.save()
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT_PICKLE, str(path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["29", "18", "8"]
