from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
from torch import nn  # noqa: E402
from torch.utils import _pytree as pytree  # noqa: E402

from quantforge.frontends.torch.preserve import (  # noqa: E402
    evaluating,
    kept_buffers,
    named_keywords,
    register_dataclasses,
)
from tests.unit.frontends.torch.hard_modules import Buffered, Keyworded  # noqa: E402
from tests.unit.frontends.torch.modules import Residual  # noqa: E402


@dataclass
class Inner:
    x: Any


@dataclass
class Outer:
    inner: Any
    rest: list[Any]


def test_modes_are_restored_part_by_part() -> None:
    module = Residual()
    module.bn1.eval()
    with evaluating(module):
        assert not any(part.training for part in module.modules())
    assert module.training and not module.bn1.training


def test_exported_programs_have_one_mode() -> None:
    program = torch.export.export(nn.ReLU(), (torch.zeros(2),)).module()
    with evaluating(program):
        pass


def test_buffers_that_are_written_or_replaced_are_put_back() -> None:
    module = Buffered()
    calls, mean = module.calls, module.mean.clone()
    with kept_buffers(module):
        module(torch.ones(2, 4))
        module.calls = module.calls + 1
    assert module.calls is calls and int(calls) == 0 and torch.equal(module.mean, mean)


def test_keywords_of_the_rest_are_named_within_the_block() -> None:
    module = Keyworded()
    with named_keywords(module, {"by": 1.0, "clamp": True}):
        assert list(inspect.signature(module.forward).parameters) == ["x", "by", "clamp"]
        assert bool((module(-torch.ones(2, 4), clamp=True) >= 0).all())
    assert "forward" not in module.__dict__
    with named_keywords(module, {"by": 1.0}):
        assert "forward" not in module.__dict__


def test_dataclasses_flatten_once_they_are_registered() -> None:
    tree = {"a": Outer(Inner(torch.zeros(1)), [torch.ones(1)])}
    register_dataclasses(tree)
    register_dataclasses(tree)
    assert [float(leaf) for leaf in pytree.tree_leaves(tree)] == [0, 1]
