"""``quantforge doctor``: what works on this machine, what does not, and what to do about it."""

from __future__ import annotations

import importlib
import json
import os
import platform
import re
import shutil
import sys
from dataclasses import asdict, dataclass
from enum import Enum
from importlib import metadata
from pathlib import Path

import click

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome", "microsoft-edge", "firefox")
PYTHON_MINIMUM = (3, 10)
OPTIONAL_PACKAGES = {"torch": "torch", "scikit-learn": "demo"}  # package -> the extra that brings it
PROVIDERS_WANTED = "CPUExecutionProvider"


class State(str, Enum):
    """How a check went: fine, an optional thing is absent, or something needed does not work."""

    OK = "ok"
    ABSENT = "absent"
    BROKEN = "broken"


@dataclass(frozen=True)
class Check:
    """One line of the doctor: what was looked at, how it is, and what to do when it is not fine."""

    name: str
    state: State
    detail: str
    fix: str = ""


def version_tuple(text: str) -> tuple[int, ...]:
    """The leading numbers of a version.

    >>> version_tuple("2.13.0+cpu")
    (2, 13, 0)
    """
    return tuple(int(part) for part in re.match(r"[\d.]*", text)[0].strip(".").split(".") if part)  # type: ignore[index]


def check_python() -> Check:
    """The interpreter against the oldest one served."""
    found = f"{platform.python_version()} ({sys.executable})"
    if sys.version_info >= PYTHON_MINIMUM:
        return Check("python", State.OK, found)
    wanted = ".".join(map(str, PYTHON_MINIMUM))
    return Check("python", State.BROKEN, found, f"install Python {wanted} or newer")


def check_package(name: str, minimum: str, extra: str | None) -> Check:
    """One package by its installed version, not imported; `extra` names the extra of an optional one."""
    wanted = f'python -m pip install "{f"quantforge[{extra}]" if extra else f"{name}>={minimum}"}"'
    try:
        found = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Check(name, State.ABSENT if extra else State.BROKEN, "not installed", wanted)
    if version_tuple(found) < version_tuple(minimum):
        return Check(name, State.BROKEN, f"{found}, older than {minimum}", wanted)
    return Check(name, State.OK, found)


def check_packages() -> list[Check]:
    """What the installed quantforge says it needs, then the optional packages."""
    checks = []
    for line in metadata.requires("quantforge") or []:
        requirement, _, marker = line.partition(";")
        name, _, minimum = requirement.strip().partition(">=")
        if "extra" not in marker and "python_version" not in marker:
            checks.append(check_package(name, minimum, None))
    return checks + [check_package(name, "0", extra) for name, extra in OPTIONAL_PACKAGES.items()]


def check_providers() -> Check:
    """The execution providers that ONNX Runtime offers."""
    try:
        runtime = importlib.import_module("onnxruntime")
    except ImportError as error:
        return Check("ONNX Runtime providers", State.BROKEN, str(error), "python -m pip install onnxruntime")
    providers: list[str] = runtime.get_available_providers()
    state = State.OK if PROVIDERS_WANTED in providers else State.BROKEN
    return Check("ONNX Runtime providers", state, ", ".join(providers))


def check_cores() -> Check:
    """The processor cores that this process may use."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Check("cores", State.OK, f"{usable} of {os.cpu_count()} usable, {platform.machine()}")


def check_memory() -> Check:
    """Physical memory, and the container's limit when that is lower."""
    if "SC_PHYS_PAGES" not in getattr(os, "sysconf_names", {}):
        return Check("memory", State.ABSENT, "unknown on this system")
    total_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    detail = f"{total_bytes / 2**30:.1f} GiB"
    for limit in (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes")):
        text = limit.read_text().strip() if limit.exists() else ""
        if text.isdigit() and int(text) < total_bytes:
            detail = f"{int(text) / 2**30:.1f} GiB allowed of {detail}"
    return Check("memory", State.OK, detail)


def check_numba_cache() -> Check:
    """Whether compiled loops can be kept between runs; if not, every run compiles them again."""
    named = os.environ.get("NUMBA_CACHE_DIR")
    package = Path(__file__).parent.parent
    folders = (
        [Path(named)] if named else [package, Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))]
    )
    for folder in folders:
        existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
        if os.access(existing, os.W_OK):
            return Check("compiled-loop cache", State.OK, f"{folder} (writable)")
    fix = "set NUMBA_CACHE_DIR to a writable folder"
    return Check("compiled-loop cache", State.BROKEN, f"{folders[0]} cannot be written", fix)


def check_browser() -> Check:
    """A browser for the HTML report; only looking at reports needs one."""
    found = next((path for path in map(shutil.which, BROWSERS) if path), None)
    if found is None:
        return Check("browser", State.ABSENT, "none found", "copy the report to a machine that has a browser")
    return Check("browser", State.OK, found)


def examine() -> list[Check]:
    """All checks, in the order they are printed."""
    machine = [check_cores(), check_memory(), check_numba_cache(), check_browser()]
    return [check_python(), *check_packages(), check_providers(), *machine]


def print_table(checks: list[Check]) -> None:
    """One row per check; rows that are not fine carry what to do."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    styles = {State.OK: "green", State.ABSENT: "yellow", State.BROKEN: "bold red"}
    table = Table.grid(padding=(0, 2))
    for check in checks:
        detail = Text(check.detail, overflow="fold")
        if check.fix:
            detail.append(f"\ntry: {check.fix}", style="dim")
        table.add_row(Text(check.state.value, style=styles[check.state]), Text(check.name), detail)
    Console(highlight=False).print(table)


@click.command(short_help="Say what works on this machine.")
@click.option("--json", "as_json", is_flag=True, help="Print the checks as JSON.")
def doctor(as_json: bool) -> int:
    """Check Python, packages, ONNX Runtime, cores, memory, the compiled-loop cache and the browser.

    The exit code is 1 when something that quantizing an ONNX model needs does not work.
    """
    checks = examine()
    if as_json:
        click.echo(json.dumps([asdict(check) for check in checks], indent=2))
    else:
        print_table(checks)
    return int(any(check.state is State.BROKEN for check in checks))
