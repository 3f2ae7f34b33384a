"""`quantize_static` of the ONNX quantizer of Vitis AI, answered by quantforge.

The arguments become a `Recipe` (options.py) and overrides that keep nodes in float (selection.py); the rest is
`quantforge.quantize`.

    model_input: The float model: a path, or a ModelProto.
    model_output: Where to write the quantized model.
    calibration_data_reader: An object with ``get_next()``, which returns a dict of inputs and None at the end;
        None for one batch of random data.
    quant_format: Which operators stand for the quantization, see formats.py.
    calibrate_method: How scales are chosen: powers of two, or floats.
    input_nodes: Quantize only what can be reached from these nodes, themselves included.
    output_nodes: Quantize only what these nodes need, themselves included.
    op_types_to_quantize: Quantize only these ONNX operator types.
    random_data_reader_input_shape: Shapes of the random data.
    per_channel: One scale per output channel of the weights.
    reduce_range: Weights of 7 bits.
    activation_type: Type of activations.
    weight_type: Type of weights.
    nodes_to_quantize: Quantize only these nodes.
    nodes_to_exclude: Keep these nodes in float.
    optimize_model: Fold batch normalizations and remove operators that do nothing.
    use_external_data_format: Write the weights to a file of their own, ``<model_output>.data``.
    execution_providers: Where ONNX Runtime runs the float model.
    enable_dpu: Make a model for a DPU or an NPU.
    convert_fp16_to_fp32: Turn a float16 model into float32 first.
    convert_nchw_to_nhwc: Make a model whose images have their channels last.
    include_cle: Equalize the weights of neighbouring layers first.
    extra_options: Further options, see docs/vai_q_onnx.md.
    print_summary: Print the report; it is logged otherwise.
    debug_mode: Write what was decided to ``<model_output>.debug.txt``, and log it at level DEBUG.
    inclue_cle: Misspelling of `include_cle` in the guide's signature.
    use_dpu: Older name of `enable_dpu`.
    enable_ipu_cnn: Older name of `enable_dpu`.
    enable_ipu_transformer: An older name that changes nothing: float scales are what a transformer needs.
    fp16_fp32_convert: Older name of `convert_fp16_to_fp32`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import onnxruntime

from quantforge.diagnostics import InputError
from quantforge.files import check_writable
from quantforge.frontends.onnx import emit, import_model, input_infos
from quantforge.frontends.onnx.dedicated_pairs import dedicate_pairs
from quantforge.frontends.onnx.native import NativeNode
from quantforge.frontends.quantize import quantize
from quantforge.graph import Graph, Op
from quantforge.passes.pipeline import Preparation, prepare
from quantforge.passes.result import Note
from quantforge.quantization.recipe import Override, Placement
from quantforge.quantization.report import QuantizationReport
from vai_q_onnx.block_formats import attributes_from, store_in_blocks
from vai_q_onnx.debug_file import write_debug_file
from vai_q_onnx.enums import (
    CalibrationMethod,
    PowerOfTwoMethod,
    QuantFormat,
    QuantType,
    VitisQuantFormat,
    VitisQuantType,
)
from vai_q_onnx.formats import form_of
from vai_q_onnx.input_constants import input_constants, listing, lost_notice
from vai_q_onnx.model_changes import changed_model
from vai_q_onnx.notices import notices_of
from vai_q_onnx.operator_options import BY_OPERATOR, operator_overrides
from vai_q_onnx.options import Options, checked_extra, forbidden, recipe_of, wrong_value
from vai_q_onnx.random_reader import RandomDataReader
from vai_q_onnx.selection import overrides_of
from vai_q_onnx.subgraphs import quantize_subgraphs

logger = logging.getLogger("vai_q_onnx")
Names = Sequence[str] | None


def quantize_static(
    model_input: str | PathLike[str] | Any,
    model_output: str | PathLike[str],
    calibration_data_reader: Any,
    quant_format: QuantFormat | VitisQuantFormat = QuantFormat.QDQ,
    calibrate_method: PowerOfTwoMethod | CalibrationMethod = PowerOfTwoMethod.MinMSE,
    input_nodes: Names = None,
    output_nodes: Names = None,
    op_types_to_quantize: Names = None,
    random_data_reader_input_shape: Any = None,
    per_channel: bool = False,
    reduce_range: bool = False,
    activation_type: QuantType | VitisQuantType = QuantType.QInt8,
    weight_type: QuantType | VitisQuantType = QuantType.QInt8,
    nodes_to_quantize: Names = None,
    nodes_to_exclude: Names = None,
    optimize_model: bool = True,
    use_external_data_format: bool = False,
    execution_providers: Names = None,
    enable_dpu: bool = False,
    convert_fp16_to_fp32: bool = False,
    convert_nchw_to_nhwc: bool = False,
    include_cle: bool = False,
    extra_options: Mapping[str, Any] | None = None,
    *,
    print_summary: bool = True,
    debug_mode: bool = False,
    inclue_cle: bool | None = None,
    use_dpu: bool | None = None,
    enable_ipu_cnn: bool | None = None,
    enable_ipu_transformer: bool | None = None,
    fp16_fp32_convert: bool | None = None,
) -> None:
    """Quantize `model_input` with calibration data and write `model_output`; the module's text lists the arguments.

    Raises:
        QuantforgeError: With a code, see ``quantforge explain``; no output is left behind.
    """
    options = Options(
        quant_format=quant_format,
        calibrate_method=calibrate_method,
        activation_type=activation_type,
        weight_type=weight_type,
        per_channel=per_channel,
        reduce_range=reduce_range,
        optimize_model=optimize_model,
        enable_dpu=_either("enable_dpu", enable_dpu, use_dpu=use_dpu, enable_ipu_cnn=enable_ipu_cnn),
        include_cle=_either("include_cle", include_cle, inclue_cle=inclue_cle),
        random_data=calibration_data_reader is None,
        extra=checked_extra(extra_options),
    )
    if options.enable_dpu and enable_ipu_transformer:
        raise forbidden("enable_ipu_transformer=True", "enable_dpu=True", "one of the two", "leave one out")
    selection = _selection(
        input_nodes=input_nodes,
        output_nodes=output_nodes,
        op_types_to_quantize=op_types_to_quantize,
        nodes_to_quantize=nodes_to_quantize,
        nodes_to_exclude=nodes_to_exclude,
    )
    providers, external = _providers(execution_providers), use_external_data_format or None
    changes = {
        "to_fp32": _either("convert_fp16_to_fp32", convert_fp16_to_fp32, fp16_fp32_convert=fp16_fp32_convert),
        "to_nhwc": _either("convert_nchw_to_nhwc", convert_nchw_to_nhwc),
    }
    output = Path(model_output)
    debug = _either("debug_mode", debug_mode)
    job = _Job(model_input, output, calibration_data_reader, random_data_reader_input_shape, changes, debug)
    _tell(_run(job, options, selection, providers, external), print_summary)


@dataclass(frozen=True)
class _Job:
    """What to quantize, with what data, and where to put it."""

    model: Any
    output: Path
    reader: Any
    random_shapes: Any
    changes: Mapping[str, bool]
    debug: bool = False


def _run(
    job: _Job,
    options: Options,
    selection: Mapping[str, tuple[str, ...]],
    providers: tuple[str, ...],
    external_data: bool | None,
) -> QuantizationReport:
    """Import, quantize, write; the report with the door's own notices."""
    recipe = recipe_of(options)
    check_writable(job.output)
    model, reader = changed_model(job.model, job.reader, **job.changes)
    graph = import_model(model)
    overrides = _selected(graph, options, selection, recipe.placement)
    if reader is None:
        ranges = options.extra["RandomDataReaderInputDataRange"]
        reader = RandomDataReader(input_infos(graph), job.random_shapes, ranges)
    inner: tuple[Note, ...] = ()
    if options.extra["EnableSubgraph"]:
        graph, reader, inner = quantize_subgraphs(graph, reader, recipe, providers)
    if options.quant_format is VitisQuantFormat.BFPFixNeuron:
        blocks = attributes_from(options.extra)
        made, report = store_in_blocks(graph, reader, recipe.with_overrides(overrides), blocks, providers)
    else:
        form = form_of(options)
        result = quantize(graph, reader, recipe=recipe, overrides=overrides, providers=providers, form=form)
        name = str(job.model) if isinstance(job.model, str | PathLike) else graph.name
        made, report = result.graph, replace(result.report, model=name)
    report = replace(report, notes=(*report.notes, *inner))
    return _written(job, options, model, made, report, external_data)


