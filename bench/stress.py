"""Threads that share one compiled graph: are results lost, doubled or mixed up, and does memory grow?

    python -m bench.stress [--threads 8] [--jobs 10000] [--mode run]

Every job has its own image and output array; the answer must be that image's, computed beforehand by the reference
engine. Memory is the resident size of the process, sampled while the jobs run.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from threading import Event, Thread
from typing import Any

import numpy as np
import psutil

from quantforge.diagnostics import InputError
from quantforge.runtime import GraphRunner
from tests.compiled_xmodels import classifier

IMAGES, IN_FLIGHT = 256, 16
MEBIBYTE = 1 << 20


@dataclass
class Tally:
    """What one thread saw."""

    done: int = 0
    wrong: int = 0


def work(runner: GraphRunner, number: int, jobs: int, pool: Any, answers: Any, tally: Tally) -> None:
    order = np.random.default_rng(number).integers(0, IMAGES, jobs)
    for start in range(0, jobs, IN_FLIGHT):
        picks = order[start : start + IN_FLIGHT]
        outputs = [np.full((1, *answers.shape[1:]), np.nan, answers.dtype) for _ in picks]
        started = [
            runner.execute_async([pool[p : p + 1]], [out]) for p, out in zip(picks, outputs, strict=True)
        ]
        for job, pick, out in zip(started, picks, outputs, strict=True):
            runner.wait(job)
            tally.done += 1
            tally.wrong += int((out[0] != answers[pick]).any())


def sample(stop: Event, sizes: list[int]) -> None:
    process = psutil.Process()
    while not stop.wait(0.2):
        sizes.append(process.memory_info().rss)


def left_over(runner: GraphRunner) -> int:
    """Jobs that nobody waited for."""
    count = 0
    while True:
        try:
            runner.wait(-1)
        except InputError:
            return count
        count += 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--jobs", type=int, default=10_000, help="jobs per thread")
    parser.add_argument("--mode", default="run")
    args = parser.parse_args()
    model = classifier()
    pool = np.random.default_rng(1).integers(-128, 128, (IMAGES, 8, 8, 3)).astype(np.int8)
    with GraphRunner(classifier(), "ref") as reference:
        answers = reference.run(pool)[0]
    runners = [GraphRunner(model, args.mode, threads=1, workers=1) for _ in range(args.threads)]
    tallies = [Tally() for _ in runners]
    for runner in runners:
        runner.run(pool[:1])
    stop, sizes = Event(), list[int]()
    watch = Thread(target=sample, args=(stop, sizes))
    threads = [
        Thread(target=work, args=(runner, i, args.jobs, pool, answers, tally))
        for i, (runner, tally) in enumerate(zip(runners, tallies, strict=True))
    ]
    start = time.perf_counter()
    watch.start()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - start
    stop.set()
    watch.join()
    done, wrong = sum(t.done for t in tallies), sum(t.wrong for t in tallies)
    extra = sum(left_over(runner) for runner in runners)
    settled = sizes[len(sizes) // 4 :] or sizes
    print(f"jobs {done} of {args.threads * args.jobs}, wrong {wrong}, left over {extra}")
    print(f"{done / seconds:.0f} jobs per second over {seconds:.1f} s")
    print(
        f"memory {sizes[0] / MEBIBYTE:.1f} MiB at first, {settled[0] / MEBIBYTE:.1f} after a quarter, "
        f"{max(sizes) / MEBIBYTE:.1f} at most, {sizes[-1] / MEBIBYTE:.1f} at the end"
    )


if __name__ == "__main__":
    main()
