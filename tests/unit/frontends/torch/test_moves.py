from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
from torch.nn import functional  # noqa: E402

from tests.unit.frontends.torch.calls import captured, producers, random  # noqa: E402


def test_shapes_order_and_axes() -> None:
    calls = [
        lambda m, x: x.reshape(x.size(0), 2, -1),
        lambda m, x: x.view(-1, 6),
        lambda m, x: x.flatten(1),
        lambda m, x: x.flatten(2),
        lambda m, x: x.transpose(1, 2),
        lambda m, x: x.permute(0, 2, 3, 1),
        lambda m, x: x.unsqueeze(-1),
        lambda m, x: x[:, :1].squeeze(1),
        lambda m, x: x.squeeze(1) + 0,
        lambda m, x: x.contiguous().clone(),
        lambda m, x: x[:, :1].expand(-1, 4, -1, -1),
        lambda m, x: x.repeat(1, 2, 1, 1),
        lambda m, x: x[0].repeat(2, 3, 1, 1, 1),
        lambda m, x: functional.dropout(x, 0.5, False),
    ]
    graph = captured(calls, random(2, 4, 6, 6))
    assert producers(graph) == [
        "reshape", "reshape", "flatten", "reshape", "transpose", "transpose", "unsqueeze", "squeeze", "eltwise-add",
        "input", "expand", "tile", "tile", "input",
    ]  # fmt: skip
    assert graph.producer(graph.native.returned[0]).attrs["shape"] == (0, 2, 72)  # type: ignore[union-attr]


def test_slices_joins_and_parts() -> None:
    calls = [
        lambda m, x: x[:, :, ::2],
        lambda m, x: x[..., -2:],
        lambda m, x: x[:, -1],
        lambda m, x: x[:, 1],
        lambda m, x: torch.cat([x, x * 2], 2),
        lambda m, x: torch.stack([x, x * 2], 1),
        lambda m, x: x.split(3, 1)[1],
        lambda m, x: x.chunk(2, 2)[0],
        lambda m, x: x.index_select(1, torch.tensor([2, 0])),
        lambda m, x: x.flip(2),
    ]
    graph = captured(calls, random(2, 4, 6))
    assert producers(graph) == [
        "strided-slice", "strided-slice", "squeeze", "squeeze", "concat", "concat", "split", "split", "gather",
        "strided-slice",
    ]  # fmt: skip


def test_padding_and_resizing() -> None:
    calls = [
        lambda m, x: functional.pad(x, (1, 2, 0, 1), value=0.5),
        lambda m, x: functional.pad(x, (1, 2, 0, 1), mode="reflect"),
        lambda m, x: functional.pad(x, (1, 2, 0, 1), mode="replicate"),
        lambda m, x: functional.pad(x, (1, 1, 1, 1), mode="circular")[:, :, :4],
        lambda m, x: functional.pad(x, (-1, 0)),
        lambda m, x: functional.interpolate(x, scale_factor=2),
        lambda m, x: functional.interpolate(x, size=(10, 15), mode="bilinear"),
        lambda m, x: functional.interpolate(x, scale_factor=1.5, mode="bilinear", align_corners=True),
        lambda m, x: functional.pixel_shuffle(x, 2),
        lambda m, x: functional.interpolate(x, scale_factor=2, mode="bicubic"),
        lambda m, x: functional.interpolate(x, size=(7, 8), mode="bicubic", align_corners=True),
    ]
    graph = captured(calls, random(2, 4, 5, 5))
    found = producers(graph)
    assert found[:3] == ["pad"] * 3
    assert found[4] == "opaque"
    assert found[5:] == ["resize"] * 3 + ["pixel-shuffle"] + ["resize"] * 2


def test_lookup_and_casts() -> None:
    calls = [
        lambda m, i: functional.embedding(i, m.table),
        lambda m, i: i.float() * 0.5,
        lambda m, i: i.to(torch.int64),
        lambda m, i: m.table.t() * 2,
    ]
    graph = captured(calls, torch.tensor([[1, 2], [0, 3]]), parts={"table": random(4, 3)})
    assert producers(graph) == ["gather", "eltwise-mul", "input", "const"]
