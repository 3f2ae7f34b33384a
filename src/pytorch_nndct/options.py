"""The options of the original: which are built, and what the others answer."""

from __future__ import annotations

from typing import Any, NoReturn

from quantforge.diagnostics import InputError, UnsupportedError

MODES = ("float", "calib", "test")
WIDTHS = range(2, 17)
_PENDING_NAMES = (
    "SparsePruner",
    "get_pruning_runner", "IterativePruningRunner", "OneStepPruningRunner", "OFAPruner",
)  # fmt: skip
DEPLOYMENTS = ("CV", "NLP")


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


def check_training(mix_bit: Any, qat_proc: Any) -> None:
    """Refuse the arguments that make a quantizer for training.

    Raises:
        UnsupportedError: Q1420, which names the class that trains.
    """
    for name, value in (("mix_bit", mix_bit), ("qat_proc", qat_proc)):
        if value:
            fix = f"pytorch_nndct.QatProcessor(model, inputs{', mix_bit=True' if mix_bit else ''})"
            raise not_built(f"option {name} of torch_quantizer", repr(value), fix)


def is_recurrent(lstm: Any, app_deploy: Any) -> bool:
    """Whether the recipe for recurrent and language networks is asked for.

    Raises:
        InputError: Q1421 for a deployment that is neither CV nor NLP.
    """
    if app_deploy not in DEPLOYMENTS:
        raise InputError(
            "Q1421", "app_deploy", repr(app_deploy), " or ".join(map(repr, DEPLOYMENTS)), "app_deploy='CV'"
        )
    return bool(lstm) or app_deploy == "NLP"


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
