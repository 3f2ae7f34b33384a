from __future__ import annotations

import numpy as np
import pytest

from quantforge.diagnostics import InputError
from quantforge.graph import Array, Graph, Op, Value
from tests.unit.frontends.onnx.text_models import random

from .checks import kinds, lowered, lowered_graph, only


@pytest.mark.parametrize("name", ["Add", "Sub", "Mul", "Div", "Min", "Max"])
@pytest.mark.parametrize("shape", ["1,3,4,5", "3,1,1", "4,1", "5", "1", ""])
def test_arithmetic_broadcasts_in_the_order_of_the_image(name: str, shape: str) -> None:
    sizes = [int(size) for size in shape.split(",") if size]
    constant = random(*sizes) + np.float32(3.0)
    made = lowered(f"g (float[1,3,4,5] x) => (y) {{ y = {name} (x, k) }}", k=constant)
    assert kinds(made) == {name.lower(): 1}
    other = f"float[{shape}]" if shape else "float"
    made = lowered(f"g (float[1,3,4,5] x, {other} z) => (y) {{ e = Exp(z) y = {name} (x, e) }}")
    assert kinds(made)[name.lower()] == 1


def test_a_gate_per_channel_needs_no_transpose() -> None:
    made = lowered(
        """g (float[N,8,4,5] x) => (y) {
            p = GlobalAveragePool(x) f = Flatten(p) h = MatMul(f, w) s = Sigmoid(h)
            u = Unsqueeze(s, axes) y = Mul(x, u) }""",
        w=random(8, 8),
        axes=[2, 3],
    )
    assert "transpose" not in kinds(made) and kinds(made)["reshape"] <= 2


@pytest.mark.parametrize(
    ("node", "kind"),
    [
        ("Relu(x)", "relu"), ("Sigmoid(x)", "sigmoid"), ("Tanh(x)", "tanh"), ("Exp(x)", "exp"), ("Neg(x)", "neg"),
        ("HardSwish(x)", "hard-swish"), ("Elu <alpha = 0.5> (x)", "elu"), ("Selu(x)", "selu"),
        ("LeakyRelu <alpha = 0.1> (x)", "leaky-relu"),
        ("HardSigmoid <alpha = 0.16666667, beta = 0.5> (x)", "hard-sigmoid"),
        ("HardSigmoid(x)", "onnx:HardSigmoid"), ("Erf(x)", "onnx:Erf"), ("Abs(x)", "onnx:Abs"),
        ("Softplus(x)", "onnx:Softplus"),
    ],
)  # fmt: skip
def test_functions_stay_where_the_image_is(node: str, kind: str) -> None:
    assert kinds(lowered(f"g (float[1,3,4,5] x) => (y) {{ y = {node} }}")) == {kind: 1}


@pytest.mark.parametrize(("node", "kind"), [("Mish(x)", "mish"), ("Gelu(x)", "gelu")])
def test_newer_functions(node: str, kind: str) -> None:
    assert kinds(lowered(f"g (float[1,3,4,5] x) => (y) {{ y = {node} }}", opset=20)) == {kind: 1}


def test_the_tanh_form_of_gelu_stays_an_onnx_node() -> None:
    text = 'g (float[1,3,4,5] x) => (y) { y = Gelu <approximate = "tanh"> (x) }'
    assert kinds(lowered(text, opset=20)) == {"onnx:Gelu": 1}


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        ({"low": 0.0, "high": 6.0}, {"relu6": 1}),
        ({"low": -1.0, "high": 2.0}, {"max": 1, "min": 1}),
        ({"low": -1.0}, {"max": 1}),
        ({}, {}),
    ],
)
def test_clips(bounds: dict[str, float], expected: dict[str, int]) -> None:
    names = ", ".join(["x", *bounds])
    arrays = {name: np.float32(bound) for name, bound in bounds.items()}
    assert kinds(lowered(f"g (float[1,3,4,5] x) => (y) {{ y = Clip({names}) }}", **arrays)) == expected


