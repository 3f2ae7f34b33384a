"""The one graph every door translates to and every decision is written over."""

from quantforge.graph.graph import Array, Attr, Dim, Graph, Op, Origin, Shape, Value
from quantforge.graph.spec import QuantSpec

__all__ = ["Array", "Attr", "Dim", "Graph", "Op", "Origin", "QuantSpec", "Shape", "Value"]
