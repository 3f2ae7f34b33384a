from __future__ import annotations

from typing import Any

import pytest

from quantforge.diagnostics import InputError
from quantforge.xmodel.encode import encode, encode_attr
from quantforge.xmodel.model import XINT8, Attr, Subgraph, Tensor, XModel, XOp


def message(number: int, *parts: bytes) -> bytes:
    """A length-delimited field of fewer than 128 bytes, number below 16."""
    body = b"".join(parts)
    assert len(body) < 128
    return bytes([number << 3 | 2, len(body)]) + body


def expected_file() -> bytes:
    """m: x (data, XINT8 [1, 300], fix_point -1) -> y (relu); root lists both."""
    shape = message(3, message(1, b"shape"), message(2, message(14, message(1, b"\x01\xac\x02"))))
    kind = message(3, message(1, b"data_type"), message(2, message(11, b"XINT8")))
    minus_one = b"\xff" * 9 + b"\x01"
    fix_point = message(10, message(1, b"fix_point"), message(2, b"\x28" + minus_one))
    form = message(2, b"\x01\xac\x02") + b"\x28\x02\x30\x08"
    x = message(
        5,
        message(1, b"x"),
        message(2, b"data"),
        shape,
        kind,
        message(5, message(1, b"x"), form, fix_point),
    )
    read = message(4, message(1, b"input"), message(2, b"x"))
    y = message(5, message(1, b"y"), message(2, b"relu"), read, message(5, message(1, b"y"), form))
    root = message(10, message(1, b"root"), message(3, b"x"), message(3, b"y"))
    # a flag that is false is written all the same, and so is an empty text
    flag = message(11, message(1, b"flag"), message(2, b"\x20\x00"))
    empty = message(11, message(1, b"note"), message(2, message(11)))
    return message(1, b"m") + x + y + root + flag + empty


def test_a_small_file_byte_by_byte() -> None:
    model = XModel("m", attrs={"flag": Attr("bool", False), "note": Attr("string", "")})
    attrs = {"shape": Attr("int32_vec", (1, 300)), "data_type": Attr("string", "XINT8")}
    model.add(XOp("x", "data", Tensor("x", (1, 300), XINT8, {"fix_point": Attr("int32", -1)}), {}, attrs))
    model.add(XOp("y", "relu", Tensor("y", (1, 300), XINT8), {"input": ("x",)}))
    assert encode(model) == expected_file()


def test_a_tree_is_written_below_the_root() -> None:
    model = XModel("m", root=Subgraph("root", ["ignored"], [Subgraph("a", ["x"])]))
    assert encode(model).endswith(
        message(
            10, message(1, b"root"), message(3, b"ignored"), message(10, message(1, b"a"), message(3, b"x"))
        )
    )


def test_what_lives_in_memory_only_is_left_out() -> None:
    assert encode(XModel("m", attrs={"__batch__": Attr("int32", 1)})) == encode(XModel("m"))


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("int32", 2**31),
        ("int32", 1.5),
        ("int32", None),
        ("uint32", -1),
        ("uint64", 2**64),
        ("int64", -(2**63) - 1),
        ("bool", 2),
        ("float", 1e39),
        ("float", "1"),
        ("string", b"text"),
        ("string", "\ud800"),
        ("bytes", "text"),
        ("int32_vec", (1, 2**31)),
        ("float_vec", 3),
        ("string_vec", (1,)),
        ("bytes_vec", ("a",)),
        ("map_string_2_string", {"a": 1}),
        ("map_string_2_int32", {1: 1}),
        ("map_string_2_int32", (1,)),
        ("map_string_2_double", {"a": 1.0}),
        ("int8", 1),
    ],
)
def test_values_that_their_kind_cannot_hold(kind: str, value: Any) -> None:
    with pytest.raises(InputError, match="Q0913 x"):
        encode_attr(Attr(kind, value), "x")
