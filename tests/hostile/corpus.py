"""One function for each attack, which makes the file anew from a sound one; nothing hostile is kept as bytes.

An attack on a model gets a `Sound` (the members of a `.pt2` by name) and gives the bytes of a file; an attack on data
gets nothing, for the arrays are small enough to be written here. The decorator says what the answer must be: the code
of the error, or `accepted` where what is hostile about the file is simply never looked at.

Every payload that runs would leave `CANARY` behind in the folder where the reader runs.
"""

import gzip
import io
import json
import pickle
import struct
import zipfile
from collections.abc import Callable
from typing import Final

import numpy as np

from tests.hostile.conftest import Sound, zipped

CANARY: Final = "canary"
CODE: Final = f"open({CANARY!r}, 'w').close()"
WEIGHT: Final = "data/weights/weight_0"
INDEX: Final = "data/weights/model_weights_config.json"
CONSTANTS: Final = "data/constants/model_constants_config.json"
NETWORK: Final = "models/model.json"

MODEL_ATTACKS: Final[dict[str, tuple[str, Callable[[Sound], bytes]]]] = {}
DATA_ATTACKS: Final[dict[str, tuple[str, Callable[[], bytes]]]] = {}


def on_model(code: str) -> Callable[[Callable[[Sound], bytes]], Callable[[Sound], bytes]]:
    def register(make: Callable[[Sound], bytes]) -> Callable[[Sound], bytes]:
        MODEL_ATTACKS[make.__name__] = (code, make)
        return make

    return register


def on_data(code: str) -> Callable[[Callable[[], bytes]], Callable[[], bytes]]:
    def register(make: Callable[[], bytes]) -> Callable[[], bytes]:
        DATA_ATTACKS[make.__name__] = (code, make)
        return make

    return register


class Payload:
    """Leaves the canary behind when it is unpickled."""

    def __reduce__(self):
        return exec, (CODE,)


def bomb() -> bytes:
    return pickle.dumps(Payload())


# Code that travels in the file.


@on_model("MODEL_UNSAFE")
def a_weight_that_is_a_pickle(sound: Sound) -> bytes:
    index = sound.json(INDEX)
    next(iter(index["config"].values()))["use_pickle"] = True
    sound.put_json(INDEX, index)
    sound.members[WEIGHT] = bomb()
    return sound.save().read_bytes()


@on_model("MODEL_UNSAFE")
def a_constant_that_is_an_object(sound: Sound) -> bytes:
    sound.members["data/constants/custom_obj_0"] = bomb()
    entry = {"path_name": "custom_obj_0", "is_param": False, "use_pickle": True, "tensor_meta": None}
    sound.put_json(CONSTANTS, {"config": {"object": entry}})
    return sound.save().read_bytes()


@on_model("MODEL_UNSAFE")
def an_object_among_the_inputs(sound: Sound) -> bytes:
    return with_network(
        sound,
        lambda module: module["signature"]["input_specs"].insert(
            0, {"custom_obj": {"arg": {"name": "o", "class_fqn": "os.system"}, "custom_obj_name": "o"}}
        ),
    )


@on_model("MODEL_UNSAFE")
def an_opaque_object_in_a_node(sound: Sound) -> bytes:
    opaque = {"as_custom_obj": {"name": "o", "class_fqn": "builtins.exec"}}
    return with_network(sound, lambda module: module["graph"]["nodes"][0]["inputs"][0].update(arg=opaque))


@on_model("accepted")
def sample_inputs_that_are_a_bomb(sound: Sound) -> bytes:
    sound.members["data/sample_inputs/model.pt"] = bomb()
    return sound.save().read_bytes()


@on_model("accepted")
def sizes_that_are_code(sound: Sound) -> bytes:
    def spoil(module):
        for meta in module["graph"]["tensor_values"].values():
            meta["sizes"] = [
                {"as_expr": {"expr_str": CODE, "hint": None}} if "as_expr" in size else size for size in meta["sizes"]
            ]

    return with_network(sound, spoil)


