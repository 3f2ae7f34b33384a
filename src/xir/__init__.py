"""The Python interface of XIR, the graph format of Vitis AI, over quantforge's own reader and writer.

Graphs, operators, tensors and subgraphs by the names of PyXIR. See docs/xir.md for what differs.
"""

from importlib.metadata import version

from xir.data_type import DataType
from xir.graph import Graph
from xir.op import Op
from xir.subgraph import Subgraph
from xir.templates import GraphTemplate, OpTemplate
from xir.tensor import Tensor

__version__ = version("quantforge")

__all__ = ["DataType", "Graph", "GraphTemplate", "Op", "OpTemplate", "Subgraph", "Tensor", "__version__"]
