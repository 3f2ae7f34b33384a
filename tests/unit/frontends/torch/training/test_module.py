from __future__ import annotations

import copy
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
from torch import nn  # noqa: E402

from quantforge.diagnostics import InputError  # noqa: E402
from quantforge.frontends.torch.training.module import TrainableModule  # noqa: E402
from tests.unit.frontends.torch.training.networks import images, labels, small, steps, trainer  # noqa: E402

ROOT = Path(__file__).parents[5]


@pytest.fixture(scope="module")
def trained() -> TrainableModule:
    module = trainer().trainable()
    assert steps(module, 30)[-1] < 1.25
    return module.eval()


def test_parameters_have_the_users_names(trained: TrainableModule) -> None:
    names = {name for name, _ in trained.named_parameters() if "log_threshold" not in name}
    assert names == {name for name, _ in small().named_parameters()}
    assert {name for name, _ in trained.named_buffers()} == {name for name, _ in small().named_buffers()}
    thresholds, others = trained.quantizer_parameters(), trained.non_quantizer_parameters()
    assert len(thresholds) == 11 and len(others) == len(names)
    assert not {id(p) for p in thresholds} & {id(p) for p in others}


def test_loss_falls_and_thresholds_move() -> None:
    module = trainer().trainable()
    module(images())
    before = [parameter.item() for parameter in module.quantizer_parameters()]
    losses = steps(module, 25)
    assert losses[-1] < losses[0] - 0.1
    moved = [p.item() != old for p, old in zip(module.quantizer_parameters(), before, strict=True)]
    assert all(moved)


def test_a_checkpoint_resumes_exactly(trained: TrainableModule) -> None:
    file = io.BytesIO()
    torch.save(trained.state_dict(), file)
    file.seek(0)
    other = trainer().trainable()
    assert other.warming_up
    other.load_state_dict(torch.load(file, weights_only=True))
    assert not other.warming_up
    assert torch.equal(other.eval()(images()), trained(images()))


def test_copies_are_independent(trained: TrainableModule) -> None:
    other = copy.deepcopy(trained)
    assert torch.equal(other(images()), trained(images()))
    with torch.no_grad():
        other.get_parameter("fc.weight").zero_()
    assert not torch.equal(other(images()), trained(images()))


def test_switches() -> None:
    module = trainer().trainable()
    module.eval()
    quantized = module(images())
    module.disable_quant()
    torch.testing.assert_close(module(images()), small()(images()), rtol=1e-3, atol=0.05)
    assert not torch.equal(module(images()), quantized)
    module.enable_quant()
    assert torch.equal(module(images()), quantized)
    module.freeze_quant()
    assert not any(parameter.requires_grad for parameter in module.quantizer_parameters())
    module.enable_warmup()
    assert module.warming_up
    module.disable_warmup()
    assert not module.warming_up


def test_fused_normalizations_compute_the_same_and_train_on(trained: TrainableModule) -> None:
    module = copy.deepcopy(trained)
    module.fuse_conv_bn()
    assert torch.equal(module(images()), trained(images()))
    assert "bn1.weight" not in dict(module.named_parameters())
    assert "conv1.bias" in dict(module.named_parameters())
    losses = steps(module, 10)
    assert losses[-1] < losses[0]


def test_dropout_works_in_training_alone(trained: TrainableModule) -> None:
    module = copy.deepcopy(trained)
    module.freeze_bn_stats()
    assert torch.equal(module(images()), module(images()))
    module.train()
    assert not torch.equal(module(images()), module(images()))


def test_autocast_computes_quantizers_in_float32(trained: TrainableModule) -> None:
    module = copy.deepcopy(trained).train()
    with torch.autocast("cpu", torch.bfloat16):
        found = module(images())
        loss = nn.functional.cross_entropy(found.float(), labels())
    loss.backward()
    assert found.dtype == torch.bfloat16
    assert all(torch.isfinite(p.grad).all() for p in module.parameters() if p.grad is not None)
    assert module.get_parameter("act.output_quantizer.log_threshold").grad is not None


def test_torch_compile_gives_the_same(trained: TrainableModule) -> None:
    module = copy.deepcopy(trained)
    compiled = torch.compile(module, backend="eager", fullgraph=True)
    assert torch.equal(compiled(images()), trained(images()))


def test_other_shapes_name_the_operator(trained: TrainableModule) -> None:
    with pytest.raises(InputError, match="Q1403 op 'conv1'"):
        trained(torch.zeros(2, 4, 8, 8))


@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch without distributed training")
def test_processes_that_train_together_stay_alike(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.unit.frontends.torch.training.parallel", str(tmp_path)]
    loopback = {**os.environ, "GLOO_SOCKET_IFNAME": "lo" if sys.platform == "linux" else "lo0"}
    running = [subprocess.Popen([*command, str(rank)], cwd=ROOT, env=loopback) for rank in range(2)]
    assert [process.wait(timeout=240) for process in running] == [0, 0]
    first, second = (torch.load(tmp_path / f"{rank}.pth", weights_only=True) for rank in range(2))
    for name, parameter in first.items():
        if isinstance(parameter, torch.Tensor) and "running" not in name:
            assert torch.equal(parameter, second[name]), name
