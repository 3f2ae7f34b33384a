from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from pytorch_nndct.apis import Inspector  # noqa: E402
from quantforge.diagnostics import InputError  # noqa: E402
from tests.unit.pytorch_nndct.deploy_nets import CPU, TARGET, Mixed, images, made  # noqa: E402


def test_a_table_of_what_is_on_the_cpu_and_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    module = made(Mixed)
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    found = Inspector("KV260").inspect(module, images()[:1], CPU, str(tmp_path), image_format="svg")
    assert {verdict.name for verdict in found.on_cpu} == {"tanh", "sigmoid", "softmax"}
    printed = capsys.readouterr().out
    assert [line.split()[0] for line in printed.splitlines()[2:5]] == ["tanh", "sigmoid", "softmax"]
    files = {path.name for path in tmp_path.iterdir()}
    assert files == {f"inspect_{TARGET}.{ending}" for ending in ("txt", "svg", "gv")}
    assert "conv2" in (tmp_path / f"inspect_{TARGET}.svg").read_text("utf-8")
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())


def test_levels_of_printing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    module, inspector = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.ReLU()), Inspector(TARGET)
    inspector.inspect(module, images()[:1], CPU, tmp_path, verbose_level=0)
    assert not capsys.readouterr().out
    inspector.inspect(module, (images()[:1],), "cpu", tmp_path)
    assert capsys.readouterr().out.startswith("All ")
    inspector.inspect(module, images()[:1], CPU, tmp_path, verbose_level=2, image_format="PNG")
    assert "conv2d                  DPU" in capsys.readouterr().out
    assert (tmp_path / f"inspect_{TARGET}.png").read_bytes().startswith(b"\x89PNG")


def test_wrong_arguments(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"Q1000 .*UNREGISTERED_TARGET.*DPUCAHX8L_ISA0_SP"):
        Inspector("DPUCAHX8L_ISA0_SQ")
    inspector = Inspector("0x0101000056010407")
    with pytest.raises(InputError, match=r"Q1465 image_format \(QUANTIZER_TORCH_INSPECTOR_OUTPUT_FORMAT\)"):
        inspector.inspect(made(Mixed), images()[:1], CPU, tmp_path, image_format="pdf")
    with pytest.raises(InputError, match="Q1465 verbose_level"):
        inspector.inspect(made(Mixed), images()[:1], CPU, tmp_path, verbose_level=3)
    assert not list(tmp_path.iterdir())
