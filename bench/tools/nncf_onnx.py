"""NNCF for ONNX models: post-training quantization with its defaults. Options: `preset` and `model_type`, names."""

from __future__ import annotations

from bench.jobs import Stopwatch, answer, receive


def main() -> None:
    job = receive()
    watch = Stopwatch()
    with watch.phase("import"):
        import nncf
        import onnx

        from bench.batches import read_batches
        from bench.sessions import limit_default_threads

        limit_default_threads(job.threads)
    with watch.phase("load"):
        model = onnx.load(job.model)
    batches = [{job.input_name: batch} for batch in read_batches(job.data, job.count, job.batch_size)]
    preset, kind = job.options.get("preset"), job.options.get("model_type")
    with watch.phase("calibrate"):  # calibration and the rest cannot be told apart from outside
        quantized = nncf.quantize(
            model,
            nncf.Dataset(batches),
            subset_size=len(batches),
            preset=nncf.QuantizationPreset(preset) if preset else None,
            model_type=nncf.ModelType(kind) if kind else None,
        )
    onnx.save(quantized, job.output)
    answer(job, watch)


if __name__ == "__main__":
    main()
