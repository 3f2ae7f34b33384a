"""The PyTorch quantizer of Vitis AI by its names, answered by quantforge. See docs/pytorch_nndct.md."""

from importlib.metadata import version
from typing import NoReturn

from pytorch_nndct.options import refuse_name

__version__ = version("quantforge")


def __getattr__(name: str) -> NoReturn:
    """Names of the original that are not built yet say so."""
    refuse_name(__name__, name)
