"""Quantization aware training: from a captured module, thresholds that learn beside its weights, to a graph."""
