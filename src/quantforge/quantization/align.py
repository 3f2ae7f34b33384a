"""Positions moved so that a fixed-point device's shift registers reach them.

With positions i, w, b, o (fractional bits) of the input, weights, bias and output of a convolution or matrix product,
and the limits of `ShiftLimits` (c0 = least_cut, c1 = most_cut, b1 = most_bias):

    shift_cut  = i + w - o    in [c0, c1]                     below: o is lowered,  above: w is lowered
    shift_bias = i + w - b    in [min(0, shift_cut - c1), b1] below: b is lowered,  above: w is lowered

with b the position of least error that the bias has for itself. Lowering w for a bias keeps the bias from saturating,
at the price of coarser weights. A hard sigmoid and a hard swish on the table of 1/6 (2731 / 2^14) ask for

    hard sigmoid   0 <= i <= 15,  7 <= o <= i + 14      hard swish   0 <= i <= 15,  i - 8 <= o <= i + 7

Sums and products have limits of their own, see `align_elementwise`.

Values that share a spec move together. Layers are visited in graph order, until nothing moves; only a hard
activation, a sum or a product ever raises a position. Where input and output share one spec, lowering the output
changes nothing: that is noted.

Only power-of-two specs of integers of up to 8 bits around zero are looked at: the registers are those of 8-bit
devices. Whether a compiled model fits is decided once more, by what the compiler has really fused
(`compiler.fusing.shifts`).

Source: shift limits of the PyTorch quantizer (message QUANTIZER_TORCH_SHIFT_CHECK) and of the ONNX quantizer
(AdjustShiftCut, AdjustShiftBias, AdjustHardSigmoid) of Vitis AI 3.5.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np

from quantforge.graph import Graph, Op
from quantforge.numerics.formats import IntFormat
from quantforge.numerics.law import HARD_SIGMOID_SLOPE, shift_bias, shift_cut
from quantforge.numerics.positions import position_of_scale
from quantforge.ops.channels import WEIGHTED
from quantforge.passes.result import Note
from quantforge.quantization.align_elementwise import PRODUCTS, SUMS, WRITE_SWISH, elementwise_moves
from quantforge.quantization.places import Places
from quantforge.quantization.recipe import BiasScale, Recipe, ShiftLimits
from quantforge.quantization.rules import bias_rule
from quantforge.quantization.solve import output_value, solve_bias
from quantforge.quantization.weights import position_by_error

NAME = "align-positions"
_NARROW = 8  # bits that the registers are made for
_SIXTH_POSITION = 7  # of a hard sigmoid's result
_MOST_SIGMOID_IN = 15


def align_positions(graph: Graph, places: Places, recipe: Recipe) -> tuple[Graph, tuple[Note, ...]]:
    """A copy of a solved `graph` with positions within the recipe's `shift_limits`, and a note for each that moved.

    Without limits the graph itself is returned.
    """
    limits = recipe.shift_limits
    if limits is None:
        return graph, ()
    aligner = _Aligner(graph.copy(), _shared(places), limits, recipe)
    for _ in graph.ops:
        moved = [aligner.visit(op) for op in graph.ops]
        if not any(moved):
            break
    aligner.finish()
    return aligner.graph, tuple(dict.fromkeys(aligner.notes))


def _shared(places: Places) -> dict[str, tuple[str, ...]]:
    return {name: group.values for group in places.groups for name in group.values}


@dataclass
class _Aligner:
    """The state of one alignment: the graph with its specs, and what was said."""

    graph: Graph
    shared: dict[str, tuple[str, ...]]
    limits: ShiftLimits
    recipe: Recipe
    notes: list[Note] = field(default_factory=list)
    moved: set[str] = field(default_factory=set)

    def visit(self, op: Op) -> bool:
        """Move what `op` asks for; whether anything moved."""
        if op.kind in WEIGHTED:
            return self._weighted(op)
        if op.kind in (*SUMS, *PRODUCTS):
            return self._elementwise(op)
        kind = "hard-sigmoid" if op.kind == "sigmoid" and self._hardens() else op.kind
        asked = {"hard-sigmoid": self.limits.hard_sigmoid, "hard-swish": self.limits.hard_swish}
        return asked.get(kind, False) and self._hard(op, kind)

    def _elementwise(self, op: Op) -> bool:
        ins = {name: self._position(name) for name in op.inputs}
        known = {name: position for name, position in ins.items() if position is not None}
        if len(known) < len(ins) or len(op.inputs) != 2:
            return False
        name = output_value(self.graph, op)
        position = self._position(name)
        out = None if position is None else (name, position)
        moves = list(elementwise_moves(self.graph, op, known, out, self.limits))
        for move in moves:
            self._move(op, move.name, move.position, move.why)
        return bool(moves)

    def _hardens(self) -> bool:
        """Whether sigmoids will be hard ones."""
        arithmetic = self.recipe.dpu_arithmetic
        return arithmetic is not None and arithmetic.sigmoid

    def finish(self) -> None:
        """Solve biases anew that depend on what has moved."""
        for op in self.graph.ops:
            if op.kind not in WEIGHTED or len(op.inputs) < 3 or not op.inputs[2]:
                continue
            around = {op.inputs[0], op.inputs[1], output_value(self.graph, op)}
            if around & self.moved and self.graph.value(op.inputs[2]).quant is not None:
                solve_bias(self.graph, op, self.recipe)

    def _weighted(self, op: Op) -> bool:
        out = output_value(self.graph, op)
        i, w, o = (self._position(name) for name in (op.inputs[0], op.inputs[1], out))
        if i is None or w is None:
            return False
        moved = False
        if o is not None and self.limits.cut:
            cut = shift_cut(i, w, o)
            if cut < self.limits.least_cut:
                if op.inputs[0] in self.shared.get(out, ()):
                    self._refuse(op, f"shift_cut is {cut}, and its input and output share a position")
                else:
                    moved |= self._move(op, out, o + cut - self.limits.least_cut, f"shift_cut was {cut}")
            elif cut > self.limits.most_cut:
                w -= cut - self.limits.most_cut
                moved |= self._move(op, op.inputs[1], w, f"shift_cut was {cut}")
        return self._bias(op, i, w) or moved

    def _bias(self, op: Op, i: int, w: int) -> bool:
        """Coarser weights where the bias would saturate; the lower bound is kept when it is solved."""
        bias = self.graph.const(op, 2)
        rule = bias_rule(op, self.recipe) if bias is not None and self.limits.bias else None
        if bias is None or rule is None or self._position(op.inputs[2]) is None:
            return False
        if rule.scale is not BiasScale.OWN or not isinstance(rule.format, IntFormat):
            return False
        if not np.any(bias):
            return False
        shift = shift_bias(i, w, position_by_error(np.asarray(bias), rule.format))
        if shift <= self.limits.most_bias:
            return False
        return self._move(op, op.inputs[1], w - (shift - self.limits.most_bias), f"shift_bias was {shift}")

    def _hard(self, op: Op, kind: str) -> bool:
        i, o = self._position(op.inputs[0]), self._position(op.outputs[0])
        moved = False
        if i is not None and not 0 <= i <= _MOST_SIGMOID_IN:
            moved |= self._move(op, op.inputs[0], min(max(i, 0), _MOST_SIGMOID_IN), f"its input was at {i}")
            i = min(max(i, 0), _MOST_SIGMOID_IN)
        if o is not None:
            reached = _hard_output(kind, i, o)
            if reached != o:
                moved |= self._move(op, op.outputs[0], reached, f"its output was at {o}")
        return moved

    def _position(self, name: str) -> int | None:
        spec = self.graph.value(name).quant if name else None
        if spec is None or not isinstance(spec.format, IntFormat) or spec.format.bits > _NARROW:
            return None
        middle = 0 if spec.format.signed else 1 << (spec.format.bits - 1)
        return position_of_scale(spec.scale[0]) if spec.zero_point == (middle,) else None

    def _move(self, op: Op, name: str, position: int, why: str) -> bool:
        for member in self.shared.get(name, (name,)):
            value = self.graph.value(member)
            if value.quant is not None:
                spec = replace(value.quant, scale=(math.ldexp(1.0, -position),))
                self.graph.set_value(replace(value, quant=spec))
                self.moved.add(member)
        self.notes.append(Note(NAME, op.name, True, f"{name} moved to position {position}: {why}"))
        return True

    def _refuse(self, op: Op, why: str) -> None:
        self.notes.append(Note(NAME, op.name, False, why))


def _hard_output(kind: str, i: int | None, o: int) -> int:
    """The position nearest to `o` that the result of a hard activation may have, behind an input at `i`."""
    if kind == "hard-sigmoid":
        o = max(o, _SIXTH_POSITION)
        return o if i is None else min(o, i + HARD_SIGMOID_SLOPE.shift)
    if i is None:
        return o
    product = i + _SIXTH_POSITION
    return min(max(o, product - WRITE_SWISH[1]), product - WRITE_SWISH[0])
