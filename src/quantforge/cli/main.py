"""The command line `quantforge`: finds the verb and runs it; `shell` says how it ends."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

import click

from quantforge.cli.shell import run_command
from quantforge.cli.verbs import LazyVerbs
from quantforge.diagnostics import InputError

# verb -> (module, function, one line for `quantforge --help`)
VERBS = {
    "quantize": ("quantforge.cli.quantize", "quantize", "Quantize a model and report what it costs."),
    "sensitivity": (
        "quantforge.cli.sensitivity",
        "sensitivity",
        "Rank the layers by what quantizing each costs.",
    ),
    "compare": ("quantforge.cli.compare", "compare", "Compare two stages of a model."),
    "run": ("quantforge.cli.run", "run", "Run a compiled model."),
    "compile": ("quantforge.cli.compile_", "compile_", "Compile a quantized model for a DPU."),
    "inspect": ("quantforge.cli.inspect_", "inspect", "Say what of a model runs on a DPU."),
    "convert": ("quantforge.cli.convert", "convert", "Convert a model file to another form."),
    "targets": ("quantforge.cli.targets", "targets", "List the DPUs, or show one."),
    "cost": ("quantforge.cli.cost", "cost", "Predict what a compiled model costs on a DPU."),
    "doctor": ("quantforge.cli.doctor", "doctor", "Say what works on this machine."),
    "explain": ("quantforge.cli.explain", "explain", "Explain a diagnostic code."),
}


class QuantforgeVerbs(LazyVerbs):
    """The verbs of quantforge; an unknown one is a coded error that names the nearest."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the verb."""
        if not args[0].startswith("-") and args[0] not in VERBS:
            raise unknown_verb(args[0])
        return super().resolve_command(ctx, args)


@click.group(
    cls=QuantforgeVerbs,
    verbs=VERBS,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="quantforge", message="%(prog)s %(version)s")
@click.pass_context
def command_line(context: click.Context) -> None:
    """Quantize neural networks, and see what it costs."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def unknown_verb(name: str) -> InputError:
    """A verb that does not exist, and the nearest that does."""
    near = difflib.get_close_matches(name, VERBS, n=1)
    fix = f"quantforge {near[0]} --help" if near else "quantforge --help"
    return InputError("Q0002", "quantforge", f"the verb {name!r}", f"one of {', '.join(VERBS)}", fix)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Args:
        arguments: The words after `quantforge`; None takes them from the process.
    """
    return run_command(command_line, "quantforge", arguments)
