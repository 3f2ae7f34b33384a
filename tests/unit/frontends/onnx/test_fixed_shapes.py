"""Open sizes that become fixed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import pytest

from quantforge.diagnostics import InputError
from quantforge.frontends.onnx.fixed_shapes import fix_file, fix_shapes

from .text_models import model, random, run

TEXT = "g (float[N, 3, H, W] x, float[N, 5] z) => (float[N, 3, P, Q] y, float[N, K] t) "
TEXT += "{ y = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (x) t = Concat <axis = 1> (z, z) }"
SHAPES = {"x": [2, 3, 8, 6], "z": [2, 5]}


def sizes(proto: Any) -> dict[str, list[Any]]:
    infos = (*proto.graph.input, *proto.graph.output)
    return {
        info.name: [
            dim.dim_value if dim.HasField("dim_value") else dim.dim_param
            for dim in info.type.tensor_type.shape.dim
        ]
        for info in infos
    }


def test_outputs_follow(tmp_path: Path) -> None:
    onnx.save(model(TEXT), tmp_path / "open.onnx")
    fixed = onnx.load(fix_file(tmp_path / "open.onnx", tmp_path / "fixed.onnx", SHAPES))
    onnx.checker.check_model(fixed, full_check=True)
    assert sizes(fixed) == {"x": [2, 3, 8, 6], "z": [2, 5], "y": [2, 3, 4, 3], "t": [2, 10]}
    assert run(fixed, {"x": random(2, 3, 8, 6), "z": random(2, 5)})[0].shape == (2, 3, 4, 3)


def test_one_name_is_one_size() -> None:
    fixed = fix_shapes(model(TEXT), {"x": [2, 3, 8, 6]})
    assert sizes(fixed)["z"] == [2, 5], "N is known from x"
    assert sizes(model(TEXT))["x"][0] == "N", "the source is not changed"


@pytest.mark.parametrize(
    ("shapes", "found"),
    [
        ({"y": [1]}, "input 'y': found no input of this name"),
        ({"x": [2, 3, 8]}, r"input 'x': found the shape \[2, 3, 8\]"),
        ({"x": [2, 4, 8, 6]}, "expected sizes that fit"),
        ({"x": [2, 3, 8, 0]}, "expected sizes that fit"),
        ({"x": [2, 3, 8, 6], "z": [4, 5]}, "input 'z'"),
    ],
)
def test_shapes_that_do_not_fit(shapes: dict[str, list[int]], found: str) -> None:
    with pytest.raises(InputError, match=f"Q0614 .*{found}"):
        fix_shapes(model(TEXT), shapes)


def test_a_file_that_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("hello")
    with pytest.raises(InputError, match=r"Q0101 .*text.onnx"):
        fix_file(tmp_path / "text.onnx", tmp_path / "fixed.onnx", SHAPES)
