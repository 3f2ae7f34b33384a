"""From what a user names to stages and data: a model file, ``model.xmodel@ref``, a folder of dumped tensors."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from quantforge.calibration.data import DataSource, open_data
from quantforge.calibration.preprocessing import Preprocessing, preprocessing_of
from quantforge.calibration.samples import InputInfo
from quantforge.debugging.deploy_check import is_deploy_check
from quantforge.debugging.difference import RELATIVE
from quantforge.debugging.dump import read_index
from quantforge.debugging.dump_stage import DumpStage
from quantforge.debugging.observe import MODES
from quantforge.debugging.onnx_stage import OnnxStage
from quantforge.debugging.stage import Array, Arrays, Stage
from quantforge.debugging.teacher import Teacher
from quantforge.debugging.walk import StageComparison, compare_stages
from quantforge.debugging.xmodel_stage import XmodelStage
from quantforge.diagnostics import InputError
from quantforge.progress import track
from quantforge.xmodel.model import XModel, value_of
from quantforge.xmodel.read import read_xmodel

PREPROCESSING = "quantforge_preprocessing"
_RANK = {"onnx": 0, "xmodel": 1, "dump": 2}


@dataclass(frozen=True)
class SourceName:
    """What a word on the command line names: a kind of stage, a path, and the engine of an xmodel."""

    kind: str
    path: Path
    mode: str = "run"

    @classmethod
    def parse(cls, text: str) -> SourceName:
        """``m.xmodel@ref`` is the reference engine, ``m.xmodel`` and ``m.xmodel@run`` the fast one.

        >>> SourceName.parse("net.xmodel@ref").mode
        'ref'

        Raises:
            InputError: Q1309 for another engine.
        """
        path, at, mode = text.rpartition("@")
        if at and path.endswith(".xmodel"):
            if mode not in MODES:
                expected = f"{path}@run or {path}@ref"
                raise InputError("Q1309", text, f"the engine {mode!r}", expected, "use one of these")
            return cls("xmodel", Path(path), mode)
        if text.endswith(".xmodel"):
            return cls("xmodel", Path(text))
        return cls("dump" if Path(text).is_dir() else "onnx", Path(text))

    @property
    def label(self) -> str:
        """The name as the user would write it in full."""
        return f"{self.path}@{self.mode}" if self.kind == "xmodel" else str(self.path)


@dataclass(frozen=True)
class DataChoice:
    """Where samples come from; `preprocessing` None leaves it to the model's own record."""

    source: Any
    samples: int | None = None
    batch: int | None = None
    preprocessing: Preprocessing | None = None


def compare_sources(
    first: str,
    second: str,
    data: DataChoice | None = None,
    *,
    samples: int | None = None,
    relative: float = RELATIVE,
    explain: bool = True,
) -> StageComparison:
    """Compare two stages tensor by tensor; see `compare_stages`.

    The one nearer to the original model is taken as right and comes first in the result: an ONNX model before an
    xmodel before a dump. Operators of an xmodel are also judged alone (`Teacher`), unless both stages are one file.

    Args:
        first: A stage, as `SourceName.parse` reads it.
        second: Another.
        data: Samples; None takes the inputs out of a dump.
        samples: Use at most so many.
        relative: Largest difference of real numbers that counts as equal.
        explain: Judge operators alone.

    Raises:
        InputError: Q1303 to Q1309 for stages that cannot be compared; what reading them raises.
    """
    names = sorted((SourceName.parse(first), SourceName.parse(second)), key=lambda name: _RANK[name.kind])
    if names[0].kind == "dump":
        expected = "at least one model, which says what shape the tensors have"
        raise InputError(
            "Q1309", f"{first} and {second}", "two folders", expected, "compare each with the model"
        )
    native = names[0].kind == "xmodel" and not is_deploy_check(names[1].path)
    left = _open(names[0], native)
    if names[1].kind == "dump":
        return _compare_dump(left, names[1], data, samples, relative)
    right = _open(names[1], native)
    teacher = None
    if explain and isinstance(right, XmodelStage) and names[0].path != names[1].path:
        teacher = Teacher(right, left.signals, relative)
    if data is None:
        raise InputError(
            "Q1309", "compare", "no data", "--data, from which both compute", "give --data FOLDER"
        )
    source = open_samples(data, left, right, samples)
    batches = track(source, "comparing", source.batches)
    return compare_stages(left, right, batches, relative=relative, teacher=teacher)


