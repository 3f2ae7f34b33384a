from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
from torch.utils import _pytree as pytree  # noqa: E402

from quantforge.diagnostics import UnsupportedError  # noqa: E402
from quantforge.frontends.torch.module import QuantizedModule  # noqa: E402
from quantforge.frontends.torch.program_export import export_program, exported_program  # noqa: E402
from quantforge.frontends.torch.quantizer import ModuleQuantizer  # noqa: E402
from quantforge.frontends.torch.recipes import dpu_recipe  # noqa: E402
from tests.unit.frontends.torch.modules import Nested, Residual, Transformer  # noqa: E402

RUN = """
import sys, torch
program = torch.export.load(sys.argv[1]).module()
with torch.no_grad():
    torch.save(program(torch.load(sys.argv[2])), sys.argv[3])
assert not [name for name in sys.modules if name.startswith(("quantforge", "pytorch_nndct"))]
"""


def quantized(module: Any, *args: Any, **kwargs: Any) -> QuantizedModule:
    quantizer = ModuleQuantizer(module.eval(), args, kwargs, dpu_recipe())
    observed = quantizer.observed_module()
    with torch.no_grad():
        observed(*args, **kwargs)
    quantizer.solve()
    return quantizer.quantized_module()


def grown(tensor: Any) -> Any:
    return torch.cat([tensor, tensor.flip(0), tensor[:1]])


@pytest.mark.parametrize(
    ("module", "args", "kwargs"),
    [
        (Residual, (torch.randn(4, 3, 6, 6),), {}),
        (Transformer, (torch.randint(0, 10, (4, 7)),), {}),
        (Nested, (torch.randn(4, 4, 6),), {"other": torch.randn(4, 4, 6)}),
    ],
)
def test_any_batch_gives_the_same_bits(module: Any, args: Any, kwargs: Any) -> None:
    found = quantized(module(), *args, **kwargs)
    program = exported_program(found).module()
    args, kwargs = pytree.tree_map(grown, (args, kwargs))
    with torch.no_grad():
        want, got = (pytree.tree_leaves(run(*args, **kwargs)) for run in (found, program))
    assert len(want) == len(got)
    for a, b in zip(want, got, strict=True):
        assert torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b


def test_the_file_needs_torch_alone(tmp_path: Path) -> None:
    module, x = quantized(Residual(), torch.randn(4, 3, 6, 6)), torch.randn(7, 3, 6, 6)
    program = export_program(module, tmp_path / "m.pt2")
    assert not [node for node in program.graph.nodes if "stack_trace" in node.meta]
    torch.save(x, tmp_path / "x.pt")
    files = [str(tmp_path / name) for name in ("m.pt2", "x.pt", "y.pt")]
    subprocess.run([sys.executable, "-c", RUN, *files], check=True, capture_output=True)
    with torch.no_grad():
        assert torch.equal(torch.load(tmp_path / "y.pt"), module(x))


def test_what_torch_cannot_follow_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("no such thing\nand more")

    module = quantized(Residual(), torch.randn(4, 3, 6, 6))
    monkeypatch.setattr(torch.export, "export", refuse)
    with pytest.raises(UnsupportedError, match="Q1483 module 'Residual': found RuntimeError: no such thing;"):
        exported_program(module)
