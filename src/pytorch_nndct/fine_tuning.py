"""Fast fine-tuning as the PyTorch quantizer of Vitis AI has it: notices, files, and what follows in test mode."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from quantforge.diagnostics import Diagnostic
from quantforge.frontends.torch.module import QuantizedModule
from quantforge.frontends.torch.quantizer import ModuleQuantizer
from quantforge.frontends.torch.tuning.options import Tuned, TuneOptions
from quantforge.frontends.torch.tuning.parameters import (
    is_fine_tuned,
    load_parameters,
    save_parameters,
)

PARAMETERS = "param.pth"
logger = logging.getLogger("pytorch_nndct")


def fine_tune_by(
    quantizer: ModuleQuantizer,
    module: QuantizedModule,
    run_fn: Callable[..., object],
    run_args: Any,
    folder: Path,
    device: torch.device,
    options: TuneOptions | None = None,
) -> Tuned:
    """Tune by the batches that ``run_fn(*run_args)`` calls `module` with, and write ``param.pth`` to `folder`.

    Errors as `tune_in_loop`.
    """
    listed = run_args if isinstance(run_args, tuple | list) else () if run_args is None else (run_args,)
    found = quantizer.tune(module, lambda: run_fn(*listed), options or TuneOptions(), device)
    folder.mkdir(parents=True, exist_ok=True)
    save_parameters({name: _constant(found, name) for name in found.constants}, folder / PARAMETERS)
    first, best = found.stages[0], min(found.stages, key=lambda stage: stage.loss)
    logger.info(
        "fine-tuned on %d samples: %.2f dB, before %.2f dB (on samples held out)",
        found.samples, best.sqnr_db, first.sqnr_db,
    )  # fmt: skip
    return found


def load_tuned(quantizer: ModuleQuantizer, module: QuantizedModule, folder: Path) -> None:
    """Give the tuned parameters in `folder` to the quantizer and to its `module`.

    Raises:
        InputError: Q1442 when they are missing or belong to another model.
    """
    path = folder / PARAMETERS
    constants = load_parameters(path, (folder / "quant_info.json").read_text("utf-8"))
    module.run_graph(quantizer.load_tuned(constants, str(path)))


def say_ignored(call: str, mode: str, wanted: str) -> None:
    """Q1441: a call that has no meaning in this mode."""
    notice = Diagnostic(
        "Q1441", f"{call} (QUANTIZER_TORCH_FINETUNE_IGNORED)", f"quant_mode {mode!r}", f"quant_mode {wanted!r}",
        "leave the call out in this mode; it does nothing",
    )  # fmt: skip
    logger.warning("%s", notice)


class UntunedUse:
    """Says once (Q1443) that a module runs without the tuned parameters that its ``quant_info.json`` belongs to."""

    def __init__(self, module: QuantizedModule, folder: Path, mode: str) -> None:
        self._where = folder / "quant_info.json"
        self._hook: Any = None
        if mode == "test" and is_fine_tuned(self._where.read_text("utf-8")):
            self._hook = module.register_forward_pre_hook(lambda *_: self.say())

    def say(self) -> None:
        """The notice, when it is due and has not been given."""
        if self._hook is not None:
            notice = Diagnostic(
                "Q1443", str(self._where), "scales of fine-tuned parameters, which are not loaded",
                "load_ft_param() before quant_model is used", "call quantizer.load_ft_param()",
            )  # fmt: skip
            logger.warning("%s", notice)
        self.settle()

    def settle(self) -> None:
        """No notice from now on."""
        if self._hook is not None:
            self._hook.remove()
        self._hook = None


def _constant(tuned: Tuned, name: str) -> Any:
    return tuned.base.value(name).const
