"""`torch_quantizer` of the PyTorch quantizer of Vitis AI, answered by quantforge.

quant_mode: "calib" to look at data, "test" for the quantized model, "float" for the model as it is.
module: The float module; it is not changed.
input_args: Example inputs: a tensor, or a tuple of arguments. Values do not matter.
input_kwargs: Named example inputs. A path in this place is taken as `state_dict_file`, where the guide has it.
state_dict_file: File of trained parameters, loaded into a copy of the module.
output_dir: Where calibration puts its results and test finds them.
bitwidth: Number of bits of everything, 2 to 16; 8 when None. A configuration file wins.
quant_config_file: A JSON quantization configuration, see pytorch_nndct.config.
device: Where the quantized module runs; the processor when there is no GPU.
lstm, app_deploy: ``lstm=True`` or ``app_deploy="NLP"`` for recurrent and language networks: 16-bit activations.
custom_quant_ops: Types of registered functions, and of operators that stay in float otherwise, to quantize.
dynamo: Taken for compatibility; modules are captured by torch.export in any case.
mix_bit, qat_proc: Belong to `QatProcessor`; here Q1420 says so.
target: A DPU; what it does not have stays in float, see `pytorch_nndct.hardware`.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from pytorch_nndct.arguments import (
    as_float32,
    available_device,
    batch_of,
    beside,
    example_inputs,
    loaded_module,
)
from pytorch_nndct.config_choice import chosen_recipe, remark_alignment, remark_float_layers
from pytorch_nndct.custom_op import with_custom_types
from pytorch_nndct.deploy_check import LastForward
from pytorch_nndct.exports import OnnxOptions, onnx_file, program_file, torch_script
from pytorch_nndct.fine_tuning import UntunedUse, fine_tune_by, load_tuned, say_ignored
from pytorch_nndct.hardware import hardware_aware
from pytorch_nndct.messages import documented
from pytorch_nndct.model_file import write_model_file
from pytorch_nndct.notices import say_float_ops, say_frozen_buffers
from pytorch_nndct.options import check_training, checked_mode, is_recurrent, not_built
from pytorch_nndct.replacements import say_replacements
from pytorch_nndct.xmodel_export import xmodel_file
from quantforge.diagnostics import InputError
from quantforge.files import atomic_path, check_writable, write_atomic
from quantforge.frontends.torch.module import QuantizedModule
from quantforge.frontends.torch.quantizer import ModuleQuantizer
from quantforge.frontends.torch.recurrent import recurrent_recipe
from quantforge.graph import Graph

QUANT_INFO, BIAS_CORRECTIONS = "quant_info.json", "bias_corr.pth"
_current: list[torch_quantizer] = []


class torch_quantizer:  # noqa: N801  the original's name
    """Quantizes one module; the module's text lists the arguments.

    Raises:
        QuantforgeError: With a code, see ``quantforge explain``.
    """

    @documented()
    def __init__(
        self,
        quant_mode: str | int,
        module: torch.nn.Module,
        input_args: Any = None,
        input_kwargs: Mapping[str, Any] | str | Path | None = None,
        state_dict_file: str | Path | None = None,
        output_dir: str | Path = "quantize_result",
        bitwidth: int | None = None,
        mix_bit: bool = False,
        device: torch.device | str = torch.device("cuda"),  # noqa: B008  the original's default
        lstm: bool = False,
        app_deploy: str = "CV",
        qat_proc: bool = False,
        custom_quant_ops: Any = None,
        quant_config_file: Any = None,
        target: str | None = None,
        dynamo: bool = False,
    ) -> None:
        check_training(mix_bit, qat_proc)
        recurrent = is_recurrent(lstm, app_deploy)
        if isinstance(input_kwargs, str | Path):
            input_kwargs, state_dict_file = None, input_kwargs
        self._mode = checked_mode(quant_mode)
        self._folder = Path(output_dir)
        self._device = available_device(device)
        module = loaded_module(module, state_dict_file)
        self._batch = batch_of(input_args, input_kwargs)
        recipe, self._opset = chosen_recipe(quant_config_file, bitwidth)
        recipe = recurrent_recipe(recipe, quant_config_file is not None) if recurrent else recipe
        recipe = with_custom_types(recipe, custom_quant_ops)
        _current[:] = [self]
        self._quantizer: ModuleQuantizer | None = None
        self._module: torch.nn.Module = module
        if self._mode == "float":
            return
        module, args, kwargs = as_float32(module, *beside(module, input_args, input_kwargs))
        adapt = hardware_aware(target, quant_config_file)
        self._quantizer = ModuleQuantizer(module, args, kwargs, recipe, adapt)
        say_replacements(self._quantizer.notes)
        remark_float_layers(self._quantizer)
        say_float_ops(self._quantizer.base, recipe.placement.custom_types)
        say_frozen_buffers(self._quantizer.base)
        write_model_file(self._quantizer.base, self._folder)
        module = self._observed() if self._mode == "calib" else self._loaded_result()
        self._module, self._last = module, LastForward(module, self._quantizer.base)
        self._untuned = UntunedUse(module, self._folder, self._mode)

    @property
    def quant_model(self) -> torch.nn.Module:
        """The module to evaluate: it counts what it sees (calib), or computes in fixed point (test)."""
        return self._module

    @documented()
    def export_quant_config(self) -> None:
        """Choose all scales and write ``quant_info.json`` and ``bias_corr.pth`` to `output_dir`.

        Raises:
            CalibrationError: Q0201 when `quant_model` has not run.
            InputError: Q1410 in another mode than calib.
        """
        if self._mode != "calib" or self._quantizer is None:
            raise InputError(
                "Q1410", "export_quant_config", f"quant_mode {self._mode!r}", "quant_mode 'calib'",
                "export the configuration in the run that calibrates",
            )  # fmt: skip
        self._folder.mkdir(parents=True, exist_ok=True)
        check_writable(self._folder / QUANT_INFO)
        before = len(self._quantizer.notes)
        self._quantizer.solve()
        say_replacements(self._quantizer.notes[before:])
        remark_alignment(self._quantizer.notes)
        with atomic_path(self._folder / BIAS_CORRECTIONS) as partial:
            torch.save(self._quantizer.bias_corrections(), partial)
        tool = f"{version('quantforge')}+torch{torch.__version__}"
        write_atomic(self._folder / QUANT_INFO, self._quantizer.quant_info(tool))

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
        """Write ``<Model>_int.onnx``, which stock ONNX Runtime runs.

        opset_version: 13 to 26; the oldest that fits, at least 17, when None.
        native_onnx: False for operators of domain ``vai``, for any width and rounding.
        dump_layers: Write the tensors of the last forward pass, by ONNX Runtime, to ``onnx_layer_output``.
        check_model: Run ONNX Runtime beside `quant_model` on the last input.
        opt_graph: Let ONNX Runtime fold constants first.

        Raises:
            QuantforgeError: Q1410 before calibration; Q0602 to Q0605 for what ONNX cannot express; Q1466 when layers
                are to be dumped without a forward pass; Q1479 for the opset; Q1480 when the check fails.
        """
        opset = self._opset if opset_version is None else opset_version
        onnx_file(
            self._graph(),
            self._solved().recipe.name,
            output_dir,
            verbose,
            None if dynamic_batch else self._batch,
            OnnxOptions(opset, native_onnx, dump_layers, check_model, opt_graph),
            self._last.inputs,
        )

    @documented()
    def export_exported_program(
        self, output_dir: str | Path = "quantize_result", verbose: bool = False
    ) -> torch.export.ExportedProgram:
        """Write ``<Model>_int.pt2`` by torch.export, with the batch open; torch alone loads and runs it.

        Raises:
            QuantforgeError: Q1410 before calibration, Q1483 when torch.export refuses the module.
        """
        self._graph()
        return program_file(self._quantized(), output_dir, verbose)

    @documented()
    def export_torch_script(self, output_dir: str | Path = "quantize_result", verbose: bool = False) -> Any:
        """Write ``<Model>_int.pt`` in TorchScript and return the script module; it needs no package to run.

        Raises:
            QuantforgeError: Q1410 before calibration.
        """
        graph = self._graph()
        return torch_script(self._quantized(), self._example(graph), graph.name, output_dir, verbose)

    @documented()
    def export_xmodel(
        self,
        output_dir: str | Path = "quantize_result",
        deploy_check: bool = False,
        dynamic_batch: bool = False,
    ) -> None:
        """Write ``<Model>_int.xmodel``: quantized, not compiled, with a batch of 1.

        With `deploy_check` every tensor of the last forward pass goes to ``deploy_check_data_int/<Model>``.

        Raises:
            QuantforgeError: Q1410 before calibration; Q1150 to Q1153 for what XIR cannot express; Q1466 without a
                forward pass.
        """
        graph = self._graph()
        xmodel_file(graph, output_dir, dynamic_batch, self._last.inputs if deploy_check else None)

    def fast_finetune(self, run_fn: Any, run_args: Any) -> None:
        """Calibrate and tune weights and biases by the batches that ``run_fn(*run_args)`` runs quant_model on.

        Weights go to ``param.pth``; quant_model computes in fixed point from then on. In test mode it does nothing
        but say so (Q1441).

        Raises:
            CalibrationError: Q0201 when run_fn does not call quant_model.
            InputError: Q1444 when neither memory nor disk holds what is kept.
        """
        if self._mode != "calib" or not isinstance(self._module, QuantizedModule):
            say_ignored("fast_finetune", self._mode, "calib")
            return
        fine_tune_by(self._solved(), self._module, run_fn, run_args, self._folder, self._device)

    def load_ft_param(self) -> None:
        """Load what `fast_finetune` wrote into quant_model; in calib mode it does nothing but say so (Q1441).

        Raises:
            InputError: Q1442 when ``param.pth`` is missing, or belongs to another model.
        """
        if self._mode != "test" or not isinstance(self._module, QuantizedModule):
            say_ignored("load_ft_param", self._mode, "test")
            return
        load_tuned(self._solved(), self._module, self._folder)
        self._untuned.settle()

    @property
    def deploy_model(self) -> None:
        """Belongs to training; the original gives None here.

        Raises:
            UnsupportedError: Q1420, which names the method that gives a deployable model.
        """
        fix = "QatProcessor.to_deployable; here quant_model computes what is exported"
        raise not_built("deploy_model (QUANTIZER_TORCH_DEPLOY_MODEL)", "a quantizer that does not train", fix)

    def _observed(self) -> QuantizedModule:
        return self._solved().observed_module(str(self._device)).to(self._device)

    def _quantized(self) -> QuantizedModule:
        return self._solved().quantized_module().to(self._device)

    def _loaded_result(self) -> QuantizedModule:
        """The module in fixed point by the files of calibration."""
        info, corrections = self._folder / QUANT_INFO, self._folder / BIAS_CORRECTIONS
        if not info.is_file():
            raise InputError(
                "Q1413", f"{info} (QUANTIZER_TORCH_NO_CALIB_RESULT)", "no file", "the result of calibration",
                "run with quant_mode 'calib' first, with the same output_dir",
            )  # fmt: skip
        found = torch.load(corrections, weights_only=True) if corrections.is_file() else None
        self._solved().load(info.read_text("utf-8"), found, str(info))
        return self._quantized()

    def _solved(self) -> ModuleQuantizer:
        if self._quantizer is None:
            raise InputError(
                "Q1410", "torch_quantizer", "quant_mode 'float'", "quant_mode 'calib' or 'test'",
                "make a quantizer in one of these modes",
            )  # fmt: skip
        return self._quantizer

    def _graph(self) -> Graph:
        graph = self._solved().graph
        self._untuned.say()
        if graph is None:
            raise InputError(
                "Q1410", "export (QUANTIZER_TORCH_NO_CALIBRATION)", "no scales yet", "a calibrated model",
                "export in quant_mode 'test', or after export_quant_config()",
            )  # fmt: skip
        return graph

    def _example(self, graph: Graph) -> tuple[torch.Tensor, ...]:
        """Zeros in the shapes of the inputs."""
        return example_inputs(graph, self._batch or 1, self._device)


def current_quantizer() -> torch_quantizer:
    """The quantizer made last in this process.

    Raises:
        InputError: Q1410 when there is none.
    """
    if not _current:
        raise InputError(
            "Q1410",
            "dump_xmodel",
            "no quantizer in this process",
            "one made before",
            "make a torch_quantizer",
        )
    return _current[0]
