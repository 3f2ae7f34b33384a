from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from quantforge.frontends.torch.import_ import import_module  # noqa: E402
from quantforge.frontends.torch.sources import frames  # noqa: E402


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.conv(x))


def test_the_lines_of_the_user() -> None:
    graph = import_module(Net(), torch.zeros(1, 3, 4, 4))
    for op in graph.ops:
        (line,) = graph.native.sources[op.origin.names[0]]
        assert "test_sources.py:" in line and line.endswith("in forward: return torch.relu(self.conv(x))")


def test_frames_of_torch_are_left_out() -> None:
    trace = (
        'File "/net.py", line 3, in forward\n    return self.fc(x)\n'
        '  File "/lib/site-packages/torch/nn/modules/linear.py", line 1, in forward\n    return F.linear(x)'
    )
    assert frames(trace) == ("/net.py:3 in forward: return self.fc(x)",)
    assert frames('File "/net.py", line 3, in forward') == ("/net.py:3 in forward",)
    assert frames('File "torch/fx/passes/x.py", line 24, in insert') == frames("") == ()
