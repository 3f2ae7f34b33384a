from __future__ import annotations

import numpy as np

from quantforge.passes.matching import (
    beside_constant,
    between,
    image_mean,
    is_closed,
    maker,
    operands,
    scalar,
    squared,
)

from .onnx_nets import net

GRAPH = net(
    "[m] m = ReduceMean <axes = [2, 3]> (x) [d] d = Sub (x, m) [s] s = Mul (d, d) [p] p = Pow (d, two) "
    "[a] a = Add (row, s) [t] t = Add (a, p) [f] f = ReduceMean <axes = [2, 3], keepdims = 0> (t) "
    "[g] g = GlobalAveragePool (t) [o] o = Add (t, g) [u] z = Unsqueeze (f, where) [v] y = Add (o, z)",
    two=np.float32(2),
    row=np.ones((1, 4, 1, 1), np.float32),
    where=np.array([2, 3]),
)


def op(name: str):  # type: ignore[no-untyped-def]
    return GRAPH.op(name)


def test_makers_and_operands() -> None:
    made = maker(GRAPH, "d", "eltwise-sub", "eltwise-add")
    assert made is not None and made.name == "d"
    assert maker(GRAPH, "d", "eltwise-add") is maker(GRAPH, "x", "relu") is maker(GRAPH, "", "relu") is None
    assert list(operands(op("d"))) == [("x", "m")]
    assert list(operands(op("t"))) == [("a", "p"), ("p", "a")]


def test_constants() -> None:
    found = beside_constant(GRAPH, op("a"))
    assert found is not None and found[0] == "s" and found[1].shape == (1, 4, 1, 1)
    assert beside_constant(GRAPH, op("t")) is None
    assert scalar(GRAPH, "two") == 2.0 and scalar(GRAPH, "row") is scalar(GRAPH, "x") is None


def test_squares_and_means() -> None:
    assert squared(GRAPH, "s") == squared(GRAPH, "p") == "d"
    assert squared(GRAPH, "d") is squared(GRAPH, "a") is None
    assert image_mean(GRAPH, "m") == "x" and image_mean(GRAPH, "g") == "t"
    assert image_mean(GRAPH, "f") is image_mean(GRAPH, "d") is None, "it drops its axes; it is no mean"


def test_regions() -> None:
    assert between(GRAPH, "t", "d") == ("s", "p", "a", "t")
    assert between(GRAPH, "t", "x") == ("m", "d", "s", "p", "a", "t")
    assert is_closed(GRAPH, ("s", "p", "a", "t"), "t")
    assert not is_closed(GRAPH, ("a", "t", "g"), "g"), "o reads t as well"
    assert not is_closed(GRAPH, ("o", "v"), "o"), "y is an output"
