"""Small models, and the published files where they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quantforge.xmodel.model import FLOAT32, XINT8, Attr, DataType, Subgraph, Tensor, XModel, XOp
from quantforge.xmodel.shapes import infer_shape, infer_type

PUBLISHED = Path(__file__).parents[4] / "shared" / "data" / "xmodels"


def published(name: str) -> Path:
    """The path of a published file; skips the test where it is not there."""
    path = PUBLISHED / f"{name}.xmodel"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    return path


def attr(value: Any) -> Attr:
    """A value as the kind that exporters give it."""
    if isinstance(value, Attr):
        return value
    if isinstance(value, tuple):
        kinds = {bool: "bool_vec", int: "int32_vec", float: "float_vec", str: "string_vec"}
        return Attr(kinds[type(value[0])] if value else "int32_vec", value)
    kinds = {bool: "bool", int: "int32", float: "float", str: "string", bytes: "bytes"}
    return Attr(kinds[type(value)], value)


def add(model: XModel, name: str, kind: str, args: dict[str, tuple[str, ...]], **attrs: Any) -> XOp:
    """Append an operator whose shape and type are inferred."""
    op = XOp(name, kind, Tensor(name, (1,)), args, {key: attr(value) for key, value in attrs.items()})
    shape = infer_shape(model, op)
    assert shape is not None
    op.tensor.shape, op.tensor.dtype = shape, infer_type(model, op)
    return model.add(op)


def data(model: XModel, name: str, shape: tuple[int, ...], dtype: DataType = FLOAT32) -> XOp:
    return add(model, name, "data-fix" if dtype.fixed else "data", {}, shape=shape, data_type=str(dtype))


def const(model: XModel, name: str, array: np.ndarray[Any, Any], dtype: DataType = FLOAT32) -> XOp:
    stored = array.astype(dtype.numpy).tobytes()
    kind = "const-fix" if dtype.fixed else "const"
    return add(model, name, kind, {}, shape=array.shape, data_type=str(dtype), data=stored)


def conv(model: XModel, name: str, source: str, channels: int, kernel: int = 3, stride: int = 1) -> XOp:
    """A float convolution with padding that keeps the size at stride 1."""
    inner = model.ops[source].tensor.shape[-1]
    weights = np.arange(channels * kernel * kernel * inner).reshape(channels, kernel, kernel, inner)
    const(model, f"{name}_w", weights)
    const(model, f"{name}_b", np.arange(channels))
    args = {"input": (source,), "weights": (f"{name}_w",), "bias": (f"{name}_b",)}
    geometry = {"kernel": (kernel, kernel), "stride": (stride, stride), "pad": (kernel // 2,) * 4}
    return add(model, name, "conv2d", args, pad_mode="FLOOR", **geometry)


def small() -> XModel:
    """x -> conv -> relu -> fix, with a second branch, in three subgraphs."""
    model = XModel("small", attrs={"origin": Attr("string", "test")})
    data(model, "x", (1, 8, 8, 2))
    conv(model, "c", "x", 3)
    add(model, "r", "relu", {"input": ("c",)})
    add(
        model, "f", "fix", {"input": ("r",)}, fix_point=4, bit_width=8, round_mode="DPU_ROUND", if_signed=True
    )
    add(model, "s", "add", {"input": ("f", "c")})
    model.root.children = [
        Subgraph("user", ["x"], attrs={"device": Attr("string", "USER")}),
        Subgraph(
            "dpu",
            children=[Subgraph("layer", ["c", "c_w", "c_b"]), Subgraph("act", ["r", "f"])],
            attrs={"device": Attr("string", "DPU"), "dpu_fingerprint": Attr("uint64", 2**63 + 5)},
        ),
        Subgraph("cpu", ["s"], attrs={"device": Attr("string", "CPU")}),
    ]
    return model


def fixed_tensor(name: str, shape: tuple[int, ...], fix_point: int) -> Tensor:
    kinds = {"fix_point": fix_point, "bit_width": 8, "if_signed": True, "round_mode": "DPU_ROUND"}
    return Tensor(name, shape, XINT8, {key: attr(value) for key, value in kinds.items()})


def every_kind() -> dict[str, Attr]:
    """One attribute of each of the 29 kinds, with limits and empty values among them."""
    maps = {
        "map_string_2_int32": {"a": -1, "": 0},
        "map_string_2_uint32": {"a": 2**32 - 1},
        "map_string_2_int64": {"a": -(2**63)},
        "map_string_2_uint64": {"a": 2**64 - 1},
        "map_string_2_string": {"ä": "ö", "b": ""},
        "map_string_2_bytes": {"a": b"\x00\xff", "b": b""},
        "map_string_2_int32_vec": {"a": (1, -2), "b": ()},
        "map_string_2_uint32_vec": {"a": (1, 2**32 - 1)},
        "map_string_2_int64_vec": {"a": (-(2**63),)},
        "map_string_2_uint64_vec": {"a": (2**64 - 1, 0)},
        "map_string_2_string_vec": {"a": ("x", "")},
    }
    plain = {
        "bool": False,
        "int32": -(2**31),
        "uint32": 2**32 - 1,
        "int64": -(2**63),
        "uint64": 2**64 - 1,
        "float": -1.5,
        "double": 1e-300,
        "string": "",
        "bytes": b"",
    }
    vectors = {
        "bool_vec": (True, False),
        "int32_vec": (-1, 2**31 - 1),
        "uint32_vec": (0,),
        "int64_vec": (),
        "uint64_vec": (2**64 - 1,),
        "float_vec": (0.5, -0.0),
        "double_vec": (0.1,),
        "string_vec": ("", "é"),
        "bytes_vec": (b"", b"\x80"),
    }
    return {kind: Attr(kind, value) for kind, value in {**plain, **vectors, **maps}.items()}
