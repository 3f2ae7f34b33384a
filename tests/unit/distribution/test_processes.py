"""The same answers from other processes, also when one is killed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from quantforge.diagnostics import InputError, UnsupportedError
from quantforge.distribution.processes import RETRIES, ProcessPool, workers_died
from tests.unit.distribution import work


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new process looks for modules where this one does."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[3]))


@pytest.fixture
def pool() -> Iterator[ProcessPool]:
    found = ProcessPool(2)
    yield found
    found.close()


def test_answers_in_order_from_other_processes(pool: ProcessPool) -> None:
    assert pool.map(work.power, 2, list(range(6))) == [1, 2, 4, 8, 16, 32]
    assert os.getpid() not in pool.map(work.process, None, [0]) and not pool.in_process
    assert pool.map(work.power, 2, []) == []
    first, second = (set(pool.map(work.process, None, list(range(4)))) for _ in range(2))
    assert len(first | second) <= 2  # they stay


def test_errors_pass_with_their_code(pool: ProcessPool) -> None:
    with pytest.raises(InputError, match="Q0526") as caught:
        pool.map(work.refuse, "there", [1, 2, 3])
    assert caught.value.diagnostic.where == "there"
    assert pool.map(work.power, 2, [1]) == [2]


def test_a_killed_worker_loses_nothing(pool: ProcessPool, tmp_path: Path) -> None:
    assert pool.map(work.die_once, str(tmp_path), list(range(5))) == [0, 10, 20, 30, 40]
    assert (tmp_path / "died").exists()


def test_work_that_kills_every_worker_is_given_up() -> None:
    with pytest.raises(UnsupportedError, match="Q0529"):
        ProcessPool(1).map(work.die_always, None, [0])
    assert str(RETRIES) in str(workers_died("work", RETRIES))
