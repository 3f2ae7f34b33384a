"""`pytorch_nndct.nn`: stubs that mark the part to be quantized, and functions as modules."""

from pytorch_nndct.nn import modules
from pytorch_nndct.nn.modules import functional
from pytorch_nndct.nn.stubs import DeQuantStub, QuantStub

__all__ = ["DeQuantStub", "QuantStub", "functional", "modules"]
