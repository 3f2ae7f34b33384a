"""The options of the original: which are built, and what the others answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from quantforge.diagnostics import InputError, UnsupportedError

MODES = ("float", "calib", "test")
WIDTHS = range(2, 17)
_PENDING_NAMES = (
    "load_vai_ops", "SparsePruner",
    "get_pruning_runner", "IterativePruningRunner", "OneStepPruningRunner", "OFAPruner",
)  # fmt: skip
_DEFAULTS: Mapping[str, Any] = {
    "mix_bit": False,
    "lstm": False,
    "app_deploy": "CV",
    "qat_proc": False,
    "dynamo": False,
    "opset_version": None,
    "native_onnx": True,
    "dump_layers": False,
    "check_model": False,
    "opt_graph": False,
}


def not_built(what: str, found: str, fix: str) -> UnsupportedError:
    """Q1420: a name or option of the original that this version does not have."""
    return UnsupportedError("Q1420", what, found, "what this version has", fix)


def refuse_name(module: str, name: str) -> NoReturn:
    """What importing a name gives that the module does not have.

    Raises:
        UnsupportedError: Q1420 for a name of the original.
        AttributeError: For any other.
    """
    if name in _PENDING_NAMES:
        raise not_built(f"{module}.{name}", "a name that is not built yet", "see docs/pytorch_nndct.md")
    raise AttributeError(f"module {module!r} has no attribute {name!r}")


def check_defaults(**options: Any) -> None:
    """Refuse options that are not built, unless they have their default.

    Raises:
        UnsupportedError: Q1420.
    """
    for name, value in options.items():
        if value != _DEFAULTS[name]:
            raise not_built(f"option {name}", repr(value), f"leave it at {_DEFAULTS[name]!r}")


def checked_mode(mode: Any) -> str:
    """The quantization mode; 1 and 2 are calib and test.

    Raises:
        InputError: Q1421 for any other.
    """
    found = {1: "calib", 2: "test"}.get(mode, mode) if isinstance(mode, int) else mode
    if found not in MODES:
        raise InputError(
            "Q1421", "quant_mode", repr(mode), " or ".join(map(repr, MODES)), "quant_mode='calib'"
        )
    return str(found)


def checked_width(bits: Any) -> int:
    """The number of bits; None means 8.

    Raises:
        InputError: Q1421 when it is no number of bits a DPU has.
    """
    if bits is None:
        return 8
    if isinstance(bits, bool) or not isinstance(bits, int) or bits not in WIDTHS:
        expected = f"{WIDTHS.start} to {WIDTHS.stop - 1}"
        raise InputError(
            "Q1421", "bitwidth (QUANTIZER_TORCH_ILLEGAL_BITWIDTH)", repr(bits), expected, "bitwidth=8"
        )
    return bits
