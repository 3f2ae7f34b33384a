"""Which recipe `torch_quantizer` follows: its defaults, or a configuration file, and what is remarked on the way."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from pytorch_nndct.config import Config, load_config
from pytorch_nndct.config_recipe import recipe_of
from pytorch_nndct.options import checked_width
from quantforge.diagnostics import Diagnostic
from quantforge.frontends.torch.quantizer import ModuleQuantizer
from quantforge.frontends.torch.recipes import dpu_recipe
from quantforge.graph import Op
from quantforge.numerics.formats import IntFormat
from quantforge.passes.result import Note
from quantforge.quantization.align import NAME as ALIGNED
from quantforge.quantization.recipe import Override, Part, Recipe
from quantforge.quantization.rules import override_for

logger = logging.getLogger("pytorch_nndct")
_RESERVED = ("keep_first_last_layer_accuracy", "keep_add_layer_accuracy")


def chosen_recipe(quant_config_file: Any, bitwidth: Any) -> tuple[Recipe, int | None]:
    """The recipe, and the ONNX opset that the configuration file asks for.

    A file wins over `bitwidth`; a difference is remarked (Q1435).

    Raises:
        InputError: Q1421 for a width that no DPU has, Q1430 to Q1432 for a wrong file.
    """
    if quant_config_file is None:
        return dpu_recipe(checked_width(bitwidth)), None
    config = load_config(quant_config_file)
    recipe = recipe_of(config)
    if bitwidth is not None:
        _compare_widths(checked_width(bitwidth), config)
    for name in _RESERVED:
        if getattr(config, name):
            _remark(
                "Q1434", f"{config.where}: {name}", "true", "false", "leave it out: the setting is reserved"
            )
    return recipe, config.onnx_opset_version


def remark_alignment(notes: Iterable[Note]) -> None:
    """Log what aligning positions changed or could not change."""
    for note in notes:
        if note.made_by == ALIGNED:
            _remark(
                "Q1433",
                f"{note.op} (QUANTIZER_TORCH_SHIFT_CHECK)",
                note.text,
                "shifts within the registers",
                "nothing: the position was moved" if note.done else "look at the range of this layer",
            )


def remark_float_layers(quantizer: ModuleQuantizer) -> None:
    """Log integer settings of layers that stay in float on the target (Q1436)."""
    floats = {place.op for place in quantizer.places.floats}
    for override in quantizer.recipe.overrides:
        if override.part is not Part.ACTIVATIONS or not isinstance(override.format, IntFormat):
            continue
        ops = [op for op in quantizer.base.ops if _speaks_of(override, op)]
        if ops and all(op.name in floats for op in ops):
            layer = override.op or ", ".join(override.kinds)
            _remark(
                "Q1436", f"layer {layer!r}", "integer settings for a layer that stays in float",
                "a layer with a quantized form on this device", "remove the entry of layer_quantize_config",
            )  # fmt: skip


def _speaks_of(override: Override, op: Op) -> bool:
    return override_for((override,), op=op.name, kind=op.kind, part=override.part) is not None


def _compare_widths(bits: int, config: Config) -> None:
    for kind, settings in config.tensors.items():
        if settings.datatype == "int" and settings.bit_width != bits:
            where = f"bitwidth (QUANTIZER_TORCH_BITWIDTH_MISMATCH): {kind}"
            _remark(
                "Q1435",
                where,
                f"{bits} beside {settings.bit_width} in {config.where}",
                "equal widths",
                "leave bitwidth out: the file wins",
            )


def _remark(code: str, where: str, found: str, expected: str, fix: str) -> None:
    logger.warning("%s", Diagnostic(code, where, found, expected, fix))
