from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from quantforge.diagnostics import InputError
from quantforge.xmodel.catalogue import catalogue
from quantforge.xmodel.model import FLOAT32, XINT8, DataType, Tensor, XModel, XOp
from quantforge.xmodel.shapes import _RULES, constant, infer_shape, infer_type
from tests.unit.xmodel.samples import add, attr, const, data

INT32 = DataType("INT", 32)


def given(*shapes: tuple[int, ...]) -> XModel:
    model = XModel("m")
    for i, shape in enumerate(shapes):
        data(model, f"x{i}", shape)
    return model


def shape_of(model: XModel, kind: str, **attrs: Any) -> tuple[int, ...] | None:
    made = {key: attr(value) for key, value in attrs.items()}
    return infer_shape(model, XOp("y", kind, Tensor("y", (1,)), {"input": tuple(model.ops)}, made))


def test_every_operator_has_a_rule_or_says_its_shape_or_is_known_to_have_none() -> None:
    without = {kind for kind in catalogue() if kind not in _RULES and "shape" not in catalogue()[kind].attrs}
    assert without == {"priorbox"}
    assert set(_RULES) <= set(catalogue())


@pytest.mark.parametrize(
    ("kind", "shapes", "attrs", "expected"),
    [
        ("relu", [(1, 2, 3)], {}, (1, 2, 3)),
        ("add", [(1, 2, 3), (3,)], {}, (1, 2, 3)),
        ("eltwise-fix", [(2, 1), (1, 3), (1, 1)], {}, (2, 3)),
        ("reduction_mean", [(1, 2, 3, 4)], {"axis": (1, -2), "keep_dims": False}, (1, 4)),
        ("reduction_max", [(1, 2, 3, 4)], {"axis": (1, 2), "keep_dims": True}, (1, 1, 1, 4)),
        ("reduction_sum", [(2, 3)], {"axis": (0, 1), "keep_dims": False}, (1,)),
        ("argmax", [(1, 2, 3)], {"axis": -1}, (1, 2, 1)),
        ("transpose", [(1, 2, 3, 4)], {"order": (0, 3, 1, 2)}, (1, 4, 2, 3)),
        ("flatten", [(1, 2, 3, 4)], {"start_axis": 1, "end_axis": -1}, (1, 24)),
        ("flatten", [(1, 2, 3, 4)], {"start_axis": 0, "end_axis": 1}, (2, 3, 4)),
        ("matmul", [(5, 2, 3), (3, 4)], {"transpose_a": False, "transpose_b": False}, (5, 2, 4)),
        ("matmul", [(3, 2), (4, 3)], {"transpose_a": True, "transpose_b": True}, (2, 4)),
        ("concat", [(1, 2), (1, 3)], {"axis": 1}, (1, 5)),
        ("shape", [(7, 8, 9)], {}, (3,)),
        ("reshape", [(2, 3)], {"shape": (-1,)}, (6,)),
        ("upsample-fix", [(1, 2, 2, 3)], {"mode": "NEAREST", "scale": (2.0, 2.0)}, (1, 4, 4, 3)),
        ("downsample-fix", [(1, 2, 2, 3)], {"mode": "NEAREST", "scale": (2.0, 2.0)}, None),
        ("priorbox", [(1, 2, 2, 3)], {}, None),
        ("Mine", [(1, 2)], {"shape": (9, 9)}, (9, 9)),
    ],
)
def test_shapes(
    kind: str, shapes: list[tuple[int, ...]], attrs: dict[str, Any], expected: tuple[int, ...] | None
) -> None:
    assert shape_of(given(*shapes), kind, **attrs) == expected


@pytest.mark.parametrize(
    ("kind", "shapes", "attrs"),
    [
        ("add", [(1, 2), (1, 3)], {}),
        ("reduction_mean", [(1, 2)], {"axis": (2,), "keep_dims": False}),
        ("transpose", [(1, 2)], {"order": (0, 0)}),
        ("flatten", [(1, 2, 3)], {"start_axis": 2, "end_axis": 1}),
        ("matmul", [(2, 3), (2, 3)], {"transpose_a": False, "transpose_b": False}),
        ("matmul", [(3,), (3, 4)], {"transpose_a": False, "transpose_b": False}),
        ("matmul", [(2, 1, 1), (3, 1, 1)], {"transpose_a": False, "transpose_b": False}),
        ("matmul", [(1, 1)] * 3, {"transpose_a": False, "transpose_b": False}),
        ("argmax", [(1, 2)], {"axis": 2}),
    ],
)
def test_shapes_that_do_not_fit(kind: str, shapes: list[tuple[int, ...]], attrs: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="Q0912"):
        shape_of(given(*shapes), kind, **attrs)


def test_a_linear_layer() -> None:
    model = given((2, 3, 4))
    const(model, "w", np.zeros((5, 4)))
    made = add(model, "y", "inner-product", {"input": ("x0",), "weights": ("w",)}, axis=-1)
    assert made.tensor.shape == (2, 3, 5)


def test_shapes_that_constants_say() -> None:
    model = given((1, 2, 3, 4))
    const(model, "size", np.array([6, 9]), INT32)
    const(model, "to", np.array([2, -1]), INT32)
    resize = {"input": ("x0",), "size": ("size",)}
    assert add(model, "r", "resize", resize, mode="NEAREST").tensor.shape == (1, 6, 9, 4)
    reshape = XOp("y", "reshape", Tensor("y", (1,)), {"input": ("x0",), "shape": ("to",)})
    assert infer_shape(model, reshape) == (2, 12)
    model.ops["to"].kind = "stack"  # the numbers are known only when the model runs
    assert infer_shape(model, reshape) is None


def test_constants_as_arrays() -> None:
    model = XModel("m")
    made = const(model, "c", np.arange(6).reshape(2, 3), XINT8)
    array = constant(made)
    assert array is not None and array.dtype == np.int8 and array.tolist() == [[0, 1, 2], [3, 4, 5]]
    made.attrs["data"] = attr(b"")
    assert constant(made) is None
    assert constant(data(model, "x", (1,))) is None


def test_element_types() -> None:
    model = given((1, 2))
    data(model, "q", (1, 2), XINT8)

    def type_of(kind: str, source: str, **attrs: Any) -> DataType:
        made = {key: attr(value) for key, value in attrs.items()}
        return infer_type(model, XOp("y", kind, Tensor("y", (1,)), {"input": (source,)}, made))

    assert type_of("relu", "x0") == FLOAT32 and type_of("pool-fix", "q") == XINT8
    assert type_of("fix2float", "q") == type_of("fix", "q") == FLOAT32
    assert type_of("float2fix", "x0", bit_width=4, if_signed=False) == DataType("XUINT", 4)
    assert type_of("cast", "x0", data_type="int64") == DataType("INT", 64)
    assert type_of("Mine", "x0", data_type="XINT8") == XINT8
    assert type_of("argmax", "x0") == INT32
