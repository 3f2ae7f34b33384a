"""The figures of a quantized network: both networks over the samples held out."""

from __future__ import annotations

import math
from collections.abc import Iterable

from quantforge.graph import Graph
from quantforge.graph.execution import Executor, Feeds
from quantforge.quantization.compare import Labels, compared_outputs, run_side_by_side
from quantforge.quantization.goal import Figures


def judge(
    executor: Executor,
    reference: Graph,
    quantized: Graph,
    batches: Iterable[Feeds],
    labels: Labels | None = None,
) -> Figures:
    """Run both graphs over `batches` and compare their outputs, which have the same names.

    Raises:
        InputError: Q0201 without a batch, Q0221 when the labels are not one for each sample.
    """
    outputs = tuple(name for name in reference.outputs if reference.value(name).is_float)
    sums = run_side_by_side(
        executor.session(reference, outputs),
        executor.session(quantized, outputs),
        {name: name for name in outputs},
        outputs,
        batches,
        labels,
    )
    reports = compared_outputs(outputs, sums)
    scores = [report for report in reports if report.agreement is not None]
    worst = min(scores, key=lambda report: report.agreement or 0.0, default=None)
    found = [math.inf if report.sqnr_db is None else report.sqnr_db for report in reports]
    return Figures(
        sums.samples,
        min(found, default=math.inf),
        None if worst is None else worst.agreement,
        None if worst is None else worst.float_accuracy,
        None if worst is None else worst.quantized_accuracy,
    )
