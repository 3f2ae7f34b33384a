"""``python -m bench.breadth``: every architecture through the torch door, as a table and as JSON."""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from bench.breadth.networks import networks
from bench.breadth.row import Row, measure
from bench.breadth.table import page

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "torch_models.md"
RECORDS = PAGE.with_suffix(".json")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.breadth", description=__doc__)
    parser.add_argument("names", nargs="*", help="only architectures whose name contains one of these")
    parser.add_argument(
        "--page", type=Path, default=None, help=f"where the table goes; {PAGE} for a whole run"
    )
    parser.add_argument("--json", type=Path, default=RECORDS)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    chosen = [
        n for n in networks() if not options.names or any(word in n.name.lower() for word in options.names)
    ]
    begin = time.perf_counter()
    rows: list[Row] = []
    for network in chosen:
        rows.append(measure(network))
        print(told(rows[-1]), file=sys.stderr, flush=True)
    whole = not options.names
    path = options.page or (PAGE if whole else None)
    if path is not None:
        path.write_text(page(rows), "utf-8")
    if whole:
        lines = ",\n".join(json.dumps(finite(asdict(row))) for row in rows)
        options.json.write_text(f"[\n{lines}\n]\n", "utf-8")
    passed = sum(row.passed for row in rows)
    print(f"{passed} of {len(rows)} passed in {time.perf_counter() - begin:.0f} s")
    return 0 if passed == len(rows) else 1


def finite(record: dict[str, Any]) -> dict[str, Any]:
    """The record with null for infinity, which JSON does not have: what is equal has no noise."""
    return {k: None if isinstance(v, float) and math.isinf(v) else v for k, v in record.items()}


def told(row: Row) -> str:
    """One line about one row."""
    mark = "ok  " if row.passed else "FAIL"
    seconds = sum(part or 0.0 for part in (row.capture_s, row.calibrate_s, row.export_s))
    sqnr = "" if row.sqnr_db is None else f"{row.sqnr_db:.1f} dB"
    opaque = " ".join(f"{name}:{count}" for name, count in row.opaque.items())
    differs = f"steps {row.steps} relative {row.relative}"
    return f"{mark} {row.name:24} {seconds:6.1f} s {sqnr:9} {differs} {opaque} {row.failure}"


if __name__ == "__main__":
    raise SystemExit(main())
