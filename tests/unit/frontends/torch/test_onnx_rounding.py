from __future__ import annotations

import numpy as np
import onnxruntime as ort
import pytest
from onnx import helper, parser

pytest.importorskip("torch", reason="torch is not installed")

from quantforge.frontends.torch.onnx_rounding import (
    import_functions,
    rounded_to_even,
    rounding_text,
)
from quantforge.graph import Graph, Op, QuantSpec, Value
from quantforge.numerics.formats import INT8
from quantforge.numerics.rounding import Rounding, round_array


@pytest.mark.parametrize("mode", list(Rounding), ids=str)
def test_the_text_rounds_as_the_definition(mode: Rounding) -> None:
    text = f'<domain: "d", opset_import: ["" : 17]> F (r) => (n_x) {{ {rounding_text(mode, "_x")} }}'
    types = [helper.make_tensor_value_info(name, 1, ["n"]) for name in ("r", "y")]
    graph = helper.make_graph([helper.make_node("F", ["r"], ["y"], domain="d")], "g", types[:1], types[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=7)
    import_functions(model, [parser.parse_function(text)])
    assert model.ir_version == 8 and {entry.domain for entry in model.opset_import} == {"", "d"}
    x = np.concatenate([np.arange(-9, 9) / 2, [0.49999997, -0.49999997, 8388607.5, 0.3]]).astype(np.float32)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    np.testing.assert_array_equal(session.run(None, {"r": x})[0], round_array(x, mode))


def test_only_computed_values_lose_their_rounding() -> None:
    spec = QuantSpec.power_of_two(INT8, 3, Rounding.HALF_UP)
    data = np.ones(2, np.float32)
    values = [Value("x", (2,), quant=spec), Value("w", (2,), "float32", data, spec), Value("y", (2,))]
    graph = Graph("g", values, [Op("eltwise-add", "a", ("x", "w"), ("y",))], ["x"], ["y"])
    assert rounded_to_even(graph) == {"x": Rounding.HALF_UP}
    roundings = {value.name: value.quant.rounding for value in graph.quantized() if value.quant is not None}
    assert roundings == {"x": Rounding.HALF_EVEN, "w": Rounding.HALF_UP}
