"""The Python interface of VART, the runtime of Vitis AI, over quantforge's runtime.

    runner = vart.Runner.create_runner(subgraph, "run")
    job = runner.execute_async([image], [result])
    runner.wait(job)

`subgraph` is a device-level subgraph of an `xir.Graph`. Runners of the same subgraph, in any number of threads, share
one compiled engine; jobs are asynchronous. Source: user guide UG1414, chapter on deployment, VART APIs.
"""

from vart.runner import Runner, RunnerExt
from vart.tensor_buffer import TensorBuffer

__all__ = ["Runner", "RunnerExt", "TensorBuffer"]
