"""The models of the ONNX backend test-suite, quantized: how many come out close or are refused; none may crash.

    python -m bench.backend_suite [--every 20] [--write docs/backend_suite.md]

Every model that ships with the onnx package and has a float32 input goes through both recipes with its own data as
calibration data, and once more through ONNX Runtime. An outcome is one of

    close     every real output has at least 20 dB, or is within 5 % of its range everywhere; other outputs are equal
    outside   quantized, but further away
    refused   an error with a code
    crashed   anything else

Most are models of one operator on a few random numbers, with a single sample to calibrate on.
"""

from __future__ import annotations

import argparse
import importlib
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnx import numpy_helper

from quantforge import quantize
from quantforge.diagnostics import InternalError, QuantforgeError
from quantforge.frontends.onnx.native import ORT_ERRORS

RECIPES = ("dpu-cnn", "cpu-cnn")
LEAST_DB, OF_RANGE = 20.0, 0.05
REASONS = {"test_softmax_large_number": "inputs 0..3 beside 10000..10003, and a step of 8 bits is 39"}
INTRODUCTION = """Made by `python -m bench.backend_suite --write docs/backend_suite.md`: every model of the suite that ships with onnx {version}
and has a float32 input, with its own data, and once more with all inputs but the first made constant: {count} models,
through two recipes. Close is at least {db:g} dB on every real output, or within {range:.0%} of its range everywhere, and
equal other outputs, in ONNX Runtime. Most are models of one operator, calibrated on one sample of a few numbers. Refused
are models with nothing to quantize for a recipe (Q0507), of opsets before 7 (Q0105), data with NaN or infinity (Q0203),
and models that ONNX Runtime itself does not load (Q0111)."""  # noqa: E501
KINDS = ("simple", "pytorch-converted", "pytorch-operator")


@dataclass(frozen=True)
class Case:
    """A model with its data, by input name."""

    name: str
    model: Any
    feeds: dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    """What became of one case under one recipe; `reason` is a code, or says what is outside."""

    case: str
    recipe: str
    kind: str
    reason: str = ""


def cases() -> Iterator[Case]:
    """All cases with a float32 input, in a fixed order."""
    for case in sorted(_generated(), key=lambda case: case.name):
        yield case
        if len(case.feeds) > 1:
            yield _with_constants(case)
    folder = Path(onnx.__file__).parent / "backend" / "test" / "data"
    for kind in KINDS:
        for path in sorted((folder / kind).glob("*/model.onnx")):
            found = _stored(path)
            if found is not None:
                yield found


def _with_constants(case: Case) -> Case:
    """The case with all inputs but the first real one made constant, as weights are."""
    data = next(name for name, array in case.feeds.items() if getattr(array, "dtype", None) == np.float32)
    fixed = {
        n: a for n, a in case.feeds.items() if n != data and isinstance(a, np.ndarray) and a.dtype != object
    }
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    model.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in fixed.items())
    kept = [value for value in model.graph.input if value.name not in fixed]
    del model.graph.input[:]
    model.graph.input.extend(kept)
    feeds = {name: array for name, array in case.feeds.items() if name not in fixed}
    return Case(f"{case.name}, weights constant", model, feeds)


def _generated() -> Iterator[Case]:
    node = importlib.import_module("onnx.backend.test.case.node")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        node.collect_testcases(None)
    seen = set()
    for case in node._NodeTestCases:
        if case.model is None or not case.data_sets or case.name in seen:
            continue
        seen.add(case.name)
        found = _case(case.name, case.model, case.data_sets[0][0])
        if found is not None:
            yield found


def _stored(path: Path) -> Case | None:
    model = onnx.load(path)
    files = sorted(
        (path.parent / "test_data_set_0").glob("input_*.pb"), key=lambda f: int(f.stem.split("_")[1])
    )
    try:
        arrays = [numpy_helper.to_array(onnx.load_tensor(str(file))) for file in files]
    except (ValueError, TypeError, onnx.onnx_cpp2py_export.checker.ValidationError):
        return None  # sequences
    return _case(path.parent.name, model, arrays)


def _case(name: str, model: Any, arrays: Iterable[Any]) -> Case | None:
    fixed = {tensor.name for tensor in model.graph.initializer}
    names = [value.name for value in model.graph.input if value.name not in fixed]
    feeds = dict(zip(names, arrays, strict=False))
    real = [a for a in feeds.values() if isinstance(a, np.ndarray) and a.dtype == np.float32]
    return Case(name, model, feeds) if real and len(feeds) == len(names) else None


def run(model: Any, feeds: dict[str, Any]) -> list[Any]:
    """Outputs in ONNX Runtime, as deployed."""
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return list(session.run(None, feeds))


