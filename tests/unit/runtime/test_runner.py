from __future__ import annotations

from threading import Thread
from typing import Any

import numpy as np
import pytest

from quantforge.diagnostics import InputError
from quantforge.runtime import Runner, create_runner
from quantforge.runtime.program import program_of
from quantforge.runtime.reference import ReferenceEngine
from quantforge.runtime.runner import check_fingerprint
from quantforge.xmodel.model import Attr
from tests.compiled_xmodels import classifier, dpu_part

MODEL = classifier()
PART = dpu_part(MODEL)


def images(count: int, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(-128, 128, (count, 8, 8, 3)).astype(np.int8)


def expected(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return ReferenceEngine(program_of(MODEL, PART)).run({"image": x})["logits"]


@pytest.mark.parametrize("mode", ["run", "ref", "sim"])
def test_a_job(mode: str) -> None:
    x = images(1)
    with Runner(MODEL, PART, mode) as runner:
        assert [tensor.name for tensor in runner.input_tensors()] == ["image_t"]
        assert [tensor.shape for tensor in runner.output_tensors()] == [(1, 10)]
        out = np.zeros((1, 10), np.int8)
        job, status = runner.execute_async([x], [out])
        assert status == 0
        assert runner.wait((job, status)) == 0
    np.testing.assert_array_equal(out, expected(x))


def test_any_batch_with_dynamic_arrays() -> None:
    x, out = images(7), np.zeros((7, 10), np.int8)
    with create_runner(MODEL, PART) as runner:
        runner.wait(runner.execute_async([x], [out], enable_dynamic_array=True))
        np.testing.assert_array_equal(out, expected(x))
        np.testing.assert_array_equal(runner.run(x)[0], out)
        job = runner.execute_async([x], [np.zeros((3, 10), np.int8)], enable_dynamic_array=True)
        with pytest.raises(InputError, match=r"Q1208 output tensor 'out_t'|Q1208 output tensor 'logits_t'"):
            runner.wait(job)


def test_buffers() -> None:
    with Runner(MODEL, PART) as runner:
        inputs, outputs = runner.input_buffers(), runner.output_buffers()
        np.asarray(inputs[0])[...] = images(1)
        runner.wait(runner.execute_async(inputs, outputs))
        np.testing.assert_array_equal(np.asarray(outputs[0]), expected(images(1)))


def test_bad_arrays_are_refused_before_the_job_starts() -> None:
    with (
        Runner(MODEL, PART) as runner,
        pytest.raises(
            InputError, match=r"Q1208 input tensor 'image_t': found an array of float32; expected int8"
        ),
    ):
        runner.execute_async([images(1).astype(np.float32)], [np.zeros((1, 10), np.int8)])


def test_jobs_are_waited_for_once() -> None:
    with Runner(MODEL, PART) as runner:
        with pytest.raises(InputError, match=r"Q1209 subgraph_1_dpu: found job 99"):
            runner.wait(99)
        job = runner.execute_async([images(1)], [np.zeros((1, 10), np.int8)])
        assert runner.wait(job, 60_000) == 0
        with pytest.raises(InputError, match=r"Q1209"):
            runner.wait(job)
    with pytest.raises(InputError, match=r"Q1215"):
        runner.execute_async([images(1)], [np.zeros((1, 10), np.int8)])


def test_the_fingerprint_of_another_dpu() -> None:
    part = dpu_part(classifier())
    check_fingerprint(part, 0x101)
    part.attrs |= {"dpu_fingerprint": Attr("uint64", 0x102), "dpu_name": Attr("string", "DPUX")}
    check_fingerprint(part, None)
    check_fingerprint(part, 0x102)
    with pytest.raises(InputError, match=r"Q1206 .*0x102 of DPUX; expected 0x101"):
        check_fingerprint(part, 0x101)


def test_many_threads_lose_and_mix_nothing() -> None:
    """Eight threads, two of them on each runner; every job has its own image and its own answer."""
    pool = images(64, 5)
    answers = expected(pool)
    runners = [Runner(MODEL, PART, threads=1) for _ in range(4)]
    wrong: list[int] = []

    def work(number: int) -> None:
        runner = runners[number % 4]
        for start in range(0, 500, 10):
            picks = [(number * 37 + start + i) % 64 for i in range(10)]
            outputs = [np.full((1, 10), 99, np.int8) for _ in picks]
            jobs = [
                runner.execute_async([pool[p : p + 1]], [out]) for p, out in zip(picks, outputs, strict=True)
            ]
            for job, pick, out in zip(jobs, picks, outputs, strict=True):
                runner.wait(job)
                if (out != answers[pick]).any():
                    wrong.append(pick)

    threads = [Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for runner in runners:
        with pytest.raises(InputError, match=r"Q1209"):  # nothing is left over
            runner.wait(-1)
        runner.close()
    assert wrong == []
