"""quantforge itself, from file to file.

Options: `recipe` is a built-in name or a .toml file; `feed` is "npy" (the file's path, as a user has it) or
"iterable" (dicts of batches, as the other contestants are fed).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from bench.jobs import Job, Stopwatch, answer, receive

if TYPE_CHECKING:
    from quantforge.quantization.report import QuantizationReport


def main() -> None:
    job = receive()
    watch = Stopwatch()
    with watch.phase("import"):
        import quantforge
    with watch.phase("rest"):
        result = quantforge.quantize(
            job.model,
            _dicts(job) if job.options.get("feed") == "iterable" else job.data,
            recipe=job.options["recipe"],
            output=job.output,
            samples=job.count,
        )
    notes = []
    seconds = calibration_seconds(result.report)
    if seconds is None:
        notes.append("the report carries no calibration time: all of it counts as the rest")
    else:
        watch.seconds["calibrate"] = seconds
        watch.seconds["rest"] -= seconds
    answer(job, watch, notes, {"stages": {timing.stage: timing.seconds for timing in result.report.timings}})


def calibration_seconds(report: QuantizationReport) -> float | None:
    """The seconds that the report's calibration stages took; None when it names no such stage."""
    found = [timing.seconds for timing in report.timings if timing.stage.startswith("calibrat")]
    return sum(found) if found else None


def _dicts(job: Job) -> Iterator[dict[str, Any]]:
    from bench.batches import read_batches

    for batch in read_batches(job.data, job.count, job.batch_size):
        yield {job.input_name: batch}


if __name__ == "__main__":
    main()
