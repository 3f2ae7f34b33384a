"""Give hard sigmoids the slope of a DPU, and take hard swishes apart where a DPU rounds.

    hard-sigmoid  min(max(x / 6 + 1/2, 0), 1)      becomes  min(max(x + 3, 0), 6) * 2731 / 16384
    hard-swish    y = x * hard-sigmoid(x)          becomes  g = that hard-sigmoid(x), stored;  y = x g

The slope is larger by 1 / 8192 of itself. A DPU stores g with as many bits as y and all but one of them behind the
point (8 bits: position 7), so splitting needs to know how y is stored: it comes after scales were chosen.
Source: hard-sigmoid-fix of XIR; exporter of the PyTorch quantizer of Vitis AI.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace

from quantforge.graph import Graph, Op, Origin, QuantSpec, Value
from quantforge.numerics.formats import IntFormat
from quantforge.numerics.law import HARD_SIGMOID_SLOPE
from quantforge.ops.attributes import number
from quantforge.passes.result import Note, PassResult

NAME = "dpu-hard-sigmoid"
_CLOSE = 1e-6
_SLOPE = {"alpha": HARD_SIGMOID_SLOPE.value, "beta": 3.0 * HARD_SIGMOID_SLOPE.value}


def dpu_hard_sigmoids(graph: Graph, float_ops: Container[str] = ()) -> PassResult:
    """Changed: hard sigmoids of slope 1/6, except `float_ops`; others are noted."""
    graph = graph.copy()
    changed, notes = [], []
    for op in graph.ops:
        if op.kind != "hard-sigmoid" or op.name in float_ops or op.attrs == _SLOPE:
            continue
        alpha, beta = number(op, "alpha", 0.2), number(op, "beta", 0.5)
        done = abs(alpha - 1.0 / 6.0) < _CLOSE and abs(beta - 0.5) < _CLOSE
        if done:
            graph.replace_op(op.changed(NAME, attrs=_SLOPE))
            changed.append(op.name)
        text = (
            "slope 1/6 made 2731/16384"
            if done
            else f"its slope {alpha:g} is not 1/6, so a CPU has to compute it"
        )
        notes.append(Note(NAME, op.name, done, text))
    return PassResult(graph, tuple(changed), tuple(notes))


def split_hard_swishes(graph: Graph, float_ops: Container[str] = ()) -> PassResult:
    """Changed: hard swishes whose input and output are stored on powers of two, except `float_ops`."""
    graph = graph.copy()
    changed, notes = [], []
    for op in graph.ops:
        if op.kind != "hard-swish" or op.name in float_ops:
            continue
        x, y = graph.value(op.inputs[0]), graph.value(op.outputs[0])
        if x.quant is None or y.quant is None:
            continue  # it stays in float, or is read in float
        spec = _gate_spec(y.quant) if x.quant.position is not None else None
        if spec is None:
            text = "a DPU's hard swish is on signed powers of two"
            notes.append(Note(NAME, op.name, False, text))
            continue
        _split(graph, op, replace(x, name="", const=None, quant=spec))
        changed.append(op.name)
        notes.append(
            Note(NAME, op.name, True, f"its hard sigmoid is stored at position {spec.position}, as on a DPU")
        )
    return PassResult(graph, tuple(changed), tuple(notes))


def _gate_spec(spec: QuantSpec) -> QuantSpec | None:
    form = spec.format
    if spec.position is None or not isinstance(form, IntFormat) or not form.signed:
        return None
    return QuantSpec.power_of_two(form, form.bits - 1, spec.rounding)


def _split(graph: Graph, op: Op, like: Value) -> None:
    """Put a hard sigmoid in front of `op`, which becomes a product."""
    gate = graph.fresh_name(f"{op.name}_gate")
    graph.set_value(replace(like, name=gate))
    origin = Origin(op.origin.names, NAME)
    graph.add_op(Op("hard-sigmoid", gate, op.inputs[:1], (gate,), _SLOPE, origin), before=op.name)
    graph.replace_op(op.changed(NAME, kind="eltwise-mul", inputs=(op.inputs[0], gate), attrs={}))