def judge(case: Case, recipe: str) -> Outcome:
    """Quantize and compare one case."""
    try:
        made = quantize(case.model, [case.feeds], recipe=recipe, threads=1).model
    except InternalError as error:
        return Outcome(case.name, recipe, "crashed", str(error)[:100])
    except QuantforgeError as error:
        return Outcome(case.name, recipe, "refused", error.diagnostic.code)
    except Exception as error:  # noqa: BLE001  a crash is what we are looking for
        return Outcome(case.name, recipe, "crashed", f"{type(error).__name__}: {error}"[:100])
    try:
        want, got = run(case.model, case.feeds), run(made, case.feeds)
    except ORT_ERRORS as error:
        return Outcome(case.name, recipe, "crashed", f"ONNX Runtime: {error}"[:160])
    except Exception as error:  # noqa: BLE001
        return Outcome(case.name, recipe, "crashed", f"{type(error).__name__}: {error}"[:100])
    reasons = [reason for a, b in zip(want, got, strict=True) if (reason := difference(a, b))]
    if not reasons:
        return Outcome(case.name, recipe, "close")
    known = REASONS.get(case.name.partition(",")[0])
    return Outcome(case.name, recipe, "outside", f"{reasons[0]}: {known}" if known else reasons[0])


def difference(want: Any, got: Any) -> str:
    """Why an output is not close, or nothing."""
    if not isinstance(want, np.ndarray):
        want, got = np.asarray(want, dtype=object), np.asarray(got, dtype=object)
        return "" if str(want) == str(got) else "a sequence differs"
    if want.shape != got.shape or want.dtype != got.dtype:
        return "another shape or type"
    if want.dtype.kind != "f":
        return "" if np.array_equal(want, got) else f"{want.dtype.name} differs"
    finite = np.isfinite(want)
    if not np.array_equal(finite, np.isfinite(got)):
        return "infinities or NaN differ"
    exact, error = want[finite].astype(np.float64), (got - want)[finite].astype(np.float64)
    if not error.any():
        return ""
    size, noise = float((exact**2).sum()), float((error**2).sum())
    decibels = 10 * np.log10(size / noise) if size else -np.inf
    near = np.abs(error).max() <= OF_RANGE * np.ptp(np.append(exact, 0.0))
    return "" if decibels >= LEAST_DB or near else f"{decibels:.0f} dB"


def page(outcomes: list[Outcome], cases_count: int) -> str:
    """The outcomes as a Markdown page."""
    lines = [
        *("# The ONNX backend test-suite, quantized", ""),
        *(INTRODUCTION.format(version=onnx.__version__, count=cases_count, db=LEAST_DB, range=OF_RANGE), ""),
        *("| recipe | close | outside | refused | crashed |", "| --- | --- | --- | --- | --- |"),
    ]
    for recipe in RECIPES:
        found = Counter(outcome.kind for outcome in outcomes if outcome.recipe == recipe)
        lines.append(
            f"| {recipe} | "
            + " | ".join(str(found[k]) for k in ("close", "outside", "refused", "crashed"))
            + " |"
        )
    lines += [
        "",
        "## Refused, by code",
        "",
        "| code | " + " | ".join(RECIPES) + " | for example |",
        "| --- | --- | --- | --- |",
    ]
    refused = [outcome for outcome in outcomes if outcome.kind == "refused"]
    for code in sorted({outcome.reason for outcome in refused}):
        rows = [outcome for outcome in refused if outcome.reason == code]
        counts = " | ".join(str(sum(row.recipe == recipe for row in rows)) for recipe in RECIPES)
        lines.append(f"| {code} | {counts} | {', '.join(sorted({row.case for row in rows})[:3])} |")
    for kind, title in (("outside", "Outside"), ("crashed", "Crashed")):
        rows = [outcome for outcome in outcomes if outcome.kind == kind]
        if rows:
            lines += ["", f"## {title}", "", "| model | recipe | what |", "| --- | --- | --- |"]
            lines += [f"| {row.case} | {row.recipe} | {row.reason} |" for row in rows]
    return "\n".join(lines) + "\n"


def outcomes_of(chosen: Iterable[Case]) -> list[Outcome]:
    """Both recipes on each case."""
    ort.set_default_logger_severity(4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [judge(case, recipe) for case in chosen for recipe in RECIPES]


def main(arguments: list[str] | None = None) -> int:
    """The command; 1 when anything crashed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--every", type=int, default=1, help="only every so many models")
    parser.add_argument("--write", type=Path, help="where to put the page")
    options = parser.parse_args(arguments)
    chosen = list(cases())[:: options.every]
    outcomes = outcomes_of(chosen)
    text = page(outcomes, len(chosen))
    print(text)
    if options.write:
        options.write.write_text(text, "utf-8")
    return int(any(outcome.kind == "crashed" for outcome in outcomes))


if __name__ == "__main__":
    raise SystemExit(main())
