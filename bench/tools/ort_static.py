"""ONNX Runtime's own `quantize_static`: QDQ, uint8 activations, int8 weights, after its own pre-processing.

Options: `method` is the name of a `CalibrationMethod`, `per_channel` a bool, `types` the operator types to quantize
(all that it can, when empty).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.jobs import Job, Stopwatch, answer, receive

PER_CHANNEL_OPSET = 13  # QuantizeLinear has an axis from here on


def main() -> None:
    job = receive()
    watch = Stopwatch()
    with watch.phase("import"):
        from onnxruntime import quantization
        from onnxruntime.quantization import calibrate
        from onnxruntime.quantization.shape_inference import quant_pre_process

        from bench.sessions import limit_default_threads

        limit_default_threads(job.threads)
        for kind in (calibrate.MinMaxCalibrater, calibrate.HistogramCalibrater):
            kind.collect_data = _timed(kind.collect_data, watch)
            kind.compute_data = _timed(kind.compute_data, watch)
    output = Path(job.output or "")
    prepared = output.with_suffix(".prepared.onnx")
    with watch.phase("load"):
        model, notes = _upgraded(job.model)
        quant_pre_process(model, str(prepared))
    with watch.phase("rest"):
        quantization.quantize_static(
            str(prepared),
            str(output),
            _reader(job),
            quant_format=quantization.QuantFormat.QDQ,
            op_types_to_quantize=job.options.get("types") or None,
            per_channel=job.options["per_channel"],
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            calibrate_method=quantization.CalibrationMethod[job.options["method"]],
        )
    watch.seconds["rest"] -= watch.seconds.get("calibrate", 0.0)
    prepared.unlink()
    answer(job, watch, notes)


def _reader(job: Job) -> Any:
    from onnxruntime.quantization import CalibrationDataReader

    from bench.batches import read_batches

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.batches = read_batches(job.data, job.count, job.batch_size)

        def get_next(self) -> dict[str, Any] | None:
            batch = next(self.batches, None)
            return None if batch is None else {job.input_name: batch}

    return Reader()


def _timed(method: Callable[..., Any], watch: Stopwatch) -> Callable[..., Any]:
    def run(*args: Any, **named: Any) -> Any:
        with watch.phase("calibrate"):
            return method(*args, **named)

    return run


def _upgraded(path: str) -> tuple[Any, list[str]]:
    """An old model converted, as ONNX Runtime's documentation asks for; any other model as its path."""
    import onnx

    model = onnx.load(path)
    opset = next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    if opset >= PER_CHANNEL_OPSET:
        return path, []
    converted = onnx.version_converter.convert_version(model, PER_CHANNEL_OPSET)
    return converted, [f"converted from opset {opset} to {PER_CHANNEL_OPSET} first"]


if __name__ == "__main__":
    main()
