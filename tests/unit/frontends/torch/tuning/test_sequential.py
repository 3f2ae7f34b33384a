from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from torch import nn  # noqa: E402

from quantforge.frontends.torch.run import stored_constant  # noqa: E402
from quantforge.frontends.torch.tuning.aims import Aims  # noqa: E402
from quantforge.frontends.torch.tuning.frontier import Frontier  # noqa: E402
from quantforge.frontends.torch.tuning.kept import Samples, Vault  # noqa: E402
from quantforge.frontends.torch.tuning.layers import layers_of  # noqa: E402
from quantforge.frontends.torch.tuning.options import TuneOptions  # noqa: E402
from quantforge.frontends.torch.tuning.sequential import Chunks, Flat, flat_of, replaced, tune_layer  # noqa: E402
from tests.unit.frontends.torch.tuning.nets import CPU, images, mixed, quantizer_of  # noqa: E402

CHUNKS = Chunks([list(range(24)), list(range(24, 40))], [list(range(40, 48))])


def walked(quantizer: Any, x: Any, options: TuneOptions | None = None) -> tuple[Any, list[Any]]:
    """The quantized graph tuned layer by layer, and what came of each layer."""
    graph, found = quantizer.graph.copy(), []
    with Vault() as vault:
        samples = Samples(vault, True)
        samples.add({quantizer.base.inputs[0]: x})
        every = [*CHUNKS.fit, *CHUNKS.held]
        run = Frontier(graph, samples, every, vault, CPU)
        aims = Aims(quantizer.base, quantizer.base, layers_of(graph), samples, every, vault, CPU)
        for layer in layers_of(graph):
            result, constants = tune_layer(
                graph, quantizer.base, layer, run, aims, CHUNKS, options or TuneOptions()
            )
            replaced(graph, constants)
            found.append(result)
        run.close()
        aims.close()
    return graph, found


def test_each_layer_gets_better_or_stays() -> None:
    quantizer = mixed()
    graph, found = walked(quantizer, images())
    assert [result.op for result in found] == ["stem", "depth", "point", "halves", "linear"]
    assert all(result.after <= result.before for result in found)
    assert sum(result.after for result in found) < 0.8 * sum(result.before for result in found)
    before = quantizer.graph
    assert before is not None
    for result, layer in zip(found, layers_of(graph), strict=True):
        same = graph.value(layer.weight).const is before.value(layer.weight).const
        assert same is not result.kept
        assert graph.value(layer.weight).quant == before.value(layer.weight).quant


def test_rounding_only_takes_one_of_the_two_nearest_steps() -> None:
    quantizer = mixed()
    graph, found = walked(quantizer, images(), TuneOptions(nearest=True))
    assert any(result.kept for result in found)
    moved = 0
    for layer in layers_of(graph):
        spec = graph.value(layer.weight).quant
        assert spec is not None
        steps, real = (g.value(layer.weight).const / spec.scale[0] for g in (graph, quantizer.base))
        held = np.clip(real, spec.format.qmin, spec.format.qmax)
        assert np.abs(steps - held).max() < 1.0
        moved += int((steps != np.clip(np.floor(real + 0.5), spec.format.qmin, spec.format.qmax)).sum())
    assert moved > 0


def test_new_weights_lie_on_their_grid() -> None:
    graph, _ = walked(mixed(), images())
    for layer in layers_of(graph):
        for name in (layer.weight, layer.bias):
            value = graph.value(name)
            np.testing.assert_array_equal(stored_constant(value), value.const)


@pytest.mark.parametrize(
    "module",
    [
        nn.ConvTranspose2d(12, 4, 2, stride=2),
        nn.Sequential(nn.Conv2d(12, 6, 3, groups=3, bias=False), nn.ReLU()),
        nn.Conv2d(12, 4, 1, bias=False),
    ],
    ids=str,
)
def test_other_layers(module: Any) -> None:
    torch.manual_seed(2)
    x = torch.nn.functional.interpolate(images(), scale_factor=1.5).repeat(1, 4, 1, 1)
    x = x + 0.1 * torch.randn(x.shape, generator=torch.Generator().manual_seed(9))  # channels that depend
    _, found = walked(quantizer_of(module, x, bits=3), x)
    assert found[0].after < 0.95 * found[0].before


def test_the_float_function_is_found_where_the_grid_has_room() -> None:
    """With 16 bits the least error is nearly none."""
    _, found = walked(mixed(16), images())
    assert max(result.after for result in found) < 1e-4


def test_where_outputs_are_flat() -> None:
    graph = mixed().graph
    assert graph is not None
    flats = {layer.op: flat_of(graph, layer) for layer in layers_of(graph)}
    assert flats["depth"].low == 0.0
    assert flats["point"].low < 0.0 < flats["point"].high
    flat, y = Flat(0.0, 6.0), torch.tensor([-1.0, -1.0, 2.0, 7.0, 7.0])
    present = torch.tensor([-3.0, 1.0, 1.0, 9.0, 5.0])
    assert flat.moved(y, present).tolist() == [-3.0, 0.0, 2.0, 9.0, 6.0]
    assert flat.clip(y).tolist() == [0.0, 0.0, 2.0, 6.0, 6.0]
