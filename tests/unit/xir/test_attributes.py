from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import xir
from quantforge.diagnostics import InputError
from xir.attributes import as_attr


@pytest.mark.parametrize(
    ("value", "kind", "back"),
    [
        (True, "bool", True),
        (3, "int32", 3),
        (-(2**40), "int64", -(2**40)),
        (2**63, "uint64", 2**63),
        (0.5, "double", 0.5),
        ("text", "string", "text"),
        (b"\x00", "bytes", b"\x00"),
        (bytearray(b"ab"), "bytes", b"ab"),
        (np.array([1, 2], np.int16), "bytes", b"\x01\x00\x02\x00"),
        (np.float32(0.5), "double", 0.5),
        ([1, 2], "int32_vec", [1, 2]),
        ((1, 2**40), "int64_vec", [1, 2**40]),
        ([1, 2**63], "uint64_vec", [1, 2**63]),
        ([True, False], "bool_vec", [True, False]),
        ([0.5], "double_vec", [0.5]),
        (["a"], "string_vec", ["a"]),
        ({"a": 1}, "map_string_2_int32", {"a": 1}),
        ({"a": "b"}, "map_string_2_string", {"a": "b"}),
        ({"a": b"b"}, "map_string_2_bytes", {"a": b"b"}),
    ],
)
def test_values_without_a_definition(value: Any, kind: str, back: Any) -> None:
    graph = xir.Graph("g").set_attr("key", value)
    assert graph.model.attrs["key"].kind == kind
    assert graph.get_attr("key") == back and graph.get_attrs() == {"key": back}
    assert graph.has_attr("key") and not graph.has_attr("other")


@pytest.mark.parametrize(
    "value", [[], {}, None, object(), [1, "a"], [1, 0.5], {"a": 0.5}, {"a": True}, 2**64]
)
def test_values_of_no_kind(value: Any) -> None:
    with pytest.raises(InputError, match=r"Q0922 g\.key: found XIR_UNSUPPORTED_TYPE"):
        xir.Graph("g").set_attr("key", value)


def test_a_definition_says_the_kind() -> None:
    assert as_attr([1, 2], "float_vec", "x").value == (1.0, 2.0)
    assert as_attr([], "int32_vec", "x").value == ()
    assert as_attr({"a": [1]}, "map_string_2_int32_vec", "x").value == {"a": (1,)}
    for kind, value in (("int32", 2**31), ("int32", 0.5), ("bytes", "text"), ("float", 1e40), ("string", 1)):
        with pytest.raises(InputError, match=r"Q0922.*XIR_UNSUPPORTED_TYPE"):
            as_attr(value, kind, "x")


def test_all_at_once_or_nothing() -> None:
    graph = xir.Graph("g").set_attr("old", 1)
    with pytest.raises(InputError, match="Q0922"):
        graph.set_attrs({"a": 1, "b": []})
    assert graph.get_attrs() == {"old": 1}
    assert graph.set_attrs({"a": 1, "b": "c"}).get_attrs() == {"a": 1, "b": "c"}


def test_what_is_handed_out_is_a_copy() -> None:
    graph = xir.Graph("g").set_attr("list", [1]).set_attr("dict", {"a": 1})
    graph.get_attr("list").append(2)
    graph.get_attr("dict")["b"] = 2
    assert graph.get_attrs() == {"list": [1], "dict": {"a": 1}}


def test_an_attribute_that_is_not_there() -> None:
    with pytest.raises(InputError, match=r"Q0922 g: found XIR_UNDEFINED_ATTR: no attribute 'b'.*\(a\)"):
        xir.Graph("g").set_attr("a", 1).get_attr("b")
