"""The shell of `xdputil`: finds the verb, and turns expected failures into coded messages.

Exit codes: 0 done, 1 the answer is no (a test failed, files differ), 2 a coded error.
"""

from __future__ import annotations

from collections.abc import Sequence

import click

from quantforge.cli.shell import run_command
from quantforge.cli.verbs import LazyVerbs

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


@click.group(cls=LazyVerbs, verbs=VERBS, context_settings={"help_option_names": ["-h", "--help"]})
def command_line() -> None:
    """Look into xmodels, run them on the software DPU, and compare what they compute."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Args:
        arguments: The words after `xdputil`; None takes them from the process.
    """
    return run_command(command_line, "xdputil", arguments)
