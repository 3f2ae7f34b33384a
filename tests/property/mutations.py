"""Model files with something broken in them, drawn by hypothesis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import onnx
from hypothesis import strategies as st
from onnx import AttributeProto, helper

Draw = Callable[[Any], Any]
VALUES: tuple[Any, ...] = (
    0,
    -1,
    3,
    2**40,
    0.5,
    "text",
    [1, 2, 3],
    [-1, 0, 2**33],
    [],
    [0.5, float("nan")],
    ["a"],
)
OP_TYPES = (
    *(
        "Conv",
        "Gemm",
        "MatMul",
        "Add",
        "Reshape",
        "Split",
        "Concat",
        "Slice",
        "Pad",
        "Resize",
        "Transpose",
        "Clip",
    ),
    *(
        "BatchNormalization",
        "AveragePool",
        "GlobalAveragePool",
        "Softmax",
        "Gather",
        "Unsqueeze",
        "Squeeze",
        "If",
    ),
    *(
        "Loop",
        "Scan",
        "QuantizeLinear",
        "DequantizeLinear",
        "Constant",
        "NoSuchOperator",
        "",
        "Expand",
        "Tile",
    ),
)
DIMS = (0, 1, 2, 3, 5, 7, -1, 2**31, 2**62)


def _node(draw: Draw, graph: Any) -> Any:
    nodes = [*graph.node]
    for node in graph.node:  # of subgraphs too
        nodes += [inner for a in node.attribute if a.HasField("g") for inner in a.g.node]
    return draw(st.sampled_from(nodes)) if nodes else None


def _names(graph: Any) -> list[str]:
    found = {name for node in graph.node for name in (*node.input, *node.output)}
    return sorted({*found, *(value.name for value in graph.input), "", "nothing"})


def _remove_node(draw: Draw, model: Any) -> None:
    if model.graph.node:
        del model.graph.node[draw(st.integers(0, len(model.graph.node) - 1))]


def _rename(draw: Draw, model: Any) -> None:
    node = _node(draw, model.graph)
    side = node and draw(st.sampled_from([node.input, node.output]))
    if side:
        side[draw(st.integers(0, len(side) - 1))] = draw(st.sampled_from(_names(model.graph)))


def _arity(draw: Draw, model: Any) -> None:
    node = _node(draw, model.graph)
    side = node and draw(st.sampled_from([node.input, node.output]))
    if side and draw(st.booleans()):
        side.pop()
    elif node:
        node.input.append(draw(st.sampled_from(_names(model.graph))))


def _retype(draw: Draw, model: Any) -> None:
    node = _node(draw, model.graph)
    if node:
        node.op_type = draw(st.sampled_from(OP_TYPES))


def _attribute(draw: Draw, model: Any) -> None:
    node = _node(draw, model.graph)
    if not node:
        return
    known = [attribute.name for attribute in node.attribute]
    name = draw(
        st.sampled_from([*known, "axis", "axes", "kernel_shape", "pads", "group", "perm", "epsilon", "to"])
    )
    kept = [attribute for attribute in node.attribute if attribute.name != name]
    made = [] if draw(st.booleans()) and name in known else [_attribute_of(draw, name)]
    del node.attribute[:]
    node.attribute.extend([*kept, *made])


def _attribute_of(draw: Draw, name: str) -> AttributeProto:
    value = draw(st.sampled_from(VALUES))
    kind = AttributeProto.INTS if value == [] else None
    return helper.make_attribute(name, value, attr_type=kind)


def _dims(draw: Draw, model: Any) -> None:
    tensors = list(model.graph.initializer)
    shaped = [v.type.tensor_type.shape.dim for v in (*model.graph.input, *model.graph.output)]
    if tensors and draw(st.booleans()):
        tensor = draw(st.sampled_from(tensors))
        if tensor.dims:
            tensor.dims[draw(st.integers(0, len(tensor.dims) - 1))] = draw(st.sampled_from(DIMS))
        else:
            tensor.dims.append(draw(st.sampled_from(DIMS)))
    elif any(shaped):
        dim = draw(st.sampled_from([dims for dims in shaped if dims]))
        dim[draw(st.integers(0, len(dim) - 1))].dim_value = draw(st.sampled_from(DIMS))


def _type(draw: Draw, model: Any) -> None:
    kinds = st.integers(0, 26)
    if model.graph.initializer and draw(st.booleans()):
        draw(st.sampled_from(list(model.graph.initializer))).data_type = draw(kinds)
    elif model.graph.input:
        draw(st.sampled_from(list(model.graph.input))).type.tensor_type.elem_type = draw(kinds)


def _data(draw: Draw, model: Any) -> None:
    if model.graph.initializer:
        tensor = draw(st.sampled_from(list(model.graph.initializer)))
        tensor.raw_data = tensor.raw_data[: draw(st.integers(0, len(tensor.raw_data)))]


def _reorder(draw: Draw, model: Any) -> None:
    if len(model.graph.node) > 1:
        first, second = (draw(st.integers(0, len(model.graph.node) - 1)) for _ in range(2))
        node = onnx.NodeProto()
        node.CopyFrom(model.graph.node[first])
        model.graph.node[first].CopyFrom(model.graph.node[second])
        model.graph.node[second].CopyFrom(node)


def _cycle(draw: Draw, model: Any) -> None:
    node = _node(draw, model.graph)
    if node and node.input and node.output:
        node.input[0] = node.output[0]


def _opset(draw: Draw, model: Any) -> None:
    if model.opset_import:
        chosen = model.opset_import[0]
        chosen.version = draw(st.sampled_from([0, 1, 6, 7, 9, 11, 13, 21, 26, 99, -1]))
        chosen.domain = draw(st.sampled_from(["", "ai.onnx", "com.vai.quantize", "else"]))


def _ends(draw: Draw, model: Any) -> None:
    ends = draw(st.sampled_from([model.graph.input, model.graph.output]))
    if ends and draw(st.booleans()):
        del ends[0]
    elif ends:
        ends.add().CopyFrom(ends[0])


def _duplicate(draw: Draw, model: Any) -> None:
    if model.graph.node:
        model.graph.node.add().CopyFrom(draw(st.sampled_from(list(model.graph.node))))


CHANGES = (
    *(
        _remove_node,
        _rename,
        _arity,
        _retype,
        _attribute,
        _dims,
        _type,
        _data,
        _reorder,
        _cycle,
        _opset,
        _ends,
    ),
    _duplicate,
)


@st.composite
def mutated(draw: Any, sources: tuple[bytes, ...]) -> bytes:
    """One of `sources`, with one to three changes of its records, or of its bytes."""
    data = draw(st.sampled_from(sources))
    if draw(st.integers(0, 3)) == 0:
        return _bytes(draw, data)
    model = onnx.ModelProto.FromString(data)
    for change in draw(st.lists(st.sampled_from(CHANGES), min_size=1, max_size=3)):
        change(draw, model)
    return bytes(model.SerializeToString())


def _bytes(draw: Draw, data: bytes) -> bytes:
    if draw(st.booleans()):
        return data[: draw(st.integers(0, len(data)))]
    changed = bytearray(data)
    for _ in range(draw(st.integers(1, 4))):
        changed[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(changed)
