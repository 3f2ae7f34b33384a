"""The errors of the door: quantforge's codes, with the id that XIR prints in front of what was found."""

from __future__ import annotations

from quantforge.diagnostics import InputError

SUBGRAPH, OPERATOR, ATTRIBUTE, DATA_TYPE = "Q0920", "Q0921", "Q0922", "Q0923"


def refused(code: str, xir_id: str, where: str, found: str, expected: str, fix: str) -> InputError:
    """An error with the id of XIR, such as XIR_SUBGRAPH_HAS_CYCLE (user guide UG1414, error codes of XIR).

    >>> str(refused("Q0920", "XIR_SUBGRAPH_HAS_CYCLE", "root", "a circle", "none", "split it")).split(";")[0]
    'Q0920 root: found XIR_SUBGRAPH_HAS_CYCLE: a circle'
    """
    return InputError(code, where, f"{xir_id}: {found}", expected, fix)
