"""The steps from the plainest quantization to the most accurate one, as data.

    base, equalize, bias-correct, bias-by-samples, positions, refine, round, then the worst layers wider

Every step is a change of the recipe. A step that does not help is dropped from what follows; widening goes on, a few
layers at a time, until the goal is met. Equalization scales channels, which relu6 forbids: that step puts relu in its
place where the recipe says so. A network that lives on its relu6 loses more there than any number of bits gives back,
so relu6 returns before layers are widened where the goal needs it. With power-of-two scales a layer of 16 bits has
16-bit weights, bias and result, all per tensor and with power-of-two scales; with float scales its result has 16 bits
and its weights stay (A16W8), as processors compute it.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from quantforge.calibration.methods import ScaleKind
from quantforge.numerics.formats import Format, IntFormat
from quantforge.ops.channels import WEIGHTED
from quantforge.quantization.fine_tuning import FineTune
from quantforge.quantization.recipe import BiasScale, Equalization, Override, Part, Recipe, Refinement
from quantforge.quantization.rules import override_for
from quantforge.quantization.sensitivity import Layer

BASE, KEEP_RELU6, WIDE, FLOATS = "base", "keep-relu6", "16-bit", "float"
HOLD_OUT = 4  # every so many samples one is kept for judging


@dataclass(frozen=True)
class Step:
    """One change of the recipe.

    Attributes:
        name: What it is called.
        lay: Makes the recipe, from the one so far and the one asked for.
        needs: A package that it runs on.
        least_gain: Decibels below which it is left out of what follows, because it makes every rung slow.
        scales: The only scales of activations that it changes anything for; None for all.
    """

    name: str
    lay: Callable[[Recipe, Recipe], Recipe]
    needs: str | None = None
    least_gain: float = 0.0
    scales: ScaleKind | None = None

    def suits(self, recipe: Recipe) -> bool:
        """Whether it can change anything."""
        return self.scales in (None, recipe.activations.scales)

    def missing(self) -> str | None:
        """Why the step cannot be taken here; None when it can."""
        if self.needs is None or importlib.util.find_spec(self.needs) is not None:
            return None
        return f"{self.needs} is not installed"


def _equalized(recipe: Recipe, asked: Recipe) -> Recipe:
    return replace(recipe, equalize=asked.equalize or Equalization(), replace_relu6=asked.replace_relu6)


STEPS = (
    Step("equalize", _equalized),
    Step("bias-correct", lambda recipe, asked: replace(recipe, correct_bias=True)),
    Step("bias-by-samples", lambda recipe, asked: replace(recipe, correct_bias_by_samples=True)),
    Step(
        "positions",
        lambda recipe, asked: replace(recipe, positions_by_output=True),
        scales=ScaleKind.POWER_OF_TWO,
    ),
    Step("refine", lambda recipe, asked: replace(recipe, refine=asked.refine or Refinement())),
    Step("round", lambda recipe, asked: replace(recipe, finetune=asked.finetune or FineTune()), "torch", 1.0),
)


def base_recipe(asked: Recipe, hold_out: int) -> Recipe:
    """`asked` without what the steps add."""
    return replace(
        asked,
        equalize=None,
        correct_bias=False,
        correct_bias_by_samples=False,
        replace_relu6=False,
        positions_by_output=False,
        refine=None,
        finetune=None,
        hold_out=hold_out,
    )


def widening(layers: Sequence[Layer]) -> Iterator[tuple[Layer, ...]]:
    """The first 1, 2, 3, 4, 6, 8, 12, 16, 24, ... of `layers`, up to all.

    >>> layers = [Layer(str(i), "conv2d", (str(i),), str(i)) for i in range(10)]
    >>> [len(part) for part in widening(layers)]
    [1, 2, 3, 4, 6, 8, 10]
    """
    last = len(layers)
    counts = sorted({1, *(base << i for base in (2, 3) for i in range(last.bit_length()))})
    for count in [*(count for count in counts if count < last), last]:
        if count > 0:
            yield tuple(layers[:count])


def widened(recipe: Recipe, layers: Sequence[Layer]) -> Recipe:
    """`recipe` with 16 bits for `layers`; nothing changes for formats that have as many already."""
    overrides: list[Override] = []
    for layer in layers:
        overrides += _wide_layer(recipe, layer)
    return recipe.with_overrides(tuple(overrides))


def kept_float(recipe: Recipe, layers: Sequence[Layer]) -> Recipe:
    """`recipe` with `layers` in float."""
    inputs = (Override(tensor=layer.result, keep_float=True) for layer in layers if not layer.ops)
    ops = (Override(op=name, keep_float=True) for layer in layers for name in layer.ops)
    return recipe.with_overrides((*inputs, *ops))


def _wide_layer(recipe: Recipe, layer: Layer) -> Iterator[Override]:
    own = override_for(recipe.overrides, tensor=layer.result)
    for name in layer.ops:
        own = own or override_for(recipe.overrides, op=name, part=Part.ACTIVATIONS)
    rule = recipe.inputs if not layer.ops and recipe.inputs is not None else recipe.activations
    wide = _wide(rule.format if own is None or own.format is None else own.format)
    yield replace(own or Override(tensor="_"), tensor=layer.result, op=None, kinds=(), part=None, format=wide)
    if not layer.ops or layer.kind not in WEIGHTED:
        return
    head = layer.ops[0]
    if recipe.weights.scales is ScaleKind.POWER_OF_TWO:
        yield _wide_part(recipe, head, layer.kind, Part.WEIGHTS, recipe.weights.format)
    if recipe.bias.scale is not BiasScale.PRODUCT:
        yield _wide_part(recipe, head, layer.kind, Part.BIAS, recipe.bias.format)


def _wide_part(recipe: Recipe, op: str, kind: str, part: Part, plain: Format) -> Override:
    own = override_for(recipe.overrides, op=op, kind=kind, part=part)
    wide = _wide(plain if own is None or own.format is None else own.format)
    return replace(own or Override(op=op), op=op, tensor=None, kinds=(), part=part, format=wide)


def _wide(format: Format) -> Format:
    if not isinstance(format, IntFormat) or format.bits >= 16:
        return format
    return replace(format, bits=16)
