"""Capping the channels of a GELU leaves the float function alone and bounds what weights grow by."""

import numpy as np
import pytest

from quantforge.frontends.onnx import import_model, to_proto
from quantforge.graph import Array, Graph
from quantforge.passes.smooth_gelus import gelus_to_smooth, smooth_gelus
from tests.unit.frontends.onnx.text_models import model, random, run

X = random(2, 5, 8, seed=3)
OPERATOR = "g = Gelu (p)"
DECOMPOSED = "d = Div (p, root) e = Erf (d) a = Add (e, one) m = Mul (p, a) g = Mul (m, half)"


def graph(gelu: str = OPERATOR, behind: str = "y = MatMul (g, v)") -> Graph:
    w = random(8, 16)
    w[:, 5] *= 30  # an outlier channel
    numbers = {"root": 2**0.5, "one": 1.0, "half": 0.5}
    text = f"agraph (float[N,T,8] x) => (float[N,T,6] y) {{ p = MatMul (x, w) {gelu} {behind} }}"
    arrays = {name: np.array(number, np.float32) for name, number in numbers.items()}
    return import_model(model(text, 20, w=w, v=random(16, 6, seed=5), u=random(16, 6, seed=6), **arrays))


def values(graph: Graph, *names: str) -> list[Array]:
    extended = graph.copy()
    extended.outputs = (*graph.outputs, *names)
    return run(to_proto(extended), {"x": X})


def ranges(graph: Graph, name: str = "g") -> dict[str, np.ndarray]:
    return {name: np.abs(values(graph, name)[-1]).max(axis=(0, 1)).astype(np.float64)}


@pytest.mark.parametrize("gelu", [OPERATOR, DECOMPOSED], ids=["operator", "decomposed"])
@pytest.mark.parametrize("reach", [0.1, 0.25])
def test_the_function_stays_and_outliers_are_capped(gelu: str, reach: float) -> None:
    before = graph(gelu)
    assert gelus_to_smooth(before) == ("g",)
    result = smooth_gelus(before, ranges(before), reach)
    np.testing.assert_allclose(values(result.graph)[0], values(before)[0], rtol=1e-4, atol=1e-4)
    tops, capped = ranges(before)["g"], ranges(result.graph, "g_capped")["g_capped"]
    np.testing.assert_allclose(capped, np.minimum(tops, reach * tops.max()), rtol=1e-5)
    growth = result.graph.value("v").const / before.value("v").const
    assert growth.max() <= 1.0 / reach + 1e-4 and growth.min() > 1.0 - 1e-6
    assert [(note.op, note.done) for note in result.notes] == [(before.producer("y").name, True)]


def test_only_products_read_the_capped_values() -> None:
    behind = "q = MatMul (g, v) r = MatMul (g, u) s = Add (q, r) n = Abs (g) t = MatMul (n, u) y = Add (s, t)"
    before = graph(behind=behind)
    result = smooth_gelus(before, ranges(before), 0.25)
    readers = [op.kind for op in result.graph.consumers("g_capped")]
    assert readers == ["matmul", "matmul"]
    assert [op.kind for op in result.graph.consumers("g")] == ["eltwise-mul", "abs"]
    np.testing.assert_allclose(values(result.graph)[0], values(before)[0], rtol=1e-4, atol=1e-4)


def test_nothing_to_cap() -> None:
    before = graph()
    level, dead = {"g": np.ones(16)}, {"g": np.zeros(16)}
    wild = {"g": np.full(16, np.inf)}
    for known, reach in (({}, 0.25), (level, 0.25), (dead, 0.25), (wild, 0.25), (ranges(before), 1.0)):
        result = smooth_gelus(before, known, reach)
        assert (result.changed, result.notes) == ((), ())
    assert gelus_to_smooth(graph(behind="y = MatMul (p, v)")) == ()
