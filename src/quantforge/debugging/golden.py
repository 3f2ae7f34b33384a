"""The golden cross-check of the DPU runner: tensors compared with files by MD5 sum while a model runs.

The environment variables are those of the original runner:

XLNX_ENABLE_DEBUG_MODE    every layer is looked at, not only what goes in and comes out
XLNX_ENABLE_DUMP          write the tensors to ``dump/`` (`quantforge.debugging.dump`)
XLNX_GOLDEN_DIR           compare every tensor with ``<layer>.bin`` there, which holds one sample
XLNX_ENABLE_UPLOAD        with a golden folder: every layer computes on the golden tensors, not on its own
XLNX_ENABLE_CLEAR         what was not computed holds the bytes 0, 1, ..., 255, 0, ...
XLNX_SHOW_DPU_COUNTER     print how long each run took
XLNX_ENABLE_DUMP_PARAMTER write the parameters to the dump folder as well (the spelling is the original's)
DEBUG_DPU_RUNNER_DRY_RUN  compute nothing

Source: user guide UG1414, chapter on debugging.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from quantforge.debugging.describe import md5
from quantforge.debugging.dump import ALL, dumped, samples_of, write_dump
from quantforge.debugging.names import layer_file
from quantforge.debugging.observe import observing_engine
from quantforge.debugging.stage import Array
from quantforge.files import write_atomic
from quantforge.runtime.engines import Engine
from quantforge.runtime.program import Program
from quantforge.runtime.reference import evaluate
from quantforge.xmodel.model import XOp

DUMP_FOLDER = Path("dump")
Log = Callable[[str], None]
_BOUNDARY = ("upload", "download")


@dataclass(frozen=True)
class GoldenSettings:
    """What to look at while a DPU subgraph runs; all off by default."""

    debug_mode: bool = False
    dump: bool = False
    golden: Path | None = None
    upload: bool = False
    clear: bool = False
    counter: bool = False
    dry_run: bool = False
    parameters: bool = False

    @property
    def idle(self) -> bool:
        """Whether nothing is asked for."""
        return replace(self, debug_mode=False) == GoldenSettings()


def settings_of(environment: Mapping[str, str]) -> GoldenSettings:
    """The settings in environment variables; a flag is on when it is there and not 0.

    >>> settings_of({"XLNX_ENABLE_DUMP": "1"}).dump, settings_of({"XLNX_ENABLE_DUMP": "0"}).idle
    (True, True)
    """

    def on(name: str) -> bool:
        return environment.get(name, "0") not in ("", "0")

    golden = environment.get("XLNX_GOLDEN_DIR", "")
    return GoldenSettings(
        debug_mode=on("XLNX_ENABLE_DEBUG_MODE"),
        dump=on("XLNX_ENABLE_DUMP"),
        golden=Path(golden) if golden else None,
        upload=on("XLNX_ENABLE_UPLOAD"),
        clear=on("XLNX_ENABLE_CLEAR"),
        counter=on("XLNX_SHOW_DPU_COUNTER"),
        dry_run=on("DEBUG_DPU_RUNNER_DRY_RUN"),
        parameters=on("XLNX_ENABLE_DUMP_PARAMTER"),
    )


def to_stderr(line: str) -> None:
    """Where the log lines of the cross-check go."""
    sys.stderr.write(f"{line}\n")


def watcher(settings: GoldenSettings, mode: str, log: Log = to_stderr) -> Callable[[Engine], Engine] | None:
    """What a runner puts around its engines (`quantforge.runtime.engines.Watch`); None when nothing is asked for."""
    if settings.idle:
        return None

    def watch(engine: Engine) -> Engine:
        return WatchedEngine(engine, settings, mode, log) if engine.program.device == "DPU" else engine

    return watch


class WatchedEngine:
    """A DPU subgraph that dumps and compares its tensors whenever it runs."""

    def __init__(self, engine: Engine, settings: GoldenSettings, mode: str, log: Log = to_stderr) -> None:
        """`mode` is run or ref: the engine that computes the tensors in between."""
        self.program = engine.program
        self._engine, self._settings, self._log = engine, settings, log
        inner = settings.debug_mode and not settings.upload
        self._inside = observing_engine(engine.program, mode) if inner else None
        self._runs = 0

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Outputs by operator name, as the engine gives them; dumps and log lines on the way."""
        given = {op.name: self._uploaded(op, feeds[op.name]) for op in self.program.inputs}
        start = time.perf_counter()
        made = self._blank(given) if self._settings.dry_run else self._computed(given)
        if self._settings.counter:
            micros = (time.perf_counter() - start) * 1e6
            self._log(f"XLNX_SHOW_DPU_COUNTER: {self.program.name} {micros:.0f} us (software DPU)")
        self._look({**given, **made})
        return {op.name: made[op.name] for op in self.program.outputs}

    def _computed(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        if not self._settings.debug_mode:
            return self._engine.run(feeds)
        first = self.program.inputs[0] if self.program.inputs else None
        size = first.tensor.shape[0] if first else 1
        count = len(feeds[first.name]) if first else 1
        parts = [
            self._one({name: array[i : i + size] for name, array in feeds.items()})
            for i in range(0, count, size)
        ]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _one(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """All tensors of one batch; with uploads every operator reads golden tensors where there are some."""
        if self._inside is not None:
            return self._inside.run_all(feeds)
        live: dict[str, Array] = {**self.program.constants, **feeds}
        made: dict[str, Array] = {}
        for op in self.program.ops:
            arrays = {arg: [live[name] for name in names] for arg, names in op.args.items() if names}
            made[op.name] = evaluate(op, arrays, self.program.read)
            live[op.name] = self._uploaded(op, made[op.name])
        return made

    def _uploaded(self, op: XOp, array: Array) -> Array:
        """The golden tensor of every sample, or the array itself."""
        folder = self._settings.golden
        if folder is None or not self._settings.upload or not _compared(op):
            return array
        path = golden_file(folder, op)
        sample = array[:1]
        if path is None or path.stat().st_size != sample.nbytes:
            found = "no file" if path is None else f"{path.stat().st_size} bytes, not {sample.nbytes}"
            self._log(
                f"XLNX_ENABLE_UPLOAD: upload data failed ! layer_name {layer_file(op.tensor.name)}, {found}"
            )
            return array
        self._log(f"XLNX_ENABLE_UPLOAD: upload data success ! layer_name {layer_file(op.tensor.name)}")
        golden = np.frombuffer(path.read_bytes(), array.dtype).reshape(sample.shape)
        return np.ascontiguousarray(np.broadcast_to(golden, array.shape))

    def _blank(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """What is there when nothing was computed: zeros, or with XLNX_ENABLE_CLEAR a counting pattern."""
        ratio = next((len(feeds[op.name]) / op.tensor.shape[0] for op in self.program.inputs), 1)
        ops = self.program.ops if self._settings.debug_mode else self.program.outputs
        return {op.name: self._pattern(op, ratio) for op in ops}

    def _pattern(self, op: XOp, ratio: float) -> Array:
        shape = (int(op.tensor.shape[0] * ratio), *op.tensor.shape[1:])
        blank = np.zeros(shape, op.tensor.dtype.numpy)
        if self._settings.clear:
            blank.reshape(-1).view(np.uint8)[:] = np.arange(blank.nbytes) & 0xFF
        return blank

    def _look(self, made: Mapping[str, Array]) -> None:
        sections = ALL if self._settings.debug_mode else ALL - {"internal"}
        if self._settings.dump:
            write_dump(DUMP_FOLDER, self.program, made, self._runs, sections)
            self._runs += max((len(made[op.name]) for op in self.program.outputs), default=1)
        if self._settings.parameters:
            write_parameters(DUMP_FOLDER, self.program)
        if self._settings.golden is not None:
            ops = [op for section, op in dumped(self.program) if section in sections and op.name in made]
            compare_with_golden(self._settings.golden, ops, made, self._log)


def compare_with_golden(
    folder: Path, ops: Iterable[XOp], made: Mapping[str, Array], log: Log = to_stderr
) -> int:
    """Compare tensors with golden files by MD5, sample by sample; one log line each. Returns how many differ.

    Lines of failures hold both "failed ! layer_name", which the original writes, and "fail ! layer_name", for which
    its documentation searches. A golden file that is not there is a failure.
    """
    failures = 0
    for op in filter(_compared, ops):
        path, layer = golden_file(folder, op), layer_file(op.tensor.name)
        golden = "" if path is None else md5(path.read_bytes())
        for batch, sample in enumerate(samples_of(op, made[op.name])):
            dump = md5(np.ascontiguousarray(sample).tobytes())
            facts = f"layer_name {layer} batch_idx {batch} dump_md5 {dump}"
            if dump == golden:
                log(f"XLNX_GOLDEN_DIR: compare data success !{facts}")
                continue
            failures += 1
            file = folder / f"{layer}.bin" if path is None else path
            why = f"golden file {file} " + ("not found" if path is None else f"golden_md5 {golden}")
            log(
                f"XLNX_GOLDEN_DIR: compare data failed ! {facts} {why} (compare data fail ! layer_name {layer})"
            )
    return failures


def golden_file(folder: Path, op: XOp) -> Path | None:
    """The golden file of a tensor: ``<layer>.bin``, or ``<layer>_aquant.bin`` of the TensorFlow quantizer."""
    layer = layer_file(op.tensor.name)
    return next((p for stem in (layer, f"{layer}_aquant") if (p := folder / f"{stem}.bin").is_file()), None)


def write_parameters(folder: Path, program: Program) -> None:
    """The constants of a subgraph as ``<folder>/<subgraph>/parameter/<name>.bin``."""
    place = folder / layer_file(program.name) / "parameter"
    place.mkdir(parents=True, exist_ok=True)
    for name, data in program.constants.items():
        write_atomic(place / f"{layer_file(name)}.bin", np.ascontiguousarray(data).tobytes())


def _compared(op: XOp) -> bool:
    """Tensors that a quantizer knows: not the copies at the border that only a compiler makes."""
    stem = op.tensor.name.rpartition("_")[0]
    return not any(stem.endswith(f"_{kind}") for kind in _BOUNDARY)
