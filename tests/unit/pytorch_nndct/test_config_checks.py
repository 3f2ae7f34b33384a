from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch", reason="torch is not installed")

from pytorch_nndct.config import parse_config
from pytorch_nndct.config_checks import check_config
from quantforge.diagnostics import InputError

FLOAT = {"scale_type": "float", "method": "maxmin", "calib_statistic_method": "max"}


def config(target: str, overall: dict[str, Any], **tensors: Any) -> Any:
    return {"target_device": target, "overall_quantize_config": overall, "tensor_quantize_config": tensors}


LEGAL = [
    config("DPU", {}),
    config("DPU", {"method": "maxmin", "narrow_range": True, "bit_width": 4}),
    config("DPU", {"round_mode": "std_round"}, activation={"round_mode": "half_up"}),
    config("DPU", {"datatype": "bfloat16", "per_channel": True}),
    config("DPU", {}, weights={"bit_width": 4}),
    config("CPU", FLOAT),
    config("GPU", {**FLOAT, "method": "entropy", "calib_statistic_method": "median"}),
    config("CPU", {**FLOAT, "symmetry": False, "method": "percentile", "signed": False}),
    config("CPU", FLOAT, weights={"per_channel": True, "calib_statistic_method": "modal"}),
    config("CPU", {}, weights={"per_channel": True}),
    config("CPU", {**FLOAT, "method": "mse", "round_mode": "half_down"}),
    config("FLEXML", {"scale_type": "float", "method": "entropy", "calib_statistic_method": "modal"}),
]
CONFLICTS = [
    (config("DPU", {"symmetry": False}), "symmetry"),
    (config("DPU", {"signed": False}), "signed"),
    (config("DPU", {}, weights={"per_channel": True}), "per_channel = true with target_device DPU"),
    (config("DPU", {"scale_type": "float"}), "scale_type"),
    (config("DPU", {"method": "mse"}), r"method = \"mse\""),
    (config("DPU", {"calib_statistic_method": "max"}), "calib_statistic_method"),
    (config("DPU", {"round_mode": "std_round"}), r"activation.*round_mode.*try: .*half_up"),
    (config("DPU", {}, weights={"round_mode": "half_even"}), r"weights.*round_mode.*std_round"),
    (config("DPU", {}, bias={"bit_width": 16}), r"bias.*16 beside activations of 8 bits"),
    (config("CPU", {**FLOAT, "per_channel": True}), r"per_channel = true for input tensors"),
    (config("CPU", {**FLOAT, "method": "mse"}, weights={"per_channel": True}), r"weights.*per channel"),
    (config("CPU", {"per_channel": False}, weights={"per_channel": True, "symmetry": False}), "poweroftwo"),
    (config("CPU", {**FLOAT, "method": "diffs"}), r"method = \"diffs\" with scale_type float"),
    (config("CPU", {**FLOAT, "calib_statistic_method": "modal"}), "max.* or .*mean.* or .*median"),
    (config("CPU", {**FLOAT, "symmetry": False, "method": "entropy"}), r"method.*with symmetry = false"),
    (config("CPU", {"method": "entropy"}), "poweroftwo"),
    (config("CPU", {"calib_statistic_method": "mean"}), "calib_statistic_method.*modal"),
    (config("CPU", {**FLOAT, "signed": False, "narrow_range": True}), "narrow_range"),
    (config("FLEXML", {"signed": False, "narrow_range": True}), "narrow_range"),
]


@pytest.mark.parametrize("data", LEGAL)
def test_what_goes_together_is_accepted(data: Any) -> None:
    check_config(parse_config(data))


@pytest.mark.parametrize(("data", "message"), CONFLICTS)
def test_what_conflicts_is_refused(data: Any, message: str) -> None:
    with pytest.raises(InputError, match=f"Q1432.*{message}") as caught:
        check_config(parse_config(data))
    assert "(QUANTIZER_TORCH_QUANT_CONFIG)" in str(caught.value)


def test_layers_are_checked_with_what_they_inherit() -> None:
    layer = {"layer_name": "a", "quantizable_data_type": ["activation"]}
    data = {**config("CPU", FLOAT), "layer_quantize_config": [layer]}
    check_config(parse_config(data))
    layer["overall_quantize_config"] = {"calib_statistic_method": "modal"}  # type: ignore[assignment]
    with pytest.raises(InputError, match=r"Q1432 .*layer_quantize_config\[0\]: activation"):
        check_config(parse_config(data))


def test_kinds_that_stay_in_float_are_not_looked_at() -> None:
    data = config("DPU", {}, bias={"bit_width": 16})
    check_config(parse_config({**data, "quantizable_data_type": ["weights", "activation"]}))
