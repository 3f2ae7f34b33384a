"""Quantization: where (placement), with what (recipe, solve), and what it costs (measure)."""
