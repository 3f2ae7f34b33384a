"""The table from kinds of the graph to rules that write them in XIR."""

from __future__ import annotations

from quantforge.compiler.lowering import custom, elementwise, moves, products, reductions, spatial, windows
from quantforge.compiler.lowering.writer import Rule

RULES: dict[str, Rule] = {
    **windows.RULES,
    **products.RULES,
    **elementwise.RULES,
    **moves.RULES,
    **spatial.RULES,
    **reductions.RULES,
    **custom.RULES,
}
