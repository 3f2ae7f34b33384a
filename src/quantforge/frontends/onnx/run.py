"""Run a graph on ONNX Runtime and look at any of its values.

Weights are handed to ONNX Runtime as views of the graph's own arrays, and inputs and observed values are bound:
inputs are read where they are, and each observed value keeps one buffer that is used again on every run of equal
input shapes. Freshly allocated outputs cost about half again of the whole run on a ResNet-50.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime as ort
from onnx import helper

from quantforge.calibration.samples import InputInfo
from quantforge.diagnostics import InputError
from quantforge.frontends.onnx.build import Built, build
from quantforge.frontends.onnx.emit import external_tensor, is_raw, tensor_proto
from quantforge.frontends.onnx.infer import shape_text
from quantforge.frontends.onnx.native import NOT_A_TENSOR, ORT_ERRORS, STRING, element_type
from quantforge.graph import Array, Graph, Shape, Value
from quantforge.graph.execution import Feeds
from quantforge.graph.quantize import fake_quantize_value

_SHARED_BYTES = 128  # ONNX Runtime takes smaller weights inline only
_LOCATION = "memory"
_LARGE_BYTES = 1 << 30
_LATE_BYTES = 1 << 24


def input_infos(graph: Graph) -> tuple[InputInfo, ...]:
    """Name, dtype and shape of each graph input, in order."""
    return tuple(InputInfo(v.name, v.dtype, v.shape) for v in map(graph.value, graph.inputs))


@dataclass(frozen=True)
class OnnxExecutor:
    """Makes ONNX Runtime sessions.

    Attributes:
        threads: threads inside one operator; None means ONNX Runtime's choice.
        providers: execution providers, in order of preference.
        integer_kernels: let ONNX Runtime replace quantize-dequantize pairs by its integer kernels, as a deployed
            model does. The default computes exactly what the pairs say, in float.
    """

    threads: int | None = None
    providers: tuple[str, ...] = ("CPUExecutionProvider",)
    integer_kernels: bool = False

    def session(self, graph: Graph, observe: Sequence[str], brief: bool = False) -> OnnxSession:
        """Prepare `graph` to return the values named in `observe`.

        Raises:
            InputError: Q0111 when ONNX Runtime refuses the model, Q0117 when a name is no value of the graph.
        """
        _check_observed(graph, observe)
        whole = graph.copy()
        constants = [value for value in map(graph.value, observe) if value.const is not None]
        fixed = {value.name: _as_stored(value, np.asarray(value.const)) for value in constants}
        passed = set(graph.inputs)
        computed = tuple(n for n in dict.fromkeys(observe) if n not in fixed and n not in passed)
        whole.outputs = computed
        brief = brief and all(
            graph.value(name).dtype != STRING for name in graph.inputs
        )  # those cannot be bound
        runtime, weights = self._runtime(whole, brief) if computed else (None, {})
        return OnnxSession(graph, tuple(dict.fromkeys(observe)), fixed, runtime, computed, weights)

    def _runtime(self, graph: Graph, brief: bool) -> tuple[Any, dict[str, Any]]:
        """The ONNX Runtime session, and the weights that it takes as inputs.

        ONNX Runtime copies the weights it owns, and copies convolutions' again into its own layout. A brief
        session takes them as inputs instead, which are read where they are; so does one with over 1 GB of them.
        """
        graph.prune()
        graph.inputs = tuple(name for name in graph.inputs)
        built = build(graph, annotate=False, value_info=False)
        strings = any(graph.value(name).dtype == STRING for name in graph.inputs)
        total = 0 if strings else sum(array.nbytes for array in built.arrays.values())
        _constants_first(built)
        brief = brief or total > _LARGE_BYTES  # of those one copy is enough
        options = self._options(brief)
        weights = {}
        for name, array in built.arrays.items():
            shared = is_raw(array) and array.nbytes >= _SHARED_BYTES
            if shared:
                weights[name] = ort.OrtValue.ortvalue_from_numpy(np.asarray(array, order="C"))
            if shared and brief:
                kind = element_type(array.dtype.name)
                built.model.graph.input.append(helper.make_tensor_value_info(name, kind, array.shape))
            else:
                tensor = external_tensor(name, array, _LOCATION, 0) if shared else tensor_proto(name, array)
                built.model.graph.initializer.append(tensor)
        try:
            if weights and not brief:
                options.add_external_initializers(list(weights), list(weights.values()))
            model = built.model.SerializeToString()
            runtime = ort.InferenceSession(model, options, providers=list(self.providers))
        except ORT_ERRORS as error:
            raise InputError(
                "Q0111",
                f"model {graph.name!r}",
                _first_line(error),
                "a model that ONNX Runtime can load",
                "check it with onnx.checker, or register the custom operators it needs",
            ) from error
        return runtime, weights if brief else {}

    def _options(self, brief: bool) -> Any:
        options = ort.SessionOptions()
        options.log_severity_level = 3
        # No memory ahead of need: an arena and its plan cost the first two runs half again of their time.
        options.enable_cpu_mem_arena = options.enable_mem_pattern = False
        if brief:
            options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        if self.threads is not None:
            options.intra_op_num_threads = self.threads
        # Between two runs ONNX Runtime's threads would keep turning on the processors that then count the values.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        if not self.integer_kernels:
            options.add_session_config_entry("session.disable_quant_qdq", "1")
        return options


class OnnxSession:
    """A graph on ONNX Runtime; made by `OnnxExecutor.session`."""

    def __init__(
        self,
        graph: Graph,
        observe: tuple[str, ...],
        fixed: dict[str, Array],
        runtime: Any,
        computed: tuple[str, ...],
        weights: Mapping[str, Any],
    ) -> None:
        self.inputs = input_infos(graph)
        self._model = graph.name
        self._values = {name: graph.value(name) for name in graph.inputs}
        self._observe, self._fixed, self._runtime = observe, fixed, runtime
        self._names = computed
        symbols = {dim for info in self.inputs for dim in info.shape or () if isinstance(dim, str)}
        # Buffers are kept for values whose size follows from the input sizes; others are allocated per run.
        self._kept = {name for name in computed if _follows(graph.value(name).shape, symbols)}
        self._binding: Any = runtime.io_binding() if runtime is not None else None
        named = {meta.name for meta in runtime.get_inputs()} if runtime is not None else set()
        self._needed = named - set(weights)
        if self._binding is not None:
            for name in named & set(weights):
                self._binding.bind_ortvalue_input(name, weights[name])
        self._shapes: tuple[tuple[int, ...], ...] | None = None
        self._buffers: dict[str, Any] = {}

    def run(self, feeds: Feeds) -> Mapping[str, Array]:
        """Run one batch; the arrays returned are valid until the next call.

        Raises:
            InputError: Q0112 input names, Q0113 shapes, Q0114 dtypes that do not fit; Q0115 the run failed.
        """
        arrays = self._checked(feeds)
        results = self._compute(arrays) if self._runtime is not None else {}
        return {name: self._result(name, results, arrays) for name in self._observe}

    def _result(self, name: str, results: Mapping[str, Array], inputs: Mapping[str, Array]) -> Array:
        if name in results:
            return results[name]
        return self._fixed[name] if name in self._fixed else _as_stored(self._values[name], inputs[name])

    def _compute(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        try:
            if any(info.dtype == STRING for info in self.inputs):  # strings cannot be bound
                feeds = {name: arrays[name] for name in self._needed}
                return dict(zip(self._names, self._runtime.run(list(self._names), feeds), strict=True))
            return self._compute_bound(arrays)
        except ORT_ERRORS as error:
            self._shapes, self._buffers = None, {}
            raise InputError(
                "Q0115",
                f"model {self._model!r} on inputs {', '.join(f'{n} {a.shape}' for n, a in arrays.items())}",
                _first_line(error),
                "a run without errors",
                "check that these shapes are ones the model was made for",
            ) from error

    def _compute_bound(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        shapes = tuple(array.shape for array in arrays.values())
        if shapes != self._shapes:
            self._shapes, self._buffers = None, {}
        for name in self._needed:
            self._binding.bind_ortvalue_input(name, ort.OrtValue.ortvalue_from_numpy(arrays[name]))
        self._binding.clear_binding_outputs()
        for name in self._names:
            if name in self._buffers:
                self._binding.bind_ortvalue_output(name, self._buffers[name])
            else:
                self._binding.bind_output(name)
        self._runtime.run_with_iobinding(self._binding)
        outputs = dict(zip(self._names, self._binding.get_outputs(), strict=True))
        self._shapes = shapes
        self._buffers = {name: outputs[name] for name in self._kept}
        return {name: value.numpy() for name, value in outputs.items()}

    def _checked(self, feeds: Feeds) -> dict[str, Array]:
        wanted = [info.name for info in self.inputs]
        if set(feeds) != set(wanted):
            raise InputError(
                "Q0112",
                f"model {self._model!r}",
                f"inputs named {', '.join(map(repr, feeds)) or 'nothing'}",
                ", ".join(map(repr, wanted)),
                "name the arrays after the model's inputs",
            )
        sizes: dict[str, int] = {}
        return {info.name: _checked_input(info, feeds[info.name], sizes) for info in self.inputs}


def _constants_first(built: Built) -> None:
    """Dequantize large constants once for every reader, and in nodes that stand in front of all others.

    ONNX Runtime goes from the outputs to the inputs and runs what stands last first. Behind what makes the other
    input of a product, all weights would be dequantized before anything else runs; and one for two readers would
    stay until the second of them. Either way all of them would lie in memory together.
    """
    nodes, early = list[Any](), list[Any]()
    large = {
        node.output[0]: node
        for node in built.model.graph.node
        if node.op_type == "DequantizeLinear" and node.input[0] in built.arrays
        if built.arrays[node.input[0]].nbytes > _LATE_BYTES
    }
    if not large:
        return
    for node in built.model.graph.node:
        if node.output and node.output[0] in large:
            continue
        node = type(node).FromString(node.SerializeToString())
        for index, name in enumerate(node.input):
            if name in large:
                own = type(node).FromString(large[name].SerializeToString())
                own.name = own.output[0] = node.input[index] = f"{name}@{len(early)}"
                early.append(own)
        nodes.append(node)
    del built.model.graph.node[:]
    built.model.graph.node.extend([*early, *nodes])


def _checked_input(info: InputInfo, array: Array, sizes: dict[str, int]) -> Array:
    array = np.asarray(array)
    where = f"input {info.name!r}"
    if info.dtype == STRING:
        return array
    if array.dtype.name != info.dtype:
        fix = f"convert it with .astype('{info.dtype}')"
        raise InputError("Q0114", where, f"dtype {array.dtype.name}", f"dtype {info.dtype}", fix)
    if info.shape is not None:
        fits = len(info.shape) == array.ndim and all(
            size == (sizes.setdefault(dim, size) if isinstance(dim, str) else size if dim is None else dim)
            for dim, size in zip(info.shape, array.shape, strict=True)
        )
        if not fits:
            raise InputError(
                "Q0113",
                where,
                f"shape {shape_text(array.shape)}",
                f"shape {shape_text(info.shape)}",
                "check preprocessing, channel order and the batch dimension",
            )
    return np.asarray(array, order="C")


def _check_observed(graph: Graph, observe: Sequence[str]) -> None:
    missing = [n for n in observe if not graph.has_value(n) or graph.value(n).dtype == NOT_A_TENSOR]
    if missing:
        raise InputError(
            "Q0117",
            f"model {graph.name!r}",
            f"no tensor named {', '.join(map(repr, missing[:3]))}",
            "names of tensors of the graph",
            "list them with `quantforge show`, or pass the graph's outputs",
        )


def _as_stored(value: Value, data: Array) -> Array:
    """`data` after storing it as `value` is stored."""
    return data if value.quant is None else np.asarray(fake_quantize_value(data, value.quant, value.name))


def _follows(shape: Shape | None, symbols: set[str]) -> bool:
    return shape is not None and all(isinstance(dim, int) or dim in symbols for dim in shape)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
