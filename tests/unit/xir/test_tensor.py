from __future__ import annotations

from quantforge.xmodel.model import DataType
from quantforge.xmodel.model import Tensor as Record
from tests.unit.xir.networks import op, small
from xir import Tensor


def test_what_a_tensor_says() -> None:
    tensor = op(small(), "c").get_output_tensor()
    assert (tensor.name, tensor.ndim, tensor.dims, tensor.dtype) == ("c", 4, [1, 8, 8, 3], "float32")
    assert tensor.get_element_num() == 192 and tensor.get_data_size() == 768
    assert tensor.producer is not None and tensor.producer.get_name() == "c"
    assert repr(tensor) == "<xir.Tensor named 'c'>"
    assert str(tensor) == "{name: 'c', shape: [1, 8, 8, 3], type: 'float32', attrs: {}}"


def test_a_name_can_be_set_and_a_clone_is_free() -> None:
    tensor = op(small(), "c").get_output_tensor().set_attr("fix_point", 3)
    clone = tensor.clone()
    clone.name = "other"
    clone.set_attr("fix_point", 4)
    assert (tensor.name, tensor.get_attr("fix_point")) == ("c", 3)
    assert clone.producer is None and Tensor.clone(clone).name == "other"


def test_bits_are_rounded_up_to_bytes() -> None:
    assert Tensor(Record("t", (3,), DataType("XINT", 4))).get_data_size() == 2
