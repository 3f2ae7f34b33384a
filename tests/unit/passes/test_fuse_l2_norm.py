from __future__ import annotations

import numpy as np
import pytest

from quantforge.passes.fuse_l2_norm import fuse_l2_norms
from tests.unit.frontends.onnx.text_models import random

from .onnx_nets import kinds, net, same

SUM = "s = Mul (x, x) t = ReduceSum <keepdims = 1> (s, axes)"
FORMS = {
    "maximum and reciprocal": f"{SUM} e = Max (t, eps) o = Sqrt (e) r = Reciprocal (o) y = Mul (x, r)",
    "sum and division": f"{SUM} e = Add (eps, t) o = Sqrt (e) y = Div (x, o)",
    "clip": f"{SUM} e = Clip (t, eps) o = Sqrt (e) y = Div (x, o)",
    "nothing": f"{SUM} o = Sqrt (t) y = Div (x, o)",
    "power": f"{SUM.replace('Mul (x, x)', 'Pow (x, two)')} o = Sqrt (t) r = Reciprocal (o) y = Mul (r, x)",
}
CONSTANTS = {"eps": np.float32(1e-12), "axes": np.array([1]), "two": np.float32(2)}


@pytest.mark.parametrize("form", FORMS)
def test_every_way_to_write_it_is_found_with_its_axis(form: str) -> None:
    graph = net(FORMS[form], **CONSTANTS)
    result = fuse_l2_norms(graph)
    assert kinds(result.graph) == ["l2-normalize"]
    assert result.graph.ops[0].attrs == {"axis": 1, "p": 2}
    same(graph, result.graph, random(1, 4, 6, 6))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"eps": np.float32(0.1)}, "its epsilon 0.1 is more than 1e-06"),
        ({"axes": np.array([1, 2])}, "it sums over several axes"),
    ],
)
def test_other_norms_are_refused(change: dict[str, object], why: str) -> None:
    result = fuse_l2_norms(net(FORMS["sum and division"], **{**CONSTANTS, **change}))
    assert result.changed == () and why in result.notes[0].text


def test_parts_that_are_read_elsewhere_or_named_stay() -> None:
    graph = net(FORMS["nothing"], **CONSTANTS)
    graph.outputs = ("y", "o")
    assert "something else reads a part of it" in fuse_l2_norms(graph).notes[0].text
    assert fuse_l2_norms(net(FORMS["nothing"], **CONSTANTS), lambda op: True).changed == ()
    dropped = net(FORMS["nothing"].replace("keepdims = 1", "keepdims = 0"), "4,4", "4,4", **CONSTANTS)
    assert "drops the axis" in fuse_l2_norms(dropped).notes[0].text


def test_a_division_by_another_norm_stays() -> None:
    body = "z = Relu (x) " + FORMS["nothing"].replace("Div (x, o)", "Div (z, o)")
    assert fuse_l2_norms(net(body, **CONSTANTS)).notes == ()
