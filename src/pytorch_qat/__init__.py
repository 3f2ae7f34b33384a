"""The name under which the user guide UG1414 imports quantization aware training; see `pytorch_nndct.qat`."""

from pytorch_nndct.qat import QatProcessor

__all__ = ["QatProcessor"]
