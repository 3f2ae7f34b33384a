from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="torch is not installed")

from pytorch_nndct.config import Config, load_config, parse_config
from pytorch_nndct.config_values import KINDS, TensorConfig
from quantforge.diagnostics import InputError

EXAMPLES = Path(__file__).parents[3] / "examples" / "torch"
LAYER: dict[str, Any] = {"layer_type": "Conv2d", "layer_name": None, "quantizable_data_type": ["weights"]}


def test_an_empty_file_has_the_documented_defaults() -> None:
    config = parse_config({})
    assert config == Config("quant_config_file", {kind: TensorConfig.default(kind) for kind in KINDS})
    assert (config.target_device, config.include_cle, config.include_bias_corr) == ("DPU", True, True)
    assert not config.convert_relu6_to_relu and config.onnx_opset_version is None


def test_sections_are_laid_over_one_another() -> None:
    config = parse_config(
        {
            "overall_quantize_config": {"bit_width": 4, "round_mode": "half_even"},
            "tensor_quantize_config": {"bias": {"bit_width": 16}, "input": {"datatype": "float16"}},
            "layer_quantize_config": [
                {
                    **LAYER,
                    "quantizable_data_type": ["weights", "bias"],
                    "overall_quantize_config": {"bit_width": 6},
                    "tensor_quantize_config": {"bias": {"round_mode": "half_up"}},
                }
            ],
        }
    )
    widths = {kind: settings.bit_width for kind, settings in config.tensors.items()}
    assert widths == {"input": 4, "weights": 4, "bias": 16, "activation": 4}
    assert {settings.round_mode for settings in config.tensors.values()} == {"half_even"}
    assert config.own_input_type
    (layer,) = config.layers
    assert set(layer.tensors) == {"weights", "bias"}
    assert layer.tensors["weights"].bit_width == layer.tensors["bias"].bit_width == 6
    assert (layer.tensors["weights"].round_mode, layer.tensors["bias"].round_mode) == ("half_even", "half_up")


def test_kinds_that_are_not_listed_are_left_out() -> None:
    assert set(parse_config({"quantizable_data_type": ["weights", "bias"]}).tensors) == {"weights", "bias"}


def test_flags_devices_and_spellings() -> None:
    config = parse_config(
        {
            "target_device": "flexml",
            "include_cle": False,
            "change_pool_input_fix": False,
            "onnx_opset_version": 18,
            "overall_quantizer_config": {"bit_width": 6},
        }
    )
    assert (config.target_device, config.include_cle, config.onnx_opset_version) == ("FLEXML", False, 18)
    assert config.change_pool_input_fix is False and config.change_concat_input_fix is None
    assert config.tensors["bias"].bit_width == 6


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "an object in braces"),
        ({"target": "CPU"}, r"key 'target'.*try: 'target_device'"),
        ({"target_device": "TPU"}, "try: 'GPU'"),
        ({"include_cle": "false"}, r"include_cle.*true or false"),
        ({"tensor_quantize_config": {"weight": {}}}, "try: 'weights'"),
        (
            {"tensor_quantize_config": {"bias": {"bitwidth": 8}}},
            r"tensor_quantize_config\.bias.*try: 'bit_width'",
        ),
        ({"layer_quantize_config": {}}, "a list"),
        ({"layer_quantize_config": [{**LAYER, "layer_name": "conv1"}]}, "one of the two"),
        ({"layer_quantize_config": [{**LAYER, "layer_type": None}]}, "one of the two"),
        ({"layer_quantize_config": [{**LAYER, "layer_type": 3}]}, "a text or null"),
        ({"layer_quantize_config": [{"layer_type": "Conv2d"}]}, "no quantizable_data_type"),
        ({"layer_quantize_config": [{**LAYER, "include_cle": True}]}, r"layer_quantize_config\[0\].*key"),
        (
            {"layer_quantize_config": [{**LAYER, "tensor_quantize_config": {"bias": {"bitwidth": 8}}}]},
            "try: 'bit_width'",
        ),
    ],
)
def test_wrong_keys_and_values_are_refused(data: Any, message: str) -> None:
    with pytest.raises(InputError, match=f"Q1431.*(?:{message})") as caught:
        parse_config(data)
    assert "(QUANTIZER_TORCH_QUANT_CONFIG)" in str(caught.value)


def test_files_are_read(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"target_device": "CPU"}))
    assert load_config(str(file)).target_device == "CPU"
    file.write_text('{"target_device": "CPU",}')
    with pytest.raises(InputError, match=r"Q1430 .*config\.json.*look for a comma"):
        load_config(file)
    with pytest.raises(InputError, match=r"Q1430 .*none\.json.*check the path"):
        load_config(tmp_path / "none.json")


@pytest.mark.parametrize("name", ["int", "bfloat16", "mix_precision"])
def test_the_examples_are_those_of_the_user_guide(name: str) -> None:
    config = load_config(EXAMPLES / f"{name}_config.json")
    assert config.target_device == "CPU" and not config.include_cle and not config.include_bias_corr
    assert set(config.tensors) == set(KINDS)
    datatypes = {kind: settings.datatype for kind, settings in config.tensors.items()}
    assert (
        datatypes
        == {
            "int": dict.fromkeys(KINDS, "int"),
            "bfloat16": dict.fromkeys(KINDS, "bfloat16"),
            "mix_precision": {**dict.fromkeys(KINDS, "bfloat16"), "bias": "float16"},
        }[name]
    )
    if name == "int":
        by_type, by_name = config.layers
        assert by_type.tensors["weights"].per_channel and by_type.tensors["activation"].method == "entropy"
        assert by_name.tensors["activation"].round_mode == "half_up"
