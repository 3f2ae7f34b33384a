"""The pool that is none: one item after another, here."""

from __future__ import annotations

import os

import pytest

from quantforge.diagnostics import InputError
from quantforge.distribution.pool import LocalPool
from tests.unit.distribution import work


def test_answers_in_order_from_this_process() -> None:
    pool = LocalPool()
    assert pool.map(work.power, 2, [3, 1, 2]) == [8, 2, 4] and pool.map(work.power, 2, []) == []
    assert pool.map(work.process, None, [0]) == [os.getpid()] and pool.in_process and pool.width == 1


def test_errors_pass() -> None:
    with pytest.raises(InputError, match="Q0526"):
        LocalPool().map(work.refuse, "here", [1, 2, 3])
