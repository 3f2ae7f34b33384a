"""Layers tuned one after the other, each by the inputs that the layers tuned before it give.

What: for a layer with quantized inputs x' and float outputs y, weights and bias of least squared error between
f(W x' + b) and f(y), with f the fused activation and the ends of the grid behind it, W on its grid. Where the only
reader of the layer adds another value to it, that value's own error is made up for as well: y grows by it.
    targets   where f is flat an output may lie anywhere on the flat side: y is moved to the present output there,
    optimum   v = (C + r W) (G + r)^-1 with G = E x'x'', C = E y x'', and r pulling to the weights there were,
    rounding  `rounding.round_rows` under G, then b, then coordinate descent with b in place.
The strength of r is the one of least error on samples that took no part; where none is better nothing changes.
Cost: two runs of the samples, layer by layer, and a few products of matrices.
Reference: section 3 of Hubara et al., Improving Post Training Neural Quantization, 2020 (arXiv:2006.10518), for the
aim; Nagel et al., Up or Down? Adaptive Rounding, 2020 (arXiv:2004.10568), for reconstruction behind the activation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from quantforge.frontends.torch.run import stored_constant
from quantforge.frontends.torch.tuning.aims import Aims
from quantforge.frontends.torch.tuning.frontier import Frontier
from quantforge.frontends.torch.tuning.layers import Layer, Product
from quantforge.frontends.torch.tuning.options import LayerResult, TuneOptions
from quantforge.frontends.torch.tuning.rounding import (
    Matrices,
    Steps,
    around,
    damped,
    descend_rows,
    round_rows,
)
from quantforge.graph import Graph, QuantSpec
from quantforge.graph.quantize import fake_quantize_value
from quantforge.numerics.formats import IntFormat

PULLS = (1e-2, 1e-1, 1.0, 10.0)  # shares of the mean of G's diagonal tried for r
ROWS = range(1024, 24_001)  # positions looked at per layer, at least and at most
ELEMENTS = 4_000_000  # of the columns at these positions, where that is not below two rows per column
_ROUNDS = 2  # of moving targets to where f is flat


@dataclass(frozen=True)
class Chunks:
    """Units that are run at a time: those to fit, and those that take no part."""

    fit: Sequence[Sequence[int]]
    held: Sequence[Sequence[int]]


@dataclass(frozen=True)
class Flat:
    """Outputs below `low` count as `low`, above `high` as `high`."""

    low: float
    high: float

    def clip(self, y: torch.Tensor) -> torch.Tensor:
        """The outputs as they count."""
        return torch.clamp(y, self.low, self.high)

    def moved(self, y: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
        """`y` where it matters, else the present output held to the flat side."""
        y = torch.where(y <= self.low, torch.clamp_max(present, self.low), y)
        return torch.where(y >= self.high, torch.clamp_min(present, self.high), y)


def flat_of(graph: Graph, layer: Layer) -> Flat:
    """Where the activation and the grid behind a layer are flat."""
    op = graph.op(layer.op)
    name = op.outputs[0] if layer.act is None else graph.op(layer.act).outputs[0]
    spec = graph.value(name).quant
    low, high = -np.inf, np.inf
    if spec is not None and spec.axis is None and isinstance(spec.format, IntFormat):
        low, high = (
            (end - spec.zero_point[0]) * spec.scale[0] for end in (spec.format.qmin, spec.format.qmax)
        )
    if layer.act is not None:
        act = graph.op(layer.act)
        if act.kind in ("relu", "relu6"):
            low = max(low, 0.0)
        if act.kind == "relu6":
            high = min(high, 6.0)
        if act.kind == "clip":
            low = max(low, float(act.attrs.get("min", low)))  # type: ignore[arg-type]
            high = min(high, float(act.attrs.get("max", high)))  # type: ignore[arg-type]
        if act.kind in ("leaky-relu", "prelu"):
            low = -np.inf
    return Flat(low, high)


@dataclass(frozen=True)
class Data:
    """Columns [groups, rows, columns] and wanted outputs [groups, rows, outputs] of a layer."""

    columns: torch.Tensor
    wanted: torch.Tensor

    def output(self, matrix: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        """What weights [groups, outputs, columns] and a bias [groups, outputs] give."""
        return torch.baddbmm(bias.unsqueeze(1), self.columns, matrix.transpose(1, 2))

    def error(self, matrix: torch.Tensor, bias: torch.Tensor, flat: Flat) -> float:
        """The share of the energy of the wanted outputs that is wrong."""
        wanted = flat.clip(self.wanted)
        wrong = torch.sum((flat.clip(self.output(matrix, bias)) - wanted).double() ** 2)
        return float(wrong / torch.clamp_min(torch.sum(wanted.double() ** 2), 1e-30))


@dataclass(frozen=True)
class Moments:
    """Of the columns a and the wanted outputs y, float64: E a, E y [groups, n]; E a'a, E y'a around these."""

    mean: Matrices
    middle: Matrices
    gram: Matrices
    cross: Matrices


@dataclass(frozen=True)
class Optimum:
    """Real-valued weights [groups, outputs, columns] and bias of least error."""

    matrix: Matrices
    bias: Matrices
    device: torch.device

    def unrounded(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Both as tensors."""
        found = (torch.from_numpy(array).float().to(self.device) for array in (self.matrix, self.bias))
        return next(found), next(found)


