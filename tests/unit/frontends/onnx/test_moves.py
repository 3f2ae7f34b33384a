"""The reshape family: attributes in canonical form."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from quantforge.frontends.onnx import import_model

from .text_models import kinds, model, random, round_trip

X = {"x": random(2, 3, 4, 6)}


def only(node: str, opset: int = 18, shape: str = "N,3,4,6", **arrays: Any) -> tuple[str, dict[str, Any]]:
    fixed = {
        name: np.asarray(value, np.int64 if isinstance(value, list) else None)
        for name, value in arrays.items()
    }
    graph = round_trip(model(f"g (float[{shape}] x) => (y) {{ {node} }}", opset=opset, **fixed), X)
    return graph.ops[0].kind, dict(graph.ops[0].attrs)


@pytest.mark.parametrize(
    ("node", "arrays", "want"),
    [
        ("y = Reshape(x, k)", {"k": [0, -1, 6]}, ("reshape", {"shape": (0, -1, 6)})),
        ("y = Flatten<axis = -2>(x)", {}, ("flatten", {"axis": 2})),
        ("y = Unsqueeze(x, k)", {"k": [-1, 0]}, ("unsqueeze", {"axes": (5, 0)})),
        ("y = Transpose(x)", {}, ("transpose", {"order": (3, 2, 1, 0)})),
        ("y = Transpose<perm = [0, 2, 3, 1]>(x)", {}, ("transpose", {"order": (0, 2, 3, 1)})),
        ("y = Gather<axis = -1>(x, k)", {"k": [0, 2]}, ("gather", {"axis": 3})),
        ("y = Tile(x, k)", {"k": [1, 2, 1, 1]}, ("tile", {"repeats": (1, 2, 1, 1)})),
        ("y = Expand(x, k)", {"k": [1, 3, 1, 1]}, ("expand", {"shape": (1, 3, 1, 1)})),
        ("y = Concat<axis = -3>(x, x)", {}, ("concat", {"axis": 1})),
        ("y = DepthToSpace<blocksize = 1>(x)", {}, ("pixel-shuffle", {"scale": 1, "mode": "DCR"})),
        ("y = SpaceToDepth<blocksize = 2>(x)", {}, ("space-to-depth", {"scale": 2})),
        ("y = Cast<to = 7>(x)", {}, ("cast", {"to": "int64"})),
    ],
)
def test_canonical_attributes(node: str, arrays: dict[str, Any], want: tuple[str, dict[str, Any]]) -> None:
    assert only(node, **arrays) == want


def test_slices_are_cut_to_known_sizes_only() -> None:
    kind, attrs = only("y = Slice(x, b, e, a, s)", b=[-3, 0], e=[2**62, 2**62], a=[2, 0], s=[2, 1])
    assert kind == "strided-slice"
    assert attrs == {"begin": (1, 0), "end": (4, 2**62), "strides": (2, 1), "axes": (2, 0)}
    assert only("y = Slice(x, b, e, a, s)", b=[-1], e=[-100], a=[-1], s=[-1])[1]["strides"] == (-1,)


def test_pads_are_given_for_every_axis() -> None:
    kind, attrs = only("y = Pad(x, p, , a)", p=[1, 2, 3, 4], a=[-1, 2])
    assert (kind, attrs["pads"], attrs["value"]) == ("pad", (0, 0, 2, 1, 0, 0, 4, 3), 0.0)
    assert only("y = Pad(x, p, v)", p=[0, 1, 0, 0, 0, 0, 0, 0], v=np.float32(2.5))[1]["value"] == 2.5
    assert only('y = Pad<mode = "wrap">(x, p)', opset=19, p=[0, 0, 1, 1, 0, 0, 1, 1])[0] == "opaque"


def test_splits_name_their_sizes() -> None:
    proto = model("g (float[2,3,4,6] x) => (a, b) { a, b = Split<axis = -1, num_outputs = 2>(x) }", opset=18)
    assert dict(round_trip(proto, X).ops[0].attrs) == {"axis": 3, "sizes": (3, 3)}
    proto = model("g (float[2,3,4,6] x) => (a, b) { a, b = Split<axis = 1, num_outputs = 2>(x) }", opset=18)
    assert round_trip(proto, X).ops[0].attrs["sizes"] == (2, 1)


@pytest.mark.parametrize(
    ("node", "attrs"),
    [
        (
            "Resize(x, , k)",
            {"mode": "nearest", "coordinate": "half_pixel", "nearest_mode": "round_prefer_floor"},
        ),
        (
            'Resize<mode = "linear", coordinate_transformation_mode = "align_corners">(x, , k)',
            {"mode": "linear"},
        ),
        ('Resize<mode = "cubic">(x, , k)', {"mode": "cubic", "scales": (1.0, 1.0, 2.0, 2.0)}),
    ],
)
def test_resizes(node: str, attrs: dict[str, Any]) -> None:
    kind, found = only(f"y = {node}", k=np.array([1, 1, 2, 2], np.float32))
    assert kind == "resize" and attrs.items() <= found.items()


def test_resize_forms_outside_the_table_are_opaque() -> None:
    scales = np.array([1, 1, 0.5, 0.5], np.float32)
    assert only('y = Resize<mode = "linear", antialias = 1>(x, , k)', k=scales)[0] == "opaque"


def test_sizes_on_some_axes_are_completed() -> None:
    proto = model(
        "g (float[2,3,4,6] x) => (y) <int64[2] s = {8, 9}> { y = Resize<axes = [2, 3]>(x, , , s) }", opset=18
    )
    assert round_trip(proto, X).ops[0].attrs["sizes"] == (2, 3, 8, 9)


def test_squeeze_without_axes() -> None:
    proto = model("g (float[1,3,1] x) => (y) { y = Squeeze(x) }")
    assert round_trip(proto, {"x": random(1, 3, 1)}).ops[0].attrs["axes"] == (0, 2)
    proto = model("g (float[N,3,1] x) => (y) { y = Squeeze(x) }")
    assert kinds(import_model(proto)) == ["opaque"]
