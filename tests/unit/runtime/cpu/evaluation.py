"""One CPU operator on arrays, by kind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from quantforge.runtime.cpu_ops import KERNELS
from quantforge.xmodel.model import DataType, Tensor, XOp
from tests.compiled_xmodels import FLOAT32, attr


def evaluated(
    kind: str, inputs: Sequence[Any], shape: Sequence[int] = (1,), dtype: DataType = FLOAT32, /,
    parameters: dict[str, Any] | None = None, **attrs: Any,
) -> Any:  # fmt: skip
    """The result of an operator of `kind`; numbers become float32 arrays."""
    arrays = {"input": [_array(item) for item in inputs]}
    arrays |= {name: [_array(item)] for name, item in (parameters or {}).items()}
    op = XOp(
        "op",
        kind,
        Tensor("op_t", tuple(shape), dtype),
        {},
        {key: attr(value) for key, value in attrs.items()},
    )
    return KERNELS[kind](op, arrays)


def _array(item: Any) -> Any:
    return item if isinstance(item, np.ndarray) else np.asarray(item, np.float32)
