"""The resize kind in torch, in the forms that `torch.nn.functional.interpolate` computes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch.nn import functional

from quantforge.graph import Op

Kernel = Callable[[Sequence[Any]], Any]
_LINEAR = {3: "linear", 4: "bilinear", 5: "trilinear"}


def resize(op: Op) -> Kernel | None:
    """The kernel of a resize; None for a form that torch does not have."""
    mode, coordinate = op.attrs.get("mode"), op.attrs.get("coordinate", "half_pixel")
    scales, sizes = op.attrs.get("scales"), op.attrs.get("sizes")
    nearest = mode == "nearest" and coordinate == "asymmetric" and op.attrs.get("nearest_mode") == "floor"
    linear = mode == "linear" and coordinate in ("half_pixel", "pytorch_half_pixel", "align_corners")
    cubic = (
        mode == "cubic"
        and coordinate in ("half_pixel", "align_corners")
        and op.attrs.get("cubic_coeff_a", -0.75) == -0.75
        and not op.attrs.get("exclude_outside")
    )
    if not (nearest or linear or cubic) or not isinstance(scales or sizes, tuple):
        return None
    factors = [float(s) for s in scales[2:]] if isinstance(scales, tuple) else None
    goal = [int(s) for s in sizes[2:]] if isinstance(sizes, tuple) and factors is None else None
    aligned = {"align_corners": coordinate == "align_corners"} if linear or cubic else {}

    def compute(tensors: Sequence[Any]) -> Any:
        x = tensors[0]
        name = _LINEAR[x.ndim] if linear else "bicubic" if cubic else "nearest"
        return functional.interpolate(x, size=goal, scale_factor=factors, mode=name, **aligned)

    return compute
