from __future__ import annotations

import copy
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
from torch import nn  # noqa: E402

from quantforge.calibration.methods import ScaleKind  # noqa: E402
from quantforge.diagnostics import UnsupportedError  # noqa: E402
from quantforge.frontends.torch.training.trainer import ModuleTrainer  # noqa: E402
from quantforge.frontends.torch.training.widths import training_recipe  # noqa: E402
from quantforge.quantization.recipe import BiasRule, Recipe  # noqa: E402
from tests.unit.frontends.torch.training.networks import images, small, trainer  # noqa: E402


def test_quantizers_stand_where_placement_says() -> None:
    made = trainer()
    assert {slot.path for slot in made.structure.slots} == {
        "x.output_quantizer",
        "act.output_quantizer",
        "conv2.output_quantizer",
        "act_1.output_quantizer",
        "fc.output_quantizer",
        *(f"{op}.{part}_quantizer" for op in ("conv1", "conv2", "fc") for part in ("weight", "bias")),
    }
    assert {name for slot in made.structure.slots for name in slot.values} == {
        *(name for group in made.places.groups for name in group.values),
        *(place.value for place in (*made.places.weights, *made.places.biases)),
    }


def test_a_relu_is_part_of_the_quantizer_behind_it() -> None:
    fused = [step.op.name for step in trainer().structure.steps if step.fused]
    assert fused == ["act", "act_1"]


def test_copies_share_the_structure() -> None:
    structure = trainer().structure
    assert copy.deepcopy(structure) is structure
    assert structure.without_gradient == ()


@pytest.mark.parametrize("kind", ["scales", "channels", "bias"])
def test_scales_that_cannot_be_trained_are_refused(kind: str) -> None:
    recipe = training_recipe(8, 8)
    changed: dict[str, Recipe] = {
        "scales": replace(recipe, activations=replace(recipe.activations, scales=ScaleKind.FLOAT)),
        "channels": replace(recipe, weights=replace(recipe.weights, per_channel=True)),
        "bias": replace(recipe, bias=BiasRule()),
    }
    with pytest.raises(UnsupportedError, match="Q1445"):
        ModuleTrainer(small(), images(1), None, changed[kind])


class Tied(nn.Module):
    """Two linear layers with the same weights."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)
        self.b.weight = self.a.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.b(torch.relu(self.a(x)))


def test_shared_weights_share_a_quantizer() -> None:
    module = ModuleTrainer(Tied(), torch.zeros(1, 4), None, training_recipe(8, 8)).trainable()
    module(torch.randn(8, 4))
    module(torch.randn(8, 4)).sum().backward()
    names = [name for name, _ in module.named_parameters()]
    assert names.count("a.weight") == 1 and "b.weight" not in names
    assert "a.weight_quantizer.log_threshold" in names and "b.weight_quantizer.log_threshold" not in names
