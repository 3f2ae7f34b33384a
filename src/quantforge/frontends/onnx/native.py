"""The ONNX door's own records, and the two-way table between ONNX element types and NumPy dtype names.

`NativeNode` is what `Origin.native` holds for an imported op, `NativeModel` what `Graph.native` holds. Protos in
here are shared between graphs and never changed: emission copies them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper
from onnxruntime.capi import onnxruntime_pybind11_state as ort_state

from quantforge.graph import Array

NOT_A_TENSOR = "not-a-tensor"  # dtype of sequences, optionals and maps, which only opaque ops touch
UNKNOWN = "unknown"  # dtype of what shape inference could not tell
STRING = "string"

# Everything ONNX Runtime raises on a model or a feed it does not like.
ORT_ERRORS: tuple[type[Exception], ...] = (
    ort_state.Fail,
    ort_state.InvalidArgument,
    ort_state.InvalidGraph,
    ort_state.InvalidProtobuf,
    ort_state.NotImplemented,
    ort_state.NoSuchFile,
    ort_state.RuntimeException,
    ort_state.EPFail,
    RuntimeError,
    ValueError,
)


@dataclass(frozen=True, eq=False)
class NativeNode:
    """An imported node: which of its inputs the op has, and the constants behind those that became attributes.

    `data` holds positions in ``proto.input``, one per input of the op. `captured` names the outer values that
    the node's subgraphs read; the op lists them after its own inputs.
    """

    proto: Any
    data: tuple[int, ...]
    static: Mapping[int, Array] = field(default_factory=dict)
    captured: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class NativeModel:
    """What the model says besides its graph, after upgrading: opsets, producer, metadata, input and output types."""

    opsets: Mapping[str, int]
    ir_version: int
    producer: tuple[str, str] = ("", "")
    domain: str = ""
    model_version: int = 0
    doc_string: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    inputs: Mapping[str, Any] = field(default_factory=dict)
    outputs: Mapping[str, Any] = field(default_factory=dict)
    functions: tuple[Any, ...] = ()
    folder: str = ""


def dtype_name(element_type: int) -> str:
    """The NumPy dtype name of an ONNX element type.

    >>> dtype_name(1), dtype_name(7), dtype_name(16), dtype_name(8)
    ('float32', 'int64', 'bfloat16', 'string')
    """
    if element_type == TensorProto.STRING:
        return STRING
    if element_type == TensorProto.UNDEFINED or element_type not in TensorProto.DataType.values():
        return UNKNOWN
    return str(np.dtype(helper.tensor_dtype_to_np_dtype(element_type)).name)


def element_type(dtype: str) -> int:
    """The ONNX element type of a NumPy dtype name; `UNDEFINED` when there is none.

    >>> element_type("float32"), element_type("uint4")
    (1, 21)
    """
    if dtype in (STRING, "object"):
        return int(TensorProto.STRING)
    return int(_element_types().get(dtype, TensorProto.UNDEFINED))


def _element_types() -> dict[str, int]:
    if not _TYPES:
        for code in TensorProto.DataType.values():
            if code not in (TensorProto.UNDEFINED, TensorProto.STRING):
                _TYPES.setdefault(np.dtype(helper.tensor_dtype_to_np_dtype(code)).name, code)
    return _TYPES


_TYPES: dict[str, int] = {}


def is_default_domain(domain: str) -> bool:
    """Whether `domain` means the operators of the ONNX standard itself."""
    return domain in ("", "ai.onnx")


def opset_version(model: Any) -> int:
    """The version of the standard operators that `model` imports; 0 when it imports none."""
    return max((int(o.version) for o in model.opset_import if is_default_domain(o.domain)), default=0)


def newest_opset() -> int:
    """The newest standard opset the installed onnx package knows."""
    return int(onnx.defs.onnx_opset_version())
