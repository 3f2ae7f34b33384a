from __future__ import annotations

import threading

import pytest

from quantforge.diagnostics import InputError
from quantforge.runtime.jobs import RUNNING, Jobs


def test_a_job_runs_while_its_caller_goes_on() -> None:
    gate, done = threading.Event(), []
    jobs = Jobs("j", 1)
    number = jobs.start(lambda: (gate.wait(), done.append(1))[0] and None)
    assert jobs.wait(number, 0) == RUNNING
    assert done == []
    gate.set()
    assert jobs.wait(number) == 0
    assert done == [1]
    jobs.close()


def test_what_a_job_raises_is_raised_once_by_wait_and_the_pool_goes_on() -> None:
    jobs = Jobs("j", 1)

    def broken() -> None:
        raise InputError("Q1211", "op", "a", "b", "c")

    number = jobs.start(broken)
    with pytest.raises(InputError, match=r"Q1211"):
        jobs.wait(number)
    with pytest.raises(InputError, match=r"Q1209 j: found job"):
        jobs.wait(number)
    assert jobs.wait(jobs.start(lambda: None)) == 0
    jobs.close()


def test_a_negative_number_is_any_job() -> None:
    jobs = Jobs("j", 1)
    jobs.start(lambda: None)
    assert jobs.wait(-1) == 0
    with pytest.raises(InputError, match=r"Q1209"):
        jobs.wait(-1)
    jobs.close()


def test_a_closed_pool_takes_no_jobs() -> None:
    jobs = Jobs("j", 1)
    jobs.close()
    with pytest.raises(InputError, match=r"Q1215 j"):
        jobs.start(lambda: None)
