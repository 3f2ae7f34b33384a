"""``--report FOLDER``: report.html, report.json and plan.json of a quantization."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from quantforge.diagnostics import InputError
from quantforge.files import check_writable, write_atomic

if TYPE_CHECKING:
    from quantforge.frontends.quantize import Result
    from quantforge.inspection import Inspection
    from quantforge.targets.dpu import DpuTarget

PAGE = "report.html"


@contextmanager
def report_folder(folder: Path) -> Iterator[Path]:
    """Make the folder before the long work; if that fails, take away again what was made and is empty.

    Raises:
        InputError: Q0601 when it cannot be made or written to.
    """
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        fix = "choose another folder for --report"
        raise InputError(
            "Q0601", str(folder), error.strerror or str(error), "a folder that can be written to", fix
        ) from error
    try:
        check_writable(folder / PAGE)
        yield folder
    finally:
        for path in made:
            if not any(path.iterdir()):
                path.rmdir()


def write_reports(result: Result, folder: Path, targets: Sequence[DpuTarget] = ()) -> Path:
    """Write the three files; the page also says what runs on `targets`. Returns its path."""
    from quantforge.reporting import to_html, to_json

    write_atomic(folder / "plan.json", result.plan.to_json())
    write_atomic(folder / "report.json", to_json(result.report))
    return write_atomic(folder / PAGE, to_html(result.report, _inspections(result, targets)))


def _inspections(result: Result, targets: Sequence[DpuTarget]) -> list[Inspection]:
    if not targets:
        return []
    from quantforge.compiler.lower import lower
    from quantforge.frontends.onnx import single_node
    from quantforge.inspection import inspect

    flat = lower(result.graph, node_of=single_node)
    return [inspect(flat, target) for target in targets]
