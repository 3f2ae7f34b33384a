"""`pytorch_nndct.apis`: `torch_quantizer` and `dump_xmodel`."""

from __future__ import annotations

from typing import NoReturn

from pytorch_nndct.inspector import Inspector
from pytorch_nndct.options import is_recurrent, refuse_name
from pytorch_nndct.quant_api import current_quantizer, torch_quantizer
from pytorch_nndct.vai_ops import load_vai_ops

__all__ = ["Inspector", "dump_xmodel", "load_vai_ops", "torch_quantizer"]


def dump_xmodel(
    output_dir: str = "quantize_result", deploy_check: bool = False, app_deploy: str = "CV"
) -> None:
    """Export the xmodel of the quantizer made last in this process.

    Raises:
        QuantforgeError: As `torch_quantizer.export_xmodel`; Q1410 when no quantizer was made.
    """
    is_recurrent(False, app_deploy)
    current_quantizer().export_xmodel(output_dir, deploy_check)


def __getattr__(name: str) -> NoReturn:
    """Names of the original that are not built yet say so."""
    refuse_name(__name__, name)