def _optimum(moments: Moments, real: torch.Tensor, pull: float) -> Optimum:
    """The weights of least error when they are pulled to the `real` ones."""
    weights = real.double().cpu().numpy()
    size = np.maximum(np.einsum("gkk->g", moments.gram) / weights.shape[-1], 1e-12)
    strength = (pull * size)[:, None, None]
    pulled = moments.gram + strength * np.eye(weights.shape[-1])
    wish = torch.from_numpy(moments.cross + strength * weights)
    lower = torch.linalg.cholesky(torch.from_numpy(pulled))
    matrix = torch.cholesky_solve(wish.transpose(1, 2), lower).transpose(1, 2).contiguous().numpy()
    bias = moments.middle - np.einsum("gok,gk->go", matrix, moments.mean)
    return Optimum(matrix, bias, real.device)


class LayerFit:
    """One layer in front of its data."""

    def __init__(self, graph: Graph, layer: Layer, fit: Data, held: Data, nearest: bool = False) -> None:
        self._nearest = nearest
        self._graph, self._layer, self._fit, self._held = graph, layer, fit, held
        op, value = graph.op(layer.op), graph.value(layer.weight)
        stored = stored_constant(value)
        self._product = Product(op, tuple(stored.shape))
        device = fit.columns.device
        self._flat = flat_of(graph, layer)
        self.start = self._product.matrix(stored.to(device))
        shape = self.start.shape[:2]
        bias = None if layer.bias is None else stored_constant(graph.value(layer.bias)).to(device)
        self.start_bias = torch.zeros(shape, device=device) if bias is None else bias.reshape(shape)
        self._grid = _grid_of(value.quant, tuple(self.start.shape))

    def solve(self, real: torch.Tensor) -> tuple[LayerResult, dict[str, Any]]:
        """The best that was found; `real` [groups, outputs, columns] are the float weights."""
        before = self._held.error(self.start, self.start_bias, self._flat)
        best, found, present = before, None, (self.start, self.start_bias)
        if self._nearest:
            self._grid = around(self._grid, real.double().cpu().numpy())
        pulls: tuple[float, ...] = PULLS
        for _ in range(_ROUNDS):
            moments = self._moments(self._flat.moved(self._fit.wanted, self._fit.output(*present)))
            optima = [_optimum(moments, real, pull) for pull in pulls]
            errors = [self._held.error(*optimum.unrounded(), self._flat) for optimum in optima]
            chosen = min(range(len(pulls)), key=errors.__getitem__)
            pulls, present = (pulls[chosen],), self._rounded(moments, optima[chosen])
            error = self._held.error(*present, self._flat)
            if error < best:
                best, found = error, present
        return LayerResult(self._layer.op, before, best), {} if found is None else self._constants(*found)

    def _constants(self, matrix: torch.Tensor, bias: torch.Tensor) -> dict[str, Any]:
        constants = {self._layer.weight: self._product.weights(matrix).cpu().numpy()}
        if self._layer.bias is not None:
            constants[self._layer.bias] = bias.reshape(-1).cpu().numpy()
        return constants

    def _moments(self, wanted: torch.Tensor) -> Moments:
        columns = self._fit.columns
        if self._layer.bias is None:
            mean, middle = torch.zeros_like(columns[:, :1]), torch.zeros_like(wanted[:, :1])
        else:
            mean = columns.mean(1, keepdim=True, dtype=torch.float64).to(columns.dtype)
            middle = wanted.mean(1, keepdim=True, dtype=torch.float64).to(wanted.dtype)
        around, off = columns - mean, wanted - middle
        gram, cross = around.transpose(1, 2) @ around, off.transpose(1, 2) @ around
        count = columns.shape[1]
        found = (mean[:, 0], middle[:, 0], gram / count, cross / count)
        return Moments(*(tensor.double().cpu().numpy() for tensor in found))

    def _rounded(self, moments: Moments, optimum: Optimum) -> tuple[torch.Tensor, torch.Tensor]:
        """Weights and bias on their grids."""
        metric = damped(moments.gram)  # without the pull, which would round every weight by itself
        matrix, bias = round_rows(optimum.matrix, metric, self._grid), moments.middle
        if self._layer.bias is not None:
            bias = self._stored(moments.middle - np.einsum("gok,gk->go", matrix, moments.mean))
            # the bias is on a grid of its own: the weights make up for what that leaves
            left = moments.middle - bias
            whole = metric + moments.mean[:, :, None] * moments.mean[:, None, :]
            wish = optimum.matrix @ metric + left[:, :, None] * moments.mean[:, None, :]
            matrix = descend_rows(matrix, whole, wish, self._grid)
        return tuple(torch.from_numpy(a).float().to(self.start.device) for a in (matrix, bias))  # type: ignore[return-value]

    def _stored(self, bias: Matrices) -> Matrices:
        """The bias [groups, outputs] on its grid."""
        spec = None if self._layer.bias is None else self._graph.value(self._layer.bias).quant
        if spec is None:
            return bias
        stored = fake_quantize_value(bias.reshape(-1), spec, self._layer.op)
        return np.asarray(stored, np.float64).reshape(bias.shape)


