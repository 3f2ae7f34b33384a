"""The `.xmodel`: its records, its file format, and the operators it knows."""
