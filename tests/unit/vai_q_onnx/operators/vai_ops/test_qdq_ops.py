"""The documents' import, and that it computes what the operators do."""

from __future__ import annotations

import numpy as np
import pytest

from vai_q_onnx.operators.vai_ops.qdq_ops import vai_dquantize, vai_quantize


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint32"])
def test_there_and_back(dtype: str) -> None:
    info = np.iinfo(dtype)
    zero = np.asarray(info.max // 2 + 1 if info.min == 0 else 0, dtype)
    stored = vai_quantize([0.3, -0.4, 1e30, -1e30], 0.25, zero)
    assert stored.dtype == dtype
    assert (stored.astype(np.int64) - int(zero)).tolist() == [
        1,
        -2,
        info.max - int(zero),
        info.min - int(zero),
    ]
    assert vai_dquantize(stored[:2], 0.25, zero).tolist() == [0.25, -0.5]
