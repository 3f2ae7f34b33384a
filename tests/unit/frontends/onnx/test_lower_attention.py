from __future__ import annotations

import numpy as np
import pytest

from quantforge.frontends.onnx import to_proto
from quantforge.graph import Array, Graph, Op, Value
from quantforge.ops.registry import spec

from .text_models import random, run

LOW = np.array([0.0, -3e38, 0.0, -100.0], np.float32)
KEPT = np.array([True, True, False, True])
OTHER = np.array([[True, True, True, True], [False, True, False, True], [False] * 4])


@pytest.mark.parametrize(
    "masks", [(), (LOW,), (KEPT,), (LOW, KEPT), (KEPT, OTHER), (LOW, LOW)], ids=lambda masks: str(len(masks))
)
def test_nodes_compute_what_the_kind_means(masks: tuple[Array, ...]) -> None:
    names = [f"m{index}" for index in range(len(masks))]
    values = [Value(n, m.shape, m.dtype.name, m) for n, m in zip(names, masks, strict=True)]
    op = Op("masked-softmax", "op", ("x", *names), ("y",), {"axis": 1})
    graph = Graph("one", [Value("x", (3, 4)), *values, Value("y", (3, 4))], [op], ["x"], ["y"])
    x = random(3, 4)
    found = run(to_proto(graph), {"x": x})[0]
    np.testing.assert_allclose(found, spec(op.kind).compute(op, [x, *masks])[0], rtol=1e-5, atol=1e-7)
