"""The compiler: a graph to XIR, fused, partitioned and scheduled for a DPU."""
