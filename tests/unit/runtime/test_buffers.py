from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from quantforge.diagnostics import InputError
from quantforge.runtime.buffers import TensorBuffer, checked, empty_buffers, storage
from quantforge.xmodel.model import DataType, Tensor, XOp

OPS = [XOp("x", "data-fix", Tensor("x_fix", (1, 2, 3), DataType("XINT", 8)))]


def test_a_buffer_is_aliased() -> None:
    buffer = empty_buffers(OPS)[0]
    np.array(buffer, copy=False)[0, 1, 2] = 7
    assert np.asarray(buffer)[0, 1, 2] == 7
    assert np.asarray(buffer, np.float32).dtype == np.float32
    assert np.array(buffer).base is None
    assert str(buffer) == "TensorBuffer{x_fix, int8[1, 2, 3]}"
    assert buffer.get_tensor() is OPS[0].tensor
    with pytest.raises(ValueError, match=r"without a copy"):
        np.array(buffer, np.float32, copy=False)


@pytest.mark.skipif(
    sys.version_info < (3, 12), reason="classes in Python offer the buffer protocol from 3.12 on"
)
def test_the_buffer_protocol() -> None:
    assert memoryview(empty_buffers(OPS)[0]).nbytes == 6  # type: ignore[arg-type]


def test_arrays_and_buffers_are_both_taken() -> None:
    array = np.zeros((1, 2, 3), np.int8)
    assert checked([array], OPS, "input", False)[0] is array
    assert checked([TensorBuffer(OPS[0].tensor, array)], OPS, "input", False)[0] is array
    assert checked([np.zeros((5, 2, 3), np.int8)], OPS, "input", True)[0].shape == (5, 2, 3)


def read_only() -> Any:
    array = np.zeros((1, 2, 3), np.int8)
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    ("items", "found"),
    [
        ([], "0 output arrays; expected 1: x_fix"),
        ([np.zeros((1, 2, 3), np.uint8)], "'x_fix': found an array of uint8; expected int8"),
        ([np.zeros((1, 3, 2), np.int8)], r"'x_fix': found shape \[1, 3, 2\]; expected \[1, 2, 3\]"),
        ([np.zeros((2, 2, 3), np.int8)], "enable_dynamic_array=True"),
        ([np.zeros((1, 3, 2), np.int8).transpose(0, 2, 1)], "'x_fix': found an array with gaps"),
        ([read_only()], "'x_fix': found a read-only array"),
    ],
)
def test_what_does_not_fit_names_the_tensor(items: list[Any], found: str) -> None:
    with pytest.raises(InputError, match=f"Q1208 .*{found}"):
        checked(items, OPS, "output", False)


def test_dynamic_arrays_share_one_batch() -> None:
    arrays = [np.zeros((n, 2, 3), np.int8) for n in (2, 3)]
    with pytest.raises(InputError, match=r"Q1208 input: found batches of 2, 3"):
        checked(arrays, OPS * 2, "input", True)


def test_types_that_numpy_lacks() -> None:
    with pytest.raises(InputError, match=r"Q1208 b: .*BFLOAT16"):
        storage(Tensor("b", (1,), DataType("BFLOAT", 16)))
