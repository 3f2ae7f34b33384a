"""Compile to files: ``<net>.xmodel``, and beside it ``meta.json`` and ``md5sum.txt`` when the output is a folder."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from quantforge.compiler.compile import Attachments, compilation
from quantforge.compiler.options import CompileOptions
from quantforge.compiler.plugins import Plugin
from quantforge.compiler.report import CompileReport
from quantforge.diagnostics import InputError
from quantforge.files import check_writable, write_atomic
from quantforge.targets.dpu import DpuTarget
from quantforge.xmodel.model import XModel
from quantforge.xmodel.write import to_bytes

ENDING = ".xmodel"


@dataclass(frozen=True)
class Built:
    """What was written, the MD5 of the xmodel, and the report."""

    files: tuple[Path, ...]
    md5: str
    report: CompileReport

    def text(self) -> str:
        """The report, with the facts about the file."""
        last = [
            f"The compiled xmodel is saved to {self.files[0]}",
            f"The compiled xmodel's md5sum is {self.md5}",
        ]
        return "\n".join([self.report.text(), *last])


def build(
    model: XModel,
    target: DpuTarget,
    output: str | Path,
    net_name: str | None = None,
    options: CompileOptions | None = None,
    plugins: Sequence[Plugin] = (),
    attachments: Attachments | None = None,
) -> Built:
    """Compile `model` and write it whole, or nothing.

    Args:
        model: A flat quantized model.
        target: The DPU.
        output: A file that ends in .xmodel, or a folder, which is made.
        net_name: Name of the xmodel in a folder; None takes the model's.
        options: As for `compilation`, as the two arguments that follow.
        plugins: Objects asked before the DPU.
        attachments: What else the file carries.

    Raises:
        InputError: Q0601 when the output cannot be written; else as `compilation`.
    """
    path, folder = _place(Path(output), net_name or model.name)
    check_writable(path)
    made = compilation(model, target, options, plugins, attachments=attachments)
    data = to_bytes(made.model)
    md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
    files = [write_atomic(path, data)]
    if folder is not None:
        meta = json.dumps(_meta(made.model, target, path, md5), indent=1) + "\n"
        files.append(write_atomic(folder / "meta.json", meta))
        files.append(write_atomic(folder / "md5sum.txt", f"{md5}  {path.name}\n"))
    return Built(tuple(files), md5, made.report)


def md5_of(path: str | Path) -> str:
    """MD5 of a file, in hexadecimal digits."""
    with Path(path).open("rb") as file:
        return (
            hashlib.file_digest(file, "md5").hexdigest()
            if hasattr(hashlib, "file_digest")
            else _md5(file.read())
        )


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def _place(output: Path, name: str) -> tuple[Path, Path | None]:
    """The xmodel, and the folder when the output is one."""
    if output.suffix == ENDING and not output.is_dir():
        return output, None
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        found, expected = error.strerror or str(error), "a folder, or a file that ends in .xmodel"
        raise InputError("Q0601", str(output), found, expected, "choose another output") from error
    stem = re.sub(r"[^0-9A-Za-z._-]+", "_", name.removesuffix(ENDING)) or "model"
    return output / f"{stem}{ENDING}", output


def _meta(model: XModel, target: DpuTarget, path: Path, md5: str) -> dict[str, object]:
    return {
        "target": target.family,
        "dpu": target.name,
        "fingerprint": target.fingerprint_text,
        "filename": path.name,
        "md5": md5,
        "kernel": [child.name for child in model.root.children if child.get("device") == "DPU"],
        "lib": "libvart-dpu-runner.so",
    }
