"""Tensors made from nothing but sizes: filled ones, ranges, triangles, and one spread over new sizes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import numpy_helper

from quantforge.frontends.torch.native import Ref, Size
from quantforge.frontends.torch.onnx_forms.writer import Writer

Form = Callable[[Writer], None]


def _filled(fill: float | None) -> Form:
    """full, zeros, ones, empty and their new_ forms."""

    def form(w: Writer) -> None:
        _fill(w, w.sizes(w.arg("size")), w.arg("fill_value") if fill is None else fill)

    return form


def _filled_like(fill: float | None) -> Form:
    def form(w: Writer) -> None:
        _fill(w, w.shape(w.value("self")), w.arg("fill_value") if fill is None else fill)

    return form


def _fill(w: Writer, shape: str, fill: Any) -> None:
    if isinstance(fill, Ref | Size):
        w.result("Expand", [w.operand(fill, w.dtype), shape])
    else:
        w.result("ConstantOfShape", [shape], value=numpy_helper.from_array(np.array([fill], w.dtype)))


def _scalar(w: Writer) -> None:
    w.results(w.operand(w.arg("s"), w.dtype))


def _range(w: Writer) -> None:
    """arange; the ends may be sizes."""
    start, end, step = (w.operand(w.arg(name, default), w.dtype) for name, default in _RANGE)
    w.result("Range", [start, end, step])


_RANGE = (("start", 0), ("end", None), ("step", 1))


def _triangle(upper: bool) -> Form:
    def form(w: Writer) -> None:
        x = w.cast(w.value("self"), "int64") if w.dtype == "bool" else w.value("self")
        w.results(w.node("Trilu", [x, w.constant(w.arg("diagonal", 0))], upper=int(upper)))

    return form


def _expand(w: Writer) -> None:
    """-1 keeps a size, as 1 does."""
    sizes = [1 if isinstance(size, int) and size == -1 else size for size in w.arg("size")]
    w.result("Expand", [w.value("self"), w.sizes(sizes)])


def _repeat(w: Writer) -> None:
    """repeat, with new axes in front where there are more numbers than axes."""
    repeats, x = w.arg("repeats"), w.value("self")
    extra = len(repeats) - w.rank()
    if extra:
        x = w.node("Unsqueeze", [x, w.constant(list(range(extra)))])
    w.result("Tile", [x, w.sizes(repeats)])


FORMS: dict[str, Form] = {
    **dict.fromkeys(("full", "new_full"), _filled(None)),
    **dict.fromkeys(("zeros", "new_zeros", "empty", "new_empty"), _filled(0)),
    **dict.fromkeys(("ones", "new_ones"), _filled(1)),
    "full_like": _filled_like(None),
    "zeros_like": _filled_like(0),
    "empty_like": _filled_like(0),
    "ones_like": _filled_like(1),
    "scalar_tensor": _scalar,
    "arange": _range,
    "tril": _triangle(False),
    "triu": _triangle(True),
    "expand": _expand,
    "repeat": _repeat,
}
