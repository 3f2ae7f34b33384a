from __future__ import annotations

import numpy as np
import pytest

from quantforge.diagnostics import InputError
from quantforge.graph import Graph, Op, Origin, QuantSpec, Value
from quantforge.graph.text import large_constants, parse_graph, print_graph
from quantforge.numerics.formats import BFLOAT16, INT8, UINT8
from quantforge.numerics.rounding import Rounding

W = np.arange(48, dtype=np.float32).reshape(16, 3, 1, 1)
TEXT = """\
graph "net"
input %x: float32[batch,3,?,8] @int8(position=5, rounding=half-up)
const %w: float32[16,3,1,1] @int8(scale=[0.5, 0.25], zero_point=[1, 2], axis=0) = sha256:DIGEST
const %b: float32[2] = [0.1, -0.0]
%conv:0: float32[batch,16,?,8] @uint8(scale=0.02, zero_point=128) = conv2d(%x, %w, _, %b) kernel=(1, 1) \
group=1 layout="NCHW"  # "Conv_12" by "fold-batch-norm"
%"a b": float32 @bfloat16, _, %m: bool[] = split(%conv:0) axis=-1 alpha=0.5 keep=true sizes=(3,)  \
# "Split/1" from "Split", "Sq\\"ueeze"
%y: int64[] = cast(%m) to="int64"  # "cast" from nothing by "a pass"
output %"a b", %y
"""


def graph() -> Graph:
    values = [
        Value("x", ("batch", 3, None, 8), quant=QuantSpec.power_of_two(INT8, 5, Rounding.HALF_UP)),
        Value("w", W.shape, "float32", W, QuantSpec(INT8, (0.5, 0.25), (1, 2), 0)),
        Value("b", (2,), "float32", np.array([0.1, -0.0], np.float32)),
        Value("conv:0", ("batch", 16, None, 8), quant=QuantSpec(UINT8, (0.02,), (128,))),
        Value("a b", None, quant=QuantSpec(BFLOAT16)),
        Value("m", (), "bool"),
        Value("y", (), "int64"),
    ]
    attrs = {"kernel": (1, 1), "group": 1, "layout": "NCHW"}
    split = {"axis": -1, "alpha": 0.5, "keep": True, "sizes": (3,)}
    ops = [
        Op(
            "conv2d",
            "Conv_12",
            ("x", "w", "", "b"),
            ("conv:0",),
            attrs,
            Origin(("Conv_12",), "fold-batch-norm"),
        ),
        Op("split", "Split/1", ("conv:0",), ("a b", "", "m"), split, Origin(("Split", 'Sq"ueeze'))),
        Op("cast", "cast", ("m",), ("y",), {"to": "int64"}, Origin((), "a pass")),
    ]
    return Graph("net", values, ops, ["x"], ["a b", "y"])


def test_the_text_is_readable_and_reads_back() -> None:
    constants = large_constants(graph())
    (digest,) = constants
    assert print_graph(graph()) == TEXT.replace("sha256:DIGEST", digest)
    back = parse_graph(print_graph(graph()), constants)
    assert print_graph(back) == print_graph(graph())
    assert back.value("w").const is W
    assert back.op("Split/1").attrs["keep"] is True
    assert back.value("conv:0").quant == graph().value("conv:0").quant


def test_constants_small_and_large() -> None:
    digest = next(iter(large_constants(graph())))
    text = f'graph "g"\nconst %w: float32[16,3,1,1] = {digest}\noutput\n'
    with pytest.raises(InputError) as error:
        parse_graph(text)
    assert str(error.value) == (
        f"Q0408 constant w: found {digest}, which is not among the 0 constants given; expected its data; "
        "try: pass large_constants(graph)"
    )
    with pytest.raises(InputError, match="Q0408 constant w"):
        parse_graph(text, {digest: W + 1})
    with pytest.raises(InputError, match="Q0408 constant w"):
        parse_graph(text, {digest: W.reshape(3, 16, 1, 1)})


def test_a_constant_unlike_its_value_keeps_its_own_type() -> None:
    odd = Graph("g", [Value("c", (3,), "float32", np.array([[1, 2]], np.int8))])
    assert "const %c: float32[3] = int8[1,2] [1, 2]\n" in print_graph(odd)
    back = parse_graph(print_graph(odd)).value("c")
    assert (
        back.const is not None
        and back.const.dtype == np.int8
        and back.const.shape == (1, 2)
        and back.shape == (3,)
    )


@pytest.mark.parametrize(
    ("line", "found", "expected"),
    [
        ("graph net", "'net'", "a string in quotes"),
        ("input x", "'x'", "a value name such as %x"),
        ("input %x float32", "'float32'", "':'"),
        ("input %x: float32[1", "the end of the line", "']'"),
        ("input %x: float32[1] @int8(places=3)", "'3'", "position, scale, zero_point, axis or rounding"),
        ("input %x: float32[1] @int8(rounding=up)", "'up'", "a rounding mode"),
        ("input %x: float32[1] @int8(scale=big)", "'big'", "a number"),
        ("const %c: float32[3] = [1, 2]", "the end of the line", "the elements of float32[3]"),
        ("const %c: int8[1] = [x]", "the end of the line", "the elements of int8[1]"),
        ("%y: float32 = relu(%x)", "the end of the line", "a word"),
        ("%y: float32 = relu(%x) alpha 3", "'3'", "'='"),
        ('%y: float32 = relu(%x)  # "r" with "p"', "'with'", "the end of the line"),
        ("output %y %z", "'%z'", "the end of the line"),
    ],
)
def test_a_line_out_of_form_is_quoted(line: str, found: str, expected: str) -> None:
    with pytest.raises(InputError) as error:
        parse_graph("\n" + line)
    assert str(error.value) == (
        f"Q0407 line 2: found {found}; expected {expected}; try: compare with the text of print_graph"
    )
