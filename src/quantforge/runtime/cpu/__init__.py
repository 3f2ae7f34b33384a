"""The operators of CPU subgraphs in float32 NumPy, images in NHWC: one function per kind, by family."""
