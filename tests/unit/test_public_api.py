"""What ``import quantforge`` gives: the names that were promised, and nothing heavy."""

from __future__ import annotations

import subprocess
import sys

import pytest

import quantforge

FRAMEWORKS = {"onnx", "onnx_ir", "onnxruntime", "torch", "tensorflow", "keras", "jax", "sklearn", "scipy"}
HEAVY = FRAMEWORKS | {"numba", "pydantic", "rich", "PIL", "click"}


def modules_after(code: str) -> set[str]:
    """The top-level modules that a fresh interpreter holds after running `code`."""
    program = f"{code}\nimport sys\nprint(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def test_import_brings_in_no_framework() -> None:
    assert modules_after("import quantforge") & HEAVY == set()


def test_a_diagnostic_is_explained_without_a_framework() -> None:
    assert modules_after("import quantforge; quantforge.explain('Q0101')") & HEAVY == set()


def test_the_command_line_starts_without_a_framework() -> None:
    code = "from quantforge.cli import main; main(['explain', 'Q0101'])"
    assert modules_after(code) & (HEAVY - {"click"}) == set()


@pytest.mark.parametrize("name", quantforge.__all__)
def test_every_public_name_is_there_and_documented(name: str) -> None:
    assert getattr(quantforge, name).__doc__


def test_the_list_of_names_is_complete() -> None:
    assert sorted(quantforge.__all__) == quantforge.__all__
    assert dir(quantforge) == quantforge.__all__
    assert set(quantforge._HOMES) == set(quantforge.__all__)


def test_an_unknown_name_says_what_there_is() -> None:
    with pytest.raises(AttributeError, match=r"no attribute 'quantise'; it has .*explain"):
        quantforge.quantise  # noqa: B018
