"""GraphRunner of the Vitis AI Library: whole models, DPU and CPU subgraphs, over quantforge's runtime.

runner = vitis_ai_library.GraphRunner.create_graph_runner(graph)
inputs, outputs = runner.get_inputs(), runner.get_outputs()
np.asarray(inputs[0])[...] = image
runner.wait(runner.execute_async(inputs, outputs))
"""

from vitis_ai_library.graph_runner import GraphRunner

__all__ = ["GraphRunner"]
