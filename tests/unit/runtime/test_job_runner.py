"""Jobs on arrays, whatever computes them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from quantforge.diagnostics import InputError
from quantforge.runtime.fixed import Array
from quantforge.runtime.job_runner import JobRunner
from quantforge.xmodel.model import XINT8, Attr, Tensor, XOp


def op(name: str) -> XOp:
    return XOp(name, "data-fix", Tensor(name, (2, 3), XINT8, {"fix_point": Attr("int32", 0)}))


class Halves(JobRunner):
    """Gives the halves of its input, and refuses odd numbers."""

    def _execute(self, feeds: Sequence[Array]) -> dict[str, Array]:
        if np.any(feeds[0] % 2):
            raise ArithmeticError("odd")
        return {"y": feeds[0] // 2}


@pytest.fixture
def runner() -> Halves:
    return Halves("halves", [op("x")], [op("y")], workers=2)


def test_a_job_fills_the_callers_arrays(runner: Halves) -> None:
    x, y = np.full((2, 3), 8, np.int8), np.zeros((2, 3), np.int8)
    with runner:
        job, status = runner.execute_async([x], [y])
        assert status == 0 and runner.wait((job, status)) == 0
    np.testing.assert_array_equal(y, 4)


def test_run_takes_any_batch(runner: Halves) -> None:
    (found,) = runner.run(np.full((5, 3), 6, np.int8))
    np.testing.assert_array_equal(found, np.full((5, 3), 3))


def test_what_a_job_raises_comes_from_wait(runner: Halves) -> None:
    x = np.ones((2, 3), np.int8)
    with pytest.raises(ArithmeticError, match="odd"):
        runner.wait(runner.execute_async([x], [x.copy()]))


def test_inputs_and_outputs_of_two_batches(runner: Halves) -> None:
    x, y = np.zeros((4, 3), np.int8), np.zeros((2, 3), np.int8)
    job = runner.execute_async([x], [y], enable_dynamic_array=True)
    with pytest.raises(InputError, match="Q1208"):
        runner.wait(job)


def test_after_close_nothing_starts(runner: Halves) -> None:
    runner.close()
    with pytest.raises(InputError, match="Q1215"):
        runner.execute_async(runner.input_buffers(), runner.output_buffers())
