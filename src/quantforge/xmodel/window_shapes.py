"""Output shapes of convolutions and pools.

Along one axis of size n, with kernel k, stride s, dilation d, both pads together P and the reach k' = (k - 1) d + 1:

| pad_mode | window sliding forward | transposed |
| --- | --- | --- |
| FLOOR | floor((n + P - k') / s) + 1 | (n - 1) s + k' - P |
| CEIL | ceil((n + P - k') / s) + 1 | as FLOOR |
| SAME | ceil((n + P) / s) | n s |
| VALID | ceil((n + P - (k - 1) d) / s) | (n - 1) s + k |

Operators of fixed-point numbers (`-fix`) have no pad_mode and mean FLOOR.
"""

from __future__ import annotations

from collections.abc import Sequence

from quantforge.diagnostics import InputError
from quantforge.xmodel.catalogue import definition, setting
from quantforge.xmodel.model import XOp

Shape = tuple[int, ...]


def conv_shape(op: XOp, image: Shape, weights: Shape, bias: Shape | None) -> Shape:
    """[N, *windows, out channels] of any convolution.

    Args:
        op: The convolution; its kind says which.
        image: Shape of the input, channels last.
        weights: [out, *kernel, in / group]; depthwise [multiplier, *kernel, channels]. The kernel's axes are those of
            the image.
        bias: Shape of the bias, [out channels].

    Raises:
        InputError: Q0912 where the shapes do not fit each other.
    """
    rank = len(setting(op, "kernel")) + 2
    if len(image) != rank or len(weights) != rank:
        raise misfit(op, f"an input {list(image)} and weights {list(weights)}", f"{rank} axes each")
    kernel = _by_axis(setting(op, "kernel"))
    if weights[1:-1] != tuple(kernel):
        raise misfit(op, f"weights {list(weights)}", f"a kernel of {kernel} between first and last axis")
    depthwise = "depthwise" in op.kind
    groups = 1 if depthwise else whole(op, "group") or 1
    if image[-1] != weights[-1] * groups:
        raise misfit(
            op, f"{image[-1]} input channels", f"{weights[-1] * groups}, after the weights {list(weights)}"
        )
    channels = weights[0] * weights[-1] if depthwise else weights[0]
    if bias is not None and bias != (channels,):
        raise misfit(op, f"a bias {list(bias)}", f"[{channels}]")
    return (image[0], *_window_sizes(op, image, kernel), channels)


def pool_shape(op: XOp, image: Shape) -> Shape:
    """[N, *windows, C] of a pool; windows of 1 when it is global.

    Raises:
        InputError: Q0912 where kernel and image do not fit.
    """
    kernel = _by_axis(setting(op, "kernel"))
    if len(image) != len(kernel) + 2:
        raise misfit(op, f"an input {list(image)}", f"{len(kernel) + 2} axes")
    if setting(op, "global"):
        return (image[0], *([1] * len(kernel)), image[-1])
    return (image[0], *_window_sizes(op, image, kernel), image[-1])


def misfit(op: XOp, found: str, expected: str) -> InputError:
    """The error Q0912 of `op`."""
    return InputError("Q0912", f"{op.name} ({op.kind})", found, expected, "check the shapes and attributes")


def axis_of(op: XOp, axis: int, rank: int) -> int:
    """An axis that may count from the end, counted from the start.

    Raises:
        InputError: Q0912 when there is no such axis.
    """
    if not -rank <= axis < rank:
        raise misfit(op, f"axis {axis}", f"an axis of {rank}")
    return axis % rank


def whole(op: XOp, name: str) -> int | None:
    """An attribute that the definition may not name, so that its kind is still open; None when it is absent.

    Raises:
        InputError: Q0912 when it is no whole number or flag.
    """
    value = setting(op, name)
    if value is not None and not isinstance(value, int):
        raise misfit(op, f"{name} = {value!r}", "a whole number")
    return value


def _window_sizes(op: XOp, image: Shape, kernel: Sequence[int]) -> list[int]:
    mode = setting(op, "pad_mode") if "pad_mode" in definition(op.kind).attrs else "FLOOR"
    strides = _by_axis(setting(op, "stride"))
    dilations = _by_axis(setting(op, "dilation") or (1,) * len(kernel))
    pads = _by_axis([before + after for before, after in _pairs(setting(op, "pad"))])
    size = _transposed if op.kind.startswith("transposed") else _forward
    sizes = [size(mode, *axis) for axis in zip(image[1:-1], kernel, strides, dilations, pads, strict=True)]
    if min(sizes) < 1:
        raise misfit(op, f"an output of {sizes} windows", "an input at least as large as the kernel")
    return sizes


def _forward(mode: str, size: int, kernel: int, stride: int, dilation: int, pad: int) -> int:
    before_first = size + pad - (kernel - 1) * dilation  # positions where a window can start
    if mode == "SAME":
        return -(-(size + pad) // stride)
    if mode == "VALID":
        return -(-before_first // stride)
    room = before_first - 1
    return (-(-room // stride) if mode == "CEIL" else room // stride) + 1


def _transposed(mode: str, size: int, kernel: int, stride: int, dilation: int, pad: int) -> int:
    if mode == "SAME":
        return size * stride
    if mode == "VALID":
        return (size - 1) * stride + kernel
    return (size - 1) * stride + (kernel - 1) * dilation + 1 - pad


def _pairs(pads: Sequence[int]) -> list[tuple[int, int]]:
    return [(pads[i], pads[i + 1]) for i in range(0, len(pads), 2)]


def _by_axis(numbers: Sequence[int]) -> list[int]:
    """Numbers given as (w, h[, d]) in the order of the axes, h, w[, d]."""
    first, *rest = numbers
    return [first] if not rest else [rest[0], first, *rest[1:]]
