from __future__ import annotations

from typing import Any

import pytest

from quantforge.diagnostics import InputError
from quantforge.graph import Graph
from tests.networks import Net
from vai_q_onnx.selection import overrides_of


def graph() -> Graph:
    """c1 -> r1 -> (c2, p) -> a -> v."""
    net = Net()
    first = net.add("relu", "r1", (net.conv("c1", "x", 4),))
    both = net.add("eltwise-add", "a", (net.conv("c2", first, 4), net.add("maxpool2d", "p", (first,))))
    return net.done(net.add("reshape", "v", (both,), shape=(0, -1)))


def kept_float(**arguments: Any) -> list[str]:
    net = graph()
    kinds = {
        "conv2d": "Conv",
        "relu": "Relu",
        "eltwise-add": "Add",
        "maxpool2d": "MaxPool",
        "reshape": "Reshape",
    }
    left = arguments.pop("left", {op.name for op in net.ops})
    found = overrides_of(net, lambda op: kinds[op.kind], left, **arguments)
    assert all(override.keep_float for override in found)
    return [str(override.op) for override in found]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, []),
        ({"nodes_to_exclude": ["c2"]}, ["c2"]),
        ({"nodes_to_quantize": ["c1", "r1"]}, ["c2", "p", "a", "v"]),
        ({"op_types_to_quantize": ["Conv", "Relu"]}, ["p", "a"]),
        ({"input_nodes": ["c2"]}, ["c1", "r1", "p"]),
        ({"input_nodes": ["c2", "p"]}, ["c1", "r1"]),
        ({"input_nodes": ["x"]}, []),
        ({"output_nodes": ["r1"]}, ["c2", "p", "a", "v"]),
        ({"output_nodes": ["p"]}, ["c2", "a", "v"]),
        ({"output_nodes": ["v.out"]}, []),
        (
            {"input_nodes": ["c2"], "output_nodes": ["a"], "nodes_to_exclude": ["a"]},
            ["c1", "r1", "p", "a", "v"],
        ),
        ({"nodes_to_exclude": ["c1", "c2"], "left": {"c2", "a"}}, ["c2"]),
        ({"op_types_to_quantize": ["Conv", "Gemm"]}, ["r1", "p", "a"]),
    ],
)
def test_what_stays_float(arguments: dict[str, Any], expected: list[str]) -> None:
    assert kept_float(**arguments) == expected


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            {"nodes_to_exclude": ["c3"]},
            "Q0706 nodes_to_exclude: found 'c3'; expected a name that the model has; try: 'c",
        ),
        ({"nodes_to_quantize": ["r"]}, "Q0706 nodes_to_quantize: found 'r'; .*try: 'r1'"),
        ({"input_nodes": ["y"]}, "Q0706 input_nodes: found 'y'; .*`quantforge show MODEL` lists them"),
        ({"output_nodes": ["v.ou"]}, "Q0706 output_nodes: found 'v.ou'; .*try: 'v.out'"),
        (
            {"op_types_to_quantize": ["Convolution"]},
            "Q0706 op_types_to_quantize: found 'Convolution'; .*try: 'Conv'",
        ),
    ],
)
def test_a_name_that_matches_nothing_is_an_error(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(InputError, match=text):
        kept_float(**arguments)


def test_a_name_with_brackets_matches_itself_alone() -> None:
    net = Net()
    net.conv("c[1]", "x", 4)
    found = overrides_of(net.done("c[1].out"), lambda op: op.kind, {"c[1]"}, nodes_to_exclude=["c[1]"])
    assert [override.op for override in found] == ["c[[]1]"]
