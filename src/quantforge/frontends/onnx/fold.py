"""Fold what can be known before running: shape arithmetic and small constant subgraphs.

Three steps over nodes in topological order, repeated while they help: (1) evaluate shape arithmetic on partly
known values (`partial`); (2) turn the partly known parameters of Reshape, Expand, Slice and Resize into static
ones; (3) run what is left of constant-only nodes once, together, in ONNX Runtime. Nodes whose results are known
become constants of the same name; nodes nobody needs any more are dropped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnxruntime as ort
from onnx import AttributeProto, NodeProto, TensorProto, helper, numpy_helper

from quantforge.frontends.onnx import partial
from quantforge.frontends.onnx.native import ORT_ERRORS, STRING, UNKNOWN, element_type, is_default_domain
from quantforge.graph import Array, Shape

_MAX_FOLDED_BYTES = 1 << 24  # a folded result may be larger than this only if its inputs already are
_TO_THE_END = np.iinfo(np.int64).max
# What a Constant holds by the type of its attribute; "" keeps the dtype of a tensor.
_CONSTANT_DTYPES = {
    AttributeProto.TENSOR: "",
    AttributeProto.FLOAT: "float32",
    AttributeProto.FLOATS: "float32",
    AttributeProto.INT: "int64",
    AttributeProto.INTS: "int64",
}
_NEVER_FOLDED = {
    *("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "If", "Loop", "Scan", "SequenceMap"),
    *("RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Multinomial", "Bernoulli"),
}


@dataclass(frozen=True)
class TensorType:
    """What shape inference says of a value."""

    shape: Shape | None
    dtype: str


@dataclass
class Body:
    """A graph while it is being imported: `nodes` in order, constants, types, graph outputs."""

    nodes: list[Any]
    consts: dict[str, Array]
    outputs: tuple[str, ...]
    opsets: Mapping[str, int]
    ir_version: int
    types: dict[str, TensorType] = field(default_factory=dict)
    reads: Counter[str] = field(default_factory=Counter)

    def count_reads(self) -> None:
        """Refresh how often each value is read, by nodes, their subgraphs and the outputs."""
        self.reads = Counter(self.outputs)
        for node in self.nodes:
            self.reads.update(name for name in node.input if name)
            self.reads.update(captured_names(node))


def captured_names(node: Any) -> tuple[str, ...]:
    """Outer values that the subgraphs of `node` read, each once, in order of first use."""
    found: dict[str, None] = {}
    for attribute in node.attribute:
        for graph in [attribute.g] if attribute.HasField("g") else list(attribute.graphs):
            own = {v.name for v in graph.input} | {t.name for t in graph.initializer}
            for inner in graph.node:
                for name in (*inner.input, *captured_names(inner)):
                    if name and name not in own:
                        found[name] = None
                own.update(inner.output)
            found.update(dict.fromkeys(v.name for v in graph.output if v.name not in own))
    return tuple(found)


def fold_once(body: Body) -> bool:
    """One round over `body`, in place; returns whether anything was folded."""
    before = (len(body.nodes), len(body.consts))
    known: dict[str, Array] = {}
    kept, rest = [], []
    body.count_reads()
    for node in body.nodes:
        if _fold_constant_node(node, body) or _fold_shape_arithmetic(node, body, known):
            continue
        _settle_parameters(node, body, known)
        kept.append(node)
    body.nodes = kept
    rest = _constant_only(body)
    if rest:
        _run_constant_nodes(body, rest)
    _drop_unused(body)
    return (len(body.nodes), len(body.consts)) != before


def _fold_constant_node(node: Any, body: Body) -> bool:
    """Constant nodes become constants."""
    if node.op_type != "Constant" or not is_default_domain(node.domain):
        return False
    for attribute in node.attribute:
        dtype = _CONSTANT_DTYPES.get(attribute.type)
        if attribute.name.startswith("value") and dtype is not None:
            body.consts[node.output[0]] = np.asarray(
                partial.attributes_of(node)[attribute.name], dtype or None
            )
            return True
    return False


def _fold_shape_arithmetic(node: Any, body: Body, known: dict[str, Array]) -> bool:
    """Evaluate one node on partly known values; True when its result is fully known and now a constant."""
    if not is_default_domain(node.domain) or len(node.output) != 1 or node.output[0] in body.outputs:
        return False
    inputs: list[Array | None] = []
    for name in node.input:
        value = _as_partial(node.op_type, name, body, known)
        if name and value is None:
            return False
        inputs.append(value)
    if not inputs:
        return False
    result = partial.evaluate(node.op_type, partial.attributes_of(node), inputs)
    if result is None:
        return False
    output = node.output[0]
    if not partial.is_known(result):
        known[output] = result
        return False
    if result.dtype == object:
        kind = body.types.get(output)
        if kind is None or kind.dtype == UNKNOWN:
            return False  # its numbers are known, but not in which type
        result = partial.settle(result, kind.dtype)
    body.consts[output] = result
    return True


def _as_partial(op_type: str, name: str, body: Body, known: Mapping[str, Array]) -> Array | None:
    if not name:
        return None
    if op_type in ("Shape", "Size"):
        if name in body.consts:
            return partial.shape_of(body.consts[name].shape)
        shape = body.types[name].shape if name in body.types else None
        return None if shape is None else partial.shape_of(shape)
    if name in known:
        return known[name]
    value = body.consts.get(name)
    return (
        value
        if value is not None and value.size <= partial.MAX_ELEMENTS and value.dtype.kind in "iufb"
        else None
    )


def _settle_parameters(node: Any, body: Body, known: Mapping[str, Array]) -> None:
    """Replace partly known parameters of `node` by equivalent static ones, where there are any."""
    rule = {
        "Reshape": _settle_reshape,
        "Expand": _settle_expand,
        "Slice": _settle_slice,
        "Resize": _settle_resize,
    }
    settle = rule.get(node.op_type)
    if settle is None or not is_default_domain(node.domain) or node.input[0] not in body.types:
        return
    shape = body.types[node.input[0]].shape
    if shape is not None or node.op_type == "Reshape":
        settle(node, body, known, shape)


def _settle_reshape(node: Any, body: Body, known: Mapping[str, Array], shape: Shape | None) -> None:
    target = known.get(node.input[1])
    if target is None or any(a.name == "allowzero" and a.i for a in node.attribute):
        return
    static: list[int] = []
    for axis, size in enumerate(target):
        if isinstance(size, str) and shape is not None and axis < len(shape) and shape[axis] == size:
            static.append(0)
        else:
            static.append(-1 if size is None or isinstance(size, str) else int(size))
    if static.count(-1) <= 1:
        _set_parameter(node, 1, np.array(static, np.int64), body)


def _settle_expand(node: Any, body: Body, known: Mapping[str, Array], shape: Shape | None) -> None:
    target = known.get(node.input[1])
    if target is None or shape is None:
        return
    static: list[int] = []
    for back, size in enumerate(reversed(target.tolist()), start=1):
        if size is None or isinstance(size, str):
            if back > len(shape) or shape[-back] != size or size is None:
                return
            size = 1  # broadcasting keeps the size that x already has
        static.insert(0, int(size))
    _set_parameter(node, 1, np.array(static, np.int64), body)


def _settle_slice(node: Any, body: Body, known: Mapping[str, Array], shape: Shape | None) -> None:
    if len(node.input) < 3 or node.input[2] not in known or shape is None:
        return
    ends = known[node.input[2]].tolist()
    axes = body.consts.get(node.input[3]) if len(node.input) > 3 and node.input[3] else np.arange(len(ends))
    if axes is None:
        return
    static: list[int] = []
    for end, axis in zip(ends, axes, strict=False):
        if isinstance(end, str) and shape[int(axis)] == end:
            end = _TO_THE_END
        if end is None or isinstance(end, str):
            return
        static.append(int(end))
    _set_parameter(node, 2, np.array(static, np.int64), body)


def _settle_resize(node: Any, body: Body, known: Mapping[str, Array], shape: Shape | None) -> None:
    """Sizes that keep an unknown batch become scales: size / input size, 1 where the size is the input's own."""
    sizes = known.get(node.input[3]) if len(node.input) > 3 else None
    if sizes is None or shape is None or len(sizes) != len(shape):
        return
    scales: list[np.float32] = []
    for size, dim in zip(sizes.tolist(), shape, strict=True):
        if isinstance(size, str) and size == dim:
            scales.append(np.float32(1))
        elif isinstance(dim, int) and dim > 0 and size is not None and not isinstance(size, str):
            scales.append(_scale_for(int(size), dim))
        else:
            return
    _set_parameter(node, 2, np.array(scales, np.float32), body)
    del node.input[3]


