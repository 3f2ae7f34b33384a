"""The arithmetic of the DPU's operators on NumPy integers: one function per kind, slow and obvious."""
