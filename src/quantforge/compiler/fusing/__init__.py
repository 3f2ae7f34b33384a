"""How operators of a flat quantized model become operators of a DPU: one file per family."""
