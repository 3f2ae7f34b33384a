from __future__ import annotations

import pytest

from quantforge.diagnostics import InputError
from quantforge.xmodel.decode import decode
from quantforge.xmodel.encode import encode
from quantforge.xmodel.model import Attr, Subgraph, Tensor, XModel, XOp
from quantforge.xmodel.wire import Source, bytes_field, integer_field, text_field
from tests.unit.xmodel.samples import every_kind, small


def read(data: bytes) -> XModel:
    return decode(Source("test", data))


def entry(value: bytes) -> bytes:
    return bytes_field(11, text_field(1, "key") + bytes_field(2, value))


def op(*parts: bytes, tensor: bytes | None = b"\x0a\x01x") -> bytes:
    body = text_field(1, "x") + text_field(2, "data") + b"".join(parts)
    return bytes_field(5, body + (b"" if tensor is None else bytes_field(5, tensor)))


def test_every_kind_of_attribute_in_every_place() -> None:
    kinds = every_kind()
    assert len(kinds) == 29
    model = XModel("m", attrs=dict(kinds))
    model.add(XOp("x", "data", Tensor("t", (2**32 - 1, 1), attrs=dict(kinds)), {}, dict(kinds)))
    model.root = Subgraph("root", [], [Subgraph("a", ["x"], attrs=dict(kinds))], dict(kinds))
    assert read(encode(model)) == model


def test_numbers_that_are_not_packed() -> None:
    vector = integer_field(1, 7) + integer_field(1, -1)
    found = read(op() + entry(bytes_field(14, vector)))
    assert found.attrs["key"] == Attr("int32_vec", (7, -1))
    assert read(op(tensor=integer_field(2, 3) + integer_field(2, 4))).ops["x"].tensor.shape == (3, 4)


def test_the_last_member_of_the_union_wins_and_other_fields_are_skipped() -> None:
    value = integer_field(5, 1) + integer_field(99, 4) + text_field(11, "a") + text_field(11, "b")
    assert read(op() + entry(value) + bytes_field(101, b"\xff")).attrs["key"] == Attr("string", "b")


def test_what_a_map_leaves_out_is_empty() -> None:
    for number, value in ((22, 0), (26, ""), (27, b""), (28, ())):
        found = read(op() + entry(bytes_field(number, bytes_field(1, text_field(1, "a"))))).attrs["key"]
        assert found.value == {"a": value}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "Q0901 test, byte 0: found neither operators nor a subgraph tree"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Q0901 test, byte"),
        (text_field(1, "only a name"), "Q0901 test, byte 0"),
        (integer_field(1, 7), "Q0901 test, byte 0: found field 1 as a varint"),
        (op(tensor=None), "Q0901 test, byte 2: found an operator without an output tensor"),
        (bytes_field(5, text_field(1, "x")), "found an operator without a type"),
        (bytes_field(5, text_field(2, "x")), "found an operator without a name"),
        (op(bytes_field(5, b"")), "found a second output tensor"),
        (op(tensor=integer_field(5, 7)), "found data type 7; expected a number from 0 to 6"),
        (op(tensor=integer_field(6, -1)), "found elements of -1 bits"),
        (op(tensor=integer_field(6, 65)), "found elements of 65 bits"),
        (op() + bytes_field(10, b"") + bytes_field(10, b""), "found a second subgraph tree"),
        (op() + op(), "Q0904 test, byte 16: found a second operator named 'x'"),
        (
            op() + bytes_field(11, text_field(1, "key")),
            "Q0911 test, byte 18: found attribute 'key' without a",
        ),
        (op() + entry(b""), "Q0911.*attribute 'key' without a value"),
        (op() + entry(integer_field(99, 1)), "Q0911"),
        (op() + entry(text_field(5, "a")), "found field 5 as a length-delimited value; expected a varint"),
        (op() + entry(bytes_field(18, b"\x0a\x03abc")), "a multiple of 4 bytes"),
    ],
)
def test_broken_files(data: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(data)


def test_a_tree_that_is_too_deep() -> None:
    tree = text_field(1, "leaf")
    for _ in range(5000):
        tree = bytes_field(10, tree)
    with pytest.raises(InputError, match=r"Q0909 test, byte \d+: found a deeper subgraph"):
        read(tree)


def test_every_truncation_of_a_small_file_has_a_code() -> None:
    whole = encode(small())
    for length in range(len(whole)):
        try:
            read(whole[:length])
        except InputError as error:
            assert error.diagnostic.code == "Q0901"
