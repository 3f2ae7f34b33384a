"""The JSON quantization configuration of the PyTorch quantizer: read, completed with defaults, and checked.

    {"target_device": "CPU", "include_cle": false,                   about the model
     "quantizable_data_type": ["input", "weights", "bias", "activation"],
     "overall_quantize_config": {"bit_width": 8, ...},               about all tensors
     "tensor_quantize_config": {"weights": {"per_channel": true}},   about the tensors of a kind
     "layer_quantize_config": [{"layer_type": "torch.nn.Conv2d", ...}, {"layer_name": "layer1.0.conv1", ...}]}

A kind of tensor starts from its defaults; the overall section is laid over them, then its own section. A layer
starts from what that gives for each kind its `quantizable_data_type` lists, and lays its own two sections over it.
Kinds that a list leaves out stay in float.

Source: user guide UG1414, Quantization Strategy Configuration.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pytorch_nndct.config_values import (
    KINDS,
    TensorConfig,
    boolean,
    checked_keys,
    choice,
    listed,
    refuse,
    section,
    tensor_config,
    whole_number,
)
from quantforge.diagnostics import InputError

TARGETS = ("DPU", "CPU", "GPU", "FLEXML")
_FLAGS = (
    "convert_relu6_to_relu", "convert_silu_to_hswish", "include_cle", "include_bias_corr",
    "keep_first_last_layer_accuracy", "keep_add_layer_accuracy", "change_concat_input_fix",
    "change_pool_input_fix",
)  # fmt: skip
_SECTIONS = ("overall_quantize_config", "tensor_quantize_config", "layer_quantize_config")
_TOP = ("target_device", *_FLAGS, "onnx_opset_version", "quantizable_data_type", *_SECTIONS)
_LAYER = ("layer_type", "layer_name", "quantizable_data_type", *_SECTIONS[:2])
_ALIASES = {"overall_quantizer_config": "overall_quantize_config"}  # as the user guide writes it once

Tensors = Mapping[str, TensorConfig]


@dataclass(frozen=True)
class LayerConfig:
    """Settings of the layers of one type or of one name; `where` names the entry of the file."""

    where: str
    layer_type: str | None
    layer_name: str | None
    tensors: Tensors


@dataclass(frozen=True)
class Config:
    """A whole file. Flags that are None were not in it; `tensors` holds the kinds that are quantized."""

    where: str
    tensors: Tensors
    layers: tuple[LayerConfig, ...] = ()
    target_device: str = "DPU"
    convert_relu6_to_relu: bool = False
    convert_silu_to_hswish: bool = False
    include_cle: bool = True
    include_bias_corr: bool = True
    keep_first_last_layer_accuracy: bool = False
    keep_add_layer_accuracy: bool = False
    change_concat_input_fix: bool | None = None
    change_pool_input_fix: bool | None = None
    onnx_opset_version: int | None = None
    own_input_type: bool = field(default=False)  # whether the file gives graph inputs a datatype of their own


def load_config(path: str | Path) -> Config:
    """Read a configuration file. What it does not say has the documented default.

    Raises:
        InputError: Q1430 for a file that cannot be read, Q1431 for a wrong key or value.
    """
    where = str(path)
    try:
        data = json.loads(Path(path).read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            "Q1430",
            f"{where} (QUANTIZER_TORCH_QUANT_CONFIG)",
            str(error),
            "a readable file",
            "check the path",
        ) from error
    except json.JSONDecodeError as error:
        raise InputError(
            "Q1430", f"{where} (QUANTIZER_TORCH_QUANT_CONFIG)", str(error), "JSON",
            "look for a comma behind the last entry of a list or object",
        ) from error  # fmt: skip
    return parse_config(data, where)


def parse_config(data: Any, where: str = "quant_config_file") -> Config:
    """The configuration that a JSON object says; `where` names it in errors.

    >>> config = parse_config({"target_device": "CPU", "overall_quantize_config": {"bit_width": 4}})
    >>> config.tensors["bias"].bit_width, config.tensors["activation"].round_mode
    (4, 'half_up')

    Raises:
        InputError: Q1431 for a wrong key or value.
    """
    table = _renamed(checked_keys(data, (*_TOP, *_ALIASES), where))
    flags = {name: boolean(table[name], f"{where}: {name}") for name in _FLAGS if name in table}
    kinds = listed(table.get("quantizable_data_type", list(KINDS)), KINDS, f"{where}: quantizable_data_type")
    whole = _laid({kind: TensorConfig.default(kind) for kind in KINDS}, table, where)
    layers = section(table, "layer_quantize_config", list, where) or []
    return Config(
        where,
        {kind: whole[kind] for kind in kinds},
        tuple(_layer(layer, whole, f"{where}: layer_quantize_config[{i}]") for i, layer in enumerate(layers)),
        target_device=choice(table.get("target_device", "DPU"), TARGETS, f"{where}: target_device"),
        onnx_opset_version=_opset(table.get("onnx_opset_version"), where),
        own_input_type="datatype" in _own(table, "input"),
        **flags,
    )


def _renamed(table: Mapping[str, Any]) -> dict[str, Any]:
    return {_ALIASES.get(key, key): value for key, value in table.items()}


def _laid(tensors: Tensors, table: Mapping[str, Any], where: str) -> dict[str, TensorConfig]:
    """`tensors` with the overall section and then each kind's own section of `table` laid over them."""
    overall = section(table, "overall_quantize_config", dict, where) or {}
    own = section(table, "tensor_quantize_config", dict, where) or {}
    checked_keys(own, KINDS, f"{where}: tensor_quantize_config")
    found = {}
    for kind, config in tensors.items():
        config = replace(config, **tensor_config(overall, f"{where}: overall_quantize_config"))
        found[kind] = replace(
            config, **tensor_config(own.get(kind, {}), f"{where}: tensor_quantize_config.{kind}")
        )
    for kind in set(own) - set(tensors):
        tensor_config(own[kind], f"{where}: tensor_quantize_config.{kind}")
    return found


def _own(table: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    own = table.get("tensor_quantize_config") or {}
    return tensor_config(own.get(kind, {}), kind)


def _layer(data: Any, whole: Tensors, where: str) -> LayerConfig:
    table = _renamed(checked_keys(data, (*_LAYER, *_ALIASES), where))
    names = {key: table.get(key) for key in ("layer_type", "layer_name")}
    for key, name in names.items():
        if name is not None and not (isinstance(name, str) and name):
            raise refuse(f"{where}: {key}", repr(name), "a text or null", f'"{key}": null')
    if sum(name is not None for name in names.values()) != 1:
        raise refuse(
            where, f"layer_type {names['layer_type']!r} and layer_name {names['layer_name']!r}",
            "one of the two, and null for the other", "write an entry for each",
        )  # fmt: skip
    if "quantizable_data_type" not in table:
        raise refuse(
            where, "no quantizable_data_type", "the kinds of tensors the entry is about",
            '"quantizable_data_type": ["weights", "bias", "activation"]',
        )  # fmt: skip
    kinds = listed(table["quantizable_data_type"], KINDS, f"{where}: quantizable_data_type")
    tensors = _laid({kind: whole[kind] for kind in kinds}, table, where)
    return LayerConfig(where, names["layer_type"], names["layer_name"], tensors)


def _opset(value: Any, where: str) -> int | None:
    return None if value is None else whole_number(value, 1, 99, f"{where}: onnx_opset_version")
