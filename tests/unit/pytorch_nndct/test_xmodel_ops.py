from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from pytorch_nndct.deploy_check import FOLDER  # noqa: E402
from pytorch_nndct.hardware import target_of  # noqa: E402
from pytorch_nndct.xmodel_ops import register_torch_ops  # noqa: E402
from quantforge.debugging.sources import compare_sources  # noqa: E402
from quantforge.deployment import deploy  # noqa: E402
from quantforge.diagnostics import UnsupportedError  # noqa: E402
from quantforge.inspection import inspect  # noqa: E402
from quantforge.runtime.custom_ops import unregister_op  # noqa: E402
from quantforge.xmodel.read import read_xmodel  # noqa: E402
from tests.unit.pytorch_nndct.deploy_nets import TARGET, Foreign, images, made, quantized  # noqa: E402

KINDS = {"aten::topk", "aten::cumsum"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("foreign")
    tested = quantized(made(Foreign), place)
    with torch.no_grad():
        tested.quant_model(images())
    tested.export_xmodel(place, deploy_check=True)
    return place


@pytest.fixture
def kinds(folder: Path) -> Iterator[set[str]]:
    yield set(register_torch_ops(folder / "Foreign_int.xmodel"))
    for kind in KINDS:
        unregister_op(kind)


def test_calls_of_torch_are_operators_of_the_cpu(folder: Path) -> None:
    model = read_xmodel(folder / "Foreign_int.xmodel")
    assert {op.kind for op in model.ops.values() if "::" in op.kind} == KINDS
    found = {verdict.kind: verdict for verdict in inspect(model, target_of(TARGET)).on_cpu}
    assert set(found) >= KINDS and found["aten::topk"].reasons
    with pytest.raises(UnsupportedError, match="Q1210"):
        compare_sources(str(folder / "Foreign_int.xmodel"), str(folder / FOLDER / "Foreign"))


def test_torch_computes_them(folder: Path, kinds: set[str], tmp_path: Path) -> None:
    assert kinds == KINDS
    told: list[Any] = []
    deploy(folder / "Foreign_int.xmodel", TARGET, tmp_path / "net.xmodel", tell=told.append)
    for stage in (folder / "Foreign_int.xmodel", tmp_path / "net.xmodel", f"{tmp_path / 'net.xmodel'}@ref"):
        found = compare_sources(str(stage), str(folder / FOLDER / "Foreign"))
        assert found.equal and len(found.tensors) >= 8
    assert not told