def _written(
    job: _Job,
    options: Options,
    model: Any,
    made: Graph,
    report: QuantizationReport,
    external_data: bool | None,
) -> QuantizationReport:
    """Write the quantized graph `made` of `model`, and complete the report."""
    lost: list[str] = []
    finish: list[Callable[[Any], None]] = [dedicate_pairs] if options.extra["DedicatedQDQPair"] else []
    if not options.extra["RemoveInputInit"]:
        finish.append(listing(input_constants(model), made, lost))

    def change(proto: Any) -> None:
        for step in finish:
            step(proto)

    emit(made, job.output, report.recipe, external_data, form_of(options), change)
    notices = (*report.notices, *notices_of(made, options), *([lost_notice(lost)] if lost else []))
    report = replace(report, notices=notices)
    if job.debug:
        write_debug_file(job.output, made, report)
        for note in report.notes:
            logger.debug("%s", note)
    return report


def native_type(op: Op) -> str:
    """The ONNX operator type that `op` was imported from; only Gemm may have lost its node to its constants."""
    if isinstance(op.origin.native, NativeNode):
        return str(op.origin.native.proto.op_type)
    return "Gemm" if op.kind == "inner-product" else op.kind


def _selected(
    graph: Graph, options: Options, selection: Mapping[str, tuple[str, ...]], placement: Placement
) -> tuple[Override, ...]:
    """Overrides that keep in float what the arguments leave out, for the operators that folding leaves over."""
    if not any(selection.values()) and not any(options.extra[name] for name in BY_OPERATOR):
        return ()
    fold = options.optimize_model
    folded = prepare(graph, Preparation(remove_identity=fold, fold_batch_norm=fold)).graph
    left = {op.name for op in folded.ops}
    chosen = overrides_of(graph, native_type, left, **selection) if any(selection.values()) else ()
    # by name last: what it keeps in float stays so
    return (*operator_overrides(graph, native_type, left, options.extra, placement), *chosen)


