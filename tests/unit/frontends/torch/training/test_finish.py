from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from quantforge.diagnostics import InputError  # noqa: E402
from quantforge.frontends.torch.module import QuantizedModule  # noqa: E402
from quantforge.frontends.torch.training.finish import (  # noqa: E402
    aligned_graph,
    constants_of,
    float_graph,
    quantized_graph,
    with_constants,
)
from tests.unit.frontends.torch.training.networks import images, small, steps, trainer  # noqa: E402


@pytest.mark.parametrize("bits", [(8, 8), (4, 8), (4, 4)])
def test_the_graph_computes_what_the_module_computes(bits: tuple[int, int]) -> None:
    made = trainer(*bits)
    module = made.trainable()
    steps(module, 5)
    module.eval()
    deployed = QuantizedModule(quantized_graph(module), small().forward)
    assert torch.equal(deployed(images()), module(images()))
    plain = QuantizedModule(float_graph(module), small().forward)
    module.disable_quant()
    torch.testing.assert_close(plain(images()), module(images()), rtol=1e-6, atol=1e-6)


def test_positions_out_of_reach_are_moved_and_said() -> None:
    made = trainer()
    module = made.trainable()
    module(images())
    graph, notes = aligned_graph(module, made.places, made.recipe)
    assert (
        notes == ()
        and graph.value("conv1.weight").quant == quantized_graph(module).value("conv1.weight").quant
    )
    quantizer = module.quantizer("conv1.weight")
    assert quantizer is not None
    quantizer.begin_at(30)
    graph, notes = aligned_graph(module, made.places, made.recipe)
    assert [note.op for note in notes if note.done][:1] == ["conv1"]


def test_constants_go_to_a_file_and_back() -> None:
    made = trainer()
    module = made.trainable()
    steps(module, 2)
    graph, other = quantized_graph(module), quantized_graph(made.trainable())
    found = with_constants(other, constants_of(graph), "deployable.pth")
    for value in graph.values:
        if value.const is not None:
            np.testing.assert_array_equal(np.asarray(found.value(value.name).const), np.asarray(value.const))
    constants = constants_of(graph)
    constants.pop("fc.weight")
    with pytest.raises(InputError, match=r"Q1411 deployable\.pth: fc\.weight: found nothing"):
        with_constants(other, constants, "deployable.pth")
    assert replace(graph.value("x")).quant is not None
