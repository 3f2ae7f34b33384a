"""The PyTorch quantizer of Vitis AI by its names, answered by quantforge. See docs/pytorch_nndct.md."""

from importlib import import_module
from importlib.metadata import version
from typing import Any

from pytorch_nndct.options import refuse_name

__version__ = version("quantforge")
_PARTS = ("apis", "bfp", "nn", "quantization", "utils")


def __getattr__(name: str) -> Any:
    """Parts of the package, imported when first used; names of the original that are not built yet say so."""
    if name == "QatProcessor":
        return import_module(f"{__name__}.qat").QatProcessor
    if name == "load_vai_ops":
        return import_module(f"{__name__}.vai_ops").load_vai_ops
    if name in _PARTS:
        return import_module(f"{__name__}.{name}")
    return refuse_name(__name__, name)
