"""Which settings of the JSON quantization configuration go together, for the whole file and for every layer.

Data type int only:

    DPU       diffs or maxmin, symmetric, signed, one power of two per tensor, modal over batches; rounding half_up
              for activations, std_round for the rest; activations and biases equally wide
    CPU, GPU  per channel (weights only): float with maxmin, or poweroftwo with diffs or maxmin, symmetric, signed
              per tensor: float with maxmin, percentile, mse or entropy (asymmetric: the first two) and max, mean or
              median over batches; or poweroftwo with diffs or maxmin, symmetric, signed, modal
    FLEXML    anything that can be computed

What a setting has no meaning for is not looked at: statistics over batches of parameters. `narrow_range` may be
either on every device: the user guide asks for true on a DPU, the original's code for false.

Source: user guide UG1414, Quantization Strategy Configuration, Configuration Restrictions.
"""

from __future__ import annotations

from collections.abc import Iterator

from pytorch_nndct.config import Config, Tensors
from pytorch_nndct.config_values import TensorConfig
from quantforge.diagnostics import InputError

_OVER_BATCHES = ("input", "activation")
Demand = tuple[str, tuple[object, ...]]  # a key, and the values it may have


def check_config(config: Config) -> None:
    """Refuse settings that conflict.

    Raises:
        InputError: Q1432, which names the section, the setting and what it may be.
    """
    _check(config.tensors, config.target_device, config.where)
    for layer in config.layers:
        _check(layer.tensors, config.target_device, layer.where)


def _check(tensors: Tensors, target: str, where: str) -> None:
    for kind, settings in tensors.items():
        if settings.datatype != "int":
            continue
        for reason, (key, legal) in _demands(kind, settings, target):
            found = getattr(settings, key)
            if found not in legal:
                raise _conflict(
                    f"{where}: {kind}", f"{key} = {_text(found)} {reason}", " or ".join(map(_text, legal)),
                    f'tensor_quantize_config.{kind}: "{key}": {_text(legal[0])}',
                )  # fmt: skip
        if settings.narrow_range and not settings.signed:
            raise _conflict(
                f"{where}: {kind}", "narrow_range = true with signed = false", "a signed format for a narrow range",
                f'tensor_quantize_config.{kind}: "narrow_range": false',
            )  # fmt: skip
    if target == "DPU":
        _check_widths(tensors, where)


def _demands(kind: str, settings: TensorConfig, target: str) -> Iterator[tuple[str, Demand]]:
    if target == "FLEXML":
        return
    if kind != "weights":
        yield f"for {kind} tensors", ("per_channel", (False,))
    if target == "DPU":
        yield from _dpu(kind)
    elif settings.scale_type == "poweroftwo":
        yield from _power_of_two(kind)
    elif settings.per_channel:
        yield "with scale_type float per channel", ("method", ("maxmin",))
    else:
        methods = (
            ("maxmin", "percentile") if not settings.symmetry else ("maxmin", "percentile", "mse", "entropy")
        )
        reason = "with scale_type float" if settings.symmetry else "with symmetry = false"
        yield reason, ("method", methods)
        if kind in _OVER_BATCHES:
            yield "with scale_type float", ("calib_statistic_method", ("max", "mean", "median"))


def _power_of_two(kind: str, reason: str = "with scale_type poweroftwo") -> Iterator[tuple[str, Demand]]:
    yield reason, ("method", ("diffs", "maxmin"))
    yield reason, ("symmetry", (True,))
    yield reason, ("signed", (True,))
    if kind in _OVER_BATCHES:
        yield reason, ("calib_statistic_method", ("modal",))


def _dpu(kind: str) -> Iterator[tuple[str, Demand]]:
    reason = "with target_device DPU"
    yield reason, ("per_channel", (False,))
    yield reason, ("scale_type", ("poweroftwo",))
    yield from _power_of_two(kind, reason)
    yield reason, ("round_mode", ("half_up",) if kind == "activation" else ("std_round",))


def _check_widths(tensors: Tensors, where: str) -> None:
    """On a DPU a bias is as wide as the activations."""
    pair = [tensors[kind] for kind in ("activation", "bias") if kind in tensors]
    if len(pair) == 2 and all(s.datatype == "int" for s in pair) and pair[0].bit_width != pair[1].bit_width:
        raise _conflict(
            f"{where}: bias", f"bit_width = {pair[1].bit_width} beside activations of {pair[0].bit_width} bits",
            "equal widths with target_device DPU", f'tensor_quantize_config.bias: "bit_width": {pair[0].bit_width}',
        )  # fmt: skip


def _conflict(where: str, found: str, expected: str, fix: str) -> InputError:
    return InputError("Q1432", f"{where} (QUANTIZER_TORCH_QUANT_CONFIG)", found, expected, fix)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else f'"{value}"'
