"""Bring a model from opset 7 or newer up to a target opset, in place, node by node.

The operators' definitions differ between opsets in a few ways only: parameters moved from attributes to inputs,
defaults changed, and some operators were replaced. Each rule below rewrites one operator and says at which opset
its change happened. Names, metadata and weights stay as they are, subgraphs are upgraded with their graph, and
no tensor is copied. (onnx.version_converter drops metadata, cannot take models over 2 GB and aborts on operators
it has no adapter for.) Source: https://onnx.ai/onnx/operators/, "Differences with previous version".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from onnx import NodeProto, helper, numpy_helper

from quantforge.diagnostics import UnsupportedError
from quantforge.frontends.onnx.fold import TensorType
from quantforge.frontends.onnx.native import is_default_domain, newest_opset, opset_version
from quantforge.graph import Array

OLDEST_OPSET, WORKING_OPSET = 7, 13


@dataclass
class Upgrade:
    """One run: from which opset to which, the types known, the names taken, new constants."""

    source: int
    target: int
    types: Mapping[str, TensorType]
    model: str
    taken: set[str] = field(default_factory=set)
    consts: dict[str, Array] = field(default_factory=dict)

    def constant(self, stem: str, value: Array) -> str:
        """A new constant called like `stem`."""
        name, count = stem, 0
        while name in self.taken:
            count += 1
            name = f"{stem}_{count}"
        self.taken.add(name)
        self.consts[name] = value
        return name

    def dtype(self, name: str) -> str:
        """Dtype of a float value: float32 when nothing else is known."""
        kind = self.types.get(name)
        return kind.dtype if kind is not None and kind.dtype in ("float16", "float64") else "float32"

    def crosses(self, opset: int) -> bool:
        """Whether a change made at `opset` lies between source and target."""
        return self.source < opset <= self.target

    def refuse(self, node: Any, found: str) -> UnsupportedError:
        """Q0105 for `node`."""
        return UnsupportedError(
            "Q0105",
            f"{self.model}: node {node.name or node.output[0]!r} ({node.op_type})",
            found,
            f"a form that opset {self.target} still has",
            "export the model again with opset 13 or newer",
        )


Rule = Callable[[Any, Upgrade], list[Any]]


def check_opset(model: Any, name: str) -> int:
    """The standard opset of `model`, when this version can serve it.

    Raises:
        UnsupportedError: Q0105 below opset 7, Q0116 newer than the installed onnx package knows.
    """
    version = opset_version(model)
    if version == 0 and any(is_default_domain(n.domain) for n in model.graph.node):
        version = 1
    if 0 < version < OLDEST_OPSET:
        raise UnsupportedError(
            "Q0105",
            name,
            f"opset {version}",
            "opset 7 or newer",
            "export the model again with opset 13 or newer",
        )
    if version > newest_opset():
        raise UnsupportedError(
            "Q0116",
            name,
            f"opset {version}",
            f"at most opset {newest_opset()}",
            "pip install --upgrade onnx onnxruntime",
        )
    return version


def upgrade_nodes(nodes: Iterable[Any], upgrade: Upgrade) -> list[Any]:
    """The nodes (copies where changed) as the target opset spells them; constants go to `upgrade.consts`."""
    return [made for node in nodes for made in _upgrade_node(node, upgrade)]


def _upgrade_node(node: Any, upgrade: Upgrade) -> list[Any]:
    if not is_default_domain(node.domain):
        return [node]
    copy = NodeProto()
    copy.CopyFrom(node)
    for attribute in copy.attribute:
        for graph in [attribute.g] if attribute.HasField("g") else list(attribute.graphs):
            inner = Upgrade(upgrade.source, upgrade.target, upgrade.types, upgrade.model, upgrade.taken)
            made = upgrade_nodes(list(graph.node), inner)
            del graph.node[:]
            graph.node.extend(made)
            graph.initializer.extend(numpy_helper.from_array(v, n) for n, v in inner.consts.items())
    rules = [rule for opset, rule in _RULES.get(copy.op_type, ()) if upgrade.crosses(opset)]
    made = [copy]
    for rule in rules:
        made = [*made[:-1], *rule(made[-1], upgrade)]
    return made


def _take(node: Any, name: str, default: Any = None) -> Any:
    """Remove an attribute and return its value."""
    for index, attribute in enumerate(node.attribute):
        if attribute.name == name:
            value = helper.get_attribute_value(attribute)
            del node.attribute[index]
            return value
    return default


def _give(node: Any, index: int, name: str) -> None:
    """Set input `index` of `node`, with absent inputs before it."""
    while len(node.input) <= index:
        node.input.append("")
    node.input[index] = name


def _moved(attribute: str, index: int, dtype: str = "int64") -> Rule:
    """An attribute that became input `index`."""

    def rule(node: Any, upgrade: Upgrade) -> list[Any]:
        value = _take(node, attribute)
        if value is not None:
            _give(node, index, upgrade.constant(f"{node.output[0]}_{attribute}", np.asarray(value, dtype)))
        return [node]

    return rule


def _slice_10(node: Any, upgrade: Upgrade) -> list[Any]:
    starts, ends = _take(node, "starts"), _take(node, "ends")
    axes = _take(node, "axes", list(range(len(starts))))
    for index, (name, value) in enumerate((("starts", starts), ("ends", ends), ("axes", axes)), start=1):
        _give(node, index, upgrade.constant(f"{node.output[0]}_{name}", np.asarray(value, np.int64)))
    return [node]


def _clip_11(node: Any, upgrade: Upgrade) -> list[Any]:
    for index, name in ((1, "min"), (2, "max")):
        value = _take(node, name)
        if value is not None:
            array = np.asarray(value, upgrade.dtype(node.input[0]))
            _give(node, index, upgrade.constant(f"{node.output[0]}_{name}", array))
    return [node]


def _pad_11(node: Any, upgrade: Upgrade) -> list[Any]:
    pads, value = _take(node, "pads"), _take(node, "value", 0.0)
    _give(node, 1, upgrade.constant(f"{node.output[0]}_pads", np.asarray(pads, np.int64)))
    if value:
        array = np.asarray(value, upgrade.dtype(node.input[0]))
        _give(node, 2, upgrade.constant(f"{node.output[0]}_value", array))
    return [node]


def _top_k_10(node: Any, upgrade: Upgrade) -> list[Any]:
    k = np.asarray([_take(node, "k")], np.int64)
    _give(node, 1, upgrade.constant(f"{node.output[0]}_k", k))
    return [node]


def _upsample_9(node: Any, upgrade: Upgrade) -> list[Any]:
    return _moved("scales", 1, "float32")(node, upgrade)


def _upsample_10(node: Any, upgrade: Upgrade) -> list[Any]:
    """Upsample became Resize, with the same meaning as Resize 10."""
    node.op_type = "Resize"
    if upgrade.target >= 11:
        return _resize_11(node, upgrade)
    return [node]


def _resize_11(node: Any, upgrade: Upgrade) -> list[Any]:
    """Resize 10 samples at x / scale and rounds down: asymmetric, floor."""
    scales = node.input[1]
    del node.input[1:]
    node.input.extend(["", scales])
    node.attribute.append(helper.make_attribute("coordinate_transformation_mode", "asymmetric"))
    if not any(a.name == "mode" and a.s != b"nearest" for a in node.attribute):
        node.attribute.append(helper.make_attribute("nearest_mode", "floor"))
    return [node]


def _batch_norm_9(node: Any, upgrade: Upgrade) -> list[Any]:
    if not _take(node, "spatial", 1):
        raise upgrade.refuse(node, "spatial=0 (statistics for every position)")
    return [node]


def _batch_norm_14(node: Any, upgrade: Upgrade) -> list[Any]:
    if len([name for name in node.output if name]) > 1:
        raise upgrade.refuse(node, "training outputs")
    del node.output[1:]
    return [node]


def _dropout_12(node: Any, upgrade: Upgrade) -> list[Any]:
    _take(node, "ratio")  # it means nothing at inference
    return [node]


def _softmax_13(node: Any, upgrade: Upgrade) -> list[Any]:
    """Before 13: flatten to two dimensions at `axis`, then over the second; the same as -1 on the last axis."""
    axis = int(_take(node, "axis", 1))
    shape = upgrade.types[node.input[0]].shape if node.input[0] in upgrade.types else None
    if shape is not None and axis % len(shape) == len(shape) - 1:
        node.attribute.append(helper.make_attribute("axis", -1))
        return [node]
    if shape is not None and all(d == 1 for d in shape[axis % len(shape) + 1 :]):
        node.attribute.append(helper.make_attribute("axis", axis))
        return [node]
    if shape is None and axis < 0:
        raise upgrade.refuse(node, f"axis {axis} of an input of unknown rank")
    stem, data, result = node.name or node.output[0], node.input[0], node.output[0]
    flat, size, soft = f"{result}_flat", f"{result}_shape", f"{result}_soft"
    node.input[0], node.output[0] = flat, soft
    node.attribute.append(helper.make_attribute("axis", -1))
    return [
        helper.make_node("Shape", [data], [size], f"{stem}_shape"),
        helper.make_node("Flatten", [data], [flat], f"{stem}_flatten", axis=axis),
        node,
        helper.make_node("Reshape", [soft, size], [result], f"{stem}_reshape"),
    ]


def _split_18(node: Any, upgrade: Upgrade) -> list[Any]:
    if len(node.input) < 2 or not node.input[1]:
        node.attribute.append(helper.make_attribute("num_outputs", len(node.output)))
    return [node]


def _grid_sample_20(node: Any, upgrade: Upgrade) -> list[Any]:
    """bilinear and bicubic are called linear and cubic for any number of axes."""
    mode = _take(node, "mode", b"bilinear").decode()
    node.attribute.append(helper.make_attribute("mode", mode.removeprefix("bi")))
    return [node]


def _group_norm_21(node: Any, upgrade: Upgrade) -> list[Any]:
    raise upgrade.refuse(node, "a scale per group")


def _scatter_11(node: Any, upgrade: Upgrade) -> list[Any]:
    node.op_type = "ScatterElements"
    return [node]


def _scan_9(node: Any, upgrade: Upgrade) -> list[Any]:
    raise upgrade.refuse(node, "the batched Scan of opset 8")


_AXES = _moved("axes", 1)
_REDUCTIONS = (
    *("ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2"),
    *("ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare"),
)

# Operator -> (opset that changed it, rule), oldest first. Changes that only widen a definition need no rule.
_RULES: dict[str, tuple[tuple[int, Rule], ...]] = {
    "Slice": ((10, _slice_10),),
    "Clip": ((11, _clip_11),),
    "Pad": ((11, _pad_11),),
    "TopK": ((10, _top_k_10),),
    "Upsample": ((9, _upsample_9), (10, _upsample_10)),
    "Resize": ((11, _resize_11),),
    "BatchNormalization": ((9, _batch_norm_9), (14, _batch_norm_14)),
    "Dropout": ((12, _dropout_12),),
    "Scatter": ((11, _scatter_11),),
    "Scan": ((9, _scan_9),),
    "Softmax": ((13, _softmax_13),),
    "LogSoftmax": ((13, _softmax_13),),
    "Hardmax": ((13, _softmax_13),),
    "Squeeze": ((13, _AXES),),
    "Unsqueeze": ((13, _AXES),),
    "ReduceSum": ((13, _AXES),),
    "Split": ((13, _moved("split", 1)), (18, _split_18)),
    "GridSample": ((20, _grid_sample_20),),
    "GroupNormalization": ((21, _group_norm_21),),
    **dict.fromkeys(_REDUCTIONS, ((18, _AXES),)),
}
