"""``python -m bench``: run the contestants one after the other and tell how they did."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from bench import contestants, peers, results, table
from bench.jobs import ROOT, Job, Outcome, perform
from bench.models import MAKERS, Case, Missing, Size, for_memory

MEMORY_IMAGES = 512
DEPLOY_TARGET = "DPUCZDX8G_ISA1_B4096"
QUICK = Size(images=4, test_images=16)


@dataclass(frozen=True)
class Settings:
    """How to run: seconds before a process is ended, how often each is run, and how thoroughly speed is measured."""

    work: Path  # models, logs and job files of this run
    cache: Path  # images and float outputs, kept between runs
    timeout_s: float = 900
    repeats: int = 1
    repeat_until_s: float = 30  # a contestant that took so long is not run again
    threads: int = 2
    feed: str = "npy"
    speed_rounds: int = 5
    round_s: float = 0.5
    quality: bool = True


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    out = options.out or ROOT / "out" / "bench" / (
        "quick" if options.quick else "beside" if options.peers else ""
    )
    tools = [*options.tools, *contestants.PEERS] if options.peers else options.tools
    settings = Settings(
        work=out / "work",
        cache=ROOT / "out" / "bench" / "cache",
        timeout_s=options.timeout,
        repeats=1 if options.quick else options.repeats,
        feed=options.feed,
        speed_rounds=1 if options.quick else 5,
        round_s=0.1 if options.quick else 0.5,
    )
    size = QUICK if options.quick else Size()
    size = replace(size, images=options.images or size.images)
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if load > 0.5:
        print(f"the machine is busy (load {load:.1f}): times will be high", file=sys.stderr)
    told = {name: str(value) for name, value in vars(options).items()} | {"load_before": load}
    previous = results.load(out / "results.json")
    results.set_aside(out / "results.json")
    rows: list[results.Row] = []
    skipped: dict[str, str] = {}
    for name in options.models:
        try:
            case = MAKERS[name](size, settings.cache)
        except Missing as missing:
            skipped[name] = str(missing)
            continue
        rows += run_case(case, tools, settings, _tell)
        if name == "resnet50" and not options.quick and options.images is None:
            large = for_memory(case, MEMORY_IMAGES, settings.cache)
            rows += run_case(large, tools, replace(settings, repeats=1, quality=False), _tell)
        results.save(rows, skipped, told, out / "results.json")  # kept if a later model ends the run
    text = table.report(rows, previous, skipped)
    results.save(rows, skipped, told, out / "results.json")
    (out / "results.txt").write_text(text, "utf-8")
    print(text)
    print(f"written: {out / 'results.json'}, {out / 'results.txt'}")
    return 0


def run_case(
    case: Case, tools: list[str], settings: Settings, tell: Callable[[str], None]
) -> list[results.Row]:
    """One row for each of `tools` that competes on this model, in the order of `contestants.ALL`."""
    rows = []
    for name in contestants.ALL:
        if name not in tools or name not in case.contestants:
            continue
        tell(f"{case.name} {case.images} images: {name}")
        rows.append(run_contestant(case, name, settings))
        tell(f"  {rows[-1].error or f'{rows[-1].cost.process_s:.2f} s'}")
    return rows


def run_contestant(case: Case, name: str, settings: Settings) -> results.Row:
    """Run one contestant as often as asked, keep its median run, and evaluate what it wrote."""
    contestant = contestants.ALL[name]
    label = f"{case.name}-{case.images}-{name}"
    job = Job(
        module=contestant.module,
        model=str(case.model),
        data=str(case.calibration),
        input_name=case.input_name,
        count=case.images,
        batch_size=case.batch_size,
        output=str(settings.work / f"{label}.onnx") if contestant.writes else None,
        threads=settings.threads,
        options={**contestant.options, "feed": settings.feed},
    )
    python = peers.interpreter(contestant.environment) if contestant.environment else sys.executable
    runs: list[Outcome] = []
    for _ in range(settings.repeats):
        runs.append(perform(job, settings.work, label, settings.timeout_s, python))
        if runs[-1].error:
            return results.Row(
                case.name, name, case.images, runs[-1], error=runs[-1].error, repeats=len(runs)
            )
    runs.sort(key=lambda run: run.process_s or 0.0)
    row = results.Row(case.name, name, case.images, runs[len(runs) // 2], repeats=len(runs))
    if settings.quality:
        judged = perform(
            _evaluation(case, job, settings, label), settings.work, f"{label}-quality", settings.timeout_s
        )
        row.quality = judged.values
        row.error = judged.error and f"quality: {judged.error}"
    return row


def _evaluation(case: Case, job: Job, settings: Settings, label: str) -> Job:
    reference = f"{case.name}-{case.model.stat().st_size}-{case.test.stem}-{case.test_images}.npz"
    return Job(
        module="bench.evaluate",
        model=job.model,
        data=str(case.test),
        input_name=job.input_name,
        count=case.test_images,
        batch_size=case.test_batch_size,
        threads=job.threads,
        options={
            "quantized": job.output,
            "reference": str(settings.cache / "reference" / reference),
            "labels": str(case.labels) if case.labels else None,
            "classifier": case.classifier,
            "encoder": case.encoder,
            "speed_rounds": settings.speed_rounds,
            "round_s": settings.round_s,
            "deploy": DEPLOY_TARGET if "dpu" in label else None,
        },
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--models", nargs="+", choices=MAKERS, default=list(MAKERS), metavar="MODEL")
    parser.add_argument(
        "--tools", nargs="+", choices=contestants.ALL, default=list(contestants.HOME), metavar="TOOL"
    )
    parser.add_argument(
        "--peers", action="store_true", help="beside the peers, each in an environment of its own"
    )
    parser.add_argument("--images", type=int, help="calibration images (default: by model, see README.md)")
    parser.add_argument(
        "--repeats", type=int, default=3, help="runs of each quick contestant; the median counts"
    )
    parser.add_argument("--timeout", type=float, default=900, help="seconds before a process is ended")
    parser.add_argument(
        "--feed", choices=("npy", "iterable"), default="npy", help="how quantforge gets the images"
    )
    parser.add_argument("--quick", action="store_true", help="a smoke run with a handful of images")
    parser.add_argument("--out", type=Path, help="folder of the results (default: out/bench)")
    return parser


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
