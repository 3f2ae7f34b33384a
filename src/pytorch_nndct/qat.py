"""`QatProcessor`: quantization aware training by the names of the PyTorch quantizer of Vitis AI.

model: The float module; it is not changed. Its code needs no change either: functional calls, operators and modules
    called twice are quantized as in calibration.
inputs: Example inputs: a tensor, or a tuple of arguments. Values do not matter.
bitwidth: Number of bits of everything, 2 to 16.
mix_bit: Convolutions and matrix products alone have `bitwidth` bits, everything else 8.
device: Taken for compatibility; training runs where the module is.
weight_bits, activation_bits: In place of `bitwidth` for one of the two.
layer_bits: Widths of weights by layer name (globs), such as {"conv1": 8}.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from pytorch_nndct.arguments import as_float32, batch_of, beside, example_inputs, loaded_module
from pytorch_nndct.deploy_check import LastForward
from pytorch_nndct.exports import OnnxOptions, onnx_file, torch_script
from pytorch_nndct.fine_tuning import PARAMETERS as TUNED
from pytorch_nndct.messages import documented
from pytorch_nndct.notices import say_float_ops
from pytorch_nndct.options import checked_width
from pytorch_nndct.xmodel_export import xmodel_file
from quantforge.diagnostics import Diagnostic, InputError
from quantforge.files import atomic_path, write_atomic
from quantforge.frontends.torch.module import QuantizedModule
from quantforge.frontends.torch.quant_info import apply_json, to_json
from quantforge.frontends.torch.training.finish import aligned_graph, constants_of, with_constants
from quantforge.frontends.torch.training.module import TrainableModule
from quantforge.frontends.torch.training.trainer import ModuleTrainer
from quantforge.frontends.torch.training.widths import training_recipe
from quantforge.frontends.torch.tuning.parameters import is_fine_tuned, load_parameters
from quantforge.graph import Graph

QUANT_INFO, BIAS_CORRECTIONS, PARAMETERS = "quant_info.json", "bias_corr.pth", "deployable.pth"
logger = logging.getLogger("pytorch_nndct")


class QatProcessor:
    """Trains one module; the module's text lists the arguments.

    Raises:
        QuantforgeError: With a code, see ``quantforge explain``.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        inputs: Any,
        bitwidth: int = 8,
        mix_bit: bool = False,
        device: torch.device | str | None = None,
        *,
        weight_bits: int | None = None,
        activation_bits: int | None = None,
        layer_bits: Mapping[str, int] | None = None,
    ) -> None:
        bits = checked_width(bitwidth)
        wide = 8 if mix_bit else bits
        recipe = training_recipe(
            bits if weight_bits is None else checked_width(weight_bits),
            wide if activation_bits is None else checked_width(activation_bits),
            tuple((name, checked_width(width)) for name, width in (layer_bits or {}).items()),
        )
        if device is not None:
            _notice("Q1447", "device (QUANTIZER_TORCH_DEPRECATED_ARGUMENT)", str(device), "the model's own device",
                    "leave it out, and move the model instead")  # fmt: skip
        model = loaded_module(model, None)
        model, args, kwargs = as_float32(model, *beside(model, inputs, None))
        self._batch = batch_of(args, kwargs)
        self._trainer = ModuleTrainer(model, args, kwargs, recipe, bits if mix_bit else None)
        say_float_ops(self._trainer.structure.folded)
        for op in self._trainer.structure.without_gradient:
            _notice("Q1446", f"op {op.name!r}", op.kind, "an operator that torch can differentiate",
                    "replace it, or see to it that nothing that trains stands in front of it alone")  # fmt: skip
        if self._trainer.lost_dropouts:
            _notice("Q1450", f"module {type(model).__name__}", f"{self._trainer.lost_dropouts} calls of dropout",
                    "nn.Dropout, in front of an operator", "use that, or train without")  # fmt: skip
        self._trainable: TrainableModule | None = None
        self._deployed: tuple[Graph, QuantizedModule, LastForward] | None = None

    @documented()
    def trainable_model(
        self, calib_dir: str | Path = "", allow_reused_module: bool = False
    ) -> TrainableModule:
        """A module to train as the float one was.

        Args:
            calib_dir: Folder of the results of `torch_quantizer` in calibration mode with the same widths, to start
                from, tuned weights included where it called `fast_finetune`. Without, the first forward pass
                calibrates on its batch.
            allow_reused_module: Taken for compatibility; modules may be called any number of times.

        Raises:
            InputError: Q1413 when the folder has no result, Q1411, Q1412 or Q1442 when it belongs to another model.
        """
        del allow_reused_module
        module = self._trainer.trainable()
        if str(calib_dir):
            info, corrections = Path(calib_dir) / QUANT_INFO, Path(calib_dir) / BIAS_CORRECTIONS
            found = torch.load(corrections, weights_only=True) if corrections.is_file() else None
            text = _existing(info).read_text("utf-8")
            tuned = load_parameters(Path(calib_dir) / TUNED, text) if is_fine_tuned(text) else None
            self._trainer.begin_at_file(module, text, found, tuned, str(info))
        self._trainable = module
        return module

    def quant_model(self) -> TrainableModule:
        """The module that `trainable_model` returned last, a new one when it was not called."""
        return self.trainable_model() if self._trainable is None else self._trainable

    @documented()
    def to_deployable(
        self, trained_model: torch.nn.Module, output_dir: str | Path = "qat_result"
    ) -> QuantizedModule:
        """The trained module in fixed point, and its files ``quant_info.json`` and ``deployable.pth``.

        It computes what `trained_model` computes in evaluation mode, bit for bit on the same processor, unless the
        shift registers of a DPU ask for other positions; then notice Q1448 names them.

        Raises:
            InputError: Q1449 for a module that `trainable_model` did not make.
        """
        trained = _trainable(trained_model)
        graph, notes = aligned_graph(trained, self._trainer.places, self._trainer.recipe)
        for note in notes:
            _notice("Q1448", f"op {note.op!r} (QUANTIZER_TORCH_SHIFT_CHECK)", note.text, "positions in reach",
                    "nothing; the deployable model is a little other than the trained one here")  # fmt: skip
        folder = Path(output_dir)
        folder.mkdir(parents=True, exist_ok=True)
        tool = f"{version('quantforge')}+torch{torch.__version__}"
        write_atomic(folder / QUANT_INFO, to_json(graph, tool, False, {}))
        with atomic_path(folder / PARAMETERS) as partial:
            torch.save(constants_of(graph), partial)
        return self._deploy(graph, next(trained.parameters()).device)

    def convert_to_deployable(
        self, trained_model: torch.nn.Module, output_dir: str | Path = "qat_result"
    ) -> QuantizedModule:
        """The older name of `to_deployable`."""
        return self.to_deployable(trained_model, output_dir)

    @documented()
    def deployable_model(self, src_dir: str | Path, used_for_xmodel: bool = False) -> QuantizedModule:
        """The module in fixed point from the files of `to_deployable`; on the processor for an xmodel.

        Raises:
            InputError: Q1413 when the files are not there, Q1411 when they belong to another model or width.
        """
        info, parameters = Path(src_dir) / QUANT_INFO, Path(src_dir) / PARAMETERS
        text = _existing(info).read_text("utf-8")
        constants = torch.load(_existing(parameters), map_location="cpu", weights_only=True)
        module = self._trainer.trainable()
        planned, _ = aligned_graph(module, self._trainer.places, self._trainer.recipe)
        graph = apply_json(text, with_constants(planned, constants, str(parameters)), str(info))
        device = torch.device("cpu") if used_for_xmodel else next(module.parameters()).device
        return self._deploy(graph, device)

    @documented()
    def export_xmodel(
        self,
        output_dir: str | Path = "quantize_result",
        deploy_check: bool = False,
        dynamic_batch: bool = False,
    ) -> None:
        """Write ``<Model>_int.xmodel``: quantized, not compiled, with a batch of 1.

        Raises:
            QuantforgeError: Q1410 before `to_deployable`; Q1150 to Q1153 for what XIR cannot express; Q1466 for
                `deploy_check` without a forward pass of the deployable model.
        """
        graph, _, last = self._finished()
        xmodel_file(graph, output_dir, dynamic_batch, last.inputs if deploy_check else None)

    @documented()
    def export_onnx_model(
        self,
        output_dir: str | Path = "quantize_result",
        verbose: bool = False,
        dynamic_batch: bool = False,
        opset_version: int | None = None,
        native_onnx: bool = True,
        dump_layers: bool = False,
        check_model: bool = False,
        opt_graph: bool = False,
    ) -> None:
        """Write ``<Model>_int.onnx``, which stock ONNX Runtime runs; options are those of `torch_quantizer`.

        Raises:
            QuantforgeError: Q1410 before `to_deployable`, else as `torch_quantizer.export_onnx_model`.
        """
        graph, _, last = self._finished()
        batch = None if dynamic_batch else self._batch
        options = OnnxOptions(opset_version, native_onnx, dump_layers, check_model, opt_graph)
        onnx_file(graph, self._trainer.recipe.name, output_dir, verbose, batch, options, last.inputs)

    @documented()
    def export_torch_script(self, output_dir: str | Path = "quantize_result", verbose: bool = False) -> Any:
        """Write ``<Model>_int.pt`` in TorchScript and return the script module; it needs no package to run.

        Raises:
            QuantforgeError: Q1410 before `to_deployable`.
        """
        graph, module, _ = self._finished()
        device = next(iter((*module.parameters(), *module.buffers()))).device
        example = example_inputs(graph, self._batch or 1, device)
        return torch_script(module, example, graph.name, output_dir, verbose)

    def _deploy(self, graph: Graph, device: torch.device) -> QuantizedModule:
        module = self._trainer.deployed(graph).to(device)
        self._deployed = graph, module, LastForward(module, graph)
        return module

    def _finished(self) -> tuple[Graph, QuantizedModule, LastForward]:
        if self._deployed is None:
            raise InputError(
                "Q1410", "export (QUANTIZER_TORCH_QAT_DEPLOYABLE_MODEL_ERROR)", "no deployable model",
                "a trained model made deployable", "call to_deployable() or deployable_model() before exporting",
            )  # fmt: skip
        return self._deployed


def _trainable(module: torch.nn.Module) -> TrainableModule:
    """The module that trains, out of what torch wraps around it."""
    for name in ("module", "_orig_mod", "module"):
        inner = getattr(module, name, None)
        if not isinstance(module, TrainableModule) and isinstance(inner, torch.nn.Module):
            module = inner
    if not isinstance(module, TrainableModule):
        raise InputError(
            "Q1449", "trained_model (QUANTIZER_TORCH_QAT_PROCESS_ERROR)", type(module).__name__,
            "the module that trainable_model() returned", "train that one, and pass it",
        )  # fmt: skip
    return module


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise InputError(
            "Q1413", f"{path} (QUANTIZER_TORCH_NO_CALIB_RESULT)", "no file", "a result of this model",
            "calibrate, or call to_deployable(), with the same folder",
        )  # fmt: skip
    return path


def _notice(code: str, where: str, found: str, expected: str, fix: str) -> None:
    logger.warning("%s", Diagnostic(code, where, found, expected, fix))
