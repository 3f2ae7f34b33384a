"""What a contestant is asked (`Job`) and what it answers (`Outcome`): two JSON files, each with a version.

Imports the standard library only, so that a contestant pays for its own imports and for nothing else.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

VERSION = 1
ROOT = Path(__file__).parent.parent
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
_Record = TypeVar("_Record", bound="Job | Outcome")


@dataclass(frozen=True)
class Job:
    """One task for one process: quantize `model` (or run it) with the first `count` images of `data`."""

    module: str  # what `python -m` starts
    model: str
    data: str  # .npy of float32 [n, ...], preprocessed
    input_name: str
    count: int
    batch_size: int
    output: str | None = None  # the file to write
    threads: int = 2
    options: dict[str, Any] = field(default_factory=dict)


@dataclass
class Outcome:
    """What the process measured about itself, and what its parent saw of it."""

    phases: dict[str, float] = field(default_factory=dict)  # seconds by name: import, load, calibrate, rest
    values: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    peak_bytes: int | None = None
    output_bytes: int | None = None
    process_s: float | None = None  # from the start of the process to its end, seen by the parent
    error: str | None = None


def write_record(record: Job | Outcome, path: Path) -> None:
    path.write_text(json.dumps({"version": VERSION, **asdict(record)}, indent=1), "utf-8")


def read_record(kind: type[_Record], path: Path) -> _Record:
    """Raises ValueError for another version or an unknown key."""
    table = json.loads(path.read_text("utf-8"))
    version = table.pop("version", None)
    if version != VERSION:
        raise ValueError(f"{path}: version {version!r}, expected {VERSION}")
    unknown = set(table) - {one.name for one in fields(kind)}
    if unknown:
        raise ValueError(f"{path}: unknown keys {sorted(unknown)}")
    return kind(**table)


# ---- the contestant's side


class Stopwatch:
    """Seconds by phase; a phase entered again adds up, one entered inside itself does not count twice.

    >>> watch = Stopwatch()
    >>> with watch.phase("load"):
    ...     pass
    >>> list(watch.seconds)
    ['load']
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._running: set[str] = set()

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        if name in self._running:
            yield
            return
        self._running.add(name)
        start = time.perf_counter()
        try:
            yield
        finally:
            self._running.remove(name)
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start


def receive() -> Job:
    """The job of this process; holds the process to its threads and below nine tenths of the machine's memory."""
    job = read_record(Job, Path(sys.argv[1]))
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: job.threads])
    if sys.platform == "linux":
        import resource

        # A contestant that needs more than the machine has must fail alone, not take its neighbours with it.
        limit = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * 9 // 10
        resource.setrlimit(resource.RLIMIT_DATA, (limit, resource.getrlimit(resource.RLIMIT_DATA)[1]))
    return job


def answer(
    job: Job, watch: Stopwatch, notes: list[str] | None = None, values: dict[str, Any] | None = None
) -> None:
    """Write what was measured next to the job file."""
    written = Path(job.output) if job.output else None
    size = written.stat().st_size if written and written.exists() else None
    outcome = Outcome(watch.seconds, values or {}, notes or [], peak_memory_bytes(), size)
    write_record(outcome, _outcome_path(Path(sys.argv[1])))


def peak_memory_bytes() -> int:
    """The most memory this process had resident.

    Linux carries `ru_maxrss` over from the parent through exec, so the peak of a small child would be that of
    its parent; VmHWM starts afresh.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text("ascii").splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


# ---- the parent's side


def perform(
    job: Job, folder: Path, name: str, timeout_s: float = 900, python: str | Path = sys.executable
) -> Outcome:
    """Run `job` in a process of its own, by `python`; a failure of any kind comes back as `Outcome.error`."""
    folder.mkdir(parents=True, exist_ok=True)
    job_path = folder / f"{name}.job.json"
    log_path = folder / f"{name}.log"
    _outcome_path(job_path).unlink(missing_ok=True)
    if job.output:
        Path(job.output).unlink(missing_ok=True)
    write_record(job, job_path)
    environment = {**os.environ, **dict.fromkeys(_THREAD_VARIABLES, str(job.threads))}
    # Installed tools come with bytecode; a checkout may keep its own too.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [str(python), "-m", job.module, str(job_path.resolve())]
    timed_out = False
    start = time.perf_counter()
    with log_path.open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT)
        try:
            process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            timed_out = True
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    seconds = time.perf_counter() - start
    if timed_out:
        return Outcome(process_s=seconds, error=f"timed out after {timeout_s:g} s")
    if process.returncode != 0 or not _outcome_path(job_path).exists():
        return Outcome(process_s=seconds, error=_reason(process.returncode, log_path))
    outcome = read_record(Outcome, _outcome_path(job_path))
    outcome.process_s = seconds
    return outcome


def _reason(returncode: int, log_path: Path) -> str:
    """The last line that the process printed, which for an exception is the exception."""
    lines = [line.strip() for line in log_path.read_text("utf-8", "replace").splitlines() if line.strip()]
    if returncode < 0:
        return f"killed by signal {-returncode}; see {log_path}"
    return lines[-1][:300] if lines else f"exit code {returncode} and no output"


def _outcome_path(job_path: Path) -> Path:
    return job_path.with_name(job_path.name.replace(".job.json", ".outcome.json"))
