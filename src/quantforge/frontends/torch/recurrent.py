"""The recipe of recurrent and language networks: activations in 16 bits, no equalization, no bias correction.

LSTM, GRU and RNN are captured step by step, so what is quantized are their products, sums, sigmoids and tangents.
Errors add up from step to step, and the channels of a state cannot be scaled apart from the weights that read them
again; hence the width and the absence of equalization. Activations round half up; the original cuts off instead,
which shifts every state downwards.
Source: vai_q_pytorch, lists of quantized operators for ``app_deploy="NLP"``.
"""

from __future__ import annotations

from dataclasses import replace

from quantforge.numerics.formats import IntFormat
from quantforge.quantization.recipe import Placement, Recipe

ACTIVATION_BITS = 16
KINDS = (
    "conv1d", "conv2d", "depthwise-conv2d", "inner-product", "matmul", "eltwise-add", "eltwise-mul", "eltwise-sub",
    "eltwise-div", "concat", "sigmoid", "tanh", "softmax", "log-softmax", "layernorm", "relu", "relu6", "clip",
    "leaky-relu",
)  # fmt: skip


def recurrent_recipe(recipe: Recipe, from_file: bool = False) -> Recipe:
    """`recipe`, changed for recurrent networks.

    Args:
        recipe: The recipe of a convolutional network; it decides weights and biases.
        from_file: The recipe comes from a configuration file, which keeps its widths; only which operators are
            quantized changes.

    >>> from quantforge.frontends.torch.recipes import dpu_recipe
    >>> found = recurrent_recipe(dpu_recipe())
    >>> str(found.activations.format), str(found.weights.format), found.equalize, found.correct_bias
    ('int16', 'int8', None, False)
    """
    placement: Placement = replace(recipe.placement, kinds=KINDS)
    if from_file:
        return replace(recipe, placement=placement)
    activations = replace(recipe.activations, format=IntFormat(ACTIVATION_BITS))
    return replace(
        recipe,
        name=f"{recipe.name}-recurrent",
        activations=activations,
        placement=placement,
        equalize=None,
        correct_bias=False,
        replace_relu6=False,
    )
