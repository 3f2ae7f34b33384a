"""The shell of `xdputil`: finds the verb, and turns expected failures into coded messages.

Exit codes: 0 done, 1 the answer is no (a test failed, files differ), 2 a coded error.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence

import click

from quantforge.diagnostics import QuantforgeError

EXIT_ERROR = 2
EXIT_INTERRUPTED = 130

# verb -> (module, function, one line for --help)
VERBS = {
    "xmodel": ("xdputil.look", "xmodel", "Show what is in an xmodel."),
    "run": ("xdputil.run", "run", "Run a subgraph, or a whole model, on raw files."),
    "run_op": ("xdputil.run", "run_op", "Run one operator on raw files and compare."),
    "benchmark": ("xdputil.benchmark", "benchmark", "Measure speed, and compare all outputs with the first."),
    "comp_float": ("xdputil.look", "comp_float", "Compare two files of float numbers."),
    "query": ("xdputil.identity", "query", "Say which DPU there is."),
    "status": ("xdputil.identity", "status", "Show the registers of the DPU."),
    "mem": ("xdputil.identity", "mem", "Read or write the memory of the device."),
}


class LazyVerbs(click.Group):
    """A group whose verbs are imported when they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The verbs in the order of the table."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one verb; None when there is no such verb."""
        if cmd_name not in VERBS:
            return None
        module, function, _ = VERBS[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), function)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the verbs without importing them."""
        with formatter.section("Verbs"):
            formatter.write_dl([(verb, summary) for verb, (_, _, summary) in VERBS.items()])


@click.group(cls=LazyVerbs, context_settings={"help_option_names": ["-h", "--help"]})
def command_line() -> None:
    """Look into xmodels, run them on the software DPU, and compare what they compute."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Args:
        arguments: The words after `xdputil`; None takes them from the process.
    """
    given = None if arguments is None else list(arguments)
    try:
        answer = command_line.main(given, prog_name="xdputil", standalone_mode=False)
    except QuantforgeError as error:
        click.echo(str(error.diagnostic), err=True)
        return EXIT_ERROR
    except click.ClickException as error:
        error.show()
        return EXIT_ERROR
    except (click.Abort, KeyboardInterrupt):
        return EXIT_INTERRUPTED
    return answer if isinstance(answer, int) else 0
