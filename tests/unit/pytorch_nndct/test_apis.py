from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

import pytorch_nndct  # noqa: E402
from pytorch_nndct import apis  # noqa: E402
from pytorch_nndct.apis import dump_xmodel, torch_quantizer  # noqa: E402
from quantforge.diagnostics import InputError, UnsupportedError  # noqa: E402


def test_names_of_the_original_that_are_not_built_say_so() -> None:
    for module, name in ((apis, "OFAPruner"), (pytorch_nndct, "SparsePruner")):
        with pytest.raises(UnsupportedError, match="Q1420"):
            getattr(module, name)
    with pytest.raises(ImportError):
        from pytorch_nndct.apis import nonsense  # noqa: F401


def test_dump_xmodel_exports_what_the_last_quantizer_has(tmp_path: Path) -> None:
    torch_quantizer("float", torch.nn.ReLU(), torch.zeros(1, 3), device="cpu")
    with pytest.raises(InputError, match="Q1410"):
        dump_xmodel(str(tmp_path))
    with pytest.raises(InputError, match="Q1421 app_deploy"):
        dump_xmodel(str(tmp_path), app_deploy="RNN")
