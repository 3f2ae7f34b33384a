"""SmoothQuant leaves the float function alone and moves outlier channels into weights."""

import numpy as np
import pytest

from quantforge.frontends.onnx import import_model, to_proto
from quantforge.graph import Array, Graph
from quantforge.passes.smooth_norms import smooth_norms, smoothable
from tests.unit.frontends.onnx.text_models import model, random, run

X = random(2, 5, 8, seed=3)
TWO_PRODUCTS = "p = MatMul (n, w) q = MatMul (n, v) y = Add (p, q)"
RESIDUAL = "p = MatMul (n, w) y = Add (p, n)"
NORM = "n = LayerNormalization <axis = -1> (x, gamma, beta)"
DECOMPOSED = """m = ReduceMean <axes = [-1]> (x) d = Sub (x, m) q2 = Mul (d, d) u = ReduceMean <axes = [-1]> (q2)
    e = Add (u, eps) r = Sqrt (e) t = Div (d, r) g = Mul (gamma, t) n = Add (g, beta)"""


def graph(behind: str, norm: str = NORM, outputs: str = "float[N,T,8] y", **arrays: Array) -> Graph:
    gamma = random(8, seed=1)
    gamma[3] *= 60  # an outlier channel
    arrays = {
        "gamma": gamma, "beta": random(8, seed=2), "w": random(8, 8), "v": random(8, 8, seed=5),
        "eps": np.array(1e-5, np.float32),
    } | arrays  # fmt: skip
    return import_model(model(f"agraph (float[N,T,8] x) => ({outputs}) {{ {norm} {behind} }}", **arrays))


def values(graph: Graph, *names: str) -> list[Array]:
    extended = graph.copy()
    extended.outputs = (*graph.outputs, *(name for name in names if name not in graph.outputs))
    return run(to_proto(extended), {"x": X})


def ranges(graph: Graph) -> dict[str, np.ndarray]:
    return {"n": np.abs(values(graph, "n")[-1]).max(axis=(0, 1)).astype(np.float64)}


@pytest.mark.parametrize("norm", [NORM, DECOMPOSED], ids=["operator", "decomposed"])
@pytest.mark.parametrize("behind", [TWO_PRODUCTS, RESIDUAL], ids=["products", "residual"])
@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_the_function_stays_and_outliers_move(norm: str, behind: str, alpha: float) -> None:
    before = graph(behind, norm)
    assert smoothable(before) == ("n",)
    result = smooth_norms(before, ranges(before), alpha, restore=True)
    after = result.graph
    np.testing.assert_allclose(values(after)[0], values(before)[0], rtol=1e-4, atol=1e-3)
    spread = [np.ptp(np.log(ranges(each)["n"])) for each in (before, after)]
    tops = [np.abs(each.value("w").const).max(axis=1) for each in (before, after)]
    assert [note.done for note in result.notes] == [True]
    if alpha == 1.0:
        assert spread[1] < 1e-4 < spread[0] and np.ptp(np.log(tops[1])) > np.ptp(np.log(tops[0]))
    elif alpha == 0.5:
        assert spread[1] < spread[0]
    elif behind == RESIDUAL:
        assert np.ptp(np.log(tops[1])) < 1e-4


def test_by_the_formula_of_the_paper() -> None:
    before = graph(TWO_PRODUCTS)
    reach = ranges(before)
    after = smooth_norms(before, reach, 0.3).graph
    tops = np.maximum(*(np.abs(before.value(name).const).max(axis=1) for name in ("w", "v")))
    scale = reach["n"] ** 0.3 / tops**0.7
    scale /= np.exp(np.log(scale).mean())
    np.testing.assert_allclose(after.value("gamma").const, before.value("gamma").const / scale, rtol=1e-5)
    np.testing.assert_allclose(after.value("v").const, before.value("v").const * scale[:, None], rtol=1e-5)


def test_other_readers_get_the_unscaled_values_or_the_norm_is_left_alone() -> None:
    before = graph(RESIDUAL)
    result = smooth_norms(before, ranges(before))
    assert (result.changed, result.notes[0].text) == ((), "Add_2 reads it too")
    result = smooth_norms(before, ranges(before), restore=True)
    assert [op.kind for op in result.graph.ops] == ["layernorm", "matmul", "eltwise-mul", "eltwise-add"]
    assert result.graph.op("n_unscaled").origin.made_by == "smooth-norms"
    np.testing.assert_allclose(values(result.graph, "n_unscaled")[1], values(before, "n")[1], rtol=1e-4)


def test_shared_constants_are_copied() -> None:
    behind = """p = MatMul (n, w) o = LayerNormalization <axis = -1> (p, gamma, beta) q = MatMul (x, w)
        y = Add (o, q)"""
    before = graph(behind)
    result = smooth_norms(before, ranges(before))
    np.testing.assert_allclose(values(result.graph)[0], values(before)[0], rtol=1e-4, atol=1e-4)
    assert np.array_equal(result.graph.value("w").const, before.value("w").const)


def test_transposed_weights_of_a_gemm() -> None:
    text = """agraph (float[N,8] x) => (float[N,6] y) { n = LayerNormalization <axis = -1> (x, gamma)
        y = Gemm <transB = 1> (n, w, b) }"""
    gamma = np.geomspace(0.1, 10, 8).astype(np.float32)
    before = import_model(model(text, gamma=gamma, w=random(6, 8), b=random(6)))
    after = smooth_norms(before, {"n": gamma.astype(np.float64)}).graph
    assert not np.array_equal(after.value("w").const, before.value("w").const)
    x = random(3, 8)
    np.testing.assert_allclose(
        *(run(to_proto(each), {"x": x})[0] for each in (before, after)), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize(
    ("behind", "outputs", "reason"),
    [
        ("y = Neg (n)", "float[N,T,8] y", "no product with weights reads it"),
        (RESIDUAL, "float[N,T,8] y, float[N,T,8] n", "n is a graph output"),
    ],
)
def test_refusals(behind: str, outputs: str, reason: str) -> None:
    before = graph(behind, outputs=outputs)
    notes = smooth_norms(before, {"n": np.ones(8)}, restore=True).notes
    assert notes[0].text == reason and not notes[0].done


def test_a_norm_whose_ranges_are_unknown_and_products_behind_something_else() -> None:
    notes = smooth_norms(graph("p = MatMul (n, w) g = Gelu (p) y = MatMul (g, v)"), {}).notes
    assert [note.text for note in notes] == [
        "the ranges of n are not known, or it is not quantized",
        "gelu Gelu_2 makes its input, and absorbs no scale per channel",
    ]


def test_a_norm_without_constants_of_its_own() -> None:
    text = """agraph (float[N,8] x, float[8] gamma) => (float[N,6] y) { n = LayerNormalization <axis = -1> (x, gamma)
        y = MatMul (n, w) }"""
    notes = smooth_norms(import_model(model(text, w=random(8, 6))), {}).notes
    assert notes[0].text == "its gamma and beta are not constants with a number per channel"
    plain = DECOMPOSED.replace("g = Mul (gamma, t) n = Add (g, beta)", "n = Abs (t)")
    notes = smooth_norms(graph(RESIDUAL, plain), {}).notes
    assert notes[0].text == "it has no constant gamma to absorb a scale"


def test_dead_channels_keep_their_scale() -> None:
    before = graph(TWO_PRODUCTS)
    reach = ranges(before)["n"]
    reach[2] = 0.0
    after = smooth_norms(before, {"n": reach}).graph
    assert after.value("gamma").const[2] == before.value("gamma").const[2]
