"""Who may import whom: the table [tool.quantforge.layers] of pyproject.toml, checked on the source."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "quantforge"
FRAMEWORKS = {"onnx", "onnx_ir", "onnxruntime", "torch", "tensorflow", "tf_keras", "keras", "jax"}
# Which frameworks a layer may import; the engines of the runtime run on ONNX Runtime.
FRAMEWORK_LAYERS = {"frontends": FRAMEWORKS, "runtime": {"onnx", "onnxruntime"}}
OPEN_TO_ALL = {"diagnostics"}
# The top of the package may name anything: it only says where the public names live.
TOP = {"__init__", "__main__"}


@cache
def layers() -> dict[str, list[str]]:
    table: dict[str, list[str]] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"][
        "quantforge"
    ]["layers"]
    return table


def sources() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def layer_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@cache
def imports(path: Path) -> tuple[tuple[int, str], ...]:
    """Every imported module, anywhere in the file, with its line."""
    return tuple(_imports(path))


def _imports(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            module = node.module or ""
            yield node.lineno, module
            if module == "quantforge":
                yield from ((node.lineno, f"quantforge.{alias.name}") for alias in node.names)


def test_every_part_of_the_package_has_a_row() -> None:
    parts = {layer_of(path) for path in sources()} - TOP
    assert parts - set(layers()) == set()


def test_the_table_has_no_cycle() -> None:
    left = {layer: set(may) - {layer} for layer, may in layers().items()}
    while left:
        free = {layer for layer, may in left.items() if not may & set(left)}
        assert free, f"these layers import each other in a circle: {sorted(left)}"
        left = {layer: may for layer, may in left.items() if layer not in free}


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_follow_the_table(path: Path) -> None:
    layer = layer_of(path)
    if layer in TOP:
        return
    allowed = {layer, *layers()[layer], *OPEN_TO_ALL}
    for line, module in imports(path):
        parts = module.split(".")
        if parts[0] == "quantforge" and len(parts) > 1:
            assert parts[1] in allowed, f"{path}:{line}: {layer} may not import {module}"


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_front_ends_and_engines_import_a_framework(path: Path) -> None:
    allowed = FRAMEWORK_LAYERS.get(layer_of(path), set())
    for line, module in imports(path):
        framework = module.split(".")[0]
        assert framework not in FRAMEWORKS - allowed, f"{path}:{line}: {module} belongs under frontends/"
