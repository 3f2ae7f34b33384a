from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from quantforge.diagnostics import InputError
from quantforge.xmodel.model import XModel
from tests.compiled_xmodels import single
from tests.unit.runtime.lowering.graphs import lowered_nodes


def conv(
    cut: int, mode: str = "PY3_ROUND", bias: int | None = None, bias_position: int = 0, **attrs: Any
) -> XModel:
    constants = {"weights": (np.full((2, 1, 1, 3), 101, np.int8), 8)}
    if bias is not None:
        constants["bias"] = (np.full(2, bias, np.int32), bias_position)
    attrs = {"kernel": (1, 1), **attrs}
    x = np.zeros((1, 4, 4, 3), np.int8)
    return single(
        "conv2d-fix", [x], [8], (1, 4, 4, 2), 16 - cut, constants=constants, round_mode=mode, **attrs
    )


@pytest.mark.parametrize("mode", ["DPU_ROUND", "PY3_ROUND", "STD_ROUND"])
def test_a_convolution_is_one_node(mode: str) -> None:
    assert lowered_nodes(conv(8, mode)) == ["QLinearConv"]
    assert lowered_nodes(conv(8, mode, nonlinear="RELU")) == ["QLinearConv", "Clip"]


def test_a_leaky_relu_is_two_convolutions() -> None:
    nodes = lowered_nodes(conv(7, nonlinear="LEAKYRELU"))
    assert nodes.count("QLinearConv") == 2
    assert nodes[-1] == "QLinearAdd"


def test_what_floats_cannot_round_goes_through_int32() -> None:
    assert "ConvInteger" in lowered_nodes(conv(15, "DPU_ROUND"))
    assert "ConvInteger" in lowered_nodes(conv(9, "DPU_ROUND", nonlinear="LEAKYRELU"))


def test_a_bias_finer_than_the_accumulator() -> None:
    """Half up never sees its fraction; the other roundings do at a tie."""
    assert lowered_nodes(conv(8, "DPU_ROUND", 5, 20)) == ["QLinearConv"]
    assert "ConvInteger" in lowered_nodes(conv(8, "PY3_ROUND", 5, 20))


def test_averages_are_depthwise_convolutions() -> None:
    x = np.zeros((1, 8, 8, 3), np.int8)
    attrs = {"kernel": (3, 3), "stride": (1, 1), "type": "AVG"}
    assert lowered_nodes(single("pool-fix", [x], [0], (1, 6, 6, 3), 0, **attrs)) == ["QLinearConv"]
    assert "Div" in lowered_nodes(single("pool-fix", [x], [0], (1, 6, 6, 3), 0, avg_exact=True, **attrs))
    whole = {"kernel": (8, 8), "type": "AVG", "avg_exact": True}
    assert lowered_nodes(single("pool-fix", [x], [0], (1, 1, 1, 3), 0, **whole)) == ["QLinearConv"]
    assert lowered_nodes(
        single("pool-fix", [x], [0], (1, 4, 4, 3), 0, kernel=(2, 2), stride=(2, 2), type="MAX")
    ) == ["NhwcMaxPool"]


@pytest.mark.parametrize(
    ("model", "found"),
    [
        (conv(8, bias=1, bias_position=90), "a bias shift of -74"),
        (conv(8, kernel=(2, 2)), "kernel"),
        (conv(8, group=3), "in 3 groups"),
        (conv(8, bias=2**31 - 1, bias_position=-4), "accumulators up to"),
    ],
)
def test_contradictions_are_named(model: XModel, found: str) -> None:
    with pytest.raises(InputError, match=rf"Q120[34] result: .*{found}"):
        lowered_nodes(model)


def test_weights_and_biases_must_fit() -> None:
    model = conv(8, bias=1)
    model.ops["result"].args.pop("weights")
    with pytest.raises(InputError, match=r"Q1203 result: .*without weights"):
        lowered_nodes(model)
    model = conv(8)
    model.ops["result"].args["bias"] = model.ops["result"].args["weights"]
    with pytest.raises(InputError, match=r"Q1203 result: .*6 biases"):
        lowered_nodes(model)
