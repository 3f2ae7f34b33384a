import numpy as np
import pytest

from quantforge.frontends.onnx import import_model
from quantforge.graph import Graph
from quantforge.passes.units.bias import find_biases
from tests.unit.frontends.onnx.text_models import model, random


def graph(body: str, outputs: str = "float[N,T,8] y") -> Graph:
    text = f"agraph (float[N,T,4] x, float[8] given) => ({outputs}) {{ {body} }}"
    arrays = {"w": random(4, 8), "b": random(8), "one": np.array(1, np.float32), "rows": random(3, 8)}
    return import_model(model(text, **arrays))


@pytest.mark.parametrize("bias", ["m, b", "b, m", "m, one"])
def test_a_product_and_its_bias_are_one(bias: str) -> None:
    unit = find_biases(graph(f"m = MatMul (x, w) y = Add ({bias})")).found[0]
    assert (unit.kind, unit.output, unit.inner) == ("matmul", "y", {"m"})
    assert unit.bare == {"b" if "b" in bias else "one"}


def test_a_sum_with_something_computed_is_no_bias() -> None:
    found = find_biases(graph("m = MatMul (x, w) y = Add (m, given)"))
    assert (found.found, found.notes) == ((), ())


def test_a_constant_with_rows_is_noted() -> None:
    found = find_biases(graph("m = MatMul (x, w) y = Add (m, rows)"))
    assert found.found == ()
    assert found.notes[0].text == "Add_1 adds a constant (3, 8), which is no number per channel"


def test_a_product_that_others_read_keeps_its_own_result() -> None:
    for outputs in ("float[N,T,8] y, float[N,T,8] m", "float[N,T,8] y, float[N,T,8] z"):
        extra = " z = Abs (m)" if " z" in outputs else ""
        found = find_biases(graph("m = MatMul (x, w) y = Add (m, b)" + extra, outputs))
        assert found.found == ()
