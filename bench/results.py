"""Rows of a run, and the file that keeps them: versioned, with the machine and the versions that made them."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

from bench.jobs import ROOT, Outcome

VERSION = 1
PACKAGES = ("quantforge", "onnxruntime", "onnx", "numpy", "numba")


@dataclass
class Row:
    """One contestant on one model with a number of calibration images."""

    model: str
    tool: str
    images: int
    cost: Outcome
    quality: dict[str, Any] = field(default_factory=dict)
    error: str | None = None
    repeats: int = 1

    @property
    def key(self) -> tuple[str, str, int]:
        return self.model, self.tool, self.images

    @property
    def calibrate_s(self) -> float | None:
        return self.cost.phases.get("calibrate")

    @property
    def rest_s(self) -> float | None:
        """All of the process that is not calibration: interpreter, imports, reading, writing."""
        if self.cost.process_s is None or self.calibrate_s is None:
            return None
        return self.cost.process_s - self.calibrate_s

    @property
    def mean_sqnr_db(self) -> float | None:
        """The mean over the outputs that have one, to compare two runs by one number."""
        found = [value for value in self.quality.get("sqnr_db", {}).values() if value is not None]
        return sum(found) / len(found) if found else None


def set_aside(path: Path) -> None:
    """The file of the run before becomes ``previous.json``."""
    if path.exists():
        path.replace(path.with_name("previous.json"))


def save(rows: list[Row], skipped: dict[str, str], settings: dict[str, Any], path: Path) -> None:
    """Write the results with the options of the run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {
        "version": VERSION,
        "when": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "commit": _commit(),
        "machine": machine(),
        "versions": versions(),
        "settings": settings,
        "skipped": skipped,
        "rows": [asdict(row) for row in rows],
    }
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(document, indent=1), "utf-8")
    partial.replace(path)


def load(path: Path) -> dict[tuple[str, str, int], Row]:
    """The rows of an earlier run by key; none where there is no file or it has another version."""
    if not path.exists():
        return {}
    document = json.loads(path.read_text("utf-8"))
    if document.get("version") != VERSION:
        return {}
    known = {one.name for one in fields(Row)}
    rows = []
    for table in document["rows"]:
        values = {name: value for name, value in table.items() if name in known}
        rows.append(Row(**{**values, "cost": Outcome(**table["cost"])}))
    return {row.key: row for row in rows}


def machine() -> dict[str, Any]:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text("utf-8").splitlines() if cpuinfo.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else None
    return {
        "cpu": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "memory_bytes": memory,
        "system": platform.platform(),
    }


def versions() -> dict[str, str]:
    found = {"python": sys.version.split()[0]}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "absent"
    return found


def _commit() -> str | None:
    command = ["git", "describe", "--always", "--dirty"]
    try:
        found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return found.stdout.strip() or None
