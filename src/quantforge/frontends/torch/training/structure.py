"""What a module in training runs, as data: the steps of the folded graph and where a quantizer stands.

The graph that runs is the one that will be deployed, with the constants of the hardware, so that training sees its
arithmetic; weights and biases alone are made anew in every step, from the user's own parameters (`layers`). The
structure holds no parameters and is shared by copies of a module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from quantforge.calibration.methods import ScaleKind
from quantforge.diagnostics import UnsupportedError
from quantforge.frontends.torch.kernels import has_gradient, kernel
from quantforge.frontends.torch.native import NativeCall, Sizes
from quantforge.frontends.torch.program import call_native
from quantforge.frontends.torch.training.layers import Layer, Norm, float_norm, layers_of
from quantforge.frontends.torch.training.tqt import Grid
from quantforge.graph import Graph, Op, QuantSpec
from quantforge.numerics.formats import IntFormat
from quantforge.numerics.rounding import Rounding
from quantforge.quantization.places import Places
from quantforge.quantization.recipe import BiasScale, Recipe, TensorRule
from quantforge.quantization.rules import bias_rule, weight_rule

Run = Callable[[list[Any], Sizes], Any]


@dataclass(frozen=True)
class Slot:
    """A quantizer: the path of its module, its width and rounding, and the values it stores."""

    path: str
    bits: int
    rounding: Rounding
    values: tuple[str, ...]


@dataclass(frozen=True)
class Step:
    """One operator to run.

    Attributes:
        op: The operator.
        run: Computes it from its inputs.
        layer: Where its weights come from; None for other operators.
        norm: The normalization it is, where it stays one.
        grids: How each output is stored; None where it is not.
        fused: Whether the operator is a relu that is part of the quantizer behind it.
        stored: How the hardware stores the output of an operator that it adds; None for all others.
        dropouts: For each input the dropout in front of it, by name.
        freed: Values that nothing reads behind it.
    """

    op: Op
    run: Run
    layer: Layer | None
    norm: Norm | None
    grids: tuple[Grid | None, ...]
    fused: bool
    stored: QuantSpec | None
    dropouts: tuple[str | None, ...]
    freed: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Structure:
    """See the module's text.

    Attributes:
        folded: The graph that is quantized, in float and with exact constants.
        deployed: The same as the hardware computes it; specs only on what the hardware adds.
        unfolded: The graph with its normalizations; its constants are the user's parameters.
        layers: The weighted operators.
        slots: All quantizers.
        steps: What runs, in order.
    """

    folded: Graph
    deployed: Graph
    unfolded: Graph
    layers: tuple[Layer, ...]
    slots: tuple[Slot, ...]
    steps: tuple[Step, ...]

    @property
    def without_gradient(self) -> tuple[Op, ...]:
        """The operators on real numbers that gradients do not pass."""
        return tuple(
            step.op
            for step in self.steps
            if not has_gradient(step.op)
            and all(self.deployed.value(name).is_float for name in step.op.outputs if name)
        )

    def __deepcopy__(self, memo: Any) -> Structure:
        return self


def structure_of(
    folded: Graph,
    deployed: Graph,
    unfolded: Graph,
    places: Places,
    recipe: Recipe,
    module: nn.Module,
    dropouts: Mapping[tuple[str, int], str],
) -> Structure:
    """The structure of a module in training.

    Args:
        folded: The graph to quantize.
        deployed: The same as the hardware computes it.
        unfolded: The same before normalizations were folded.
        places: Where `folded` is quantized.
        recipe: How.
        module: The user's module, for what its normalizations say of statistics.
        dropouts: Names of dropouts, by operator and input.

    Raises:
        UnsupportedError: Q1445 for scales that cannot be trained.
    """
    layers = layers_of(folded, unfolded, module)
    slots = tuple(_slots(folded, places, recipe))
    steps = _steps(deployed, {layer.op: layer for layer in layers}, slots, module, dropouts)
    return Structure(folded, deployed, unfolded, layers, slots, tuple(steps))


def _slots(graph: Graph, places: Places, recipe: Recipe) -> Iterator[Slot]:
    for group in places.groups:
        first = group.sources[0]
        producer = graph.producer(first)
        path = f"{first}_quantizer" if graph.value(first).is_const else f"{first}.output_quantizer"
        if producer is not None:
            path = f"{producer.name}.output_quantizer"
            if len(producer.outputs) > 1:
                path = f"{producer.name}.output{producer.outputs.index(first)}_quantizer"
        yield Slot(path, _bits(group.rule, first), group.rule.rounding, group.values)
    taken = {place.value: place.op for place in reversed(places.weights)}
    for value, op in taken.items():
        rule = weight_rule(graph.op(op), recipe)
        yield Slot(f"{op}.weight_quantizer", _bits(rule, value), rule.rounding, (value,))
    for place in places.biases:
        bias = bias_rule(graph.op(place.op), recipe)
        if bias.scale is not BiasScale.OWN or not isinstance(bias.format, IntFormat):
            raise _untrainable(place.value, f"{bias.format}, scale {bias.scale.value}")
        yield Slot(f"{place.op}.bias_quantizer", bias.format.bits, bias.rounding, (place.value,))


def _bits(rule: TensorRule, where: str) -> int:
    form = rule.format
    trainable = isinstance(form, IntFormat) and form.signed and not form.narrow
    if not isinstance(form, IntFormat) or not trainable or rule.scales is not ScaleKind.POWER_OF_TWO:
        raise _untrainable(where, f"{form}, {rule.scales.value} scales")
    if rule.per_channel:
        raise _untrainable(where, "one scale per channel")
    return form.bits


def _untrainable(where: str, found: str) -> UnsupportedError:
    return UnsupportedError(
        "Q1445", f"tensor {where!r}", found, "signed integers with one power-of-two scale per tensor",
        "train with the DPU's settings, or calibrate without training",
    )  # fmt: skip


def _steps(
    graph: Graph,
    layers: Mapping[str, Layer],
    slots: tuple[Slot, ...],
    module: nn.Module,
    dropouts: Mapping[tuple[str, int], str],
) -> Iterator[Step]:
    stored = {name: slot for slot in slots for name in slot.values}
    last = {name: op.name for op in graph.ops for name in (*op.inputs, *op.outputs)}
    kept = set(graph.outputs)
    for op in graph.ops:
        fused = op.kind == "relu" and op.outputs[0] in stored and op.inputs[0] not in stored
        grids = tuple(_grid(stored.get(name), fused) for name in op.outputs)
        freed = {name for name in (*op.inputs, *op.outputs) if name and last[name] == op.name} - kept
        yield Step(
            op,
            _runner(op),
            layers.get(op.name),
            float_norm(op, module) if op.kind == "batchnorm" else None,
            grids,
            fused,
            graph.value(op.outputs[0]).quant,
            tuple(dropouts.get((op.name, index)) for index in range(len(op.inputs))),
            tuple(freed),
        )


def _grid(slot: Slot | None, relu: bool) -> Grid | None:
    return None if slot is None else Grid(slot.bits, slot.rounding, relu)


def _runner(op: Op) -> Run:
    native = op.origin.native
    if op.kind == "opaque" and isinstance(native, NativeCall):
        return lambda tensors, sizes: call_native(native, tensors, sizes)
    compute = kernel(op)
    return lambda tensors, sizes: compute(tensors)
