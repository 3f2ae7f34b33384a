from __future__ import annotations

import json

import pytest

from quantforge.compiler.options import ANY_INPUT, CompileOptions, parse_options
from quantforge.diagnostics import InputError


def test_the_documented_form() -> None:
    text = json.dumps(
        {
            "input_shape": "1,224,224,3",
            "output_ops": "a, b",
            "plugins": "p0,p1",
            "prefetch": "true",
            "hd_opt": "false",
        }
    )
    assert parse_options(text) == CompileOptions(
        {ANY_INPUT: (1, 224, 224, 3)}, ("a", "b"), ("p0", "p1"), prefetch=True, hd_opt=False
    )


def test_json_values_and_nothing() -> None:
    assert parse_options(None) == parse_options("") == parse_options("{}") == CompileOptions()
    found = parse_options('{"input_shape": {"x": [1, 3]}, "output_ops": ["a"], "prefetch": false}')
    assert found == CompileOptions({"x": (1, 3)}, ("a",), prefetch=False)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{", "character"), ("[1]", "[1]"), ('{"prefech": "true"}', "'prefech'"), ('{"prefetch": "yes"}', "'yes'"),
        ('{"input_shape": "1,x"}', "'1,x'"), ('{"input_shape": "0,3"}', "'0,3'"), ('{"input_shape": 3}', "3"),
        ('{"output_ops": 7}', "7"), ('{"plugins": [1]}', "[1]"),
    ],
)  # fmt: skip
def test_mistakes(text: str, found: str) -> None:
    with pytest.raises(InputError, match="Q1103") as error:
        parse_options(text)
    assert found in error.value.diagnostic.found


def test_the_nearest_key_is_named() -> None:
    with pytest.raises(InputError) as error:
        parse_options('{"prefech": "true"}')
    assert "'prefetch'" in error.value.diagnostic.fix
