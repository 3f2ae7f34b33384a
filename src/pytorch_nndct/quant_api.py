"""`torch_quantizer` of the PyTorch quantizer of Vitis AI, answered by quantforge.

quant_mode: "calib" to look at data, "test" for the quantized model, "float" for the model as it is.
module: The float module; it is not changed.
input_args: Example inputs: a tensor, or a tuple of arguments. Values do not matter.
input_kwargs: Named example inputs. A path in this place is taken as `state_dict_file`, where the guide has it.
state_dict_file: File of trained parameters, loaded into a copy of the module.
output_dir: Where calibration puts its results and test finds them.
bitwidth: Number of bits of everything, 2 to 16; 8 when None.
device: Where the quantized module runs; the processor when there is no GPU.
mix_bit, lstm, app_deploy, qat_proc, custom_quant_ops, quant_config_file, target, dynamo: Not built yet.
"""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch.utils import _pytree as pytree

from pytorch_nndct.options import check_defaults, checked_mode, checked_width, not_built
from quantforge.diagnostics import Diagnostic, InputError
from quantforge.files import atomic_path, check_writable, write_atomic
from quantforge.frontends.torch.module import QuantizedModule
from quantforge.frontends.torch.onnx_export import export_onnx
from quantforge.frontends.torch.quantizer import ModuleQuantizer, dpu_recipe
from quantforge.graph import Graph

logger = logging.getLogger("pytorch_nndct")
QUANT_INFO, BIAS_CORRECTIONS = "quant_info.json", "bias_corr.pth"
_current: list[torch_quantizer] = []


