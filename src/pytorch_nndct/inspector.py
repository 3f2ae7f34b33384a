"""`Inspector` of the PyTorch quantizer of Vitis AI: what of a float module runs on a DPU.

It answers for the whole way: an operator is on the DPU when a quantizer made with this target quantizes it and the
compiler puts it there. Source: user guide UG1414, Inspect Float Model Before Quantization.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch

from pytorch_nndct.arguments import available_device, beside
from pytorch_nndct.hardware import assigned, source_lines, target_of
from pytorch_nndct.inspection_report import Inspected, everything, report, summary
from quantforge.diagnostics import InputError
from quantforge.files import check_writable, write_atomic
from quantforge.frontends.torch.quantizer import prepared_module
from quantforge.frontends.torch.recipes import dpu_recipe
from quantforge.inspection import Inspection

FORMATS = ("svg", "png")
LEVELS = range(3)


class Inspector:
    """Looks at float modules for one DPU.

    Args:
        name_or_fingerprint: A DPU or a board by name, a fingerprint ("0x..."), an arch.json or a .toml file.

    Raises:
        InputError: Q1000 for a name that is not registered, with the nearest one; Q1001 to Q1006 for fingerprints
            and files.
    """

    def __init__(self, name_or_fingerprint: str) -> None:
        self.target = target_of(name_or_fingerprint)

    def inspect(
        self,
        module: torch.nn.Module,
        input_args: Any,
        device: torch.device | str = torch.device("cuda"),  # noqa: B008  the original's default
        output_dir: str | Path = "quantize_result",
        verbose_level: int = 1,
        image_format: str | None = None,
    ) -> Inspection:
        """Inspect a float module, print a table and write ``inspect_<target>.txt``.

        Args:
            module: The module; it is not changed.
            input_args: Example inputs: a tensor, or a tuple of arguments. Values do not matter.
            device: Where the example is computed once; the processor when there is no GPU.
            output_dir: Where the files go; it is made.
            verbose_level: 0 prints nothing, 1 the operators on the CPU, 2 all operators.
            image_format: "svg" or "png" writes a picture and the Graphviz text ``inspect_<target>.gv`` as well.

        Returns:
            What runs where. The original returns None.

        Raises:
            InputError: Q1465 for another verbose_level or image_format, Q0601 for files that cannot be written, Q1401
                to Q1404 for a module that cannot be captured, Q1150 to Q1153 for what XIR cannot express.
        """
        _check(verbose_level, image_format)
        folder = Path(output_dir)
        folder.mkdir(parents=True, exist_ok=True)
        stem = f"inspect_{self.target.name}"
        check_writable(folder / f"{stem}.txt")
        available_device(device)
        inspected = self._inspected(module, input_args)
        write_atomic(folder / f"{stem}.txt", report(inspected))
        if image_format is not None:
            _draw(inspected.inspection, folder / stem, image_format.lower())
        if verbose_level:
            text = summary(inspected) if verbose_level == 1 else everything(inspected)
            sys.stdout.write(f"{text}\nwrote {folder / stem}.txt\n")
        return inspected.inspection

    def _inspected(self, module: torch.nn.Module, input_args: Any) -> Inspected:
        args, kwargs = beside(module, input_args, None)
        recipe = dpu_recipe(8)
        graph = prepared_module(module, args, kwargs, recipe).graph
        found = assigned(graph, recipe, self.target)
        return Inspected(found.model, found.inspection, self.target, source_lines(graph))


def _check(verbose_level: Any, image_format: Any) -> None:
    if verbose_level not in LEVELS:
        raise InputError("Q1465", "verbose_level", repr(verbose_level), "0, 1 or 2", "verbose_level=1")
    if image_format is not None and str(image_format).lower() not in FORMATS:
        where = "image_format (QUANTIZER_TORCH_INSPECTOR_OUTPUT_FORMAT)"
        raise InputError("Q1465", where, repr(image_format), "'svg', 'png' or None", "image_format='svg'")


def _draw(inspection: Inspection, stem: Path, form: str) -> None:
    from quantforge.reporting.inspection_drawing import inspection_dot, inspection_png, inspection_svg

    write_atomic(stem.with_name(f"{stem.name}.gv"), inspection_dot(inspection))
    picture = inspection_svg(inspection) if form == "svg" else inspection_png(inspection)
    write_atomic(stem.with_name(f"{stem.name}.{form}"), picture)
