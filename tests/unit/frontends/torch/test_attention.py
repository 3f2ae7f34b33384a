from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
from torch.nn import functional  # noqa: E402

from tests.unit.frontends.torch.calls import captured, producers, random  # noqa: E402

LOWEST = torch.finfo(torch.float32).min
attend = functional.scaled_dot_product_attention


def kinds(graph: Any) -> list[str]:
    return [op.kind for op in graph.ops]


def test_attention_under_masks() -> None:
    table = torch.tensor([[True, False, True], [True, True, False], [True, True, True]])
    calls = [
        lambda m, x: attend(x, x, x),
        lambda m, x: attend(x, x, x, is_causal=True),
        lambda m, x: attend(x, x, x, table),
        lambda m, x: attend(x, x, x, torch.where(table, 0.0, LOWEST), scale=0.5),
        lambda m, x: attend(x, x, x, m.bias),
        lambda m, x: attend(x, x, x, x[..., :1] > 0),
        lambda m, x: attend(x, x, x, torch.ones(x.shape[0], 1, 3, 3, dtype=torch.bool)),
    ]
    graph = captured(calls, random(2, 4, 3, 5), parts={"bias": random(4, 3, 3)})
    found = [kind for kind in kinds(graph) if "softmax" in kind]
    assert found == ["softmax", *["masked-softmax"] * 3, "softmax", "masked-softmax", "softmax"]
    assert producers(graph) == ["matmul"] * 7


def test_groups_of_heads() -> None:
    graph = captured([lambda m, q: attend(q, q[:, :2], q[:, :2], enable_gqa=True)], random(2, 4, 3, 5))
    assert kinds(graph).count("expand") == 2


def test_masks_that_are_added_or_filled_in_stand_beside_the_scores() -> None:
    def eager(m: Any, x: Any, words: Any) -> Any:
        mask = (1.0 - (words != 0).float()) * LOWEST
        return torch.softmax(x + m.bias + mask[:, None], -1)

    def filled(m: Any, x: Any, words: Any) -> Any:
        return torch.softmax(x.masked_fill((words == 0)[:, None], LOWEST), -1)

    def biased(m: Any, x: Any, words: Any) -> Any:
        return torch.softmax(x + m.bias, -1)

    words = torch.tensor([[3, 0, 1, 0], [0, 0, 0, 2]])
    graph = captured([eager, filled, biased], random(2, 4, 4), words, parts={"bias": random(4, 4)})
    assert producers(graph) == ["masked-softmax", "masked-softmax", "softmax"]
    scores = graph.producer(graph.producer(graph.native.returned[0]).inputs[0])  # type: ignore[union-attr]
    assert scores is not None and scores.kind == "eltwise-add"
    kept = {graph.op(name).kind for name in graph.native.outside}
    assert {"eltwise-sub", "eltwise-mul", "where"} <= kept and "eltwise-add" not in kept


def test_windows_whose_mask_is_added_before_a_reshape() -> None:
    def windows(m: Any, x: Any) -> Any:
        scores = (x + m.bias).view(x.shape[0] // 2, 2, 3, 4, 4) + m.mask[:, None]
        return torch.softmax(scores.view(-1, 3, 4, 4), -1)

    mask = torch.where(random(2, 4, 4) > 0, 0.0, -100.0)
    graph = captured(
        [windows], random(4, 3, 4, 4), parts={"bias": random(3, 4, 4, seed=1), "mask": mask}, batch=2
    )
    assert producers(graph) == ["reshape"]
    assert [op.kind for op in graph.ops if "softmax" in op.kind] == ["masked-softmax"]


def test_log_softmax() -> None:
    graph = captured([lambda m, x: torch.log_softmax(x, 1)], random(2, 3, 4))
    assert producers(graph) == ["log-softmax"]
