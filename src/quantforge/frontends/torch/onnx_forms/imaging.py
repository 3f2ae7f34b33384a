"""Windows and samples of images: adaptive pooling, sampling by coordinates, windows as columns."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from quantforge.frontends.torch.onnx_forms.writer import Writer
from quantforge.graph import Array

Form = Callable[[Writer], None]


def windows(size: int, goal: int) -> list[tuple[int, int]]:
    """Begin and end of each window of adaptive pooling: floor(i size / goal) to ceil((i + 1) size / goal).

    >>> windows(5, 3)
    [(0, 2), (1, 4), (3, 5)]
    """
    return [(index * size // goal, -(-(index + 1) * size // goal)) for index in range(goal)]


def averaging(size: int, goal: int) -> Array:
    """The matrix [goal, size] of adaptive average pooling along one axis, float32."""
    matrix = np.zeros((goal, size), np.float32)
    for row, (begin, end) in zip(matrix, windows(size, goal), strict=True):
        row[begin:end] = 1.0 / (end - begin)
    return matrix


def _adaptive_average(spatial: int) -> Form:
    """A matrix product along each axis: rows @ x @ columns."""

    def form(w: Writer) -> None:
        x, rank = w.value("self"), w.rank()
        goals = w.arg("output_size")
        for index, goal in enumerate(goals):
            axis = rank - spatial + index
            matrix = w.constant(averaging(w.known_size(axis), int(goal)), w.dtype)
            x = _along(w, x, matrix, axis, rank)
        w.results(x)

    return form


def _along(w: Writer, x: str, matrix: str, axis: int, rank: int) -> str:
    """The matrix times `x` along one axis."""
    order = [index for index in range(rank) if index != axis] + [axis]
    last = axis == rank - 1
    moved = x if last else w.node("Transpose", [x], perm=order)
    found = w.node("MatMul", [moved, w.node("Transpose", [matrix], perm=[1, 0])])
    return found if last else w.node("Transpose", [found], perm=[order.index(index) for index in range(rank)])


def _adaptive_maximum(spatial: int) -> Form:
    """The largest element of each window, joined along each axis; positions are not expressed."""

    def form(w: Writer) -> None:
        x, rank = w.value("self"), w.rank()
        for index, goal in enumerate(w.arg("output_size")):
            axis = rank - spatial + index
            parts = []
            for begin, end in windows(w.known_size(axis), int(goal)):
                rows = (w.constant([begin]), w.constant([end]), w.constant([axis]))
                parts.append(w.node("ReduceMax", [w.node("Slice", [x, *rows])], axes=[axis], keepdims=1))
            x = w.node("Concat", parts, axis=axis)
        w.results(x)

    return form


def _average_pool(w: Writer) -> None:
    """avg_pool with a divisor of its own: the mean over the whole window times its size over the divisor."""
    kernel = w.arg("kernel_size")
    spatial = w.rank() - 2
    kernel = list(kernel) * (spatial // len(kernel))
    stride, pads = (list(w.arg(name) or default) for name, default in (("stride", kernel), ("padding", [0])))
    pads = pads * (spatial // len(pads))
    stride = stride * (spatial // len(stride))
    ceil = int(bool(w.arg("ceil_mode", False)))
    mean = w.node(
        "AveragePool", [w.value("self")], kernel_shape=kernel, strides=stride, pads=pads * 2, count_include_pad=1,
        ceil_mode=ceil,
    )  # fmt: skip
    factor = float(np.prod(kernel)) / float(w.arg("divisor_override"))
    w.result("Mul", [mean, w.constant(factor, w.dtype)])


def _grid_sample(w: Writer) -> None:
    modes, borders = ("bilinear", "nearest", "bicubic"), ("zeros", "border", "reflection")
    w.result(
        "GridSample",
        [w.value("input"), w.value("grid")],
        mode=modes[int(w.arg("interpolation_mode", 0))],
        padding_mode=borders[int(w.arg("padding_mode", 0))],
        align_corners=int(bool(w.arg("align_corners", False))),
    )


def _columns(w: Writer) -> None:
    """im2col: every window as a column [N, C kh kw, L], gathered along both axes."""
    kernel, dilation, stride = (w.arg(name) for name in ("kernel_size", "dilation", "stride"))
    padding = w.arg("padding")
    x = w.value("self")
    if any(padding):
        border = w.constant([0, 0, *padding, 0, 0, *padding])
        x = w.node("Pad", [x, border])
    sizes = [w.known_size(2 + i) + 2 * padding[i] for i in range(2)]
    counts = [(sizes[i] - dilation[i] * (kernel[i] - 1) - 1) // stride[i] + 1 for i in range(2)]
    rows, columns = (
        np.arange(kernel[i])[:, None] * dilation[i] + np.arange(counts[i]) * stride[i] for i in range(2)
    )
    x = w.node("Gather", [x, w.constant(rows)], axis=2)  # N C kh h W
    x = w.node("Gather", [x, w.constant(columns)], axis=4)  # N C kh h kw w
    x = w.node("Transpose", [x], perm=[0, 1, 2, 4, 3, 5])
    depth = w.known_size(1) * kernel[0] * kernel[1]
    w.result("Reshape", [x, w.constant([0, depth, counts[0] * counts[1]])])


FORMS: dict[str, Form] = {
    **{f"adaptive_avg_pool{rank}d": _adaptive_average(rank) for rank in (1, 2, 3)},
    **{f"_adaptive_avg_pool{rank}d": _adaptive_average(rank) for rank in (2, 3)},
    **{f"adaptive_max_pool{rank}d": _adaptive_maximum(rank) for rank in (1, 2, 3)},
    **{f"avg_pool{rank}d": _average_pool for rank in (1, 2, 3)},
    "grid_sampler_2d": _grid_sample,
    "im2col": _columns,
}
