"""The quantization of a torch module whose data comes by the user's own loop.

    capture -> prepare -> place | the user's loop: equalize, then count | solve -> correct biases -> graph

The steps are those of `quantization.flow`; only the loop in the middle belongs to the user. The ranges that
equalization goes by are kept beside the plan, so that a later process gets the same float graph without data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from quantforge.calibration.runner import Calibration
from quantforge.calibration.sketch import sketch_of
from quantforge.diagnostics import InputError
from quantforge.frontends.torch.import_ import import_module
from quantforge.frontends.torch.module import QuantizedModule
from quantforge.frontends.torch.observe import LoopObserver
from quantforge.frontends.torch.quant_info import apply_json, ranges_of, to_json
from quantforge.frontends.torch.run import TorchExecutor
from quantforge.frontends.torch.scope import scoped
from quantforge.frontends.torch.tuning.loop import tune_in_loop
from quantforge.frontends.torch.tuning.options import Tuned, TuneOptions
from quantforge.frontends.torch.tuning.parameters import with_parameters
from quantforge.frontends.torch.tuning.positions import Search
from quantforge.graph import Graph, QuantSpec
from quantforge.ops.channels import WEIGHTED
from quantforge.passes.equalize_layers import equalize_layers, grouped_values
from quantforge.passes.pipeline import prepare
from quantforge.passes.result import Note, PassResult
from quantforge.quantization.align import align_positions
from quantforge.quantization.bias_correction import correct_biases
from quantforge.quantization.flow import (
    LOOK_MACS,
    affordable_samples,
    first_samples,
    macs_of,
    preparation,
)
from quantforge.quantization.hardware import as_hardware
from quantforge.quantization.placement import place
from quantforge.quantization.recipe import Recipe, TensorRule
from quantforge.quantization.rules import check_overrides
from quantforge.quantization.solve import solve

Adapt = Callable[[Graph, Recipe], Recipe]  # changes the recipe for the float graph it is about
LOOK_SAMPLES = range(2, 129)  # kept for equalization and bias correction, at least and at most


class ModuleQuantizer:
    """One module on its way from float to fixed point.

    Attributes:
        base: The float graph after the passes.
        graph: The quantized graph, None until `solve` or `load`.
        notes: What was done and refused on the way.
    """

    def __init__(
        self,
        module: torch.nn.Module,
        args: Any,
        kwargs: Mapping[str, Any] | None,
        recipe: Recipe,
        adapt: Adapt | None = None,
        captured: Graph | None = None,
    ) -> None:
        self._forward = module.forward
        captured = import_module(module, args, kwargs) if captured is None else captured
        prepared = prepared_graph(captured, recipe)
        self.base, self.notes = prepared.graph, list[Note](prepared.notes)
        recipe = scoped(recipe, self.base)
        self.recipe = recipe = recipe if adapt is None else adapt(self.base, recipe)
        check_overrides(self.base, recipe)
        self.places = place(self.base, recipe)
        if not self.places.groups and not self.places.weights:
            raise InputError(
                "Q0507", f"recipe {recipe.name}", "nothing to quantize", "one operator of its kinds",
                "check that the module computes something, or use another configuration",
            )  # fmt: skip
        self.graph: Graph | None = None
        self._captured, self._tuned = captured, False
        self._ranges: dict[str, list[float]] = {}
        self._observer: LoopObserver | None = None

    def observed_module(self, device: str = "cpu") -> QuantizedModule:
        """The float module that counts what it computes; `solve` uses what it has seen."""
        seen = self.places.rules
        rules = {name: rule for name, rule in seen.items() if not self.base.value(name).is_const}
        macs = sum(macs_of(self.base, op) for op in self.base.ops)
        samples = affordable_samples(LOOK_MACS, macs, LOOK_SAMPLES)
        looked = self._looked_at()
        equalized = None if self.recipe.equalize is None else self._equalize
        self._observer = LoopObserver(self.base, rules, samples, looked, equalized, device)
        return QuantizedModule(self.base, self._forward, self._observer)

    def _looked_at(self) -> dict[str, int]:
        """The values whose channels equalization may scale, and the axis of their channels."""
        stored = {name for group in self.places.groups for name in group.values}
        if self.recipe.equalize is None or not self.recipe.equalize.activations:
            return {}
        names = [name for name in dict.fromkeys(grouped_values(self.base)) if name in stored]
        return {name: _channel_axis(self.base, name) for name in names}

    def _equalize(self, ranges: Mapping[str, NDArray[np.float64]]) -> Graph:
        """Equalize the base graph by `ranges`, by the weights alone where there are none."""
        options = self.recipe.equalize
        if options is not None:
            wanted = dict(ranges) if options.activations else None
            found = equalize_layers(
                self.base, options.sweeps, include_bias=options.include_bias, ranges=wanted
            )
            self.base, self.notes = found.graph, [*self.notes, *found.notes]
        self._ranges = {name: row.tolist() for name, row in ranges.items()}
        return self.base

    def solve(self) -> Graph:
        """Scales from what the observed module has seen, and corrected biases.

        Raises:
            CalibrationError: Q0201 when it has seen nothing.
        """
        if self._tuned and self.graph is not None:
            return self.graph  # weights are tuned for these scales
        observer = self._observer or LoopObserver(self.base, {}, 0)
        calibration = self._with_constants(observer.calibration())
        graph = solve(
            self.base, self.places, self.recipe, lambda group, rule: calibration.spec(rule, *group.sources)
        )
        graph, moved = align_positions(graph, self.places, self.recipe)
        graph, changed = as_hardware(graph, self.places, self.recipe)
        self.notes += (*moved, *changed)
        if self.recipe.correct_bias:
            inputs = (self.base.op(place.op).inputs[0] for place in self.places.weights)
            looked = [
                name for name in dict.fromkeys((*observer.names, *inputs)) if not graph.value(name).is_const
            ]
            session = TorchExecutor().session(self.base, looked)
            kept = first_samples(observer.kept, LOOK_SAMPLES.stop - 1, self._is_open())
            graph, notes = correct_biases(graph, session, kept, self.recipe)
            self.notes += notes
        self.graph = graph
        return self.graph

    def _with_constants(self, calibration: Calibration) -> Calibration:
        """Sketches of the constants that share a spec with other values, such as tables that are looked up in."""
        names = {
            name
            for group in self.places.groups
            for name in group.sources
            if len(group.values) > 1 and name in self.places.rules
        }
        data = {name: self.base.value(name).const for name in sorted(names)}
        found = {name: sketch_of([array]) for name, array in data.items() if array is not None}
        return replace(calibration, sketches={**calibration.sketches, **found})

    def _is_open(self) -> bool:
        """Whether batches may be cut."""
        return all(isinstance((self.base.value(name).shape or (1,))[0], str) for name in self.base.inputs)

    def tune(
        self, module: QuantizedModule, run: Callable[[], object], options: TuneOptions, device: torch.device
    ) -> Tuned:
        """Tune by the batches that `run` calls the observed `module` with; it computes in fixed point from then on.

        Scales stay from then on too, whatever the module is run on. Errors as `tune_in_loop`.
        """
        search = Search(
            [group.values for group in self.places.groups],
            lambda graph: align_positions(graph, self.places, self.recipe)[0],
        )
        found = tune_in_loop(
            module, run, lambda: (self.base, self.solve()), self._captured, options, device, search=search
        )
        self.base, self.graph, self._tuned = found.base, found.graph, True
        module.run_graph(found.graph)
        return found

    def load_tuned(self, constants: Mapping[str, NDArray[np.float32]], where: str) -> Graph:
        """The loaded graph with tuned constants; errors as `with_parameters`."""
        self.graph = with_parameters(self._solved(), constants, where)
        self.base, self._tuned = with_parameters(self.base, constants, where), True
        return self.graph

    def quantized_module(self) -> QuantizedModule:
        """The module that computes as the quantized graph says."""
        return QuantizedModule(self._solved(), self._forward)

    def quant_info(self, version: str) -> str:
        """The text of ``quant_info.json``."""
        corrected = self.recipe.correct_bias
        return to_json(self._solved(), version, corrected, self._ranges, self._tuned)

    def bias_corrections(self) -> dict[str, list[float]]:
        """What bias correction took off each bias, by parameter name."""
        graph, found = self._solved(), {}
        for bias in self.places.biases:
            before, after = (np.asarray(g.value(bias.value).const, np.float64) for g in (self.base, graph))
            found[bias.value] = (before - after).tolist()
        return found

    def load(self, info: str, corrections: Mapping[str, list[float]] | None, where: str) -> Graph:
        """The quantized graph from the files of an earlier calibration.

        Raises:
            InputError: Q1411 when the files do not belong to this model and recipe, Q1412 when bias corrections are
                missing or of other shapes.
        """
        ranges = ranges_of(info, where)
        self._equalize({name: np.array(row) for name, row in ranges.items()})
        graph = apply_json(info, self.planned(), where)
        if self.recipe.correct_bias:
            self._correct(graph, corrections, where)
        self.graph = graph
        return graph

    def _correct(self, graph: Graph, corrections: Mapping[str, list[float]] | None, where: str) -> None:
        for bias in self.places.biases:
            value = graph.value(bias.value)
            before = np.asarray(value.const, np.float64)
            taken = np.asarray((corrections or {}).get(bias.value, ()), np.float64)
            if taken.shape != before.shape:
                raise InputError(
                    "Q1412", f"{where}: {bias.value}", f"{taken.size} corrections", f"{before.size}",
                    "keep bias_corr.pth beside quant_info.json, or calibrate again",
                )  # fmt: skip
            graph.set_value(replace(value, const=(before - taken).astype(value.dtype)))

    def planned(self) -> Graph:
        """The base graph with a spec of unit scale wherever the recipe wants one."""

        def unit(group: Any, rule: TensorRule) -> QuantSpec:
            form = rule.format
            return QuantSpec(form, (1.0,), (0,), None, rule.rounding)

        return as_hardware(solve(self.base, self.places, self.recipe, unit), self.places, self.recipe)[0]

    def _solved(self) -> Graph:
        if self.graph is None:
            raise InputError(
                "Q1410", f"module {self.base.name!r}", "no quantized graph", "a calibration",
                "run quant_model on calibration data, then export_quant_config()",
            )  # fmt: skip
        return self.graph


def prepared_module(
    module: torch.nn.Module, args: Any, kwargs: Mapping[str, Any] | None, recipe: Recipe
) -> PassResult:
    """The float graph that `recipe` quantizes, and what was done and refused on the way to it."""
    return prepared_graph(import_module(module, args, kwargs), recipe)


def prepared_graph(captured: Graph, recipe: Recipe) -> PassResult:
    """The same for a graph that `import_module` made."""
    return prepare(captured, preparation(recipe))


def _channel_axis(graph: Graph, name: str) -> int:
    """1 behind a convolution, the last axis behind a matrix product."""
    op = graph.producer(name)
    while op is not None and op.kind not in WEIGHTED and op.inputs:
        op = graph.producer(op.inputs[0])
    return -1 if op is not None and op.kind in ("inner-product", "matmul") else 1