def _either(name: str, value: bool, **older: bool | None) -> bool:
    """The value of an argument that also has older names.

    Raises:
        InputError: Q0702 when they contradict each other, or one is no truth value.
    """
    for label, given in ((name, value), *older.items()):
        if given is not None and not isinstance(given, bool):
            raise wrong_value(label, given, "True or False", repr(bool(given)))
        if given is False and value and label != name:
            raise wrong_value(label, given, f"the same as {name}={value}", f"leave {label} out")
    return value or any(older.values())


def _selection(**arguments: Names) -> dict[str, tuple[str, ...]]:
    return {name: _names(name, given) for name, given in arguments.items()}


def _names(where: str, names: Any) -> tuple[str, ...]:
    if names is None:
        return ()
    if isinstance(names, str) or not isinstance(names, Sequence):
        raise wrong_value(where, names, "a list of names", f"[{names!r}]")
    return tuple(names)


def _providers(names: Names) -> tuple[str, ...]:
    """The execution providers; the processor when none is named.

    Raises:
        InputError: Q0708 for one that this ONNX Runtime does not have.
    """
    chosen = _names("execution_providers", names) or ("CPUExecutionProvider",)
    known = onnxruntime.get_available_providers()
    for name in chosen:
        if name not in known:
            expected, fix = f"one of {', '.join(known)}", "execution_providers=['CPUExecutionProvider']"
            raise InputError("Q0708", "execution_providers", repr(name), expected, fix)
    return chosen


def _tell(report: QuantizationReport, print_summary: bool) -> None:
    from quantforge.reporting import print_report, to_text

    for notice in report.notices:
        logger.warning("%s", notice)
    if print_summary:
        print_report(report)
    else:
        logger.info("%s", to_text(report))