@on_model("accepted")
def guards_that_are_code(sound: Sound) -> bytes:
    program = sound.json(NETWORK)
    program["guards_code"] = [CODE]
    sound.put_json(NETWORK, program)
    return sound.save().read_bytes()


@on_model("UNSUPPORTED_FORMAT")
def a_bare_pickle(_: Sound) -> bytes:
    return bomb()


@on_model("UNSUPPORTED_FORMAT")
def a_checkpoint_of_torch_save(_: Sound) -> bytes:
    return zipped({"archive/data.pkl": bomb(), "archive/version": b"3", "archive/data/0": bytes(8)})


@on_model("MODEL_UNSAFE")
def compiled_code(sound: Sound) -> bytes:
    sound.members["data/aotinductor/model/lib.so"] = b"\x7fELF"
    return sound.save().read_bytes()


# Networks that explode, lie or turn in circles.


def with_network(sound: Sound, change: Callable[[dict], object]) -> bytes:
    program = sound.json(NETWORK)
    change(program["graph_module"])
    sound.put_json(NETWORK, program)
    return sound.save().read_bytes()


def first_argument(value: object) -> Callable[[dict], object]:
    return lambda module: module["graph"]["nodes"][0]["inputs"][0].update(arg=value)


@on_model("OPERATOR_UNSUPPORTED")
def an_operator_that_reads_files(sound: Sound) -> bytes:
    target = "torch.ops.aten.from_file.default"
    return with_network(sound, lambda module: module["graph"]["nodes"][0].update(target=target))


@on_model("MODEL_TOO_LARGE")
def a_hundred_thousand_nodes(sound: Sound) -> bytes:
    def multiply(module):
        node = module["graph"]["nodes"][0] | {"metadata": {}}
        module["graph"]["nodes"] = [node] * 100_000

    return with_network(sound, multiply)


@on_model("MODEL_TOO_LARGE")
def a_list_of_a_million_numbers(sound: Sound) -> bytes:
    return with_network(sound, first_argument({"as_ints": [0] * 1_000_000}))


@on_model("MODEL_CORRUPT")
def lists_in_lists_in_lists(sound: Sound) -> bytes:
    sound.members[NETWORK] = b"[" * 1_000_000 + b"]" * 1_000_000
    return sound.save().read_bytes()


@on_model("MODEL_CORRUPT")
def a_number_of_a_million_digits(sound: Sound) -> bytes:
    sound.members[NETWORK] = b'{"schema_version": ' + b"9" * 1_000_000 + b"}"
    return sound.save().read_bytes()


@on_model("MODEL_TOO_LARGE")
def a_text_of_forty_megabytes(sound: Sound) -> bytes:
    sound.members[NETWORK] = b" " * 40_000_000 + b"{}"
    return sound.save().read_bytes()


@on_model("MODEL_CORRUPT")
def a_value_that_comes_later(sound: Sound) -> bytes:
    return with_network(sound, first_argument({"as_tensor": {"name": "relu"}}))


@on_model("MODEL_CORRUPT")
def a_node_that_needs_itself(sound: Sound) -> bytes:
    def turn(module):
        node = module["graph"]["nodes"][0]
        node["inputs"][0]["arg"] = {"as_tensor": {"name": node["outputs"][0]["as_tensor"]["name"]}}

    return with_network(sound, turn)


@on_model("MODEL_CORRUPT")
def two_nodes_that_need_each_other(sound: Sound) -> bytes:
    def turn(module):
        first, second = module["graph"]["nodes"][:2]
        first["inputs"][0]["arg"] = {"as_tensor": {"name": second["outputs"][0]["as_tensor"]["name"]}}

    return with_network(sound, turn)


def with_weight(sound: Sound, **meta: object) -> bytes:
    index = sound.json(INDEX)
    index["config"]["0.weight"]["tensor_meta"].update(meta)
    sound.put_json(INDEX, index)
    return sound.save().read_bytes()


def ints(*values: int) -> list[dict[str, int]]:
    return [{"as_int": value} for value in values]


@on_model("MODEL_CORRUPT")
def a_weight_far_larger_than_its_bytes(sound: Sound) -> bytes:
    return with_weight(sound, sizes=ints(2**40, 4))


