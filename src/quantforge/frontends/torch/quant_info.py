"""``quant_info.json``: the quantization steps of every tensor, under the names of the PyTorch quantizer of Vitis AI.

    {"param":  {"Net::conv1.weight": [[8, 7]], ...},            one entry per parameter
     "output": {"Net::nndct_conv2d_1": [[8, 4]], ...},          one list per operator, an entry per tensor
     "input":  {}, "fast_finetuned": false, "bias_corrected": true, "version": "...", "graph_md5": "...",
     "channel_ranges": {"relu": [1.5, ...], ...}}              ours: what equalization went by, per value

     "dtype": {"param": {"Net::conv1.weight": ["bfloat16"], ...}, "output": {...}, "input": {}}    with float formats

An entry is [bits, position] for one power-of-two scale without zero point, else [bits, scale, zero point, largest
value], with lists per channel; [bits, null] in a float format, which `dtype` names ("int" for integers beside it).
Operators are called after their type and their index in topological order, the inputs of the graph counted first.
What a number of bits means otherwise (sign, rounding) is the configuration's affair.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from quantforge.diagnostics import InputError
from quantforge.graph import Graph, Op, QuantSpec, Value
from quantforge.numerics.formats import FloatFormat, IntFormat

INTEGER = "int"  # the datatype of integers in section dtype
Entry = list[Any]
_TYPES = {
    "eltwise-add": "elemwise_add",
    "eltwise-mul": "elemwise_mul",
    "eltwise-sub": "elemwise_sub",
    "eltwise-div": "elemwise_div",
    "inner-product": "dense",
    "maxpool2d": "maxpool",
    "maxpool1d": "maxpool1d",
    "avgpool2d": "avgpool",
    "hard-swish": "hswish",
    "hard-sigmoid": "hsigmoid",
    "batchnorm": "batch_norm",
    "layernorm": "layer_norm",
    "groupnorm": "group_norm",
    "instancenorm": "instance_norm",
    "reduction-mean": "mean",
    "reduction-sum": "sum",
    "reduction-max": "max",
    "reduction-min": "min",
    "transposed-conv2d": "conv_transpose_2d",
    "transposed-conv3d": "conv_transpose_3d",
    "transposed-depthwise-conv2d": "depthwise_conv_transpose_2d",
    "transpose": "permute",
    "clip": "clamp",
}


def type_name(op: Op) -> str:
    """The operator type as the PyTorch quantizer calls it.

    >>> type_name(Op("inner-product", "fc", ("x", "w"), ("y",)))
    'nndct_dense'
    """
    if op.kind == "opaque":
        return str(op.attrs.get("type", "aten.call")).replace(".", "_").replace("::", "_")
    if op.kind == "avgpool2d" and op.attrs.get("global"):
        return "nndct_adaptive_avg_pool2d"
    return f"nndct_{_TYPES.get(op.kind, op.kind).replace('-', '_')}"


def node_names(graph: Graph) -> dict[str, str]:
    """The normalized name of the node behind each input and each operator, by input or operator name."""
    names = {name: f"{graph.name}::nndct_input_{index}" for index, name in enumerate(graph.inputs)}
    for index, op in enumerate(graph.ops, len(graph.inputs)):
        names[op.name] = f"{graph.name}::{type_name(op)}_{index}"
    return names


def to_json(
    graph: Graph,
    version: str,
    bias_corrected: bool,
    ranges: Mapping[str, list[float]],
    fast_finetuned: bool = False,
) -> str:
    """The file for a quantized `graph`; entries on one line each. `ranges` are those equalization went by."""
    param = {
        _param(graph, value): [_entry(value.quant)]
        for value in graph.values
        if value.is_const and value.quant
    }
    outputs = dict(_outputs(graph))
    output = {key: [_entry(graph.value(name).quant) for name in names] for key, names in outputs.items()}
    fields: dict[str, Any] = {
        "param": param,
        "output": output,
        "input": {},
        "fast_finetuned": fast_finetuned,
        "bias_corrected": bias_corrected,
        "version": version,
        "graph_md5": graph_md5(graph),
        "channel_ranges": dict(ranges),
    }
    if any(isinstance(value.quant.format, FloatFormat) for value in graph.quantized() if value.quant):
        fields["dtype"] = _dtypes(graph, outputs)
    rows = (f"  {json.dumps(key)}: {_text(field)}" for key, field in fields.items())
    return "{\n" + ",\n".join(rows) + "\n}\n"


def _text(field: Any) -> str:
    if not isinstance(field, dict) or not field:
        return json.dumps(field)
    return "{\n" + ",\n".join(f"    {json.dumps(k)}: {json.dumps(v)}" for k, v in field.items()) + "\n  }"


def _dtypes(graph: Graph, outputs: Mapping[str, tuple[str, ...]]) -> dict[str, dict[str, list[str | None]]]:
    """The datatype of every entry: that of the configuration file."""
    param = {
        _param(graph, value): [_dtype(value.quant)]
        for value in graph.values
        if value.is_const and value.quant
    }
    output = {key: [_dtype(graph.value(name).quant) for name in names] for key, names in outputs.items()}
    return {"param": param, "output": output, "input": {}}


def _dtype(spec: QuantSpec | None) -> str | None:
    if spec is None:
        return None
    return str(spec.format) if isinstance(spec.format, FloatFormat) else INTEGER


def _param(graph: Graph, value: Value) -> str:
    return f"{graph.name}::{value.name}"


def _outputs(graph: Graph) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Key and tensors of every node with a quantized tensor."""
    names = node_names(graph)
    nodes: list[tuple[str, tuple[str, ...]]] = [(names[name], (name,)) for name in graph.inputs]
    nodes += [(names[op.name], op.outputs) for op in graph.ops]
    for key, values in nodes:
        if any(graph.value(value).quant is not None for value in values):
            yield key, values


