"""Which operators run together: the groups of `quantforge.inspection.partition`, with those of plugins whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from quantforge.diagnostics import InputError
from quantforge.inspection.partition import partition
from quantforge.xmodel.model import XModel

DPU, CPU, USER = "DPU", "CPU", "USER"
_CLAIM = "plugin "


@dataclass(frozen=True)
class Group:
    """Operators that one device runs in one go, in the model's order; `claim` is a plugin's name for the group."""

    device: str
    ops: tuple[str, ...]
    claim: str | None = None


def group(
    model: XModel, devices: Mapping[str, str], claims: Mapping[str, Sequence[str]] | None = None
) -> tuple[Group, ...]:
    """Groups in an order in which they can run.

    Args:
        model: A model without subgraphs.
        devices: USER, CPU or DPU for each operator.
        claims: Groups of operators that plugins took, by name.

    Raises:
        InputError: Q1105 when a plugin's group is not connected, or cannot run in one go.
    """
    claims = claims or {}
    labels = dict(devices) | {name: _CLAIM + claim for claim, names in claims.items() for name in names}
    made: list[Group] = []
    seen: set[str] = set()
    for found in partition(model, labels):
        claim = found.device.removeprefix(_CLAIM) if found.device.startswith(_CLAIM) else None
        if claim in seen:
            raise _torn(claim, found.ops)
        if claim is not None:
            seen.add(claim)
        made.append(Group(CPU if claim is not None else found.device, found.ops, claim))
    return tuple(made)


def _torn(claim: str | None, apart: Sequence[str]) -> InputError:
    return InputError(
        "Q1105",
        f"the plugin's subgraph {claim!r}",
        f"operators that cannot run in one go: {', '.join(apart[:3])} come apart from the rest",
        "connected operators, none of which needs a result that needs the subgraph",
        "let the plugin take the operators between them too, or return several subgraphs",
    )
