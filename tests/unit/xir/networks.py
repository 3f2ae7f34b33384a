"""A graph made with the names of PyXIR."""

from __future__ import annotations

import numpy as np

import xir


def small() -> xir.Graph:
    """x -> conv(w, b) -> relu -> fix; add(fix, conv)."""
    graph = xir.Graph("small")
    x = graph.create_op("x", "data", {"shape": [1, 8, 8, 2], "data_type": "FLOAT32"})
    w = graph.create_const_op("w", np.ones((3, 3, 3, 2), np.float32))
    b = graph.create_const_op("b", np.zeros(3, np.float32))
    attrs = {"kernel": [3, 3], "stride": [1, 1], "pad_mode": "FLOOR", "pad": [1, 1, 1, 1]}
    c = graph.create_op("c", "conv2d", attrs, {"input": [x], "weights": [w], "bias": [b]})
    r = graph.create_op("r", "relu", input_ops={"input": [c]})
    fix = {"fix_point": 4, "bit_width": 8, "round_mode": "DPU_ROUND", "if_signed": True}
    f = graph.create_op("f", "fix", fix, {"input": [r]})
    graph.create_op("s", "add", None, {"input": [f, c]})
    return graph


def op(graph: xir.Graph, name: str) -> xir.Op:
    found = graph.get_op(name)
    assert found is not None
    return found


def names(ops: object) -> list[str]:
    """Sorted names of operators, tensors or subgraphs."""
    assert isinstance(ops, (list, set))
    return sorted(one.name if isinstance(one, xir.Tensor) else one.get_name() for one in ops)