def _scale_for(size: int, dim: int) -> np.float32:
    """The float32 scale for which floor(dim * scale) is exactly `size`."""
    scale = np.float32(size / dim)
    while int(np.floor(np.float32(dim) * scale)) < size:
        scale = np.nextafter(scale, np.float32(np.inf))
    return scale


def _set_parameter(node: Any, index: int, value: Array, body: Body) -> None:
    """Give `node` the constant `value`, under the input's own name when no other node reads it."""
    name = node.input[index]
    if not name or body.reads[name] != 1:
        stem, count = name or f"{node.output[0]}_scales", 0
        name = stem
        while name in body.consts or name in body.types or body.reads[name]:
            count += 1
            name = f"{stem}_{count}"
    body.consts[name] = value
    body.reads[name] += 1
    node.input[index] = name


def _constant_only(body: Body) -> list[Any]:
    """Nodes that depend on constants alone, are deterministic, and do not blow up."""
    ready, chosen = set(body.consts), []
    for node in body.nodes:
        inputs = [name for name in node.input if name]
        if (
            node.op_type not in _NEVER_FOLDED
            and is_default_domain(node.domain)
            and not captured_names(node)
            and all(name in ready for name in inputs)
            and not any(name in body.outputs for name in node.output)
            and _is_small(node, body)
        ):
            ready.update(node.output)
            chosen.append(node)
    return chosen


