from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def module() -> Any:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    from tests.unit.frontends.torch.modules import Residual

    torch.manual_seed(1)
    return Residual().eval()


@pytest.fixture(scope="session")
def folder(module: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of calibration."""
    from pytorch_nndct.apis import torch_quantizer
    from tests.unit.pytorch_nndct.residual import CPU, images

    found = tmp_path_factory.mktemp("quantize_result")
    quantizer = torch_quantizer("calib", module, images()[0], output_dir=str(found), device=CPU)
    for x in images():
        quantizer.quant_model(x)
    quantizer.export_quant_config()
    return found


@pytest.fixture(scope="session")
def tested(module: Any, folder: Path) -> Any:
    from pytorch_nndct.apis import torch_quantizer
    from tests.unit.pytorch_nndct.residual import CPU, images

    return torch_quantizer("test", module, images()[0][:1], output_dir=str(folder), device=CPU)