def test_the_slope_of_the_hardware() -> None:
    slope = 2731 / 16384
    text = f"g (float[1,3,4,5] x) => (y) {{ y = HardSigmoid <alpha = {slope!r}, beta = {3 * slope!r}> (x) }}"
    made = lowered(text, tolerance=2e-4)  # it ends at 6 * 2731 / 16384, a little above 1
    assert kinds(made) == {"hard-sigmoid": 1, "mul": 1}


@pytest.mark.parametrize("shape", [(3, 1, 1), (1,), (3, 4, 5)])
def test_prelu(shape: tuple[int, ...]) -> None:
    made = lowered("g (float[1,3,4,5] x) => (y) { y = PRelu(x, s) }", s=np.abs(random(*shape)))
    assert only(made, "prelu").args["weight"] == ("s",)


@pytest.mark.parametrize("shape", ["N,4,5,6", "N,4", "N,4,7"])
def test_batch_normalization_is_a_factor_and_an_offset(shape: str) -> None:
    rows = {name: np.abs(random(4, seed=i)) + np.float32(0.5) for i, name in enumerate("gbmv")}
    made = lowered(f"h (float[{shape}] x) => (y) {{ y = BatchNormalization(x, g, b, m, v) }}", **rows)
    op = only(made, "scale")
    assert op.get("axis") == len(op.tensor.shape) - 1 and {"y_scale", "y_bias"} <= set(made.ops)


def test_normalizations_of_images() -> None:
    rows = {"g": random(4), "b": random(4)}
    made = lowered("h (float[1,4,5,6] x) => (y) { y = InstanceNormalization(x, g, b) }", **rows)
    assert kinds(made) == {"instancenorm": 1}
    text = "h (float[1,4,5,6] x) => (y) { y = GroupNormalization <num_groups = 2> (x, g, b) }"
    assert only(lowered(text, opset=21, **rows), "groupnorm").get("num_channels") == 4


def test_softmax_and_norms_follow_their_axis() -> None:
    made = lowered(
        """g (float[1,3,4,5] x) => (a, b, c) {
            a = Softmax <axis = 1> (x) b = Softmax(x) c = LpNormalization <axis = 1> (x) }"""
    )
    assert [made.ops[name].get("axis") for name in "abc"] == [3, 2, (3,)]


def masked(mask: Array, constant: bool = True) -> Graph:
    op = Op("masked-softmax", "op", ("x", "mask"), ("y",), {"axis": 3})
    shape = (1, 3, 4, 4)
    held = Value("mask", mask.shape, mask.dtype.name, mask if constant else None)
    inputs = ["x"] if constant else ["x", "mask"]
    return Graph("one", [Value("x", shape), held, Value("y", shape)], [op], inputs, ["y"])


@pytest.mark.parametrize("mask", [np.tri(4, dtype=bool), np.array([True, True, False, True])], ids=len)
def test_masks_are_added(mask: Array) -> None:
    low = np.where(mask, 0.0, -3e38).astype(np.float32)
    for graph in (masked(mask), masked(low), masked(low, constant=False)):
        found = kinds(lowered_graph(graph))
        assert found["add"] == found["softmax"] == 1 and not any(kind.startswith("onnx:") for kind in found)


def test_masks_that_xir_cannot_express_are_said() -> None:
    with pytest.raises(InputError, match=r"Q1153 .* a mask of booleans that is no constant"):
        lowered_graph(masked(np.tri(4, dtype=bool), constant=False))
    with pytest.raises(InputError, match=r"Q1153 .* a mask that leaves nothing of a row"):
        lowered_graph(masked(np.tri(4, k=-1, dtype=bool)))


def test_integers_stay_onnx_nodes() -> None:
    assert "onnx:Add" in kinds(lowered("g (int64[1,3] x) => (y) { y = Add(x, x) }"))
