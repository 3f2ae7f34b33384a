"""Activations: in one step with the operator in front of them, or alone.

A DPU has one leaky relu, of slope 26/256, and a hard sigmoid whose 1/6 is 2731/2**14; in a quantized model the
latter is a hard-sigmoid times 6 * 2731/2**14, which the exporters write for it.
"""

from __future__ import annotations

from quantforge.inspection.engines import engine_of
from quantforge.inspection.operators import CONVOLUTIONS
from quantforge.inspection.results import Reason
from quantforge.inspection.rules import ACTIVATION_WORDS, fusable, operators
from quantforge.inspection.view import View
from quantforge.numerics.law import HARD_SIGMOID_SLOPE, LEAKY_RELU_SLOPE
from quantforge.targets.dpu import DpuTarget
from quantforge.xmodel.model import XOp

_CLOSE = 1e-7
_HARD = frozenset({"hard-sigmoid", "hard-swish"})
_ELTWISE = ("eltwise:add", "alu:elew_add")
# Kinds that are done as another one of the table.
_AS = {
    "matmul": "conv2d",
    "inner-product": "conv2d",
    "scale": "depthwise-conv2d",
    "reduction_mean": "avgpool2d",
}


class Activations:
    """Which operator an activation can be fused into."""

    def __init__(self, view: View, target: DpuTarget) -> None:
        self._view = view
        self._target = target

    def producer(self, op: XOp) -> XOp | None:
        """The operator in front of an activation, if nobody else reads what is between them.

        Rounding may come between a convolution and a hard sigmoid, whose input has a position of its own.
        """
        name = op.args["input"][0]
        between = self._view.op(name)
        if between.kind == "fix":
            if op.kind not in _HARD or self._view.only_reader(name) is None:
                return None
            name = between.producers[0]
        producer = self._view.op(name)
        return producer if self._view.only_reader(name) is not None else None

    def fits(self, producer: XOp, op: XOp) -> bool:
        """Whether the engine of `producer` has the activation `op`."""
        if form_reason(self._view, op) is not None:
            return False
        rounded = op.args["input"][0] != producer.name
        if rounded and producer.kind not in CONVOLUTIONS:
            return False
        kind = _AS.get(producer.kind, producer.kind)
        if kind == "mul" and len(self._view.computed(producer)) == 1:
            kind = "depthwise-conv2d"
        return kind in operators() and op.kind in fusable(kind, self._target)


def form_reason(view: View, op: XOp) -> Reason | None:
    """Why no DPU has exactly this activation; None when one may."""
    if op.kind == "leaky-relu":
        alpha, wanted = float(op.get("alpha", 0.0)), LEAKY_RELU_SLOPE.value
        if abs(alpha - wanted) > _CLOSE:
            found, limit = f"a slope of {alpha:g}", f"{wanted} (26/256)"
            return Reason(
                "leaky_alpha", "leaky-relu.alpha", found, limit, f"a slope of {wanted} in the model"
            )
    if op.kind == "hard-sigmoid" and view.quantized:
        factor = hard_factor(view, op)
        wanted = 6 * HARD_SIGMOID_SLOPE.value
        if factor is None or abs(factor - wanted) > 1e-6:
            found = "a slope of 1/6" if factor is None else f"a factor of {factor:g} behind it"
            limit = f"2731/2**14, which is a factor of {wanted:.7g}"
            fix = "quantize with recipe='dpu-cnn', which gives hard sigmoids the slope of the hardware"
            return Reason("activation", "hard-sigmoid.slope", found, limit, fix)
    return None


def hard_factor(view: View, op: XOp) -> float | None:
    """The number that a hard sigmoid is multiplied by behind it, before it is rounded."""
    follower = view.only_reader(op.name)
    if follower is None or follower.kind != "mul" or len(follower.args["input"]) != 2:
        return None
    others = [name for name in follower.args["input"] if name != op.name]
    return view.const_number(others[0]) if len(others) == 1 else None


def activation_reason(view: View, target: DpuTarget, op: XOp, producer: XOp | None) -> Reason | None:
    """Why an activation that is fused into nothing cannot run on the DPU; None when it can.

    Args:
        view: The model.
        target: The DPU.
        op: The activation.
        producer: What is in front of it, when that is on the DPU and read by nobody else.
    """
    reason = form_reason(view, op)
    if reason is not None:
        return reason
    if runs_alone(op.kind, target):
        return None
    behind = f"{op.kind} behind {producer.kind}" if producer is not None else f"{op.kind} on its own"
    having = [kind for kind in operators() if op.kind in fusable(kind, target)]
    limit = f"{op.kind} behind {', '.join(having)}" if having else f"none on {target.name}"
    fix = f"put it directly behind {having[0]}" if having else "relu"
    return Reason("activation", f"{op.kind}.fused", behind, limit, fix)


def runs_alone(kind: str, target: DpuTarget) -> bool:
    """Whether an engine does an activation that nothing is in front of.

    The element-wise engine does what it lists; an ALU may have the hard sigmoid as an operation. A hard swish is a
    hard sigmoid and a product.
    """
    if kind == "hard-swish":
        product = engine_of(target, ("eltwise:mult", "alu:elew_mult"))
        return product is not None and runs_alone("hard-sigmoid", target)
    engine = engine_of(target, _ELTWISE)
    listed = engine is not None and ACTIVATION_WORDS[kind] in engine.nonlinear
    if kind == "hard-sigmoid":
        return listed or engine_of(target, ("alu:hsigmoid",)) is not None
    return listed
