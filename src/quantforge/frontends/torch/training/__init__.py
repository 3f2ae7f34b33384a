"""Quantization aware training: thresholds that learn beside the weights, from a captured module to a quantized graph."""
