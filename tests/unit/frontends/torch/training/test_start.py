from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from quantforge.frontends.torch.quantizer import ModuleQuantizer  # noqa: E402
from quantforge.frontends.torch.training.finish import float_graph, quantized_graph  # noqa: E402
from quantforge.frontends.torch.training.start import begin_at, begin_at_constants  # noqa: E402
from quantforge.frontends.torch.training.widths import training_recipe  # noqa: E402
from tests.unit.frontends.torch.training.networks import images, small, trainer  # noqa: E402


def test_the_start_is_the_result_of_calibration() -> None:
    quantizer = ModuleQuantizer(small(), images(1), None, training_recipe(8, 8))
    folded = quantizer.base
    quantizer.observed_module()(images())
    calibrated = quantizer.solve()
    module = trainer().trainable()
    begin_at(module, folded, quantizer.base, calibrated)
    found = quantized_graph(module)
    for value in calibrated.values:
        assert found.value(value.name).quant == value.quant, value.name
        if value.const is not None and value.name in ("conv1.weight", "conv2.weight", "fc.bias"):
            np.testing.assert_allclose(found.value(value.name).const, value.const, rtol=1e-4, atol=1e-5)


def test_equalized_parameters_normalize_batches_as_before() -> None:
    """Channels may be scaled; what the last layer gives in training does not change."""
    made = trainer()
    module = made.trainable()
    module.train().disable_quant()
    for part in module.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.0
    module.disable_warmup()
    with torch.no_grad():
        before = module(images())
    again = made.trainable()
    again.train().disable_quant()
    for part in again.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.0
    with torch.no_grad():
        after = again(images())
    moved = np.asarray(float_graph(again).value("conv1.weight").const)
    assert np.abs(np.asarray(float_graph(module).value("conv1.weight").const) - moved).max() > 1e-3
    torch.testing.assert_close(after, before, rtol=0.1, atol=0.1)  # biases were corrected


def test_parameters_fold_to_tuned_constants() -> None:
    made = trainer()
    module = made.trainable()
    tuned = float_graph(module)
    random = np.random.default_rng(3)
    for layer in module.layers:
        for name in filter(None, (layer.weight, layer.bias)):
            value = tuned.value(name)
            moved = np.asarray(value.const) + 0.1 * random.standard_normal(value.const.shape)
            tuned.set_value(replace(value, const=moved.astype(np.float32)))
    statistics = module.constant("bn1.running_var").clone()
    begin_at_constants(module, tuned)
    found = float_graph(module)
    for layer in module.layers:
        for name in filter(None, (layer.weight, layer.bias)):
            np.testing.assert_allclose(found.value(name).const, tuned.value(name).const, rtol=1e-5, atol=1e-6)
    assert torch.equal(module.constant("bn1.running_var"), statistics)
