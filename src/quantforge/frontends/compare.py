"""`quantforge.compare`: a float ONNX model and its quantized form, over the same data, side by side.

Values are matched by name. A value t that the quantized model stores in integers is read back as
``t_DequantizeLinear_Output`` there (see `onnx.qdq`; ONNX Runtime's own quantizer uses the same names); a value that
lies inside a fused group is t itself; a graph output keeps its name.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from quantforge.calibration.data import DataSource, open_data
from quantforge.calibration.preprocessing import Preprocessing, load_preprocessing
from quantforge.calibration.samples import InputInfo
from quantforge.diagnostics import Diagnostic, InputError
from quantforge.frontends.onnx.import_ import import_model
from quantforge.frontends.onnx.qdq import activation_names
from quantforge.frontends.onnx.run import OnnxExecutor, input_infos
from quantforge.graph import Graph, Shape
from quantforge.progress import track
from quantforge.quantization.compare import (
    Comparison,
    Labels,
    compared_outputs,
    compared_values,
    first_sharp_drop,
    run_side_by_side,
)
from quantforge.quantization.report import DataReport

LabelSource = str | Path | ArrayLike
_EXPORT_AGAIN = "compare a model with the one that was quantized from it"


def compare(
    float_model: Any,
    quantized_model: Any,
    data: Any,
    *,
    preprocessing: str | Path | Preprocessing | None = None,
    samples: int | None = None,
    batch_size: int | None = None,
    labels: LabelSource | None = None,
    threads: int | None = None,
) -> Comparison:
    """Run a float and a quantized ONNX model over the same data and say how they differ.

    The quantized model computes exactly what its QuantizeLinear and DequantizeLinear say, without the integer
    kernels that a processor may have, so the result is the same everywhere.

    Args:
        float_model: A path, serialized bytes, a ModelProto, or an imported `Graph`.
        quantized_model: The same, quantized, with the same inputs and outputs.
        data: As in `quantize`. It is read once, batch by batch.
        preprocessing: How images become inputs: a TOML file or `Preprocessing`.
        samples: Use at most so many samples.
        batch_size: Samples per batch.
        labels: True class of each sample, in the order of the data: integers, or the path of an .npy file.
        threads: Threads of ONNX Runtime; None leaves the choice to it.

    Raises:
        QuantforgeError: With a code, see ``quantforge explain``.
    """
    reference, actual = _imported(float_model), _imported(quantized_model)
    pairs, outputs, notices = match_values(reference, actual)
    source = open_data(
        data,
        common_inputs(reference, actual),
        batch_size=batch_size,
        limit=samples,
        preprocessing=load_preprocessing(preprocessing)
        if isinstance(preprocessing, str | Path)
        else preprocessing,
    )
    classes = None if labels is None else read_labels(labels)
    if classes is not None and samples is not None and not _is_folder(data):
        classes = classes[:samples]  # of a folder, samples are not the first files but spread over all
    executor = OnnxExecutor(threads=threads)
    sums = run_side_by_side(
        executor.session(reference, list(pairs)),
        executor.session(actual, list(dict.fromkeys(pairs.values()))),
        pairs,
        outputs,
        track(source, "comparing", source.batches),
        classes,
    )
    if classes is not None:
        _check_all_used(classes, sums.samples, source)
    values = compared_values(pairs, sums)
    return Comparison(
        _words(float_model, reference),
        _words(quantized_model, actual),
        DataReport(source.description, sums.samples, sums.batches),
        values,
        compared_outputs(outputs, sums),
        first_sharp_drop(reference, {value.name: value.fair_db for value in values}),
        (*notices, *source.notices),
    )


def match_values(
    reference: Graph, actual: Graph
) -> tuple[dict[str, str], tuple[str, ...], tuple[Diagnostic, ...]]:
    """Value of the float graph to its counterpart, in topological order; the outputs among them; notices.

    Raises:
        InputError: Q0118 when the graphs have no output in common.
    """
    outputs = tuple(name for name in reference.outputs if name in actual.outputs)
    if not outputs:
        found = f"outputs {_listed(actual.outputs)}"
        raise InputError("Q0118", actual.name, found, _listed(reference.outputs), _EXPORT_AGAIN)
    order = (*reference.inputs, *(name for op in reference.ops for name in op.outputs if name))
    pairs = {}
    for name in dict.fromkeys((*order, *outputs)):
        counterpart = name if name in outputs else _counterpart(name, reference, actual)
        if counterpart is not None:
            pairs[name] = counterpart
    missing = [name for name in reference.outputs if name not in outputs]
    notices = [
        Diagnostic("Q0118", f"output {name!r}", "only in the float model", "an output of both", _EXPORT_AGAIN)
        for name in missing
    ]
    return pairs, outputs, tuple(notices)


def _counterpart(name: str, reference: Graph, actual: Graph) -> str | None:
    value = reference.value(name)
    if value.dtype != "float32" or value.is_const:
        return None
    stored = activation_names(name, name in reference.inputs, False).read
    for other in (stored, name):
        if actual.has_value(other) and actual.value(other).dtype == value.dtype:
            return None if other in reference.inputs or actual.value(other).is_const else other
    return None


def common_inputs(reference: Graph, actual: Graph) -> tuple[InputInfo, ...]:
    """What both graphs accept: a size that one of them fixes is fixed.

    Raises:
        InputError: Q0118 when names, dtypes or fixed sizes differ.
    """
    first, second = input_infos(reference), {info.name: info for info in input_infos(actual)}
    if {info.name for info in first} != set(second):
        found = f"inputs {_listed(second)}"
        expected = _listed([info.name for info in first])
        raise InputError("Q0118", actual.name, found, expected, _EXPORT_AGAIN)
    return tuple(_common(info, second[info.name]) for info in first)


def _common(first: InputInfo, second: InputInfo) -> InputInfo:
    shape = first.shape or second.shape
    if first.shape is not None and second.shape is not None:
        shape = tuple(b if isinstance(b, int) else a for a, b in zip(first.shape, second.shape, strict=False))
    fits = first.dtype == second.dtype and _fixed_alike(first.shape, second.shape)
    if not fits:
        found, expected = f"{second.dtype} {second.shape}", f"{first.dtype} {first.shape}"
        raise InputError("Q0118", f"input {first.name!r}", found, expected, _EXPORT_AGAIN)
    return InputInfo(first.name, first.dtype, shape)


def _fixed_alike(first: Shape | None, second: Shape | None) -> bool:
    if first is None or second is None:
        return True
    dims = zip(first, second, strict=False)
    return len(first) == len(second) and all(
        a == b or not isinstance(a, int) or not isinstance(b, int) for a, b in dims
    )


def read_labels(labels: LabelSource) -> Labels:
    """True classes as int64 [samples].

    Raises:
        InputError: Q0221 when they are not one whole number per sample.
    """
    where = str(labels) if isinstance(labels, str | Path) else "labels"
    fix = "save them with numpy.save, as integers [samples]"
    try:
        array = np.load(labels, allow_pickle=False) if isinstance(labels, str | Path) else np.asarray(labels)
    except (OSError, ValueError, EOFError) as error:
        found = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise InputError("Q0221", where, found, "an .npy file of integers", fix) from error
    if not isinstance(array, np.ndarray):
        array.close()
        raise InputError("Q0221", where, "an .npz file", "an .npy file of integers", fix)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        found = f"{array.dtype} of shape {list(array.shape)}"
        raise InputError("Q0221", where, found, "integers of shape [samples]", fix)
    return array.astype(np.int64)


def _check_all_used(labels: Labels, samples: int, source: DataSource) -> None:
    """As many labels as samples; those of samples that did not fill a last batch are left over too."""
    left_over = any(notice.code == "Q0220" for notice in source.notices)
    if len(labels) - samples >= (source.batch_size or 1 if left_over else 1):
        raise InputError(
            "Q0221",
            "labels",
            f"{len(labels)} labels for {samples} samples",
            "one label for each sample",
            "give the labels of exactly this data, in its order",
        )


def _imported(model: Any) -> Graph:
    return model if isinstance(model, Graph) else import_model(model)


def _is_folder(data: Any) -> bool:
    return isinstance(data, str | Path) and Path(data).is_dir()


def _words(model: Any, graph: Graph) -> str:
    return str(model) if isinstance(model, str | Path) else graph.name


def _listed(names: Any) -> str:
    return ", ".join(map(repr, names)) or "nothing"
