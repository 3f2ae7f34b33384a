"""What layers should give: values of the model before any pass, in the scales that equalization gave to channels.

Passes may change the function a little (a relu6 made relu) and scale channels (equalization): value c of channel k in
the float graph after the passes is s_k times that of the model before them, save for the little. s_k is the median of
the ratio over a few samples; where the two are not nearly one multiple of the other, the float graph's own value is
what a layer should give.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

import torch

from quantforge.frontends.torch.tuning.frontier import Frontier
from quantforge.frontends.torch.tuning.kept import Samples, Vault
from quantforge.frontends.torch.tuning.layers import Layer
from quantforge.graph import Graph

_LIMITING = ("relu", "relu6", "clip")
_SAME = 0.05  # of a value's energy may differ between both graphs
_SMALL = 0.1  # of the root mean square: smaller elements say little about a ratio


class Aims:
    """Float values over chunks of samples, as `Frontier` has them; `layers` are those it will be asked about."""

    def __init__(
        self,
        base: Graph,
        reference: Graph,
        layers: Sequence[Layer],
        samples: Samples,
        chunks: Sequence[Sequence[int]],
        vault: Vault,
        device: torch.device,
    ) -> None:
        self._base = Frontier(base, samples, chunks, vault, device)
        self._before = Frontier(reference, samples, chunks, vault, device)
        self._scales: dict[str, torch.Tensor] = {}
        known = [name for name in dict.fromkeys(names_of(base, layers)) if reference.has_value(name)]
        known = [name for name in known if not reference.value(name).is_const]
        if reference is not base and known:
            run, before = (Frontier(graph, samples, chunks[:1], vault, device) for graph in (base, reference))
            self._scales = _channel_scales(run, before, known)
            # what an activation lets pass has the scales in front of it
            for name, act in _limits(base, layers):
                if name in self._scales and act in known:
                    self._scales[act] = self._scales[name]

    def wanted(self, layer: Layer, index: int) -> torch.Tensor:
        """What the op should give over a chunk: its value, held to what the activation behind it lets pass."""
        found = self.read(self._base.graph.op(layer.op).outputs[0], index)
        for act in self._limiting(layer):
            return torch.minimum(found, torch.where(found > 0, self.read(act, index), found))
        return found

    def _limiting(self, layer: Layer) -> list[str]:
        """What the activation behind a layer lets pass, where that is known before any pass."""
        pairs = _limits(self._base.graph, [layer])
        return [act for name, act in pairs if name in self._scales and act in self._scales]

    def read(self, name: str, index: int) -> torch.Tensor:
        """A value over a chunk."""
        if name in self._scales:
            return self._before.read(name, index) * self._scales[name]
        return self._base.read(name, index)

    def prepare(self, layer: Layer) -> None:
        """Compute what `wanted` needs for a layer, and the value beside it."""
        names = [self._base.graph.op(layer.op).outputs[0]]
        names += self._limiting(layer)
        names += [] if layer.beside is None else [layer.beside]
        self._before.advance([name for name in names if name in self._scales])
        self._base.advance([name for name in names if name not in self._scales])

    def release(self) -> None:
        """Give up what is not read any more."""
        self._before.release()
        self._base.release()

    def close(self) -> None:
        """Give up everything."""
        self._before.close()
        self._base.close()


def names_of(graph: Graph, layers: Iterable[Layer]) -> list[str]:
    """The values that `Aims` is asked for by these layers."""
    found = []
    for layer in layers:
        found.append(graph.op(layer.op).outputs[0])
        found += [] if layer.act is None else [graph.op(layer.act).outputs[0]]
        found += [] if layer.beside is None else [layer.beside]
    return found


def _limits(graph: Graph, layers: Iterable[Layer]) -> Iterator[tuple[str, str]]:
    """The output of a layer and that of the activation behind it, where that passes what it does not limit."""
    for layer in layers:
        if layer.act is not None and graph.op(layer.act).kind in _LIMITING:
            yield graph.op(layer.op).outputs[0], graph.op(layer.act).outputs[0]


def channel_scale(found: torch.Tensor, before: torch.Tensor) -> torch.Tensor | None:
    """s with  found = s before  per channel, nearly; None where there is none."""
    if found.shape != before.shape or found.ndim < 2 or not found.is_floating_point():
        return None
    channel = 1 if found.ndim > 2 else found.ndim - 1
    rows, others = (t.movedim(channel, 0).reshape(t.shape[channel], -1).double() for t in (found, before))
    small = others.abs() < _SMALL * others.square().mean(1, keepdim=True).sqrt()
    ratio = torch.where(small | (others == 0), torch.nan, rows / others)
    scale = torch.nan_to_num(torch.nanmedian(ratio, 1).values, nan=1.0)
    off = torch.sum((rows - scale[:, None] * others) ** 2)
    if not off <= _SAME * torch.sum(rows**2):
        return None
    shape = [-1 if axis == channel else 1 for axis in range(found.ndim)]
    return scale.to(found.dtype).reshape(shape)


def _channel_scales(run: Frontier, before: Frontier, names: Collection[str]) -> dict[str, torch.Tensor]:
    """`channel_scale` of `names` over a chunk, in the order in which they are computed: few are held at a time."""
    scales = {}
    for name in (name for op in run.graph.ops for name in op.outputs if name in names):
        run.advance([name])
        before.advance([name])
        scale = channel_scale(run.read(name, 0), before.read(name, 0))
        if scale is not None:
            scales[name] = scale
        run.release()
        before.release()
    run.close()
    before.close()
    return scales
