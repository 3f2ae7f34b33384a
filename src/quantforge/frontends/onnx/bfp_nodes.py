"""BFPFixNeuron of domain com.vai.quantize: a value stored in a block format and read back, as one operator.

Its attributes say the format. `bfp_method` "to_bfp" is plain block floating point, ties to even;
"to_bfp_prime_shared" is shared microexponents, ties away from zero. `bit_width` is the bits of a mantissa and 9 more;
`block_size`, and for the second method `sub_block_size` and `sub_block_shift_bits`, are counts. Blocks lie along
axis 1, the channels, and the last one is filled up with zeros. The operator is a function inside the model, so that
stock ONNX Runtime runs it.

In the graph it is a fake-quantize operator, which the reference interpreter computes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from onnx import helper, parser

from quantforge.diagnostics import InputError
from quantforge.frontends.onnx.block_functions import LEAST_OPSET, block_body
from quantforge.frontends.onnx.native import NativeNode
from quantforge.frontends.onnx.partial import attributes_of
from quantforge.graph import Attr, Graph, Op, Origin, Value
from quantforge.numerics.block_float import BlockFormat, microexponents, plain_blocks
from quantforge.ops.fake_quantize import KIND

DOMAIN, NAME = "com.vai.quantize", "BFPFixNeuron"
AXIS = 1
MADE_BY = "quantize"
PLAIN, SHARED = "to_bfp", "to_bfp_prime_shared"


@dataclass(frozen=True)
class BfpAttributes:
    """The attributes of the operator, with their defaults; `rounding_mode` 0 is that of the method."""

    bfp_method: str = PLAIN
    bit_width: int = 15
    block_size: int = 16
    rounding_mode: int = 0
    sub_block_size: int = 2
    sub_block_shift_bits: int = 1

    def __post_init__(self) -> None:
        if self.bfp_method not in (PLAIN, SHARED):
            raise InputError(
                "Q0612", "bfp_method", repr(self.bfp_method), f"{PLAIN!r} or {SHARED!r}", repr(PLAIN)
            )
        if self.rounding_mode != 0:
            raise InputError("Q0612", "rounding_mode", repr(self.rounding_mode), "0", "leave it out")

    @property
    def format(self) -> BlockFormat:
        """The block format that they say.

        Raises:
            InputError: Q1475 when there is none of that width or size.
        """
        if self.bfp_method == PLAIN:
            return plain_blocks(self.bit_width, self.block_size)
        return microexponents(self.bit_width, self.block_size, self.sub_block_size, self.sub_block_shift_bits)

    def as_node_attributes(self) -> dict[str, Any]:
        """By name, as the node has them."""
        return dict(vars(self))


def is_bfp(node: Any) -> bool:
    """Whether a NodeProto is the operator."""
    return (node.domain, node.op_type) == (DOMAIN, NAME)


def bfp_functions(nodes: Iterable[Any], opset: int) -> list[Any]:
    """The function that the operators among `nodes` call, importing `opset`.

    Raises:
        InputError: Q0612 when they do not all have the same attributes.
    """
    found = {attributes_of_node(node) for node in nodes if is_bfp(node)}
    if len(found) > 1:
        raise InputError(
            "Q0612",
            "operators BFPFixNeuron",
            f"{len(found)} formats",
            "one format in a model",
            "split the model",
        )
    return [_function(attributes, opset) for attributes in found]


def attributes_of_node(node: Any) -> BfpAttributes:
    """What the node says; absent attributes have their defaults."""
    known = BfpAttributes().as_node_attributes()
    return BfpAttributes(**{key: value for key, value in attributes_of(node).items() if key in known})


def _function(attributes: BfpAttributes, opset: int) -> Any:
    names = ", ".join(attributes.as_node_attributes())
    body = block_body(attributes.format, True, str(AXIS), str(AXIS + 1))
    head = f'<domain: "{DOMAIN}", opset_import: ["" : {max(opset, LEAST_OPSET)}]>'
    return parser.parse_function(f"{head} {NAME} <{names}> (x) => (y) {{ {body} }}")


def with_bfp_nodes(graph: Graph, names: Iterable[str], attributes: BfpAttributes) -> Graph:
    """A copy of `graph` whose values in `names`, constants included, are stored in blocks.

    Values without an axis 1 stay as they are. A value that is an output of the graph keeps its name.
    """
    chosen = {name for name in names if len(graph.value(name).shape or ()) > AXIS}
    made = Graph(graph.name, graph.values, (), graph.inputs, graph.outputs, graph.native)
    read: dict[str, str] = {}
    for name in graph.inputs:
        if name in chosen:
            read[name] = _store(made, name, f"{name}_DequantizeLinear_Output", attributes)
    for op in graph.ops:
        for name in dict.fromkeys(op.inputs):
            if name in chosen and name not in read and graph.value(name).is_const:
                read[name] = _store(made, name, f"{name}_DequantizeLinear_Output", attributes)
        raw = {name: _raw(made, name) for name in op.outputs if name in chosen and name in graph.outputs}
        inputs = tuple(read.get(name, name) for name in op.inputs)
        made.add_op(replace(op, inputs=inputs, outputs=tuple(raw.get(name, name) for name in op.outputs)))
        for name in op.outputs:
            if name in raw:
                read[name] = _store(made, raw[name], name, attributes)
            elif name in chosen:
                read[name] = _store(made, name, f"{name}_DequantizeLinear_Output", attributes)
    made.prune()
    return made


def _raw(made: Graph, name: str) -> str:
    """What the producer of an output makes."""
    fresh = f"{name}_QuantizeLinear_Input"
    made.set_value(Value(fresh, made.value(name).shape, made.value(name).dtype))
    return fresh


def _store(made: Graph, source: str, target: str, attributes: BfpAttributes) -> str:
    value = made.value(source)
    made.set_value(Value(target, value.shape, value.dtype))
    stem = target.removesuffix("_DequantizeLinear_Output")
    node = helper.make_node(
        NAME, [source], [target], f"{stem}_DequantizeLinear", domain=DOMAIN, **attributes.as_node_attributes()
    )
    origin = Origin((), MADE_BY, NativeNode(node, (0,)))
    said: dict[str, Attr] = {"format": str(attributes.format), "axis": AXIS}
    made.add_op(Op(KIND, node.name, (source,), (target,), said, origin))
    return target
