from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from pytorch_nndct.apis import torch_quantizer  # noqa: E402
from pytorch_nndct.messages import IDS, PREFIX, documented  # noqa: E402
from quantforge.diagnostics import CalibrationError, InputError, QuantforgeError, explanations  # noqa: E402
from tests.unit.frontends.torch.modules import Twice  # noqa: E402
from tests.unit.pytorch_nndct.residual import CPU, images  # noqa: E402

ROOT = Path(__file__).parents[3]
GUIDE = (
    "BATCHNORM_AFFINE", "BITWIDTH_MISMATCH", "CONVERT_XMODEL", "CUDA_UNAVAILABLE", "DATA_PARALLEL",
    "DEPLOY_MODEL", "DEVICE_MISMATCH", "EXPORT_XMODEL", "FINETUNE_IGNORED", "FLOAT_OP", "INSPECTOR_PATTERN",
    "LEAKYRELU", "MATPLOTLIB", "MEMORY_SHORTAGE", "NO_XIR", "REPLACE_RELU6", "REPLACE_SIGMOID", "REPLACE_SILU",
    "SHIFT_CHECK", "TENSOR_NOT_QUANTIZED", "TENSOR_TYPE_NOT_QUANTIZABLE", "TENSOR_VALUE_INVALID",
    "TORCH_VERSION", "XIR_MISMATCH", "XMODEL_DEVICE", "REUSED_MODULE", "DEPRECATED_ARGUMENT", "SCALE_VALUE",
    "BIAS_CORRECTION", "CALIB_RESULT_MISMATCH", "EXPORT_ONNX", "FAST_FINETUNE", "FIX_INPUT_TYPE",
    "ILLEGAL_BITWIDTH", "IMPORT_KERNEL", "NO_CALIB_RESULT", "NO_CALIBRATION", "NO_FORWARD", "OP_REGIST",
    "PYTORCH_TRACE", "QUANT_CONFIG", "SHAPE_MISMATCH", "XMODEL_BATCHSIZE", "INSPECTOR_OUTPUT_FORMAT",
    "INSPECTOR_INPUT_FORMAT", "UNSUPPORTED_OPS", "TRACED_NOT_SUPPORTED", "NO_SCRIPT_MODEL",
    "DATA_PARALLEL_NOT_ALLOWED", "INPUT_NOT_QUANTIZED", "NOT_A_MODULE", "QAT_PROCESS_ERROR",
    "QAT_DEPLOYABLE_MODEL_ERROR",
)  # fmt: skip


def test_ids_are_added_once_and_nothing_else_changes() -> None:
    with pytest.raises(CalibrationError) as caught, documented():
        raise CalibrationError("Q0201", "here", "a", "b", "c")
    assert str(caught.value) == "Q0201 here (QUANTIZER_TORCH_NO_CALIBRATION): found a; expected b; try: c"
    for code, where in (("Q0201", f"here ({PREFIX}OTHER)"), ("Q0101", "here")):
        with pytest.raises(InputError) as kept, documented():
            raise InputError(code, where, "a", "b", "c")
        assert kept.value.diagnostic.where == where
    with pytest.raises(KeyError), documented():
        raise KeyError("untouched")


def test_the_codes_exist() -> None:
    assert set(IDS) <= set(explanations())


@pytest.mark.parametrize(
    ("code", "name", "act"),
    [
        ("Q0201", "NO_CALIBRATION", lambda q, folder: q("calib").export_quant_config()),
        ("Q1410", "NO_CALIBRATION", lambda q, folder: q("calib").export_onnx_model(folder)),
        ("Q1413", "NO_CALIB_RESULT", lambda q, folder: q("test", output_dir=folder / "none")),
        ("Q1401", "PYTORCH_TRACE", lambda q, folder: torch_quantizer("calib", Twice(), torch.zeros(1), device=CPU)),
        ("Q1421", "ILLEGAL_BITWIDTH", lambda q, folder: q("calib", bitwidth=99)),
        ("Q1411", "CALIB_RESULT_MISMATCH", lambda q, folder: torch_quantizer(
            "test", Twice(), images()[0], output_dir=folder, device=CPU)),
        ("Q1420", "DEPLOY_MODEL", lambda q, folder: q("test").deploy_model),
    ],
)  # fmt: skip
def test_mistakes_carry_the_ids_of_the_guide(
    code: str, name: str, act: Any, module: Any, folder: Path
) -> None:
    def make(mode: str, **options: Any) -> Any:
        return torch_quantizer(mode, module, images()[0], **{"output_dir": folder, "device": CPU, **options})

    with pytest.raises(QuantforgeError, match=rf"{code} .*\({PREFIX}{name}\)"):
        act(make, folder)


def test_a_value_that_is_no_number_carries_its_id(module: Any, tmp_path: Path) -> None:
    quantizer = torch_quantizer("calib", module, images()[0], output_dir=tmp_path, device=CPU)
    quantizer.quant_model(images()[0] * float("nan"))
    with pytest.raises(QuantforgeError, match=r"Q0203 .*\(QUANTIZER_TORCH_TENSOR_VALUE_INVALID\)"):
        quantizer.export_quant_config()


def test_bias_corrections_of_another_model_carry_their_id(module: Any, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "quant_info.json").write_text((folder / "quant_info.json").read_text("utf-8"), "utf-8")
    with pytest.raises(InputError, match=r"Q1412 .*\(QUANTIZER_TORCH_BIAS_CORRECTION\)"):
        torch_quantizer("test", module, images()[0], output_dir=tmp_path, device=CPU)


def test_the_table_of_the_docs_says_something_of_every_documented_id() -> None:
    text = (ROOT / "docs" / "pytorch_nndct.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| `([A-Z_0-9]+)` \| (.+?) \|", text, flags=re.M))
    assert [name for name in GUIDE if name not in rows] == []
    codes = set(explanations())
    named = {code for answer in rows.values() for code in re.findall(r"Q\d{4}", answer)}
    assert named <= codes
    assert {row for row, answer in rows.items() if not re.search(r"Q\d{4}|cannot happen", answer)} == set()
