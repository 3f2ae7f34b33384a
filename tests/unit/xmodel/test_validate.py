from __future__ import annotations

import pytest

from quantforge.diagnostics import InputError
from quantforge.xmodel.model import Attr, Tensor, XModel, XOp
from quantforge.xmodel.validate import check, validate
from tests.unit.xmodel.samples import data, small


def test_a_good_model() -> None:
    check(small())
    validate(small())
    validate(XModel("empty"))


def test_an_operator_before_its_producer() -> None:
    model = small()
    model.ops = dict(reversed(model.ops.items()))
    with pytest.raises(InputError, match="Q0903 s: found reads 'f', which comes later"):
        check(model)
    model = small()
    model.ops["r"].args["input"] = ("gone",)
    with pytest.raises(InputError, match="Q0903 r: found reads 'gone', which does not exist"):
        check(model)


@pytest.mark.parametrize("shape", [(), (1, 0), (1, -1, 2)])
def test_shapes_that_are_no_shapes(shape: tuple[int, ...]) -> None:
    model = small()
    model.ops["r"].tensor.shape = shape
    with pytest.raises(InputError, match="Q0908 r"):
        check(model)


def test_a_stored_shape_that_is_not_the_inferred_one_is_read_and_not_written() -> None:
    model = small()
    model.ops["r"].tensor.shape = (1, 8, 8, 4)
    check(model)
    with pytest.raises(
        InputError, match=r"Q0912 r \(relu\): found the stored shape \[1, 8, 8, 4\]; expected \[1, 8, 8, 3\]"
    ):
        validate(model)


def test_tensor_names_are_unique_when_written() -> None:
    model = small()
    model.ops["r"].tensor.name = "c"
    check(model)
    with pytest.raises(InputError, match="Q0904 r: found the tensor name 'c', which 'c' has"):
        validate(model)


def test_an_operator_that_does_not_fit_its_definition() -> None:
    model = XModel("m")
    data(model, "x", (1, 2))
    model.add(XOp("y", "fix", Tensor("y", (1, 2)), {"input": ("x",)}, {"fix_point": Attr("int64", 1)}))
    with pytest.raises(InputError, match="Q0907"):
        check(model)


def test_a_custom_operator_says_its_own_shape() -> None:
    model = XModel("m")
    data(model, "x", (1, 2))
    attrs = {"shape": Attr("int32_vec", (4,)), "data_type": Attr("string", "FLOAT32")}
    model.add(XOp("y", "Mine", Tensor("y", (4,)), {"input": ("x",)}, attrs))
    validate(model)
    model.ops["y"].tensor.shape = (5,)
    with pytest.raises(InputError, match="Q0912"):
        validate(model)
