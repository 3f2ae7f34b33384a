"""The command `xir`: look at an .xmodel file."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from quantforge.cli.shell import run_command
from quantforge.files import write_atomic
from quantforge.xmodel.model import Attr, Attrs, Subgraph, XModel, XOp
from quantforge.xmodel.read import read_xmodel
from quantforge.xmodel.trees import in_order

XMODEL = click.argument("xmodel", type=click.Path(path_type=Path))
OUTPUT = click.argument("output", type=click.Path(path_type=Path))
_SHOWN_BYTES = 16
_SHOWN_TEXT = 200


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def command_line() -> None:
    """Look at an .xmodel file."""


@command_line.command()
@XMODEL
def graph(xmodel: Path) -> None:
    """Print the operators, each with its producers and output."""
    model = read_xmodel(xmodel)
    click.echo(f"{model.name}: {len(model.ops)} operators")
    for op in model.ops.values():
        click.echo(_op_line(op))


@command_line.command()
@XMODEL
def subgraph(xmodel: Path) -> None:
    """Print the tree of subgraphs."""
    model = read_xmodel(xmodel)
    click.echo("\n".join(_tree_lines(model, model.root, 0)))


@command_line.command("dump_txt")
@XMODEL
@click.argument("output", type=click.Path(path_type=Path), required=False)
def dump_txt(xmodel: Path, output: Path | None) -> None:
    """Write everything in the file as text, to OUTPUT or to the terminal."""
    text = dump_text(read_xmodel(xmodel))
    if output is None:
        click.echo(text, nl=False)
    else:
        write_atomic(output, text)


@command_line.command()
@XMODEL
@OUTPUT
def png(xmodel: Path, output: Path) -> None:
    """Draw the graph as a PNG picture."""
    _draw(xmodel, output, "png")


@command_line.command()
@XMODEL
@OUTPUT
def svg(xmodel: Path, output: Path) -> None:
    """Draw the graph as an SVG picture."""
    _draw(xmodel, output, "svg")


def dump_text(model: XModel) -> str:
    """All operators, tensors, attributes and subgraphs of a model, one thing a line; long bytes are cut."""
    lines = [f"graph {model.name}", *_attr_lines(model.attrs, 1)]
    for op in model.ops.values():
        lines += [_op_line(op), *_attr_lines(op.attrs, 1), f"    tensor {op.tensor.name}"]
        lines += _attr_lines(op.tensor.attrs, 2)
    lines += _tree_lines(model, model.root, 0, everything=True)
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0, or 2 after a coded error."""
    return run_command(command_line, "xir", arguments)


def _draw(xmodel: Path, output: Path, form: str) -> None:
    from xir.drawing import save_graph

    save_graph(read_xmodel(xmodel), output, form)


def _op_line(op: XOp) -> str:
    args = " ".join(f"{name}=[{', '.join(names)}]" for name, names in op.args.items())
    shape = list(op.tensor.shape)
    return f"{op.kind} {op.name} {args + ' ' if args else ''}-> {op.tensor.dtype}{shape}"


def _tree_lines(model: XModel, tree: Subgraph, depth: int, everything: bool = False) -> list[str]:
    facts = [f"device={tree.get('device')}"] if tree.get("device") is not None else []
    if tree.get("dpu_fingerprint") is not None:
        facts.append(f"fingerprint={tree.get('dpu_fingerprint'):#018x}")
    if tree.get("dpu_name") is not None:
        facts.append(f"DPU={tree.get('dpu_name')}")
    if tree.get("workload"):
        facts.append(f"workload={tree.get('workload')}")
    count = sum(1 for _ in tree.all_ops())
    listed = f" [{', '.join(facts)}]" if facts else ""
    lines = [f"{'    ' * depth}{tree.name}{listed} {count} operators"]
    if everything:
        lines += _attr_lines(tree.attrs, depth + 1)
        lines += [f"{'    ' * (depth + 1)}op {name}" for name in tree.ops if depth]
    for child in in_order(model, tree.children):
        lines += _tree_lines(model, child, depth + 1, everything)
    return lines


def _attr_lines(attrs: Attrs, depth: int) -> list[str]:
    return [
        f"{'    ' * depth}{name}: {attr.kind} = {_value_text(attr)}" for name, attr in sorted(attrs.items())
    ]


def _value_text(attr: Attr) -> str:
    text = str(_shown(attr.value))
    return text if len(text) <= _SHOWN_TEXT else f"{text[:_SHOWN_TEXT]}… ({len(text)} characters)"


def _shown(value: Any) -> Any:
    if isinstance(value, bytes):
        more = "…" if len(value) > _SHOWN_BYTES else ""
        return f"{len(value)} bytes {value[:_SHOWN_BYTES].hex()}{more}"
    if isinstance(value, dict):
        return {key: _shown(item) for key, item in value.items()}
    return value


if __name__ == "__main__":
    sys.exit(main())
