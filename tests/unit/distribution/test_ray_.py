"""The same answers from a Ray cluster, also when a worker is killed. Skipped where ray is not installed."""

from __future__ import annotations

import builtins
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from quantforge.diagnostics import InputError, UnsupportedError
from quantforge.distribution import ray_
from quantforge.distribution.ray_ import RayPool
from tests.unit.distribution import work

pytestmark = pytest.mark.slow  # a cluster has to start


@pytest.fixture(scope="module")
def pool() -> Iterator[RayPool]:
    pytest.importorskip("ray", reason="ray is not installed")
    found = RayPool(workers=2)
    yield found
    found.close()


def test_answers_in_order_from_workers(pool: RayPool) -> None:
    assert pool.map(work.power, 2, list(range(6))) == [1, 2, 4, 8, 16, 32]
    assert os.getpid() not in pool.map(work.process, None, [0])
    assert pool.width == 2 and not pool.in_process


def test_errors_pass_with_their_code(pool: RayPool) -> None:
    with pytest.raises(InputError, match="Q0526") as caught:
        pool.map(work.refuse, "there", [1, 2, 3])
    assert caught.value.diagnostic.where == "there"


def test_a_killed_worker_loses_nothing(pool: RayPool, tmp_path: Path) -> None:
    assert pool.map(work.die_once, str(tmp_path), list(range(5))) == [0, 10, 20, 30, 40]
    assert (tmp_path / "died").exists()


def test_work_that_kills_every_worker_is_given_up(pool: RayPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_, "RETRIES", 0)  # a worker takes seconds to start
    with pytest.raises(UnsupportedError, match="Q0529"):
        pool.map(work.die_always, None, [0])


def test_a_cluster_of_the_caller_stays(pool: RayPool) -> None:
    RayPool().close()
    assert pool.map(work.power, 3, [2]) == [9]


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "ray":
            raise ImportError(name)
        return whole(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match="Q0529"):
        RayPool()