def _entry(spec: QuantSpec | None) -> Entry | None:
    if spec is None:
        return None
    if isinstance(spec.format, FloatFormat):
        return [spec.format.bits, None]
    if spec.position is not None:
        return [spec.format.bits, spec.position]
    scales, zeros = list(spec.scale), list(spec.zero_point)
    tops = [scale * (spec.format.qmax - zero) for scale, zero in zip(scales, zeros, strict=True)]
    if spec.axis is None:
        return [spec.format.bits, scales[0], zeros[0], tops[0]]
    return [spec.format.bits, scales, zeros, tops]


def graph_md5(graph: Graph) -> str:
    """The fingerprint of the graph's structure: operator types and how they are wired."""
    types = dict.fromkeys(graph.inputs, "nndct_input")
    types |= {output: type_name(op) for op in graph.ops for output in op.outputs}
    nodes = [
        {
            "op": type_name(op),
            "input_ops": [types[name] for name in op.inputs if name in types],
            "output_ops": [type_name(reader) for name in op.outputs for reader in graph.consumers(name)],
        }
        for op in graph.ops
    ]
    text = json.dumps({"nodes": nodes}, indent=2, separators=(",", ": "))
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def ranges_of(text: str, where: str) -> dict[str, list[float]]:
    """The channel ranges of a file; none in those of the original.

    Raises:
        InputError: Q1411 when the file cannot be read.
    """
    try:
        rows = json.loads(text).get("channel_ranges", {})
        return {str(name): [float(number) for number in row] for name, row in rows.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise _mismatch(where, f"{error!r}", "the JSON that calibration wrote") from error


def apply_json(text: str, planned: Graph, where: str) -> Graph:
    """A copy of `planned` with the steps of a file.

    Args:
        text: The file.
        planned: The prepared graph with a spec (any scale) on every value that has to have one.
        where: Name of the file.

    Raises:
        InputError: Q1411 when the file cannot be read or belongs to another model or configuration.
    """
    try:
        data = json.loads(text)
        found: Mapping[str, Any] = {**data["param"], **data["output"]}
        md5 = data["graph_md5"]
        kinds = data.get("dtype", {})
        dtypes: Mapping[str, Any] = {**kinds.get("param", {}), **kinds.get("output", {})}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _mismatch(where, f"{error!r}", "the JSON that calibration wrote") from error
    if md5 != graph_md5(planned):
        raise _mismatch(where, f"graph_md5 {md5}", f"{graph_md5(planned)}, that of this model")
    graph = planned.copy()
    rows: dict[str, tuple[str, ...]] = {
        _param(graph, value): (value.name,) for value in graph.values if value.is_const and value.quant
    }
    rows |= dict(_outputs(graph))
    missing = sorted(set(rows) - set(found)) or sorted(set(found) - set(rows))
    if missing:
        raise _mismatch(where, f"no match for {missing[0]}", "the tensors of this model and configuration")
    for key, names in rows.items():
        entries, types = found[key], dtypes.get(key, [INTEGER] * len(names))
        if not (isinstance(entries, list) and isinstance(types, list)) or {len(entries), len(types)} != {
            len(names)
        }:
            raise _mismatch(f"{where}: {key}", repr(entries), f"{len(names)} entries")
        for name, entry, dtype in zip(names, entries, types, strict=True):
            spec = graph.value(name).quant
            if spec is not None:
                label = f"{where}: {key}"
                _check_dtype(dtype, spec, label)
                graph.set_value(replace(graph.value(name), quant=_spec(entry, spec, label)))
    return graph


def _check_dtype(dtype: Any, planned: QuantSpec, where: str) -> None:
    if dtype != _dtype(planned):
        raise _mismatch(where, f"datatype {dtype!r}", f"{_dtype(planned)!r}, as this configuration says")


def _spec(entry: Any, planned: QuantSpec, where: str) -> QuantSpec:
    form = planned.format
    if isinstance(form, FloatFormat):
        return QuantSpec(form)
    try:
        bits, step, *rest = entry
        form = IntFormat(int(bits), form.signed, form.narrow)
        if not rest:
            return QuantSpec.power_of_two(form, int(step), planned.rounding)
        scales, zeros = (item if isinstance(item, list) else [item] for item in (step, rest[0]))
        axis = planned.axis if isinstance(step, list) else None
        return QuantSpec(form, tuple(map(float, scales)), tuple(map(int, zeros)), axis, planned.rounding)
    except (TypeError, ValueError) as error:
        raise _mismatch(
            where, repr(entry), "[bits, position] or [bits, scale, zero point, largest]"
        ) from error


def _mismatch(where: str, found: str, expected: str) -> InputError:
    return InputError("Q1411", where, found, expected, "calibrate this model again (quant_mode 'calib')")
