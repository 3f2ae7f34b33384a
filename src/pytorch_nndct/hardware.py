"""The DPU behind the quantizer's `target` and the Inspector's name, and what it leaves to the CPU."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from quantforge.diagnostics import Diagnostic, InputError
from quantforge.frontends.onnx import single_node
from quantforge.frontends.torch.deploy import deployable
from quantforge.frontends.torch.native import NativeModule
from quantforge.frontends.torch.quantizer import Adapt
from quantforge.graph import Graph
from quantforge.hardware_aware import Assignment, assign
from quantforge.numerics.formats import IntFormat
from quantforge.quantization.recipe import Recipe
from quantforge.targets.dpu import DpuTarget, load_dpu

logger = logging.getLogger("pytorch_nndct")
_UNKNOWN = "Q1000"
_BITS = 8


def target_of(name_or_fingerprint: str | Path) -> DpuTarget:
    """The DPU of a name, board, fingerprint or file; names may have - for _, as the user guide prints some.

    Raises:
        InputError: Q1000 for a name that is not registered, with the nearest one; Q1001 to Q1006 for fingerprints
            and files.
    """
    text = str(name_or_fingerprint)
    try:
        return load_dpu(text if Path(text).suffix else text.replace("-", "_"))
    except InputError as error:
        found = error.diagnostic
        if found.code != _UNKNOWN:
            raise
        where = f"{found.where} (QUANTIZER_TORCH_UNREGISTERED_TARGET)"
        raise InputError(found.code, where, found.found, found.expected, found.fix) from error


def assigned(graph: Graph, recipe: Recipe, target: DpuTarget) -> Assignment:
    """Devices of a prepared torch graph; errors as `quantforge.hardware_aware.assign`."""
    return assign(deployable(graph), recipe, target, single_node)


def hardware_aware(target: str | Path | None, config_file: object = None) -> Adapt | None:
    """What keeps the operators in float that the DPU does not have; None without a target.

    Raises:
        InputError: As `target_of`.
    """
    if target is None:
        return None
    dpu = target_of(target)
    if config_file is not None:
        notice = Diagnostic(
            "Q1468", "target (QUANTIZER_TORCH_HW_AWARE_QUANT)", f"{dpu.name} beside {config_file}", "one of the two",
            "nothing: the file says how tensors are quantized, and the target which ones",
        )  # fmt: skip
        logger.warning("%s", notice)

    def adapt(graph: Graph, recipe: Recipe) -> Recipe:
        _check_bytes(recipe, dpu)
        found = assigned(graph, recipe, dpu)
        for name, reasons in found.on_cpu.items():
            logger.info("%s stays in float: %s", name, "; ".join(map(str, reasons)))
        return found.recipe

    return adapt


def _check_bytes(recipe: Recipe, dpu: DpuTarget) -> None:
    """Say that nothing will be on the DPU, where activations are no bytes."""
    form = recipe.activations.format
    if not isinstance(form, IntFormat) or form.bits != _BITS or not form.signed:
        notice = Diagnostic(
            "Q1469", f"target {dpu.name}", f"activations as {form}", "int8, on which a DPU computes",
            "leave the width at 8 bits, or expect the compiler to leave everything to the CPU",
        )  # fmt: skip
        logger.warning("%s", notice)


def source_lines(graph: Graph) -> Mapping[str, tuple[str, ...]]:
    """For each layer the places in the user's code that make its call."""
    if not isinstance(graph.native, NativeModule):
        return {}
    lines = graph.native.sources
    return {op.name: lines[name] for op in graph.ops for name in op.origin.names[:1] if name in lines}
