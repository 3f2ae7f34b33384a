"""AMD Quark for ONNX. Options: `config` is the name of one of its presets, such as XINT8 or A8W8_ADAROUND."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.jobs import Stopwatch, answer, receive


def main() -> None:
    job = receive()
    watch = Stopwatch()
    with watch.phase("import"):
        import quark.onnx as quark

        from bench.sessions import limit_default_threads

        limit_default_threads(job.threads)
    config = getattr(quark, f"{job.options['config']}_QCONFIG")
    config.extra_options = {**(config.extra_options or {}), **job.options.get("extra", {})}
    model, data, output = (str(Path(name or "").resolve()) for name in (job.model, job.data, job.output))
    os.chdir(Path(output).parent)  # it writes tables into the working folder
    with watch.phase("calibrate"):  # calibration and the rest cannot be told apart from outside
        quark.ModelQuantizer(config).quantize_model(model, output, _reader(replace(job, data=data)))
    answer(replace(job, output=output), watch)


def _reader(job: Any) -> Any:
    from onnxruntime.quantization import CalibrationDataReader

    from bench.batches import read_batches

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.batches = read_batches(job.data, job.count, job.batch_size)

        def get_next(self) -> dict[str, Any] | None:
            batch = next(self.batches, None)
            return None if batch is None else {job.input_name: batch}

    return Reader()


if __name__ == "__main__":
    main()
