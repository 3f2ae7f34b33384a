import numpy as np

from quantforge.frontends.onnx import import_model
from quantforge.graph import Graph
from quantforge.passes.units.find import find_units, record_units
from tests.unit.frontends.onnx.text_models import model, random


def graph(last: str = "y = Mul (g, half)") -> Graph:
    text = f"""agraph (float[N,T,4] x) => (float[N,T,8] y) {{
        m = MatMul (x, w) a = Add (m, b) d = Div (a, root) e = Erf (d) o = Add (e, one) g = Mul (a, o) {last} }}"""
    numbers = {"root": 2**0.5, "one": 1.0, "half": 0.5}
    return import_model(
        model(text, w=random(4, 8), b=random(8), **{n: np.array(v, np.float32) for n, v in numbers.items()})
    )


def test_units_come_in_order_and_do_not_overlap() -> None:
    found = find_units(graph()).found
    assert [(unit.kind, unit.made_by) for unit in found] == [("matmul", "group-bias"), ("gelu", "group-gelu")]
    names = [name for unit in found for name in unit.ops]
    assert len(names) == len(set(names)) == 7


def test_recording_changes_nothing_but_origins() -> None:
    before = graph()
    result = record_units(before)
    assert [op.kind for op in result.graph.ops] == [op.kind for op in before.ops]
    assert [op.origin.made_by for op in result.graph.ops] == ["group-bias"] * 2 + ["group-gelu"] * 5
    assert all(op.origin.native is before.op(op.name).origin.native for op in result.graph.ops)
    assert [note.text for note in result.notes] == ["2 operators are one matmul", "5 operators are one gelu"]
    assert set(result.changed) == {op.name for op in before.ops}


def test_refusals_are_passed_on() -> None:
    notes = record_units(graph("y = Mul (g, one)")).notes
    assert [(note.done, note.made_by) for note in notes] == [(True, "group-bias"), (False, "group-gelu")]
