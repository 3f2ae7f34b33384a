"""Names of pools."""

from __future__ import annotations

import click
import pytest

from quantforge.cli.pool_option import pool_named
from quantforge.distribution.pool import LocalPool
from quantforge.distribution.processes import ProcessPool


def test_names() -> None:
    with pool_named("local", None) as pool:
        assert isinstance(pool, LocalPool)
    with pool_named("processes", 3) as pool:
        assert isinstance(pool, ProcessPool) and pool.width == 3
    with pool_named("processes", None) as pool:
        assert pool.width == 2


def test_a_cluster_is_one_of_ray() -> None:
    with pytest.raises(click.UsageError), pool_named("local", None, "auto"):
        pass
