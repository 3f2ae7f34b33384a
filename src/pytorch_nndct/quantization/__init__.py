"""`pytorch_nndct.quantization`: where the original keeps `bfp`."""

from pytorch_nndct import bfp

__all__ = ["bfp"]
