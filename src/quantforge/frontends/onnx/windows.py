"""Kinds of sliding-window operators: convolutions and pooling."""

from __future__ import annotations

from quantforge.frontends.onnx.view import Mapped, NodeView
from quantforge.graph import Attr, Shape

_LAYOUT = {1: "NCW", 2: "NCHW", 3: "NCDHW"}
_WEIGHTS = {1: "OIW", 2: "OIHW", 3: "OIDHW"}
_WEIGHTS_TRANSPOSED = {1: "IOW", 2: "IOHW", 3: "IODHW"}


def convolution(view: NodeView) -> Mapped:
    """Conv."""
    weights = view.weight(1)
    dims = weights.ndim - 2
    view.require(dims in _LAYOUT, f"{dims} spatial dimensions")
    kernel = tuple(int(k) for k in weights.shape[2:])
    group = int(view.attr("group", 1))
    attrs = _window(view, kernel, dims)
    attrs |= {"group": group, "layout": _LAYOUT[dims], "weight_layout": _WEIGHTS[dims]}
    depthwise = group > 1 and weights.shape[1] == 1
    return Mapped(f"{'depthwise-' if depthwise else ''}conv{dims}d", attrs, _with_bias(view))


def transposed_convolution(view: NodeView) -> Mapped:
    """ConvTranspose, with its output_shape and auto_pad forms resolved into pads."""
    weights = view.weight(1)
    dims = weights.ndim - 2
    view.require(dims in _LAYOUT, f"{dims} spatial dimensions")
    kernel = tuple(int(k) for k in weights.shape[2:])
    group = int(view.attr("group", 1))
    stride = view.ints("strides") or (1,) * dims
    dilation = view.ints("dilations") or (1,) * dims
    extra = view.ints("output_padding") or (0,) * dims
    auto, target = view.attr("auto_pad", "NOTSET"), view.ints("output_shape")
    pads = view.ints("pads") or (0,) * 2 * dims
    if target is not None or auto.startswith("SAME"):
        sizes = _known_spatial(view, dims)
        begins, ends = [], []
        for i in range(dims):
            goal = target[-dims:][i] if target is not None else sizes[i] * stride[i]
            total = stride[i] * (sizes[i] - 1) + extra[i] + (kernel[i] - 1) * dilation[i] + 1 - goal
            view.require(total >= 0, "an output_shape larger than the input reaches")
            small, large = total // 2, total - total // 2
            begins.append(
                large if auto == "SAME_LOWER" or (target is not None and auto != "SAME_UPPER") else small
            )
            ends.append(total - begins[-1])
        pads = (*begins, *ends)
    attrs: dict[str, Attr] = {
        "kernel": kernel,
        "stride": stride,
        "dilation": dilation,
        "pads": pads,
        "output_padding": extra,
        "group": group,
        "layout": _LAYOUT[dims],
        "weight_layout": _WEIGHTS_TRANSPOSED[dims],
    }
    depthwise = group > 1 and group == weights.shape[0]
    return Mapped(f"transposed-{'depthwise-' if depthwise else ''}conv{dims}d", attrs, _with_bias(view))


def pool(view: NodeView) -> Mapped:
    """MaxPool and AveragePool."""
    view.only_output()
    kernel = view.ints("kernel_shape")
    view.require(kernel is not None and len(kernel) in _LAYOUT, "no kernel_shape")
    kernel = kernel or ()
    view.require(not view.attr("storage_order", 0), "column-major indices")
    attrs = _window(view, kernel, len(kernel))
    attrs |= {
        "ceil_mode": bool(view.attr("ceil_mode", 0)),
        "global": False,
        "layout": _LAYOUT[len(kernel)],
    }
    if view.op_type == "AveragePool":
        attrs["count_include_pad"] = bool(view.attr("count_include_pad", 0))
    return Mapped(f"{_pool_name(view)}{len(kernel)}d", attrs)


def global_pool(view: NodeView) -> Mapped:
    """GlobalMaxPool and GlobalAveragePool: `kernel` is the whole window when its size is known, else empty."""
    dims = view.rank(0) - 2
    view.require(dims in _LAYOUT, f"{dims} spatial dimensions")
    sizes = tuple(d for d in (view.shape(0) or ())[2:] if isinstance(d, int))
    attrs: dict[str, Attr] = {
        "kernel": sizes if len(sizes) == dims else (),
        "stride": (1,) * dims,
        "dilation": (1,) * dims,
        "pads": (0,) * 2 * dims,
        "ceil_mode": False,
        "global": True,
        "layout": _LAYOUT[dims],
    }
    if "Average" in view.op_type:
        attrs["count_include_pad"] = False
    return Mapped(f"{_pool_name(view)}{dims}d", attrs)


def _pool_name(view: NodeView) -> str:
    return "maxpool" if "Max" in view.op_type else "avgpool"


def _with_bias(view: NodeView) -> tuple[int, ...]:
    return (0, 1, 2) if view.has(2) else (0, 1)


def _window(view: NodeView, kernel: tuple[int, ...], dims: int) -> dict[str, Attr]:
    stride = view.ints("strides") or (1,) * dims
    dilation = view.ints("dilations") or (1,) * dims
    auto = view.attr("auto_pad", "NOTSET")
    pads = view.ints("pads") or (0,) * 2 * dims
    if auto == "VALID":
        pads = (0,) * 2 * dims
    elif auto in ("SAME_UPPER", "SAME_LOWER"):
        pads = _same_pads(view, kernel, stride, dilation, auto == "SAME_LOWER")
    return {"kernel": kernel, "stride": stride, "dilation": dilation, "pads": pads}


def _same_pads(
    view: NodeView, kernel: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...], lower: bool
) -> tuple[int, ...]:
    """Pads for which the output has ceil(size / stride) elements; with stride 1 the size does not matter."""
    shape: Shape = (view.shape(0) or (None,) * (len(kernel) + 2))[2:]
    begins, ends = [], []
    for size, k, s, d in zip(shape, kernel, stride, dilation, strict=True):
        view.require(s == 1 or isinstance(size, int), "SAME padding of an unknown size")
        rest = 0 if s == 1 or not isinstance(size, int) else size - 1 - (size - 1) // s * s
        total = max((k - 1) * d - rest, 0)
        begins.append(total - total // 2 if lower else total // 2)
        ends.append(total - begins[-1])
    return (*begins, *ends)


def _known_spatial(view: NodeView, dims: int) -> tuple[int, ...]:
    sizes = tuple(d for d in (view.shape(0) or ())[2:] if isinstance(d, int))
    view.require(len(sizes) == dims, "unknown spatial size")
    return sizes