@on_model("MODEL_CORRUPT")
def a_size_that_overflows(sound: Sound) -> bytes:
    return with_weight(sound, sizes=ints(2**33, 2**33), strides=ints(2**33, 1))


@on_model("MODEL_CORRUPT")
def a_weight_that_repeats_one_number(sound: Sound) -> bytes:
    return with_weight(sound, sizes=ints(2**38, 4), strides=ints(0, 0))


@on_model("MODEL_CORRUPT")
def a_weight_that_begins_before_its_bytes(sound: Sound) -> bytes:
    return with_weight(sound, storage_offset={"as_int": -(2**62)})


# Archives that lie.


def with_member(sound: Sound, name: str, content: bytes = b"evil") -> bytes:
    path = sound.save()
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(zipfile.ZipInfo(name), content)
    return path.read_bytes()


@on_model("MODEL_UNSAFE")
def a_member_above_the_folder(sound: Sound) -> bytes:
    return with_member(sound, "model/../../../../tmp/evil")


@on_model("MODEL_UNSAFE")
def a_member_with_an_absolute_name(sound: Sound) -> bytes:
    return with_member(sound, "/etc/evil")


@on_model("MODEL_UNSAFE")
def a_member_without_a_name(sound: Sound) -> bytes:
    # As many bytes as before, so that only the name's length has to change, in both headers.
    content = bytearray(with_member(sound, "e"))
    local, central = content.rfind(b"PK\x03\x04"), content.rfind(b"PK\x01\x02")
    struct.pack_into("<2H", content, local + 26, 0, 1)
    struct.pack_into("<2H", content, central + 28, 0, 1)
    return bytes(content)


@on_model("MODEL_UNSAFE")
def two_members_of_one_name(sound: Sound) -> bytes:
    return with_member(sound, f"model/{NETWORK}", b"{}")


@on_model("MODEL_UNSAFE")
def members_that_overlap(sound: Sound) -> bytes:
    content = bytearray(sound.save().read_bytes())
    entry = content.rfind(f"model/{WEIGHT}".encode()) - 46
    size = struct.unpack_from("<L", content, entry + 20)[0]
    struct.pack_into("<2L", content, entry + 20, size + 60, size + 60)
    return bytes(content)


@on_model("MODEL_CORRUPT")
def a_member_beyond_the_end(sound: Sound) -> bytes:
    content = bytearray(sound.save().read_bytes())
    entry = content.rfind(f"model/{WEIGHT}".encode()) - 46
    struct.pack_into("<2L", content, entry + 20, 2**32 - 2, 2**32 - 2)
    return bytes(content)


@on_model("MODEL_UNSAFE")
def weights_that_are_compressed(sound: Sound) -> bytes:
    sound.members[WEIGHT] = bytes(100_000_000)
    return sound.save(zipfile.ZIP_DEFLATED).read_bytes()


@on_model("MODEL_TOO_LARGE")
def sixty_thousand_members(sound: Sound) -> bytes:
    sound.members |= {f"data/x/{number}": b"" for number in range(60_000)}
    return sound.save().read_bytes()


@on_model("MODEL_TOO_LARGE")
def a_long_directory_behind_a_short_one(sound: Sound) -> bytes:
    """The end of the file names a record of a short directory; right before it, where Python looks, lies another."""
    content = sound.save().read_bytes()[:-22]
    record = struct.Struct("<4sQ2H2L4Q")
    short = record.pack(b"PK\x06\x06", 44, 45, 45, 0, 0, 1, 1, 100, 0)
    long = record.pack(b"PK\x06\x06", 44, 45, 45, 0, 0, 1, 1, 2**33, 0)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, len(content), 1)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 2**16 - 1, 2**16 - 1, 2**32 - 1, 2**32 - 1, 0)
    return content + short + long + locator + end


@on_model("MODEL_CORRUPT")
def half_a_file(sound: Sound) -> bytes:
    content = sound.save().read_bytes()
    return content[: len(content) // 2]


@on_model("UNSUPPORTED_FORMAT")
def a_gzip_of_a_model(sound: Sound) -> bytes:
    return gzip.compress(sound.save().read_bytes())


# Data.


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def with_header(header: str, body: bytes = bytes(32)) -> bytes:
    text = header.encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + body


def shaped(shape: str, body: bytes = bytes(32)) -> bytes:
    return with_header(f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({shape}), }}", body)


