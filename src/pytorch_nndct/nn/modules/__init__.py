"""`pytorch_nndct.nn.modules`: functions as modules."""

from pytorch_nndct.nn.modules import functional

__all__ = ["functional"]
