"""GELU in all its forms, written as exporters write them, and what only looks like it."""

import numpy as np
import pytest

from quantforge.frontends.onnx import import_model
from quantforge.graph import Graph
from quantforge.passes.units.gelu import FORMS, find_gelus, form_of
from tests.unit.frontends.onnx.text_models import model

ERF = {
    "torch": """d = Div (x, root) e = Erf (d) a = Add (e, one) m = Mul (x, a) y = Mul (m, half)""",
    "half first": """h = Mul (x, half) d = Mul (x, inverse) e = Erf (d) a = Add (one, e) y = Mul (h, a)""",
    "half inside": """d = Div (x, root) e = Erf (d) a = Add (e, one) h = Mul (half, a) y = Mul (h, x)""",
    "by two": """d = Div (x, root) e = Erf (d) a = Add (e, one) m = Mul (x, a) y = Div (m, two)""",
}
TANH = {
    "pow": """c = Pow (x, three) t = Mul (c, cubic) s = Add (x, t) z = Mul (s, slope) h = Tanh (z)
              a = Add (h, one) b = Mul (x, half) y = Mul (b, a)""",
    "products": """q = Mul (x, x) c = Mul (q, x) t = Mul (cubic, c) s = Add (t, x) z = Mul (slope, s) h = Tanh (z)
              a = Add (one, h) b = Mul (a, half) y = Mul (x, b)""",
}
QUICK = {"quick": "z = Mul (x, quick) s = Sigmoid (z) y = Mul (x, s)"}
NUMBERS = {
    "root": 2**0.5, "inverse": 0.5**0.5, "one": 1.0, "half": 0.5, "two": 2.0, "three": 3.0,
    "cubic": 0.044715, "slope": (2 / np.pi) ** 0.5, "quick": 1.702,
}  # fmt: skip


def graph(body: str, outputs: str = "float[N,8] out", end: str = "out = Neg (y)", **changed: float) -> Graph:
    numbers = {name: np.array(value, np.float32) for name, value in (NUMBERS | changed).items()}
    return import_model(model(f"agraph (float[N,8] x) => ({outputs}) {{ {body} {end} }}", **numbers))


@pytest.mark.parametrize("body", [*ERF.values(), *TANH.values(), *QUICK.values()], ids=[*ERF, *TANH, *QUICK])
def test_every_way_to_write_it_is_one_unit(body: str) -> None:
    found = find_gelus(graph(body))
    assert found.notes == () and len(found.found) == 1
    unit = found.found[0]
    assert (unit.kind, unit.output) == ("gelu", "y") and "x" not in unit.inner | unit.bare
    assert len(unit.ops) == body.count("=") and len(unit.inner) == len(unit.ops) - 1
    assert unit.bare <= set(NUMBERS)


def test_the_end_is_where_the_function_is_whole() -> None:
    unit = find_gelus(graph(ERF["torch"], end="s = Mul (y, three) out = Neg (s)")).found[0]
    assert unit.output == "y"


def test_the_start_may_be_scaled() -> None:
    unit = find_gelus(graph("x2 = Mul (x, three) " + ERF["torch"].replace("(x,", "(x2,"))).found[0]
    assert "x2" not in unit.inner and len(unit.ops) == 5


@pytest.mark.parametrize("changed", [{"root": 1.5}, {"one": 2.0}, {"half": 1.0}], ids=str)
def test_another_function_is_noted(changed: dict[str, float]) -> None:
    found = find_gelus(graph(ERF["torch"], **changed))
    assert found.found == ()
    assert [str(note) for note in found.notes] == [
        "group-gelu: Erf_1: not done: what is around this erf computes no GELU"
    ]


def test_other_gates_are_none_and_need_no_note() -> None:
    for body in (
        "s = Sigmoid (x) y = Mul (x, s)",
        "y = Tanh (x)",
        "z = Mul (x, three) s = Sigmoid (z) y = Mul (x, s)",
    ):
        found = find_gelus(graph(body))
        assert (found.found, found.notes) == ((), ())


def test_a_value_that_something_else_reads_is_a_reason() -> None:
    notes = find_gelus(graph(ERF["torch"], "float[N,8] out, float[N,8] d")).notes
    assert notes[0].text == "the caller gets d, which a gelu keeps to itself"
    body = ERF["torch"].replace("e = Erf", "g = Neg (d) e = Erf")
    notes = find_gelus(graph(body, "float[N,8] out, float[N,8] g")).notes
    assert notes[0].text.endswith("reads d, which a gelu keeps to itself")


def test_the_forms_are_told_apart() -> None:
    x = np.linspace(-6.0, 6.0, 97)
    assert [form_of(function(x)) for function in FORMS.values()] == ["none", "tanh", "quick"]
    assert form_of(x) is None and form_of(x[:4]) is None
