"""Layer norm and rms norm as exporters write them."""

import numpy as np
import pytest

from quantforge.frontends.onnx import import_model
from quantforge.graph import Graph
from quantforge.passes.units.layer_norm import find_layer_norms
from tests.unit.frontends.onnx.text_models import model, random

CENTRED = {
    "pow": """m = ReduceMean <axes = [-1]> (x) d = Sub (x, m) q = Pow (d, two) v = ReduceMean <axes = [-1]> (q)
              e = Add (v, eps) r = Sqrt (e) n = Div (d, r)""",
    "product": """m = ReduceMean <axes = [2]> (x) d = Sub (x, m) q = Mul (d, d) v = ReduceMean <axes = [2]> (q)
              e = Add (eps, v) r = Sqrt (e) i = Reciprocal (r) n = Mul (d, i)""",
    "two differences": """m = ReduceMean <axes = [-1]> (x) d = Sub (x, m) c = Sub (x, m) q = Pow (c, two)
              v = ReduceMean <axes = [-1]> (q) e = Add (v, eps) r = Pow (e, minus_half) n = Mul (d, r)""",
}
RMS = {
    "rms": """q = Pow (x, two) v = ReduceMean <axes = [-1]> (q) e = Add (v, eps) r = Sqrt (e) i = Div (one, r)
              n = Mul (x, i)""",
}
AFFINE = "g = Mul (n, gamma) y = Add (g, beta)"


def graph(body: str, affine: str = AFFINE, outputs: str = "float[N,T,16] out") -> Graph:
    numbers = {"two": 2.0, "one": 1.0, "eps": 1e-5, "minus_half": -0.5}
    arrays = {name: np.array(value, np.float32) for name, value in numbers.items()}
    arrays |= {"gamma": random(16), "beta": random(16, seed=1), "wide": random(3, 16)}
    last = "out = Neg (y)"
    return import_model(
        model(f"agraph (float[N,T,16] x) => ({outputs}) {{ {body} {affine} {last} }}", **arrays)
    )


@pytest.mark.parametrize("body", [*CENTRED.values(), *RMS.values()], ids=[*CENTRED, *RMS])
def test_every_way_to_write_it_is_one_unit_with_its_parameters(body: str) -> None:
    found = find_layer_norms(graph(body))
    assert found.notes == () and len(found.found) == 1
    unit = found.found[0]
    assert (unit.kind, unit.output) == ("layernorm", "y")
    assert {"gamma", "beta", "eps"} <= unit.bare and "x" not in unit.inner | unit.bare
    assert len(unit.ops) == len(unit.inner) + 1


def test_without_parameters_and_with_gamma_alone() -> None:
    assert find_layer_norms(graph(CENTRED["pow"], "y = Abs (n)")).found[0].output == "n"
    assert find_layer_norms(graph(RMS["rms"], "y = Mul (gamma, n)")).found[0].output == "y"


def test_parameters_that_are_none_per_channel_stay_outside() -> None:
    assert find_layer_norms(graph(CENTRED["pow"], "y = Mul (n, wide)")).found[0].output == "n"


def test_another_function_is_noted() -> None:
    found = find_layer_norms(graph(CENTRED["pow"].replace("Div (d, r)", "Div (x, r)")))
    assert found.found == () and found.notes[0].text == "what is around this root computes no layer norm"


def test_a_root_of_other_means_is_no_subject() -> None:
    body = "v = ReduceMean <axes = [1]> (x) n = Sqrt (v)"
    assert find_layer_norms(graph(body)).notes == ()


def test_a_value_that_something_else_reads_is_a_reason() -> None:
    found = find_layer_norms(graph(CENTRED["pow"], outputs="float[N,T,16] out, float[N,T,1] r"))
    assert found.found == () and found.notes[0].text.startswith("the caller gets r")
