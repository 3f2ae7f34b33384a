from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from quantforge.frontends.torch.quantizer import ModuleQuantizer  # noqa: E402
from quantforge.frontends.torch.training.finish import aligned_graph  # noqa: E402
from quantforge.frontends.torch.training.trainer import ModuleTrainer  # noqa: E402
from quantforge.frontends.torch.training.widths import training_recipe  # noqa: E402
from tests.unit.frontends.torch.training.networks import images, labels, small, steps, trainer  # noqa: E402


def test_the_first_forward_pass_calibrates_on_its_batch() -> None:
    module = trainer().trainable().eval()
    assert module.warming_up
    found = module(images())
    assert not module.warming_up
    with torch.no_grad():
        want = small()(images())
    assert (found - want).square().sum() < 0.02 * want.square().sum()


def test_it_begins_at_the_files_of_a_calibration() -> None:
    quantizer = ModuleQuantizer(small(), images(1), None, training_recipe(8, 8))
    quantizer.observed_module()(images())
    quantizer.solve()
    made = trainer()
    module = made.trainable()
    made.begin_at_file(
        module, quantizer.quant_info("1"), quantizer.bias_corrections(), None, "quant_info.json"
    )
    assert not module.warming_up
    found, want = module.eval()(images()), quantizer.quantized_module()(images())
    assert (found - want).abs().max() < 0.05 * want.abs().max()
    assert all(module.quantizer(s.values[0]).position == quantizer.graph.value(s.values[0]).quant.position
               for s in made.structure.slots)  # fmt: skip


def test_training_sees_the_constants_of_the_hardware() -> None:
    class Mobile(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.fc = nn.Conv2d(3, 8, 3, padding=1), nn.Linear(32, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = functional.leaky_relu(self.conv(x), 0.1)
            x = functional.hardswish(x) * functional.hardsigmoid(x)
            return self.fc(functional.avg_pool2d(x, 3, 3).flatten(1))

    torch.manual_seed(0)
    recipe = training_recipe(8, 8)
    made = ModuleTrainer(Mobile(), images(1), None, recipe)
    module = made.trainable().eval()
    module(images())
    steps(module, 3)
    graph, _ = aligned_graph(module.eval(), made.places, made.recipe)
    kinds = {op.kind: op for op in graph.ops}
    assert kinds["avgpool2d"].attrs["dpu_factor"] == (7, 6)
    assert "hard-swish" not in kinds and kinds["leaky-relu"].attrs["alpha"] == 26 / 256
    assert torch.equal(module(images()), made.deployed(graph)(images()))
    module.disable_quant()
    assert not torch.equal(module(images()), made.deployed(graph)(images()))


def test_the_users_module_is_not_changed() -> None:
    module = small()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    module.fc.weight.requires_grad_(False)
    training = ModuleTrainer(module, images(1), None, training_recipe(8, 8)).trainable().train()
    torch.nn.functional.cross_entropy(training(images()), labels()).backward()
    assert not training.get_parameter("fc.weight").requires_grad
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
    assert all(parameter.grad is None for parameter in module.parameters())
