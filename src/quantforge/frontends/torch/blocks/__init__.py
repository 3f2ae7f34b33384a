"""Block formats for torch modules: the arithmetic in torch, and which operators read through which format."""
