"""A graph with specs that passes gradients: rounding is taken for the identity, saturation stops them.

The forward pass is that of `Program`, bit for bit. Weights and biases that are tuned live in units of their own: a
weight in steps of its grid, a bias in steps of the grid behind its layer, so that one learning rate fits all.
Source: Bengio, Leonard, Courville, Estimating or Propagating Gradients Through Stochastic Neurons, 2013; Hubara et
al., Improving Post Training Neural Quantization, 2020 (AdaQuant).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from quantforge.frontends.torch.fake_quantize import FakeQuantizer
from quantforge.frontends.torch.program import Program
from quantforge.frontends.torch.training.tqt import Grid, fake_quantize, threshold_of
from quantforge.graph import Graph, QuantSpec
from quantforge.numerics.formats import FloatFormat, IntFormat
from quantforge.numerics.rounding import Rounding

_SHORT = 24  # widths up to which float32 holds every integer
_QUICK = (Rounding.HALF_UP, Rounding.HALF_AWAY)


class StraightQuantizer:
    """`FakeQuantizer` with the straight-through gradient."""

    def __init__(self, spec: QuantSpec) -> None:
        self.spec = spec
        self._exact = FakeQuantizer(spec)
        self._threshold: torch.Tensor | None = None
        form, position = spec.format, spec.position
        if position is not None and isinstance(form, IntFormat) and spec.rounding in _QUICK:
            whole = form.signed and not form.narrow and form.bits <= _SHORT
            self._threshold = torch.tensor([threshold_of(position, form.bits)]) if whole else None

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """The stored tensor; gradients pass where it does not saturate."""
        if not x.is_floating_point() or x.numel() == 0:
            return x
        if (
            self._threshold is not None
            and isinstance(self.spec.format, IntFormat)
            and x.dtype == torch.float32
        ):
            self._threshold = self._threshold.to(x.device)
            return fake_quantize(x, self._threshold, Grid(self.spec.format.bits, self.spec.rounding))
        if not x.requires_grad:
            return self._exact(x)
        found: torch.Tensor = _Straight.apply(x, self._exact, *self._ends(x))  # type: ignore[no-untyped-call]
        return found

    def _ends(self, x: torch.Tensor) -> tuple[Any, Any]:
        """Where saturation begins."""
        spec, form = self.spec, self.spec.format
        if isinstance(form, FloatFormat):
            return -np.inf, np.inf
        zero = np.asarray(spec.zero_point, np.float64)
        found = [(np.asarray(spec.scale) * (end - zero)) for end in (form.qmin - 0.5, form.qmax + 0.5)]
        if spec.axis is None:
            return float(found[0][0]), float(found[1][0])
        shape = [-1 if axis == spec.axis % x.ndim else 1 for axis in range(x.ndim)]
        low, high = (torch.from_numpy(end).to(x.device, x.dtype).reshape(shape) for end in found)
        return low, high


class _Straight(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, quantizer: FakeQuantizer, low: Any, high: Any) -> torch.Tensor:
        ctx.save_for_backward((x >= low) & (x <= high))
        return quantizer(x)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None, None]:
        (inside,) = ctx.saved_tensors
        return gradients[0] * inside, None, None, None


class StraightProgram(Program):
    """`Program` whose quantizers pass gradients."""

    def __init__(self, graph: Graph, wanted: Iterable[str]) -> None:
        super().__init__(graph, wanted)
        for name, quantizer in list(self._quantizers.items()):
            self._quantizers[name] = StraightQuantizer(quantizer.spec)  # type: ignore[assignment]


@dataclass(eq=False)
class Tunable:
    """A constant on its way: `latent` is the real number behind it, in units of `unit`."""

    name: str
    spec: QuantSpec | None
    unit: torch.Tensor
    latent: torch.Tensor

    def stored(self) -> torch.Tensor:
        """The constant as the quantized graph has it, with gradients to `latent`."""
        real = self.latent * self.unit
        return real if self.spec is None else StraightQuantizer(self.spec)(real)

    def array(self) -> np.ndarray[Any, np.dtype[np.float32]]:
        """The real numbers behind the constant, on the grid."""
        with torch.no_grad():
            return np.ascontiguousarray(self.stored().cpu().numpy(), np.float32)


def tunable(graph: Graph, name: str, unit: float | None, device: torch.device) -> Tunable:
    """The constant `name` of a quantized `graph`; `unit` None takes the steps of its grid."""
    value = graph.value(name)
    data = torch.from_numpy(np.array(value.const, np.float32)).to(device)
    spec = value.quant
    if unit is not None or spec is None:
        step = torch.tensor(1.0 if unit is None else unit, dtype=torch.float32, device=device)
    else:
        shape = [
            -1 if spec.axis is not None and axis == spec.axis % data.ndim else 1 for axis in range(data.ndim)
        ]
        step = torch.tensor(spec.scale, dtype=torch.float32, device=device)
        step = step.reshape(()) if spec.axis is None else step.reshape(shape)
    return Tunable(name, spec, step, (data / step).requires_grad_())


def with_constants(graph: Graph, arrays: Mapping[str, Any]) -> Graph:
    """A copy of `graph` with other data in some constants."""
    graph = graph.copy()
    for name, array in arrays.items():
        graph.set_value(replace(graph.value(name), const=array))
    return graph
