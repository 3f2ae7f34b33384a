from __future__ import annotations

import numpy as np
import pytest

from quantforge.graph import Graph
from quantforge.passes.fuse_instance_norm import fuse_instance_norms
from tests.unit.frontends.onnx.text_models import random

from .onnx_nets import kinds, net, same

CENTERED = "m = ReduceMean <axes = [2, 3]> (x) d = Sub (x, m)"
FORMS = {
    "product and division": f"{CENTERED} s = Mul (d, d) v = ReduceMean <axes = [2, 3]> (s) e = Add (v, eps) "
    "o = Sqrt (e) n = Div (d, o) g = Mul (n, gamma) y = Add (g, beta)",
    "power and operands the other way": f"{CENTERED} s = Pow (d, two) v = ReduceMean <axes = [-1, -2]> (s) "
    "e = Add (eps, v) o = Sqrt (e) r = Reciprocal (o) n = Mul (r, d) g = Mul (gamma, n) y = Add (beta, g)",
    "one over the root": f"{CENTERED} s = Mul (d, d) v = GlobalAveragePool (s) e = Add (v, eps) o = Pow (e, half) "
    "r = Div (one, o) n = Mul (d, r) g = Mul (n, gamma) y = Add (g, beta)",
    "expanded": "m = GlobalAveragePool (x) d = Sub (x, m) s = Mul (d, d) v = GlobalAveragePool (s) e = Add (v, eps) "
    "o = Sqrt (e) r = Reciprocal (o) k = Mul (r, gamma) xk = Mul (x, k) mk = Mul (m, k) t = Sub (beta, mk) "
    "y = Add (xk, t)",
}
CONSTANTS = {
    "eps": np.float32(1e-3), "two": np.float32(2), "half": np.float32(0.5), "one": np.float32(1),
    "gamma": random(1, 4, 1, 1), "beta": random(4, 1, 1, seed=1),
}  # fmt: skip


def written(body: str, **changes: object) -> Graph:
    return net(body, **{**CONSTANTS, **changes})


@pytest.mark.parametrize("form", FORMS)
def test_every_way_to_write_it_is_found(form: str) -> None:
    graph = written(FORMS[form])
    result = fuse_instance_norms(graph)
    assert kinds(result.graph) == ["instancenorm"]
    (op,) = result.graph.ops
    assert op.attrs["epsilon"] == pytest.approx(1e-3) and op.origin.made_by == "fuse-instance-norm"
    np.testing.assert_array_equal(result.graph.const(op, 1), CONSTANTS["gamma"].reshape(-1))
    assert len(result.notes) == 1 and "made one instance normalization" in result.notes[0].text
    same(graph, result.graph, 3 * random(1, 4, 6, 6) + 1, 1e-4)


def test_parameters_may_be_absent_or_one_number() -> None:
    plain = FORMS["product and division"].partition("n = Div")[0] + "y = Div (d, o)"
    for body in (plain, plain.replace("y = Div", "n = Div") + " y = Mul (n, two)"):
        graph = written(body)
        result = fuse_instance_norms(graph)
        assert kinds(result.graph) == ["instancenorm"]
        same(graph, result.graph, random(1, 4, 6, 6), 1e-4)


def test_other_functions_stay() -> None:
    good = FORMS["product and division"]
    other = {
        "a mean over channels too": good.replace("axes = [2, 3]", "axes = [1, 2, 3]"),
        "another mean": good.replace("d = Sub (x, m)", "z = Relu (x) d = Sub (z, m)"),
        "another square": good.replace("s = Mul (d, d)", "s = Mul (d, x)"),
        "another power": good.replace("s = Mul (d, d)", "s = Pow (d, one)"),
        "no root": good.replace("o = Sqrt (e)", "o = Exp (e)"),
    }
    for name, body in other.items():
        assert fuse_instance_norms(written(body)).changed == (), name


def test_parts_that_are_read_elsewhere_or_named_stay() -> None:
    good = FORMS["product and division"]
    graph = written(good)
    graph.outputs = ("y", "v")
    assert fuse_instance_norms(graph).changed == ()
    assert fuse_instance_norms(written(good), lambda op: op.kind == "sqrt").changed == ()


def test_a_parameter_for_every_pixel_is_refused() -> None:
    result = fuse_instance_norms(written(FORMS["product and division"], beta=random(1, 4, 6, 6)))
    assert "eltwise-add" in kinds(result.graph)
    assert [note.text for note in result.notes if not note.done] == [
        "its parameters are not one number for each channel"
    ]
