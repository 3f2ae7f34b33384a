from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from .checks import kinds, lowered, only

COORDINATES = ["asymmetric", "half_pixel", "align_corners", "pytorch_half_pixel"]


def pad(pads: list[int], mode: str, **arrays: Any) -> Any:
    value = ", v" if "v" in arrays else ""
    text = f'g (float[1,3,4,5] x) => (y) {{ y = Pad <mode = "{mode}"> (x, p{value}) }}'
    return lowered(text, p=np.array(pads), **arrays)


def test_paddings_are_pairs_in_the_order_of_memory() -> None:
    op = only(pad([0, 1, 2, 3, 0, 4, 5, 6], "constant", v=np.float32(1.5)), "pad")
    assert op.get("paddings") == (0, 0, 2, 5, 3, 6, 1, 4) and op.get("mode") == "CONSTANT"
    assert op.get("constant_values") == (1.5,) * 8


@pytest.mark.parametrize(
    ("pads", "mode", "kind"),
    [
        ([0, 0, 1, 2, 0, 0, 3, 0], "reflect", "REFLECT"),
        ([0, 0, 1, 0, 0, 0, 1, 1], "edge", "SYMMETRIC"),
        ([0, 0, 2, 0, 0, 0, 1, 1], "edge", ""),
        ([0, 0, -1, 0, 0, 0, 1, 1], "constant", ""),
    ],
)
def test_modes(pads: list[int], mode: str, kind: str) -> None:
    made = pad(pads, mode)
    assert only(made, "pad").get("mode") == kind if kind else "onnx:Pad" in kinds(made)


def resize(mode: str, coordinate: str, size: str = "4,5", more: str = "", **arrays: Any) -> Any:
    given = "x, , s" if "s" in arrays else "x, , , z"
    arrays = {"s": np.array(arrays["s"], np.float32)} if "s" in arrays else {"z": np.array(arrays["z"])}
    return lowered(
        f"""g (float[1,3,{size}] x) => (y) {{
            y = Resize <mode = "{mode}", coordinate_transformation_mode = "{coordinate}"{more}> ({given}) }}""",
        **arrays,
    )


@pytest.mark.parametrize("coordinate", COORDINATES)
@pytest.mark.parametrize("scale", [2.0, 3.0, 0.5])
def test_interpolation(coordinate: str, scale: float) -> None:
    op = only(resize("linear", coordinate, "4,6", s=[1, 1, scale, 2.0]), "resize")
    assert op.get("mode") == "BILINEAR" and op.get("scale") == (2.0, scale)
    assert op.get("align_corners") is (coordinate == "align_corners")
    assert op.get("half_pixel_centers") is coordinate.endswith("half_pixel")


@pytest.mark.parametrize(
    ("coordinate", "rounding", "scale"),
    [
        ("asymmetric", "floor", 2.0),
        ("half_pixel", "round_prefer_floor", 2.0),
        ("half_pixel", "round_prefer_ceil", 3.0),
        ("asymmetric", "floor", 0.5),
        ("align_corners", "round_prefer_ceil", 2.0),
    ],
)
def test_nearest_takes_the_same_elements(coordinate: str, rounding: str, scale: float) -> None:
    made = resize("nearest", coordinate, "4,6", f', nearest_mode = "{rounding}"', s=[1, 1, scale, scale])
    assert kinds(made) == {"resize": 1} and only(made, "resize").get("mode") == "NEAREST"


def test_sizes_give_the_scale() -> None:
    op = only(resize("nearest", "asymmetric", more=', nearest_mode = "floor"', z=[1, 3, 8, 15]), "resize")
    assert op.get("scale") == (3.0, 2.0)


@pytest.mark.parametrize(
    ("mode", "coordinate", "more", "target"),
    [
        ("cubic", "half_pixel", "", {"s": [1, 1, 2, 2]}),
        ("nearest", "asymmetric", ', nearest_mode = "ceil"', {"s": [1, 1, 2, 2]}),
        ("linear", "half_pixel", "", {"s": [1, 1, 0.6, 0.6]}),  # 4 * 0.6 is no whole number
        ("linear", "pytorch_half_pixel", "", {"z": [1, 3, 1, 5]}),
    ],
)
def test_what_xir_computes_otherwise_stays_an_onnx_node(
    mode: str, coordinate: str, more: str, target: dict[str, Any]
) -> None:
    assert "onnx:Resize" in kinds(resize(mode, coordinate, more=more, **target))


def test_volumes() -> None:
    made = lowered(
        'g (float[1,2,3,4,5] x) => (y) { y = Resize <mode = "linear"> (x, , s) }',
        s=np.array([1, 1, 2, 3, 1], np.float32),
    )
    assert only(made, "resize").get("scale") == (1.0, 3.0, 2.0)


def test_space_and_channels() -> None:
    made = lowered(
        """g (float[1,8,4,6] x) => (a, b, c) {
            a = DepthToSpace <blocksize = 2> (x)
            b = DepthToSpace <blocksize = 2, mode = "CRD"> (x)
            c = SpaceToDepth <blocksize = 2> (x) }""",
    )
    assert kinds(made) == {"gstiling": 2, "pixel-shuffle": 1}
    assert [made.ops[name].get("reverse") for name in "ac"] == [True, False]
