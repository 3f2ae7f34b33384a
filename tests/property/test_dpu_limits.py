"""After `enable_dpu` every inequality of a DPU's shifts holds, or a notice names the operator that breaks it.

The inequalities are written here once more, in Python integers and from the documents of the original, independent of
the code that moves positions and of the code that reports.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
from hypothesis import HealthCheck, given, settings

from quantforge.calibration.data import open_data
from quantforge.frontends.onnx import OnnxExecutor, import_model, input_infos, to_proto
from quantforge.graph import Graph, Op
from quantforge.graph.verify import verify
from quantforge.quantization.align import align_positions
from quantforge.quantization.flow import Quantized, quantize_graph
from tests.property.dpu_networks import Drawn, dpu_networks
from vai_q_onnx.notices import notices_of
from vai_q_onnx.options import Options, checked_extra, recipe_of

OPTIONS = Options(enable_dpu=True, extra=checked_extra({"ActivationSymmetric": True}))
RECIPE = recipe_of(OPTIONS)


def position(graph: Graph, name: str) -> int | None:
    spec = graph.value(name).quant if name else None
    if spec is None:
        return None
    exponent = math.log2(Fraction(spec.scale[0]))
    assert exponent == int(exponent), f"{name} has no power of two"
    return -int(exponent)


def behind(graph: Graph, op: Op) -> int | None:
    """The position of the result, behind an activation that is fused into `op`."""
    found = position(graph, op.outputs[0])
    readers = graph.consumers(op.outputs[0])
    return position(graph, readers[0].outputs[0]) if found is None and len(readers) == 1 else found


def violations(graph: Graph) -> Iterator[tuple[str, str]]:
    """(op, the inequality that does not hold)."""
    for op in graph.ops:
        ins = [position(graph, name) for name in op.inputs]
        out = behind(graph, op)
        aligned = op.kind == "concat" or "pool" in op.kind
        if aligned and len({place for place in (*ins, out) if place is not None}) > 1:
            yield op.name, f"{op.kind}: {ins} and {out} are aligned"
        if out is None or not ins or None in ins[:2]:
            continue
        known = [place for place in ins if place is not None]
        for text, holds in inequalities(graph, op, known, out):
            if not holds:
                yield op.name, text


def inequalities(graph: Graph, op: Op, ins: list[int], out: int) -> Iterator[tuple[str, bool]]:
    if "conv" in op.kind or op.kind == "inner-product":
        cut = ins[0] + ins[1] - out
        yield f"0 <= shift_cut {cut} <= 16", 0 <= cut <= 16
        if len(ins) > 2:
            bias = ins[0] + ins[1] - ins[2]
            leaky = any(reader.kind == "leaky-relu" for reader in graph.consumers(op.outputs[0]))
            least = 0 if leaky else min(0, cut - 16)
            yield f"{least} <= shift_bias {bias} <= 15", least <= bias <= 15
    elif op.kind in ("eltwise-add", "eltwise-sub"):
        read, write = max(ins) - min(ins), min(ins) - out
        yield f"shift_read {read} <= 7", read <= 7
        yield f"-7 <= shift_write {write} <= 25", -7 <= write <= 25
    elif op.kind == "eltwise-mul":
        gates = {
            reader.outputs[0]
            for name in op.inputs
            for reader in graph.consumers(name)
            if reader.kind == "hard-sigmoid"
        }
        most = 15 if gates & set(op.inputs) else 32
        yield f"0 <= shift_write {sum(ins) - out} <= {most}", 0 <= sum(ins) - out <= most
    elif op.kind == "hard-sigmoid":
        yield f"0 <= input {ins[0]} <= 15", 0 <= ins[0] <= 15
        yield f"output {out} >= 7", out >= 7
        yield f"0 <= 14 + {ins[0]} - {out} <= 31", 0 <= 14 + ins[0] - out <= 31


def quantized(drawn: Drawn) -> Quantized:
    graph = import_model(drawn.model)
    executor = OnnxExecutor(threads=1)
    return quantize_graph(graph, executor, open_data(drawn.feeds, input_infos(graph)), RECIPE)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(dpu_networks())
def test_every_limit_holds_or_is_named(network: Drawn) -> None:
    found = quantized(network)
    verify(found.graph)
    named = " ".join(str(notice) for notice in notices_of(found.graph, OPTIONS))
    for op, text in violations(found.graph):
        assert f"{op}:" in named or " more;" in named, f"{op}: {text} in {[o.kind for o in found.graph.ops]}"
    again, _ = align_positions(found.graph, found.places, RECIPE)
    for value in found.graph.quantized():
        assert again.value(value.name).quant == value.quant, f"{value.name} moves again"
    _constants_are_rounded_with_their_scales(found.graph)


def _constants_are_rounded_with_their_scales(graph: Graph) -> None:
    stored = {tensor.name: tensor for tensor in to_proto(graph).graph.initializer}
    for value in graph.quantized():
        tensor = stored.get(f"{value.name}_quantized")
        if value.const is None or tensor is None:
            continue
        scale = Fraction(value.quant.scale[0])
        given = np.frombuffer(tensor.raw_data, np.int8)
        for number, integer in zip(value.const.reshape(-1)[:8], given[:8], strict=True):
            assert int(integer) == min(max(round(Fraction(float(number)) / scale), -128), 127)
