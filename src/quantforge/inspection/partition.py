"""Divide a model among devices: as few subgraphs as the dependencies allow, each on one device, none in a circle.

A subgraph is connected, as those of the original compiler are: two inputs are two subgraphs, and so are two
branches of the CPU that have nothing to do with each other. Constants belong to the subgraph that reads them first.

Method: operators are taken in waves, each of one device, that take everything that is ready; the next device is the
one from which most changes of device are still to come, so that there are as few waves as possible. The connected
parts of a wave are subgraphs. Two subgraphs of a device that are joined by an edge become one unless a path leads
from one to the other through a third.
Cost: linear in operators and edges, plus the square of the number of subgraphs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from quantforge.diagnostics import InternalError
from quantforge.xmodel.model import XModel

_INPUTS = frozenset({"data", "data-fix"})
_FOLLOWS = frozenset({"fix", "float2fix"})


@dataclass(frozen=True)
class Group:
    """A subgraph to be: its device, and its operators in the order of the model."""

    device: str
    ops: tuple[str, ...]


def partition(model: XModel, devices: Mapping[str, str]) -> list[Group]:
    """The subgraphs of `model`, every one after those that it reads.

    Args:
        model: A flat model, producers first.
        devices: The device of each operator; that of a constant is not looked at.

    Returns:
        Groups that hold every operator once. What a group reads lies in it or in earlier groups.

    Raises:
        InternalError: Q1090 when an operator has no device.
    """
    missing = [name for name in model.ops if name not in devices]
    if missing:
        raise InternalError(
            "Q1090", missing[0], "no device", "a device for every operator", "report this bug"
        )
    constants = constant_ops(model)
    weighty = [name for name in model.ops if name not in constants]
    sources = {name: _distinct(model.ops[name].producers, constants) for name in weighty}
    wave_of = _waves(weighty, sources, devices)
    group_of = _connected(weighty, sources, wave_of)
    group_of = _merge(weighty, sources, group_of, devices)
    order = _in_order(weighty, sources, group_of, devices)
    return _with_constants(model, constants, group_of, order, devices)


def constant_ops(model: XModel) -> frozenset[str]:
    """Operators without inputs that hold data, and the rounding behind them.

    >>> from quantforge.xmodel.model import Tensor, XOp
    >>> model = XModel("m")
    >>> added = [model.add(XOp("w", "const", Tensor("w", (1,)))), model.add(XOp("x", "data", Tensor("x", (1,))))]
    >>> sorted(constant_ops(model))
    ['w']
    """
    found: set[str] = set()
    for name, op in model.ops.items():
        rounded = op.kind in _FOLLOWS and all(producer in found for producer in op.producers)
        if rounded or (not op.producers and op.kind not in _INPUTS):
            found.add(name)
    return frozenset(found)


def _distinct(names: Iterable[str], without: frozenset[str]) -> tuple[str, ...]:
    return tuple(name for name in dict.fromkeys(names) if name not in without)


def _waves(
    names: list[str], sources: Mapping[str, tuple[str, ...]], devices: Mapping[str, str]
) -> dict[str, int]:
    """The wave of every operator."""
    ahead = _changes_ahead(names, sources, devices)
    readers: dict[str, list[str]] = {name: [] for name in names}
    for name in names:
        for source in sources[name]:
            readers[source].append(name)
    waiting = {name: len(sources[name]) for name in names}
    ready: dict[str, list[str]] = {}
    for name in names:
        if not waiting[name]:
            ready.setdefault(devices[name], []).append(name)
    wave_of: dict[str, int] = {}
    wave = 0
    while any(ready.values()):
        device = _next_device(ready, ahead)
        pending = ready.pop(device)
        while pending:
            name = pending.pop()
            wave_of[name] = wave
            for reader in readers[name]:
                waiting[reader] -= 1
                if not waiting[reader]:
                    same = devices[reader] == device
                    (pending if same else ready.setdefault(devices[reader], [])).append(reader)
        wave += 1
    return wave_of


def _changes_ahead(
    names: list[str], sources: Mapping[str, tuple[str, ...]], devices: Mapping[str, str]
) -> dict[str, int]:
    """How often the device changes, at most, on the way from an operator to the end."""
    ahead = dict.fromkeys(names, 0)
    for name in reversed(names):
        for source in sources[name]:
            ahead[source] = max(ahead[source], ahead[name] + (devices[source] != devices[name]))
    return ahead


def _next_device(ready: Mapping[str, list[str]], ahead: Mapping[str, int]) -> str:
    """The device whose ready operators have most before them; inputs first, then by name where that does not tell."""
    return min(
        (device for device, waiting in ready.items() if waiting),
        key=lambda device: (device != "USER", -max(ahead[name] for name in ready[device]), device),
    )


def _connected(
    names: list[str], sources: Mapping[str, tuple[str, ...]], wave_of: Mapping[str, int]
) -> dict[str, str]:
    """A representative for each operator, the same for those that edges within a wave connect."""
    root = {name: name for name in names}

    def find(name: str) -> str:
        while root[name] != name:
            root[name] = root[root[name]]
            name = root[name]
        return name

    for name in names:
        for source in sources[name]:
            if wave_of[source] == wave_of[name]:
                root[find(name)] = find(source)
    return {name: find(name) for name in names}


def _merge(
    names: list[str],
    sources: Mapping[str, tuple[str, ...]],
    group_of: dict[str, str],
    devices: Mapping[str, str],
) -> dict[str, str]:
    """Join groups of one device along edges as long as no circle arises."""
    below = {group: set[str]() for group in dict.fromkeys(group_of.values())}
    for name in names:
        for source in sources[name]:
            if group_of[source] != group_of[name]:
                below[group_of[source]].add(group_of[name])
    renamed = {group: group for group in below}
    for upper in list(below):
        while upper in below:
            lower = next((g for g in sorted(below[upper]) if _may_join(below, upper, g, devices)), None)
            if lower is None:
                break
            below[upper] = (below[upper] | below.pop(lower)) - {upper, lower}
            for readers in below.values():
                if lower in readers:
                    readers.remove(lower)
                    readers.add(upper)
            below[upper].discard(upper)
            renamed[lower] = upper
    return {name: _last(renamed, group) for name, group in group_of.items()}


def _may_join(below: Mapping[str, set[str]], upper: str, lower: str, devices: Mapping[str, str]) -> bool:
    """Whether two groups are of one device and no path leads from `upper` to `lower` but their own edges."""
    if devices[upper] != devices[lower]:
        return False
    pending, seen = [group for group in below[upper] if group != lower], set[str]()
    while pending:
        group = pending.pop()
        if group == lower:
            return False
        if group not in seen:
            seen.add(group)
            pending.extend(below[group])
    return True


def _last(renamed: Mapping[str, str], group: str) -> str:
    while renamed[group] != group:
        group = renamed[group]
    return group


def _in_order(
    names: list[str],
    sources: Mapping[str, tuple[str, ...]],
    group_of: Mapping[str, str],
    devices: Mapping[str, str],
) -> list[str]:
    """The groups, each behind those it reads, otherwise inputs first and by their first operators."""
    reads: dict[str, set[str]] = {group_of[name]: set() for name in names}
    for name in names:
        reads[group_of[name]].update(group_of[source] for source in sources[name])
    ordered: dict[str, None] = {}
    for start in sorted(reads, key=lambda group: devices[group] != "USER"):
        stack = [start]
        while stack:
            waiting = sorted(reads[stack[-1]] - ordered.keys() - {stack[-1]})
            if waiting:
                stack.extend(waiting)
            else:
                ordered.setdefault(stack.pop())
    return list(ordered)


def _with_constants(
    model: XModel,
    constants: frozenset[str],
    group_of: Mapping[str, str],
    order: list[str],
    devices: Mapping[str, str],
) -> list[Group]:
    """Groups with their constants; constants that nobody reads are groups of their own."""
    place = {group: index for index, group in enumerate(order)}
    index_of = {name: place[group] for name, group in group_of.items()}
    for name in reversed(list(model.ops)):
        for producer in model.ops[name].producers if name in index_of else ():
            if producer in constants:
                index_of[producer] = min(index_of.get(producer, len(order)), index_of[name])
    members: list[list[str]] = [[] for _ in order]
    alone: list[Group] = []
    for name in model.ops:
        if name in index_of:
            members[index_of[name]].append(name)
        else:
            alone.append(Group(devices[name], (name,)))
    heads = {group_of[name]: devices[name] for name in group_of}
    return [*alone, *(Group(heads[group], tuple(ops)) for group, ops in zip(order, members, strict=True))]
