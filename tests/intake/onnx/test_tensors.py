"""Tensors in each of the ways that ONNX has to store them, against the stock library."""

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from sterna.errors import ModelCorrupt, ModelTooLarge, ModelUnsafe, OperatorUnsupported
from sterna.intake.onnx.messages import Message
from sterna.intake.onnx.tensors import ELEMENT_TYPES, read_tensor
from sterna.intake.onnx.wire import Wire, signed

NUMBERS = [0, 1, 2, 100, 127]


@pytest.fixture
def read(tmp_path):
    def read_message(message):
        path = tmp_path / "tensor"
        path.write_bytes(message if isinstance(message, bytes) else message.SerializeToString())
        wire = Wire(path)
        return read_tensor(wire, wire.whole)

    return read_message


@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize("number", ELEMENT_TYPES)
def test_elements_are_those_of_the_stock_library(read, number, raw):
    values = np.array(NUMBERS[: 2 if number == TensorProto.BOOL else 5])
    array = values.astype(helper.tensor_dtype_to_np_dtype(number))
    content = array.tobytes() if raw else array
    message = helper.make_tensor("t", number, array.shape, content, raw=raw)
    tensor = read(message)
    wanted = numpy_helper.to_array(message)
    assert tensor.shape == wanted.shape
    assert tensor.read().tobytes() == wanted.tobytes()


@settings(max_examples=30, deadline=None)
@given(values=st.lists(st.integers(-(2**63), 2**63 - 1), max_size=20))
def test_whole_numbers_of_any_length_are_decoded(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("tensors") / "tensor"
    path.write_bytes(helper.make_tensor("t", TensorProto.INT64, [len(values)], values).SerializeToString())
    wire = Wire(path)
    assert read_tensor(wire, wire.whole).read().tolist() == values


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"dims": [6]}, ModelCorrupt),
        ({"dims": [2**40, 2**40]}, ModelCorrupt),
        ({"dims": [-1]}, ModelCorrupt),
        ({"dims": [2**48]}, ModelCorrupt),
        ({"dims": [1] * 20}, ModelCorrupt),
        ({"data_type": TensorProto.DOUBLE}, ModelCorrupt),
        ({"data_type": TensorProto.STRING}, OperatorUnsupported),
        ({"data_type": 99}, OperatorUnsupported),
        ({"float_data": [1.0]}, ModelCorrupt),
        ({"int64_data": [1]}, ModelCorrupt),
        ({"data_location": TensorProto.EXTERNAL}, ModelUnsafe),
    ],
)
def test_tensors_that_lie_are_refused(read, change, error):
    message = helper.make_tensor("t", TensorProto.FLOAT, [5], np.zeros(5, np.float32).tobytes(), raw=True)
    for name, value in change.items():
        if isinstance(value, list):
            del message.__getattribute__(name)[:]
            message.__getattribute__(name).extend(value)
        else:
            setattr(message, name, value)
    with pytest.raises(error):
        read(message)


def test_elements_in_another_file_are_refused_whatever_it_is_called(read):
    message = helper.make_tensor("t", TensorProto.FLOAT, [0], [])
    message.external_data.add(key="location", value="../../etc/passwd")
    with pytest.raises(ModelUnsafe, match="another file"):
        read(message)


def test_numbers_that_a_type_does_not_hold_are_refused(read):
    message = helper.make_tensor("t", TensorProto.INT8, [1], [5])
    message.int32_data[0] = 300
    with pytest.raises(ModelCorrupt, match="does not hold"):
        read(message).read()
    message.int32_data[:] = [1, 1]
    with pytest.raises(ModelCorrupt, match="2 elements"):
        read(message).read()


def test_long_lists_of_numbers_are_refused(read):
    with pytest.raises(ModelTooLarge, match="packed numbers"):
        read(helper.make_tensor("t", TensorProto.INT64, [2**21], np.zeros(2**21, np.int64)))


@settings(max_examples=30, deadline=None)
@given(numbers=st.lists(st.integers(-(2**63), 2**63 - 1), max_size=5), texts=st.lists(st.text(max_size=8), max_size=4))
def test_messages_are_those_of_the_stock_library(tmp_path_factory, numbers, texts):
    path = tmp_path_factory.mktemp("messages") / "message"
    path.write_bytes(
        onnx.AttributeProto(name="a", ints=numbers, strings=[t.encode() for t in texts], f=1.5).SerializeToString()
    )
    wire = Wire(path)
    message = Message(wire, wire.whole, "it")
    assert (message.text(1), message.float32(2), message.integers(8), message.texts(9)) == (
        "a",
        1.5,
        tuple(numbers),
        tuple(texts),
    )
    assert signed(2**64 - 1) == -1
