"""The table of codes and the source agree, and every code is tested somewhere."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from quantforge import diagnostics
from quantforge.diagnostics import InputError, QuantforgeError, explanations

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "src" / "quantforge" / "codes.toml"
CODE = re.compile(r"""["'](Q\d{4})["']""")
MENTION = re.compile(r"\bQ\d{4}\b")
SAYS_NOTHING = 40  # characters; a long form below this explains nothing


# These use codes as examples; they do not test an error's text.
EXAMPLES_ONLY = {"test_diagnostics.py", "test_public_api.py", "test_explain.py"}


def codes_in(folder: Path, pattern: re.Pattern[str]) -> set[str]:
    paths = [path for path in folder.rglob("*.py") if path.name not in EXAMPLES_ONLY]
    return {code for path in paths for code in pattern.findall(path.read_text("utf-8"))}


def test_every_code_used_is_explained() -> None:
    assert codes_in(ROOT / "src", CODE) - set(explanations()) == set()


def test_every_explained_code_is_used() -> None:
    assert set(explanations()) - codes_in(ROOT / "src", CODE) == set()


def test_every_code_is_in_a_test() -> None:
    assert set(explanations()) - codes_in(ROOT / "tests", MENTION) == set()


def test_the_table_is_in_order_and_says_something() -> None:
    assert list(explanations()) == sorted(explanations())
    for row in explanations().values():
        assert MENTION.fullmatch(row.code)
        assert row.title[0].isupper() and not row.title.endswith(".")
        assert len(row.text) >= SAYS_NOTHING, row.code


def test_a_code_is_defined_once() -> None:
    with pytest.raises(tomllib.TOMLDecodeError):
        tomllib.loads(TABLE.read_text("utf-8") + '\n[Q0001]\ntitle = "again"\n')


def test_an_error_carries_its_diagnostic() -> None:
    error = InputError("Q0101", "model.onnx", "12 bytes of text", "an ONNX model", "check the path")
    assert error.diagnostic.where == "model.onnx"
    assert str(error) == (
        "Q0101 model.onnx: found 12 bytes of text; expected an ONNX model; try: check the path"
    )
    assert isinstance(error, QuantforgeError)


def test_explain_suggests_the_nearest_code() -> None:
    with pytest.raises(InputError, match=r"Q0001 explain: found 'Q010'.* try: quantforge explain Q0"):
        diagnostics.explain("Q010")
