"""Fill the report from what a quantization left behind: graphs, sketches and measured noise."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np

from quantforge.calibration.errors import expected_error
from quantforge.calibration.segments import Segments, linear_histogram, segments_of
from quantforge.calibration.sketch import Sketch, sketch_of
from quantforge.diagnostics import Diagnostic
from quantforge.graph import Array, Graph, Op, QuantSpec
from quantforge.graph.quantize import fake_quantize_value
from quantforge.numerics.formats import IntFormat
from quantforge.ops.channels import WEIGHTED, output_channel_axis
from quantforge.ops.registry import spec as kind_spec
from quantforge.quantization.diagnose import find_culprits
from quantforge.quantization.flow import Quantized, macs_of
from quantforge.quantization.measure import Measurement, Noise
from quantforge.quantization.places import FloatOp, Places
from quantforge.quantization.recipe import BiasScale, Recipe
from quantforge.quantization.recipe_file import recipe_text
from quantforge.quantization.report import (
    FLOAT,
    DataReport,
    Histogram,
    LayerReport,
    OutputReport,
    QuantizationReport,
    TensorKind,
    TensorReport,
    Timing,
)

HISTOGRAM_BINS = 96


def assemble(
    found: Quantized,
    recipe: Recipe,
    *,
    model: str,
    source: str,
    tool_version: str,
    target: str | None = None,
    notices: tuple[Diagnostic, ...] = (),
    timings: tuple[Timing, ...] = (),
    peak_memory_bytes: int | None = None,
) -> QuantizationReport:
    """The report of one quantization; `model` and `source` name the model and the data in words."""
    tensors = tuple(tensor_reports(found.graph, found.places, recipe, found.calibration.sketches))
    layers = layer_reports(found.graph, found.places, found.measurement)
    return QuantizationReport(
        model=model,
        model_hash=found.model_hash,
        recipe=recipe.name,
        recipe_text=recipe_text(recipe),
        tool_version=tool_version,
        data=DataReport(source, found.calibration.samples, found.calibration.batches),
        model_bytes=_model_bytes(found.graph),
        tensors=tensors,
        layers=layers,
        outputs=output_reports(found.graph, found.measurement),
        culprits=find_culprits(tensors, layers, recipe),
        target=target,
        timings=timings,
        peak_memory_bytes=peak_memory_bytes,
        notes=found.notes,
        notices=(*notices, *found.calibration.notices),
    )


def _model_bytes(graph: Graph) -> tuple[int, int]:
    """Bytes of all constants before and after."""
    consts = [(value, value.const) for value in graph.values if value.const is not None]
    after = (c.nbytes if v.quant is None else c.size * ((v.quant.format.bits + 7) // 8) for v, c in consts)
    return sum(c.nbytes for _, c in consts), sum(after)


def tensor_reports(
    graph: Graph, places: Places, recipe: Recipe, sketches: Mapping[str, Sketch]
) -> Iterator[TensorReport]:
    """One report for each activation group and each quantized constant, activations first."""
    for group in places.groups:
        for name in group.sources:
            value = graph.value(name)
            if value.quant is None:
                continue
            sketch = sketch_of([value.const]) if value.const is not None else sketches.get(name, Sketch())
            producer = graph.producer(name)
            yield _tensor(
                name,
                TensorKind.ACTIVATION,
                value.quant,
                segments_of(sketch),
                producer=None if producer is None else producer.name,
                method=group.rule.method.value,
                shares_with=tuple(other for other in group.values if other != name),
            )
    for place in places.weights:
        yield _constant(graph, graph.op(place.op), 1, recipe)
    for place in places.biases:
        yield _constant(graph, graph.op(place.op), 2, recipe)


def layer_reports(graph: Graph, places: Places, measurement: Measurement | None) -> tuple[LayerReport, ...]:
    """One report for each op that computes, with the activations fused into it, in topological order."""
    floats = {place.op: place for place in places.floats}
    heads = {op.name: head for head, chain in _chains(graph, floats).items() for op in chain}
    layers = []
    for name, chain in _chains(graph, floats).items():
        sources = (graph.producer(value) for op in chain for value in op.inputs if value)
        reads = dict.fromkeys(heads[source.name] for source in sources if source is not None)
        reads.pop(name, None)
        layers.append(_layer(graph, chain, tuple(reads), floats.get(name), measurement))
    return tuple(layers)


def output_reports(graph: Graph, measurement: Measurement | None) -> tuple[OutputReport, ...]:
    """One report for each graph output; without numbers when nothing was measured."""
    if measurement is None:
        return tuple(OutputReport(name, None) for name in graph.outputs)
    answers = {name: tally.agreement for name, tally in measurement.answers.items()}
    noises = measurement.accumulated
    return tuple(
        OutputReport(name, _db(noises.get(name)), measurement.samples, answers.get(name))
        for name in graph.outputs
    )


def _tensor(
    name: str,
    kind: TensorKind,
    spec: QuantSpec,
    segments: Segments,
    sqnr_db: float | None = None,
    **fields: object,
) -> TensorReport:
    error = expected_error(segments, spec) if spec.axis is None else None
    lo = float(segments.lo[0]) if segments.lo.size else 0.0
    hi = float(segments.hi.max()) if segments.hi.size else 0.0
    notes = ("all zeros",) if lo == hi == 0.0 else (f"constant {lo:g}",) if lo == hi else ()
    counts, edges = linear_histogram(segments, HISTOGRAM_BINS)
    return TensorReport(
        name=name,
        kind=kind,
        spec=spec,
        lo=lo,
        hi=hi,
        saturation=0.0 if error is None else error.saturation,
        sqnr_db=sqnr_db if error is None else error.sqnr_db,
        histogram=Histogram(tuple(edges.tolist()), tuple(np.rint(counts).astype(int).tolist())),
        notes=notes,
        **fields,  # type: ignore[arg-type]
    )


def _constant(graph: Graph, op: Op, index: int, recipe: Recipe) -> TensorReport:
    value = graph.value(op.inputs[index])
    data, spec = value.const, value.quant or QuantSpec(IntFormat(8))
    if data is None:
        data = np.zeros(0, np.float32)
    is_weight = index == 1
    product = recipe.bias.scale is BiasScale.PRODUCT
    return _tensor(
        value.name,
        TensorKind.WEIGHT if is_weight else TensorKind.BIAS,
        spec,
        segments_of(sketch_of([data])),
        sqnr_db=_exact_sqnr(data, spec) if spec.axis is not None else None,
        producer=op.name,
        method=recipe.weights.method.value
        if is_weight
        else "product"
        if product
        else recipe.bias.method.value,
        channel_spread=_channel_spread(data, op) if is_weight else None,
    )


def _exact_sqnr(data: Array, spec: QuantSpec) -> float:
    return Noise().plus(data, fake_quantize_value(data, spec)).sqnr_db


def _channel_spread(data: Array, op: Op) -> float | None:
    """Largest max|w| of an output channel over their median."""
    axis = output_channel_axis(op)
    if axis is None or data.size == 0:
        return None
    others = tuple(i for i in range(data.ndim) if i != axis)
    ranges = np.maximum(data.max(axis=others), -data.min(axis=others))
    median = float(np.median(ranges))
    return float(ranges.max()) / median if median > 0 else None


def _chains(graph: Graph, floats: Mapping[str, FloatOp]) -> dict[str, list[Op]]:
    """Each op with the quantized followers whose input carries no spec, by the name of the first."""
    chains: dict[str, list[Op]] = {}
    head_of: dict[str, str] = {}
    for op in graph.ops:
        source = graph.producer(op.inputs[0]) if op.inputs and op.inputs[0] else None
        role = kind_spec(op.kind).traits.role
        fused = (
            source is not None
            and role == "activation"
            and op.name not in floats
            and source.name not in floats
            and graph.value(op.inputs[0]).quant is None
            and len(graph.consumers(op.inputs[0])) == 1
        )
        head = head_of[source.name] if fused and source is not None else op.name
        head_of[op.name] = head
        chains.setdefault(head, []).append(op)
    return chains


def _layer(
    graph: Graph,
    chain: list[Op],
    reads: tuple[str, ...],
    kept: FloatOp | None,
    measurement: Measurement | None,
) -> LayerReport:
    first, result = chain[0], chain[-1].outputs[0]
    spec = graph.value(result).quant if graph.has_value(result) else None
    quantized = [
        n for op in chain for n in (*op.inputs, *op.outputs) if n and graph.value(n).quant is not None
    ]
    precision = str(spec.format) if kept is None and spec is not None else FLOAT
    before, after = _parameter_bytes(graph, chain)
    return LayerReport(
        name=first.name,
        kind=first.kind,
        precision=precision,
        reads=reads,
        fused=tuple(op.kind for op in chain[1:]),
        ops=tuple(op.name for op in chain),
        tensors=tuple(dict.fromkeys(quantized)),
        macs=sum(macs_of(graph, op) for op in chain),
        float_bytes=before,
        quantized_bytes=after,
        added_db=_db(measurement.added.get(result)) if measurement else None,
        accumulated_db=_db(measurement.accumulated.get(result)) if measurement else None,
        float_reason=None if kept is None else kept.reason,
        float_code=None if kept is None else kept.code,
    )


def _db(noise: Noise | None) -> float | None:
    return None if noise is None or math.isnan(noise.sqnr_db) else noise.sqnr_db


def _parameter_bytes(graph: Graph, chain: list[Op]) -> tuple[int, int]:
    before = after = 0
    for op in chain:
        if op.kind not in WEIGHTED:
            continue
        for value in graph.input_values(op)[1:]:
            if value is not None and value.const is not None:
                before += value.const.nbytes
                format = None if value.quant is None else value.quant.format
                after += value.const.nbytes if format is None else value.const.size * ((format.bits + 7) // 8)
    return before, after
