from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch", reason="torch is not installed")

from pytorch_nndct.config_values import TensorConfig, listed, section, tensor_config, whole_number
from quantforge.diagnostics import InputError


def test_defaults_are_the_documented_ones() -> None:
    assert TensorConfig.default("weights") == TensorConfig(
        "int", 8, "diffs", "std_round", True, False, True, False, "poweroftwo", "modal", 99.99
    )
    assert TensorConfig.default("activation").round_mode == "half_up"


def test_a_section_sets_what_it_says() -> None:
    found = tensor_config(
        {"data_type": "Int", "bit_width": 4, "method": "Maxmin", "scale_type": "Float", "percentage": 99},
        "file",
    )
    assert found == {
        "datatype": "int", "bit_width": 4, "method": "maxmin", "scale_type": "float", "percentage": 99.0
    }  # fmt: skip
    assert tensor_config({"bit_width": 0}, "file") == {}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"bitwidth": 8}, r"key 'bitwidth'.*try: 'bit_width'"),
        ({"method": "minmax"}, r"'minmax'.*try: 'maxmin'"),
        ({"round_mode": "half_evn"}, "try: 'half_even'"),
        ({"datatype": "float8"}, "int or bfloat16 or float16 or float32"),
        ({"symmetry": "true"}, "true or false"),
        ({"per_channel": 1}, "true or false"),
        ({"bit_width": 1}, r"QUANTIZER_TORCH_ILLEGAL_BITWIDTH.*2 to 32 bits"),
        ({"bit_width": 33}, "QUANTIZER_TORCH_ILLEGAL_BITWIDTH"),
        ({"bit_width": False}, "QUANTIZER_TORCH_ILLEGAL_BITWIDTH"),
        ({"bit_width": 8.0}, "QUANTIZER_TORCH_ILLEGAL_BITWIDTH"),
        ({"percentage": 0}, "above 0 and up to 100"),
        ({"percentage": True}, "above 0 and up to 100"),
        ([1], "an object in braces"),
    ],
)
def test_wrong_keys_and_values_name_what_is_near(data: Any, message: str) -> None:
    with pytest.raises(InputError, match=f"Q1431 file.*{message}"):
        tensor_config(data, "file")


def test_lists_sections_and_numbers() -> None:
    assert listed(["weights", "WEIGHTS", "bias"], ("weights", "bias"), "kinds") == ("weights", "bias")
    with pytest.raises(InputError, match=r"Q1431.*'wieghts'.*try: 'weights'"):
        listed(["wieghts"], ("weights", "bias"), "kinds")
    with pytest.raises(InputError, match=r"Q1431.*a list"):
        listed("weights", ("weights",), "kinds")
    assert section({}, "a", list, "file") is section({"a": None}, "a", list, "file") is None
    with pytest.raises(InputError, match=r"Q1431 file: a.*expected a list"):
        section({"a": {}}, "a", list, "file")
    with pytest.raises(InputError, match=r"Q1431.*an object"):
        section({"a": []}, "a", dict, "file")
    assert whole_number(17, 1, 99, "opset") == 17
    for wrong in (0, 100, True, "17"):
        with pytest.raises(InputError, match=r"Q1431 opset"):
            whole_number(wrong, 1, 99, "opset")
