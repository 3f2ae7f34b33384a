"""Rules for sliding windows: convolutions and pooling."""

from __future__ import annotations

from quantforge.frontends.torch.view import CallView, Rule
from quantforge.graph import Attr

LAYOUT = {1: "NCW", 2: "NCHW", 3: "NCDHW"}
_WEIGHTS = {1: "OIW", 2: "OIHW", 3: "OIDHW"}
_WEIGHTS_TRANSPOSED = {1: "IOW", 2: "IOHW", 3: "IODHW"}


def convolution(view: CallView) -> None:
    """conv1d, conv2d, conv3d with numbers or "same" and "valid" as padding."""
    rank = view.weight("weight").ndim - 2
    kernel = tuple(int(size) for size in view.weight("weight").shape[2:])
    dilation = view.ints("dilation", rank, 1)
    _convolution(view, kernel, dilation, _padding(view, kernel, dilation))


def general_convolution(view: CallView) -> None:
    """aten.convolution: any rank, also transposed."""
    if view.arg("transposed"):
        transposed_convolution(view)
    else:
        convolution(view)


def _convolution(
    view: CallView, kernel: tuple[int, ...], dilation: tuple[int, ...], pads: tuple[int, ...]
) -> None:
    rank, weights = len(kernel), view.weight("weight")
    view.require(rank in LAYOUT and view.tensor("input").ndim == rank + 2, "a batch of images")
    group = view.integer("groups", 1)
    attrs: dict[str, Attr] = {
        "kernel": kernel,
        "stride": view.ints("stride", rank, 1),
        "dilation": dilation,
        "pads": pads,
        "group": group,
        "layout": LAYOUT[rank],
        "weight_layout": _WEIGHTS[rank],
    }
    depthwise = group > 1 and weights.shape[1] == 1
    view.emit(f"{'depthwise-' if depthwise else ''}conv{rank}d", _operands(view), **attrs)


def _padding(view: CallView, kernel: tuple[int, ...], dilation: tuple[int, ...]) -> tuple[int, ...]:
    named = view.arg("padding")
    if named == "valid":
        return (0,) * 2 * len(kernel)
    if named == "same":
        totals = [step * (size - 1) for step, size in zip(dilation, kernel, strict=True)]
        return (*(total // 2 for total in totals), *(total - total // 2 for total in totals))
    return view.ints("padding", len(kernel), 0) * 2


def transposed_convolution(view: CallView) -> None:
    """conv_transpose1d, 2d and 3d."""
    weights = view.weight("weight")
    rank = weights.ndim - 2
    view.require(rank in LAYOUT and view.tensor("input").ndim == rank + 2, "a batch of images")
    group = view.integer("groups", 1)
    attrs: dict[str, Attr] = {
        "kernel": tuple(int(size) for size in weights.shape[2:]),
        "stride": view.ints("stride", rank, 1),
        "dilation": view.ints("dilation", rank, 1),
        "pads": view.ints("padding", rank, 0) * 2,
        "output_padding": view.ints("output_padding", rank, 0),
        "group": group,
        "layout": LAYOUT[rank],
        "weight_layout": _WEIGHTS_TRANSPOSED[rank],
    }
    depthwise = group > 1 and group == weights.shape[0]
    view.emit(f"transposed-{'depthwise-' if depthwise else ''}conv{rank}d", _operands(view), **attrs)


def _operands(view: CallView) -> list[str]:
    operands = [view.value("input"), view.value("weight")]
    if view.has("bias"):
        view.weight("bias")
        operands.append(view.value("bias"))
    return operands


def pool(kind: str, rank: int) -> Rule:
    """max_pool and avg_pool of `rank` spatial axes."""

    def rule(view: CallView) -> None:
        name = "input" if view.has("input") else "self"
        view.require(view.tensor(name).ndim == rank + 2, "a batch of images")
        view.require(not view.has("divisor_override"), "divisor_override")
        kernel = view.ints("kernel_size", rank)
        given = view.arg("stride")
        attrs: dict[str, Attr] = {
            "kernel": kernel,
            "stride": view.ints("stride", rank) if given not in (None, []) else kernel,
            "dilation": view.ints("dilation", rank, 1),
            "pads": view.ints("padding", rank, 0) * 2,
            "ceil_mode": bool(view.arg("ceil_mode", False)),
            "global": False,
            "layout": LAYOUT[rank],
        }
        if kind == "avgpool":
            attrs["count_include_pad"] = bool(view.arg("count_include_pad", False))
        view.emit(f"{kind}{rank}d", [view.value(name)], **attrs)

    return rule


def adaptive_pool(kind: str, rank: int) -> Rule:
    """adaptive_avg_pool and adaptive_max_pool, where the windows are all alike."""

    def rule(view: CallView) -> None:
        view.require(view.tensor("self").ndim == rank + 2, "a batch of images")
        sizes, wanted = view.shape("self")[2:], view.ints("output_size", rank)
        everything = all(size == 1 for size in wanted)
        known = [size for size in sizes if isinstance(size, int)]
        view.require(everything or len(known) == rank, "an unknown size")
        whole = len(known) == rank
        view.require(
            not whole or all(size % goal == 0 for size, goal in zip(known, wanted, strict=True)),
            "windows of different sizes",
        )
        kernel = tuple(size // goal for size, goal in zip(known, wanted, strict=True)) if whole else ()
        attrs: dict[str, Attr] = {
            "kernel": kernel,
            "stride": (1,) * rank if everything else kernel,
            "dilation": (1,) * rank,
            "pads": (0,) * 2 * rank,
            "ceil_mode": False,
            "global": everything,
            "layout": LAYOUT[rank],
        }
        if kind == "avgpool":
            attrs["count_include_pad"] = False
        view.emit(f"{kind}{rank}d", [view.value("self")], **attrs)

    return rule