@on_data("DATA_UNSAFE")
def an_array_of_objects() -> bytes:
    return zipped({"input.npy": npy(np.array([[Payload()] * 4, [Payload()] * 4], dtype=object))})


@on_data("DATA_CORRUPT")
def a_header_that_is_code() -> bytes:
    return zipped({"input.npy": with_header(f"{{'descr': '<f4', 'fortran_order': {CODE}, 'shape': (2, 4), }}")})


@on_data("DATA_CORRUPT")
def a_shape_far_beyond_the_bytes() -> bytes:
    return zipped({"input.npy": shaped("1099511627776, 4")})


@on_data("DATA_CORRUPT")
def a_shape_that_overflows_to_nothing() -> bytes:
    return zipped({"input.npy": shaped("18446744073709551616, 4", b"")})


@on_data("DATA_CORRUPT")
def a_shape_of_a_thousand_digits() -> bytes:
    return zipped({"input.npy": shaped("9" * 5000 + ", 4")})


@on_data("DATA_TOO_LARGE")
def a_bomb_of_zeros() -> bytes:
    return zipped({"input.npy": shaped("10000000, 4", bytes(160_000_000))}, zipfile.ZIP_DEFLATED)


@on_data("DATA_TOO_LARGE")
def five_gigabytes_by_its_own_account() -> bytes:
    content = bytearray(zipped({"input.npy": shaped("2, 4")}, zipfile.ZIP_DEFLATED))
    entry = content.rfind(b"input.npy") - 46
    for offset in (22, entry + 24):
        struct.pack_into("<L", content, offset, 2**32 - 2)
    return bytes(content)


@on_data("DATA_CORRUPT")
def a_bomb_that_promises_little() -> bytes:
    content = bytearray(zipped({"input.npy": shaped("2, 4", bytes(100_000_000))}, zipfile.ZIP_DEFLATED))
    entry = content.rfind(b"input.npy") - 46
    for offset in (22, entry + 24):
        struct.pack_into("<L", content, offset, len(shaped("2, 4")))
    return bytes(content)


@on_data("DATA_TOO_LARGE")
def two_thousand_arrays() -> bytes:
    return zipped({f"a{number}.npy": shaped("2, 4") for number in range(2000)})


@on_data("DATA_UNSAFE")
def an_array_with_a_way_out() -> bytes:
    return zipped({"../input.npy": shaped("2, 4")})


@on_data("DATA_CORRUPT")
def half_an_npz() -> bytes:
    content = zipped({"input.npy": shaped("2, 4")})
    return content[: len(content) // 2]


def tensors(header: object, body: bytes = bytes(32)) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def tensor(**changed: object) -> dict[str, object]:
    return {"dtype": "F32", "shape": [2, 4], "data_offsets": [0, 32], **changed}


@on_data("DATA_CORRUPT")
def a_header_longer_than_the_file() -> bytes:
    return struct.pack("<Q", 2**63) + b'{"input": {}}' + bytes(32)


@on_data("DATA_CORRUPT")
def a_header_of_nested_lists() -> bytes:
    return tensors(b'{"input": ' + b"[" * 1_000_000)


@on_data("DATA_CORRUPT")
def tensors_that_share_bytes() -> bytes:
    return tensors({"input": tensor(), "target": tensor()})


@on_data("DATA_CORRUPT")
def a_tensor_beyond_the_end() -> bytes:
    return tensors({"input": tensor(shape=[2**40, 4], data_offsets=[0, 2**44])})


@on_data("DATA_CORRUPT")
def an_empty_tensor_of_impossible_size() -> bytes:
    return tensors({"input": tensor(shape=[0, 2**62, 2**62], data_offsets=[0, 0])}, b"")


@on_data("NONFINITE_DATA")
def numbers_that_are_none() -> bytes:
    return zipped({"input.npy": npy(np.full((3, 4), np.nan, np.float32))})
