"""One module per contestant, each started as ``python -m bench.tools.NAME job.json`` in its own process."""