def open_samples(data: DataChoice, left: Stage, right: Stage, samples: int | None = None) -> DataSource:
    """The data, as the inputs of `left` in the sizes that both stages take."""
    fixed = right.inputs if isinstance(right, XmodelStage) else left.inputs
    ranks = [len(info.shape or ()) for info in left.inputs]
    infos = left.inputs
    if [len(info.shape or ()) for info in fixed] == ranks:
        infos = tuple(InputInfo(a.name, a.dtype, b.shape) for a, b in zip(left.inputs, fixed, strict=True))
    models = [stage.model for stage in (left, right) if isinstance(stage, XmodelStage)]
    return open_data(
        data.source,
        infos,
        batch_size=data.batch,
        limit=samples if data.samples is None else data.samples,
        preprocessing=data.preprocessing or own_preprocessing(*models),
    )


def own_preprocessing(*models: XModel) -> Preprocessing | None:
    """How images become inputs, as the first model that records it says: JSON in `quantforge_preprocessing`.

    Raises:
        InputError: Q0211 when the record cannot be read.
    """
    for model in models:
        text = value_of(model.attrs, PREPROCESSING)
        if text:
            try:
                fields = json.loads(text)
            except json.JSONDecodeError as error:
                where, expected = (
                    f"attribute {PREPROCESSING} of {model.name}",
                    "a JSON object of image settings",
                )
                raise InputError("Q0211", where, str(error), expected, "compile the model again") from error
            return preprocessing_of(fields, f"attribute {PREPROCESSING} of {model.name}")
    return None


def _open(name: SourceName, native: bool) -> OnnxStage | XmodelStage:
    if name.kind == "onnx":
        return OnnxStage(name.path, name.label)
    return XmodelStage(read_xmodel(name.path), name.mode, name.label, native)


def _compare_dump(
    left: Stage, name: SourceName, data: DataChoice | None, samples: int | None, relative: float
) -> StageComparison:
    """A model beside a dump: as many samples as the dump has, from it or from `data`."""
    index = {} if isinstance(left, XmodelStage) else read_index(name.path)
    dump = DumpStage(name.path, left, sample_shapes(left), index)
    batches: Iterable[Arrays]
    if data is None:
        batches = _dumped_inputs(left, dump)
    else:
        batches = _single(open_samples(data, left, left, samples))
    counted = islice(batches, min(dump.samples, samples or dump.samples))
    return compare_stages(left, dump, counted, relative=relative)


def _dumped_inputs(stage: Stage, dump: DumpStage) -> Iterator[Arrays]:
    """The inputs in a dump as `stage` takes them."""
    if not isinstance(stage, XmodelStage):
        yield from dump.feeds({info.name: info.name for info in stage.inputs})
        return
    ops = {op.name: op for op in stage.arguments.ops}
    held = {op.name: signal for signal, op in stage.holders.items()}
    for feeds in dump.feeds({name: held.get(op.name, name) for name, op in ops.items()}):
        yield {name: stage.arguments.value(ops[name], array) for name, array in feeds.items()}


def sample_shapes(stage: Stage) -> dict[str, tuple[int, ...]]:
    """The shape of one sample of every signal; found by running zeros."""
    zeros = {info.name: _zeros(info) for info in stage.inputs}
    return {name: array.shape for name, array in stage.run(zeros).items()}


def _zeros(info: InputInfo) -> Array:
    return np.zeros([dim if isinstance(dim, int) else 1 for dim in info.shape or ()], info.dtype)


def _single(batches: Iterable[Arrays]) -> Iterator[Arrays]:
    """Sample by sample."""
    for feeds in batches:
        for index in range(len(next(iter(feeds.values())))):
            yield {name: array[index : index + 1] for name, array in feeds.items()}