def _is_small(node: Any, body: Body) -> bool:
    inputs = sum(body.consts[name].nbytes for name in node.input if name in body.consts)
    for name in node.output:
        kind = body.types.get(name)
        shape = kind.shape if kind is not None else None
        sizes = [d for d in shape or () if isinstance(d, int)]
        if shape is None or len(sizes) != len(shape):
            if node.op_type in ("Expand", "Tile", "ConstantOfShape", "Range", "Resize", "Pad"):
                return False
        elif int(np.prod(sizes, dtype=np.float64)) * 8 > max(_MAX_FOLDED_BYTES, 2 * inputs):
            return False
    return True


def _run_constant_nodes(body: Body, nodes: Sequence[Any]) -> None:
    """Run constant-only `nodes` in ONNX Runtime; on failure they stay as they are."""
    made = {name for node in nodes for name in node.output if name}
    feeds = {n: body.consts[n] for node in nodes for n in node.input if n in body.consts and n not in made}
    if any(array.dtype == object for array in feeds.values()):
        return
    chosen = {id(node) for node in nodes}
    wanted = [
        n for node in body.nodes if id(node) not in chosen for n in (*node.input, *captured_names(node))
    ]
    outputs = [name for name in dict.fromkeys(wanted) if name in made]
    graph = helper.make_graph(
        [_copied(node) for node in nodes],
        "constants",
        [_value_info(name, array) for name, array in feeds.items()],
        [helper.make_empty_tensor_value_info(name) for name in outputs],
    )
    opsets = [helper.make_opsetid(domain, version) for domain, version in body.opsets.items()]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=max(body.ir_version, 7))
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    try:
        session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        results = session.run(outputs, feeds) if outputs else []
    except ORT_ERRORS:
        return
    if all(isinstance(result, np.ndarray) and result.dtype != object for result in results):
        body.consts.update(zip(outputs, results, strict=True))
        body.nodes = [node for node in body.nodes if id(node) not in chosen]


def _copied(node: Any) -> Any:
    copy = NodeProto()
    copy.CopyFrom(node)
    return copy


def _value_info(name: str, array: Array) -> Any:
    kind = TensorProto.STRING if array.dtype == object else element_type(array.dtype.name)
    return helper.make_tensor_value_info(name, kind, array.shape)


def _drop_unused(body: Body) -> None:
    needed, live = set(body.outputs), []
    for node in reversed(body.nodes):
        if needed.intersection(node.output).difference(
            body.consts
        ):  # a settled parameter replaces its producer
            needed.update(node.input)
            needed.update(captured_names(node))
            live.append(node)
    body.nodes = live[::-1]
    body.consts = {name: array for name, array in body.consts.items() if name in needed}


def small_initializer(name: str, array: Array) -> Any | None:
    """`array` as an inline tensor when shape inference may want to read it, else None."""
    if array.dtype.kind not in "iub" or array.size > partial.MAX_ELEMENTS or array.dtype.name == STRING:
        return None
    return numpy_helper.from_array(np.asarray(array, order="C"), name)
