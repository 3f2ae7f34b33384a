"""Time, memory and quality of quantization beside the peers; see README.md."""
