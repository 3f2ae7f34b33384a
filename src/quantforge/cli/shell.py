"""How every command of ours ends: expected failures become coded messages and exit codes, never a traceback.

Exit codes: 0 done, 1 the command ran and its answer is no, 2 a coded error, 130 interrupted. A traceback means a bug
in quantforge, never a mistake of the user's.
"""

from __future__ import annotations

from collections.abc import Sequence

import click

from quantforge.cli.show import show_diagnostic
from quantforge.diagnostics import Diagnostic, QuantforgeError

EXIT_ERROR = 2
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells report it
INTERRUPTED = Diagnostic(
    "Q0003", "quantforge", "an interrupt", "to run to the end", "run it again; nothing half-written was left"
)


def usage_diagnostic(error: click.ClickException) -> Diagnostic:
    """A mistake in the command line as a coded message."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    path = context.command_path if context is not None else "quantforge"
    expected = " ".join(context.get_usage().split()) if context is not None else "a readable command line"
    return Diagnostic(
        "Q0002", path, error.format_message(), expected.removeprefix("Usage: "), f"{path} --help"
    )


def run_command(command: click.Command, name: str, arguments: Sequence[str] | None = None) -> int:
    """Run `command`, called `name`, and return its exit code.

    Args:
        command: What to run.
        name: What the user typed to start it.
        arguments: The words behind that; None takes them from the process.
    """
    given = None if arguments is None else list(arguments)
    try:
        answer = command.main(given, prog_name=name, standalone_mode=False)
    except QuantforgeError as error:
        show_diagnostic(error.diagnostic)
        return EXIT_ERROR
    except click.ClickException as error:
        show_diagnostic(usage_diagnostic(error))
        return EXIT_ERROR
    except (click.Abort, KeyboardInterrupt):
        show_diagnostic(INTERRUPTED)
        return EXIT_INTERRUPTED
    return answer if isinstance(answer, int) else 0
