"""The Python environments of the peers: each tool pins what it needs, so each gets its own, made once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from bench.jobs import ROOT

FOLDER = ROOT / "out" / "bench" / "peers"
ENVIRONMENTS: Mapping[str, tuple[str, ...]] = {
    # torch is asked for exactly: other releases bring gigabytes for GPUs
    "quark": ("amd-quark==0.13", "torch==2.13.0", "onnx==1.22.0", "onnxruntime==1.31.1"),
    "nncf": ("nncf==3.4.0", "onnx==1.22.0", "onnxruntime==1.31.1"),
}


def interpreter(name: str) -> Path:
    """The Python that has the packages of `name`; installs them the first time.

    Raises:
        RuntimeError: When pip fails, with the last line that it printed.
    """
    folder = FOLDER / name
    python = folder / "bin" / "python"
    stamp = folder / "packages.txt"
    wanted = "\n".join(ENVIRONMENTS[name])
    if stamp.exists() and stamp.read_text("utf-8") == wanted:
        return python
    _call(sys.executable, "-m", "venv", str(folder))
    _call(str(python), "-m", "pip", "install", "--quiet", *ENVIRONMENTS[name])
    stamp.write_text(wanted, "utf-8")
    return python


def _call(*command: str) -> None:
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    if found.returncode != 0:
        lines = (found.stderr or found.stdout).strip().splitlines()
        raise RuntimeError(f"{' '.join(command[:4])}: {lines[-1] if lines else found.returncode}")
