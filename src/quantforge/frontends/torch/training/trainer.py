"""Quantization aware training of a torch module.

    capture -> fold -> place | the user's training loop on `trainable` | `finish.aligned_graph`

The module that trains starts from a calibration: that of a file, or one on the first batch it sees.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from quantforge.frontends.torch.import_ import import_module
from quantforge.frontends.torch.module import QuantizedModule
from quantforge.frontends.torch.quantizer import ModuleQuantizer, prepared_graph
from quantforge.frontends.torch.training.dropout import dropouts_of, lost_dropouts
from quantforge.frontends.torch.training.finish import float_graph
from quantforge.frontends.torch.training.module import TrainableModule
from quantforge.frontends.torch.training.start import begin_at, begin_at_constants
from quantforge.frontends.torch.training.structure import structure_of
from quantforge.frontends.torch.training.widths import mixed_widths
from quantforge.graph import Graph
from quantforge.quantization.recipe import Recipe


class ModuleTrainer:
    """One module on its way from float through training to fixed point.

    Attributes:
        recipe: How it is quantized, with what the module itself says.
        places: Where.
        structure: What the module in training runs.
        dropouts: The dropouts that work in training, by name.
        lost_dropouts: How many others the module calls.

    Args:
        module: The float module; it is not changed.
        args: Positional example arguments; only shapes and dtypes count.
        kwargs: Named ones.
        recipe: How it is quantized; powers of two, one scale per tensor.
        mixed_bits: The width of the inputs of convolutions and matrix products, where everything else has 8 bits.

    Raises:
        InputError: As `import_module`; Q0507 when nothing is to be quantized.
        UnsupportedError: Q1445 for scales that cannot be trained.
    """

    def __init__(
        self,
        module: nn.Module,
        args: Any,
        kwargs: Mapping[str, Any] | None,
        recipe: Recipe,
        mixed_bits: int | None = None,
    ) -> None:
        self._module = module
        captured = import_module(module, args, kwargs)
        self._quantizer = ModuleQuantizer(module, args, kwargs, recipe, captured=captured)
        self.recipe = self._quantizer.recipe
        if mixed_bits is not None:
            mixed = mixed_widths(self._quantizer.base, self._quantizer.places, mixed_bits)
            self._quantizer.base, self._quantizer.places = mixed
        self.places = self._quantizer.places
        unfolded = prepared_graph(captured, replace(recipe, fold_batch_norm=False)).graph
        self.dropouts, places = dropouts_of(module, captured, unfolded)
        self.lost_dropouts = lost_dropouts(module, args, kwargs, len(self.dropouts))
        self.structure = structure_of(
            self._quantizer.base, self._deployed(), unfolded, self.places, self.recipe, module, places
        )

    def __deepcopy__(self, memo: Any) -> ModuleTrainer:
        return self  # copies of the module that trains calibrate with the same one

    def trainable(self) -> TrainableModule:
        """A module to train; its first forward pass calibrates on the batch it gets."""
        trained = {name: parameter.requires_grad for name, parameter in self._module.named_parameters()}
        first = next(iter(self._module.parameters()), torch.empty(0))
        module = TrainableModule(
            self.structure, self._module.forward, trained, self.dropouts, self._calibrate
        )
        for name, counter in self._module.named_buffers():
            if module.holds(name) and not self.structure.unfolded.has_value(name):
                module.set_constant(name, counter)  # of batches seen, which the graph leaves out
        return module.to(first.device)

    def begin_at_file(
        self,
        module: TrainableModule,
        info: str,
        corrections: Mapping[str, list[float]] | None,
        tuned: Mapping[str, NDArray[np.float32]] | None,
        where: str,
    ) -> None:
        """Start `module` from the files of a calibration with the same recipe, and of fine-tuning where it was tuned.

        Raises:
            InputError: Q1411, Q1412 and Q1442 when the files belong to another model or recipe.
        """
        folded = self._quantizer.base = float_graph(module)
        calibrated = self._quantizer.load(info, corrections, where)
        begin_at(module, folded, self._quantizer.base, calibrated)
        if tuned is not None:
            begin_at_constants(module, self._quantizer.load_tuned(tuned, where))
        module.disable_warmup()

    def deployed(self, graph: Graph) -> QuantizedModule:
        """The module that computes as a quantized graph says."""
        return QuantizedModule(graph, self._module.forward)

    def _deployed(self) -> Graph:
        """The base graph as the hardware computes it, with specs only on the values that the hardware adds."""
        graph = self._quantizer.planned()
        for value in graph.values:
            if self._quantizer.base.has_value(value.name):
                graph.set_value(replace(value, quant=None))
        return graph

    def _calibrate(self, module: TrainableModule, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Calibrate on one batch, and share the result among the processes that train together."""
        folded = self._quantizer.base = float_graph(module)
        device = next(module.parameters()).device
        observed = self._quantizer.observed_module(str(device)).to(device)
        with torch.no_grad(), torch.autocast(device.type, enabled=False):
            observed(*args, **kwargs)
        calibrated = self._quantizer.solve()
        begin_at(module, folded, self._quantizer.base, calibrated)
        _share(module)


def _share(module: nn.Module) -> None:
    """Every process takes what the first one found."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        for tensor in (*module.parameters(), *module.buffers()):
            torch.distributed.broadcast(tensor.data, 0)
