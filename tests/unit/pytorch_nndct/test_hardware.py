from __future__ import annotations

import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from pytorch_nndct.hardware import hardware_aware, source_lines, target_of  # noqa: E402
from quantforge.compiler.compile import left_to_cpu  # noqa: E402
from quantforge.diagnostics import InputError  # noqa: E402
from quantforge.frontends.torch.quantizer import prepared_module  # noqa: E402
from quantforge.frontends.torch.recipes import dpu_recipe  # noqa: E402
from quantforge.graph import Graph  # noqa: E402
from quantforge.xmodel.read import read_xmodel  # noqa: E402
from tests.unit.pytorch_nndct.deploy_nets import TARGET, Mixed, images, made, quantized  # noqa: E402


def test_what_is_not_quantized_is_what_the_compiler_leaves_to_the_cpu(tmp_path: Path) -> None:
    tested = quantized(made(Mixed), tmp_path, target="KV260")
    info = json.loads((tmp_path / "quant_info.json").read_text("utf-8"))
    outputs = {key.rsplit("_", 1)[0].removeprefix("Mixed::") for key in info["output"]}
    # conv2, on the DPU, reads tanh, and the product reads sigmoid; nobody on the DPU reads softmax
    assert {"nndct_tanh", "nndct_sigmoid"} <= outputs and "nndct_softmax" not in outputs
    tested.export_xmodel(tmp_path)
    model = read_xmodel(tmp_path / "Mixed_int.xmodel")
    left = {name for name in left_to_cpu(model, target_of(TARGET)) if model.ops[name].kind != "const"}
    assert left == {"tanh", "sigmoid", "softmax"}


def test_a_file_and_a_target_both_apply(caplog: pytest.LogCaptureFixture) -> None:
    assert hardware_aware(None, "file.json") is None
    assert hardware_aware(TARGET) is not None and not caplog.records
    assert hardware_aware(TARGET, "file.json") is not None
    assert "Q1468 target (QUANTIZER_TORCH_HW_AWARE_QUANT)" in caplog.text


def test_activations_that_are_no_bytes_are_told_of(caplog: pytest.LogCaptureFixture) -> None:
    graph = prepared_module(made(Mixed), (images()[:1],), {}, dpu_recipe(8)).graph
    adapt = hardware_aware(TARGET)
    assert adapt is not None and adapt(graph, dpu_recipe(8)).overrides and "Q1469" not in caplog.text
    adapt(graph, dpu_recipe(4))
    assert f"Q1469 target {TARGET}: found activations as int4" in caplog.text


def test_targets_that_do_not_exist() -> None:
    assert target_of("kv260").name == TARGET
    assert target_of("DPUCAHX8L-ISA0-SP") == target_of("DPUCAHX8L-ISA0_SP")  # both in the user guide
    assert target_of("0x603000b16013831").family == "DPUCVDX8G"
    with pytest.raises(InputError, match=r"Q1000 target \(QUANTIZER_TORCH_UNREGISTERED_TARGET\)"):
        target_of("DPUXYZ")
    with pytest.raises(InputError, match=r"Q100[1-3]"):
        target_of("0x1234")


def test_a_graph_of_another_door_has_no_source_lines() -> None:
    assert source_lines(Graph("g")) == {}
