"""Fast fine-tuning: weights and biases of a quantized graph by a few unlabelled samples."""

from quantforge.frontends.torch.tuning.engine import fine_tune
from quantforge.frontends.torch.tuning.options import Schedule, Tuned, TuneOptions

__all__ = ["Schedule", "TuneOptions", "Tuned", "fine_tune"]
