"""The PyTorch door: import a module, run its graph, fake-quantize in torch, export."""

from quantforge.frontends.torch.import_ import import_module
from quantforge.frontends.torch.run import TorchExecutor, input_infos

__all__ = ["TorchExecutor", "import_module", "input_infos"]
