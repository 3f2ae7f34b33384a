"""Attention scores with masks in the ways exporters write them."""

import numpy as np
import pytest

from quantforge.frontends.onnx import import_model
from quantforge.graph import Graph
from quantforge.passes.units.attention import find_attentions
from tests.unit.frontends.onnx.text_models import model

FORMS = {
    "bare": "p = Softmax (s)",
    "scaled": "z = Mul (s, scale) p = Softmax (z)",
    "divided": "z = Div (s, scale) a = Add (z, mask) p = Softmax (a)",
    "mask first": "a = Add (mask, s) p = Softmax (a)",
    "bias and mask": "z = Div (s, scale) b = Add (z, bias) a = Add (b, mask) p = Softmax (a)",
    "constant": "z = Mul (s, scale) a = Add (z, causal) p = Softmax (a)",
    "clamped": "a = Add (s, mask) m = Max (a, lowest) p = Softmax (m)",
    "chosen": "z = Mul (s, scale) a = Where (keep, z, lowest) p = Softmax (a)",
    "chosen the other way": "a = Where (keep, lowest, s) p = Softmax (a)",
}


def graph(body: str, outputs: str = "float[N,2,T,4] y") -> Graph:
    numbers = {"scale": 2.0, "lowest": -3.4e38}
    arrays = {name: np.array(value, np.float32) for name, value in numbers.items()}
    causal = np.triu(np.full((4, 4), -100.0, np.float32), 1)
    text = f"""agraph (float[N,2,T,4] q, float[N,2,4,T] k, float[N,2,T,4] v, float[N,1,1,T] mask, bool[N,1,1,T] keep)
        => ({outputs}) {{ s = MatMul (q, k) {body} y = MatMul (p, v) }}"""
    return import_model(model(text, bias=np.ones((2, 1, 1), np.float32), causal=causal, **arrays))


@pytest.mark.parametrize("body", FORMS.values(), ids=FORMS)
def test_the_scores_are_a_unit_from_the_product_to_the_softmax(body: str) -> None:
    found = find_attentions(graph(body))
    assert found.notes == () and len(found.found) == 1
    unit = found.found[0]
    assert (unit.kind, unit.output, len(unit.ops)) == ("softmax", "p", body.count("="))
    assert unit.bare == {
        name for name in ("scale", "lowest", "mask", "keep", "bias", "causal") if name in body
    }
    assert "s" not in unit.inner | unit.bare and "p" not in unit.inner


@pytest.mark.parametrize(
    ("form", "ops"),
    [("divided", 2), ("bias and mask", 2), ("clamped", 3), ("chosen", 2), ("scaled", 0), ("constant", 2)],
)
def test_masks_alone_leave_the_scaling_outside(form: str, ops: int) -> None:
    found = find_attentions(graph(FORMS[form]), masks_alone=True).found
    assert [len(unit.ops) for unit in found] == [ops] * bool(ops)


def test_a_softmax_of_other_numbers_is_no_subject() -> None:
    text = "agraph (float[N,8] x) => (float[N,8] y) { y = Softmax (x) }"
    found = find_attentions(import_model(model(text)))
    assert (found.found, found.notes) == ((), ())


def test_a_mask_on_scores_of_another_kind_is_noted() -> None:
    body = FORMS["mask first"].replace("s)", "t)")
    notes = find_attentions(graph("t = Abs (s) " + body)).notes
    assert [note.text for note in notes] == ["the scores a are not a product of two computed values"]


def test_a_value_that_the_caller_gets_is_a_reason() -> None:
    found = find_attentions(graph(FORMS["divided"], "float[N,2,T,4] y, float[N,2,T,T] a"))
    assert found.found == () and found.notes[0].text == "the caller gets a, which a softmax keeps to itself"