class torch_quantizer:  # noqa: N801  the original's name
    """Quantizes one module; the module's text lists the arguments.

    Raises:
        QuantforgeError: With a code, see ``quantforge explain``.
    """

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
        check_defaults(
            mix_bit=mix_bit,
            lstm=lstm,
            app_deploy=app_deploy,
            qat_proc=qat_proc,
            custom_quant_ops=custom_quant_ops,
            quant_config_file=quant_config_file,
            target=target,
            dynamo=dynamo,
        )
        if isinstance(input_kwargs, str | Path):
            input_kwargs, state_dict_file = None, input_kwargs
        self._mode = checked_mode(quant_mode)
        self._folder = Path(output_dir)
        self._device = _available(device)
        module = _loaded(module, state_dict_file)
        self._batch = _batch(input_args, input_kwargs)
        recipe = dpu_recipe(checked_width(bitwidth))
        _current[:] = [self]
        self._quantizer: ModuleQuantizer | None = None
        self._module: torch.nn.Module = module
        if self._mode == "float":
            return
        args, kwargs = _beside(module, input_args, input_kwargs)
        self._quantizer = ModuleQuantizer(module, args, kwargs, recipe)
        self._module = self._observed() if self._mode == "calib" else self._loaded_result()

    @property
    def quant_model(self) -> torch.nn.Module:
        """The module to evaluate: it counts what it sees (calib), or computes in fixed point (test)."""
        return self._module

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
        self._quantizer.solve()
        with atomic_path(self._folder / BIAS_CORRECTIONS) as partial:
            torch.save(self._quantizer.bias_corrections(), partial)
        tool = f"{version('quantforge')}+torch{torch.__version__}"
        write_atomic(self._folder / QUANT_INFO, self._quantizer.quant_info(tool))

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

        Raises:
            QuantforgeError: Q1410 before calibration; Q0602 to Q0605 for what ONNX cannot express.
        """
        check_defaults(
            opset_version=opset_version,
            native_onnx=native_onnx,
            dump_layers=dump_layers,
            check_model=check_model,
            opt_graph=opt_graph,
        )
        graph = self._graph()
        path = _made(output_dir) / f"{graph.name}_int.onnx"
        export_onnx(graph, path, self._solved().recipe.name, None if dynamic_batch else self._batch)
        _say(verbose, path)

    def export_torch_script(self, output_dir: str | Path = "quantize_result", verbose: bool = False) -> Any:
        """Write ``<Model>_int.pt`` in TorchScript and return the script module; it needs no package to run.

        Raises:
            QuantforgeError: Q1410 before calibration.
        """
        graph = self._graph()
        module = self._quantized()
        example = self._example(graph)
        path = _made(output_dir) / f"{graph.name}_int.pt"
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # torch deprecates TorchScript; whoever asks for it knows
            script = torch.jit.trace(module, example, check_trace=False, strict=False)  # type: ignore[no-untyped-call]
            with atomic_path(path) as partial:
                torch.jit.save(script, str(partial))
        _say(verbose, path)
        return script

    def export_xmodel(
        self,
        output_dir: str | Path = "quantize_result",
        deploy_check: bool = False,
        dynamic_batch: bool = False,
    ) -> None:
        """Write ``<Model>_int.xmodel``: quantized, not compiled.

        Raises:
            QuantforgeError: Q1410 before calibration; Q1150 to Q1153 for what XIR cannot express.
        """
        from quantforge.compiler.lower import lower
        from quantforge.xmodel.write import write_xmodel

        check_defaults(deploy_check=deploy_check)
        if dynamic_batch:
            raise not_built("option dynamic_batch", "True", "an xmodel has one batch size; leave it out")
        graph = self._graph()
        write_xmodel(lower(graph, batch=1), _made(output_dir) / f"{graph.name}_int.xmodel")

    def fast_finetune(self, run_fn: Any, run_args: Any) -> None:
        """Not built yet.

        Raises:
            UnsupportedError: Q1420.
        """
        raise not_built("fast_finetune", "a call", "go on without it: calibration alone gives a valid model")

    def load_ft_param(self) -> None:
        """Not built yet.

        Raises:
            UnsupportedError: Q1420.
        """
        raise not_built("load_ft_param", "a call", "leave it out")

    @property
    def deploy_model(self) -> None:
        """Not built yet: it belongs to training.

        Raises:
            UnsupportedError: Q1420.
        """
        raise not_built("deploy_model", "a use", "quant_model computes what is exported")

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
        if graph is None:
            raise InputError(
                "Q1410", "export (QUANTIZER_TORCH_NO_CALIBRATION)", "no scales yet", "a calibrated model",
                "export in quant_mode 'test', or after export_quant_config()",
            )  # fmt: skip
        return graph

    def _example(self, graph: Graph) -> tuple[torch.Tensor, ...]:
        """Zeros in the shapes of the inputs."""
        values = (graph.value(name) for name in graph.inputs)
        return tuple(
            torch.zeros(
                [dim if isinstance(dim, int) else self._batch or 1 for dim in value.shape or ()],
                dtype=getattr(torch, value.dtype),
                device=self._device,
            )
            for value in values
        )


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


def _available(device: torch.device | str) -> torch.device:
    """The device, or the processor with a notice where there is no GPU."""
    wanted = torch.device(device)
    if wanted.type == "cuda" and not torch.cuda.is_available():
        notice = Diagnostic(
            "Q1422", "device (QUANTIZER_TORCH_CUDA_UNAVAILABLE)", str(wanted), "a GPU that torch can use",
            "pass device=torch.device('cpu') to say so",
        )  # fmt: skip
        logger.warning("%s", notice)
        return torch.device("cpu")
    return wanted


def _loaded(module: torch.nn.Module, state_dict_file: str | Path | None) -> torch.nn.Module:
    """The module, or a copy with the parameters of a file; DataParallel is unwrapped."""
    if isinstance(module, torch.nn.DataParallel):
        module = module.module
    if state_dict_file is None:
        return module
    if not Path(state_dict_file).is_file():
        raise InputError(
            "Q1421", "state_dict_file", str(state_dict_file), "a file of parameters", "check the path"
        )
    module = copy.deepcopy(module)
    module.load_state_dict(torch.load(state_dict_file, map_location="cpu", weights_only=True))
    return module


def _beside(module: torch.nn.Module, args: Any, kwargs: Any) -> tuple[Any, Any]:
    """The example inputs where the module is."""
    if args is None and kwargs is None:
        raise InputError(
            "Q1421", "input_args", "nothing", "example inputs", "pass a tensor of the shape the module takes"
        )
    parameter = next(iter(module.parameters()), None)
    device = torch.device("cpu") if parameter is None else parameter.device

    def move(leaf: Any) -> Any:
        return leaf.to(device) if isinstance(leaf, torch.Tensor) else leaf

    found, named = pytree.tree_map(move, (() if args is None else args, kwargs or {}))
    return found, named


def _batch(args: Any, kwargs: Any) -> int | None:
    leaves = pytree.tree_leaves((args, kwargs))
    return next((int(leaf.shape[0]) for leaf in leaves if isinstance(leaf, torch.Tensor) and leaf.ndim), None)


def _made(folder: str | Path) -> Path:
    Path(folder).mkdir(parents=True, exist_ok=True)
    return Path(folder)


def _say(verbose: bool, path: Path) -> None:
    logger.log(logging.WARNING if verbose else logging.INFO, "wrote %s", path)
