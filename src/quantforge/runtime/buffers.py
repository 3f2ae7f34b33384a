"""`TensorBuffer`: an array with the tensor it belongs to, and the checks that arrays of a job must pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantforge.diagnostics import InputError
from quantforge.xmodel.model import Tensor, XOp

Array = NDArray[Any]


class TensorBuffer:
    """Memory of one tensor; ``np.asarray(buffer)`` and ``np.array(buffer, copy=False)`` alias it.

    On Python 3.12 and newer it also offers the buffer protocol (``memoryview(buffer)``).
    """

    def __init__(self, tensor: Any, array: Array) -> None:
        self._tensor = tensor
        self._array = array

    def get_tensor(self) -> Any:
        """The tensor: name, shape, type, attributes."""
        return self._tensor

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        if dtype is None or np.dtype(dtype) == self._array.dtype:
            return self._array.copy() if copy else self._array
        if copy is False:
            raise ValueError(f"{self} cannot be seen as {np.dtype(dtype)} without a copy")
        return self._array.astype(dtype)

    def __buffer__(self, flags: int) -> memoryview:
        return memoryview(self._array)  # type: ignore[arg-type]

    def __str__(self) -> str:
        return f"TensorBuffer{{{self._tensor.name}, {self._array.dtype}{list(self._array.shape)}}}"


def empty_buffers(ops: Sequence[XOp], wrap: Any = None) -> list[TensorBuffer]:
    """One zeroed buffer per operator's tensor; `wrap` makes what `get_tensor` gives from the record."""
    return [
        TensorBuffer(
            op.tensor if wrap is None else wrap(op.tensor), np.zeros(op.tensor.shape, storage(op.tensor))
        )
        for op in ops
    ]


def storage(tensor: Tensor) -> np.dtype[Any]:
    """The NumPy type of a tensor's elements.

    Raises:
        InputError: Q1208 for types that NumPy does not have.
    """
    dtype = tensor.dtype.numpy
    if dtype is None:
        found = f"tensor {tensor.name!r} of type {tensor.dtype}"
        raise InputError("Q1208", tensor.name, found, "8 to 64 bit integers, or floats", "use such a type")
    return dtype


def checked(items: Sequence[Any], ops: Sequence[XOp], role: str, dynamic: bool) -> list[Array]:
    """The arrays of a job, one per tensor, aliased; `role` is "input" or "output".

    Raises:
        InputError: Q1208 naming the tensor whose array has the wrong count, type, shape or layout, or is read-only.
    """
    if len(items) != len(ops):
        found, names = f"{len(items)} {role} arrays", ", ".join(op.tensor.name for op in ops)
        raise InputError("Q1208", role, found, f"{len(ops)}: {names}", f"give one array per {role} tensor")
    arrays = [_checked(item, op.tensor, role, dynamic) for item, op in zip(items, ops, strict=True)]
    return _same_batch(arrays, ops, role) if dynamic else arrays


def _checked(item: Any, tensor: Tensor, role: str, dynamic: bool) -> Array:
    where, dtype = f"{role} tensor {tensor.name!r}", storage(tensor)
    array = np.asarray(item)
    if array.dtype != dtype:
        fix = f"convert it to {dtype}; fixed-point integers are the real numbers times 2**fix_point"
        raise InputError("Q1208", where, f"an array of {array.dtype}", f"{dtype} ({tensor.dtype})", fix)
    shape = (array.shape[0], *tensor.shape[1:]) if dynamic and array.ndim else tensor.shape
    if array.shape != shape or 0 in array.shape:
        fix = (
            "pass the tensor's shape" if dynamic else "pass the tensor's shape, or enable_dynamic_array=True"
        )
        raise InputError("Q1208", where, f"shape {list(array.shape)}", f"{list(tensor.shape)}", fix)
    if not array.flags.c_contiguous:
        raise InputError("Q1208", where, "an array with gaps", "C order", "use np.ascontiguousarray")
    if role == "output" and not array.flags.writeable:
        raise InputError("Q1208", where, "a read-only array", "memory for the result", "use np.empty")
    return array


def _same_batch(arrays: list[Array], ops: Sequence[XOp], role: str) -> list[Array]:
    ratios = {len(array) / op.tensor.shape[0] for array, op in zip(arrays, ops, strict=True)}
    if len(ratios) > 1:
        found = f"batches of {', '.join(str(len(array)) for array in arrays)}"
        raise InputError("Q1208", role, found, "one batch for all tensors", "cut the arrays alike")
    return arrays