def _grid_of(spec: QuantSpec | None, shape: tuple[int, ...]) -> Steps:
    """The grid of the weights [groups, outputs, columns]."""
    assert spec is not None and isinstance(spec.format, IntFormat)  # noqa: S101  `layers_of` saw it
    scales = np.asarray(spec.scale, np.float64)
    # a transposed convolution counts its output channels anew in every group
    per_group = scales.size == shape[0] * shape[1]
    step = scales.reshape(shape[:2]) if per_group else np.broadcast_to(scales, shape[:2])
    zero = spec.zero_point[0]
    return Steps(np.ascontiguousarray(step), float(spec.format.qmin - zero), float(spec.format.qmax - zero))


def tune_layer(
    graph: Graph, base: Graph, layer: Layer, run: Frontier, aims: Aims, chunks: Chunks, options: TuneOptions
) -> tuple[LayerResult, dict[str, Any]]:
    """Tune one layer of the quantized `graph`.

    Args:
        graph: With what was tuned before.
        base: The float graph, for the layer's weights.
        layer: Which.
        run: `graph`, run up to the layer or less, over the chunks to fit and those held out.
        aims: What layers should give, over the same chunks.
        chunks: These chunks.
        options: The seed of the positions that are looked at, and what weights may become.

    Returns:
        What came of it, and the new constants, none when the layer stays as it was.
    """
    op = graph.op(layer.op)
    beside = layer.beside if layer.beside is not None and run.reaches(layer.beside, layer.op) else None
    others = [] if beside is None else [beside]
    run.advance([op.inputs[0], *others])
    aims.prepare(replace(layer, beside=beside))
    real = torch.from_numpy(np.array(base.value(layer.weight).const, np.float32)).to(run.device)
    matrix = Product(op, tuple(real.shape)).matrix(real)
    fit, held = _data(graph, layer, others, run, aims, chunks, options.seed)
    run.release()
    aims.release()
    return LayerFit(graph, layer, fit, held, options.nearest).solve(matrix)


def _data(
    graph: Graph, layer: Layer, others: Sequence[str], run: Frontier, aims: Aims, chunks: Chunks, seed: int
) -> tuple[Data, Data]:
    """Of a layer that `run` and `aims` have come to: what to fit, and what is held out, at positions by chance."""
    op = graph.op(layer.op)
    product = Product(op, tuple(stored_constant(graph.value(layer.weight)).shape))
    draw = torch.Generator().manual_seed(seed)
    weights = product.matrix(stored_constant(graph.value(layer.weight)))
    some = -(-_rows_for(weights) // len(run.chunks))
    rows = []
    for index in range(len(run.chunks)):
        wanted = aims.wanted(layer, index)
        for name in others:
            wanted = wanted + aims.read(name, index) - run.read(name, index)
        count = product.positions(wanted)
        picked = torch.randperm(count, generator=draw)[:some].to(run.device)
        rows.append(
            Data(product.columns(run.read(op.inputs[0], index), picked), product.rows(wanted, picked))
        )
    return _joined(rows[: len(chunks.fit)]), _joined(rows[len(chunks.fit) :])


def _rows_for(matrix: torch.Tensor) -> int:
    """How many positions to look at for weights [groups, outputs, columns]."""
    groups, _, columns = matrix.shape
    wanted = max(ELEMENTS // (groups * columns), 2 * columns)
    return min(max(wanted, ROWS.start), ROWS.stop - 1)


def _joined(parts: Sequence[Data]) -> Data:
    return Data(torch.cat([part.columns for part in parts], 1), torch.cat([part.wanted for part in parts], 1))


def replaced(graph: Graph, constants: Mapping[str, Any]) -> None:
    """Put new data into constants of `graph`."""
    for name, array in constants.items():
        graph.set_value(replace(graph.value(name), const=np.ascontiguousarray(array)))
