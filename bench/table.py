"""The results as plain text."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bench.results import Row
from bench.targets import judge

Rows = dict[tuple[str, str, int], Row]
ABSENT = "-"


def format_table(header: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest cell; the first to the left, the others to the right.

    >>> print(format_table(["tool", "s"], [["float", "1.5"]]))
    tool     s
    -----  ---
    float  1.5
    """
    lines = [list(header), *[list(row) for row in body]]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def report(rows: list[Row], previous: Rows, skipped: dict[str, str]) -> str:
    """All tables: cost and quality by model, what failed, what was skipped, and the promises."""
    parts = []
    for group in dict.fromkeys((row.model, row.images) for row in rows):
        ours = [row for row in rows if (row.model, row.images) == group]
        parts.append(f"{group[0]}, {group[1]} images: cost\n" + cost_table(ours, previous))
        if any(row.quality for row in ours):
            parts.append(f"{group[0]}, {group[1]} images: quality\n" + quality_table(ours, previous))
    if failed := failures(rows):
        parts.append(failed)
    if skipped:
        parts.append("\n".join(["skipped", *(f"{name}: {reason}" for name, reason in skipped.items())]))
    if verdicts := judge(rows):
        body = [
            [
                f"{target.model} {target.tool} {target.images}",
                target.what,
                _bound(target.at_least, target.at_most),
                _number(found, 3),
                "kept" if kept else "MISSED",
            ]
            for target, found, kept in verdicts
        ]
        parts.append("targets\n" + format_table(["row", "what", "bound", "found", ""], body))
    return "\n\n".join(parts) + "\n"


def failures(rows: list[Row]) -> str:
    """Each error once, with the rows that it ended."""
    lines = []
    for error in dict.fromkeys(row.error for row in rows if row.error):
        lines.append(f"failed: {error}")
        lines += [f"  {row.model}, {row.images} images, {row.tool}" for row in rows if row.error == error]
    return "\n".join(lines)


def cost_table(rows: list[Row], previous: Rows) -> str:
    """Seconds and bytes, with ratios to the float pass, to ONNX Runtime min-max, and to the run before."""
    by_tool = {row.tool: row for row in rows}
    header = ["tool", "import s", "calibr. s", "rest s", "process s", "calibr./float", "process/ort"]
    header += ["peak MB", "peak/ort", "file MB", "process/last", "peak/last"]
    body = []
    for row in rows:
        if row.error and not row.cost.phases:
            body.append([row.tool, *["failed"], *[ABSENT] * (len(header) - 2)])
            continue
        ort, last = by_tool.get("ort-minmax"), previous.get(row.key)
        body.append(
            [
                row.tool,
                _number(row.cost.phases.get("import"), 2),
                _number(row.calibrate_s, 2),
                _number(row.rest_s, 2),
                _number(row.cost.process_s, 2),
                _ratio(row, by_tool.get("float"), lambda one: one.calibrate_s),
                _ratio(row, ort, lambda one: one.cost.process_s),
                _number(row.cost.peak_bytes, 0, 1e6),
                _ratio(row, ort, lambda one: one.cost.peak_bytes),
                _number(row.cost.output_bytes, 2, 1e6),
                _ratio(row, last, lambda one: one.cost.process_s),
                _ratio(row, last, lambda one: one.cost.peak_bytes),
            ]
        )
    return format_table(*_without_empty(header, body))


def quality_table(rows: list[Row], previous: Rows) -> str:
    """Accuracy, SQNR of each output, and the speed in ONNX Runtime."""
    outputs = list(dict.fromkeys(name for row in rows for name in row.quality.get("sqnr_db", {})))
    header = ["tool", "top-1 %", "agree %", "cosine", *(f"SQNR {name} dB" for name in outputs)]
    header += [
        "images/s",
        "speed/float",
        "DPU images/s",
        "DPU/ONNX",
        "DPU equal %",
        "compile s",
        "SQNR - last",
    ]
    body = []
    for row in rows:
        found, last = row.quality, previous.get(row.key)
        if not found:
            continue
        rate, float_rate = found.get("images_per_s"), found.get("float_images_per_s")
        gain = None
        if last is not None and last.mean_sqnr_db is not None and row.mean_sqnr_db is not None:
            gain = row.mean_sqnr_db - last.mean_sqnr_db
        body.append(
            [
                row.tool,
                _number(found.get("top1"), 2, 0.01),
                _number(found.get("agreement"), 2, 0.01),
                _number(found.get("cosine"), 5),
                *(_number(found.get("sqnr_db", {}).get(name), 2) for name in outputs),
                _number(float_rate if rate is None else rate, 0),
                _number(rate / float_rate if rate and float_rate else None, 2),
                _number(found.get("dpu_images_per_s"), 0),
                _number(
                    found["dpu_images_per_s"] / rate if rate and "dpu_images_per_s" in found else None, 2
                ),
                _number(found.get("dpu_equal"), 3, 0.01),
                _number(found.get("compile_s"), 2),
                ABSENT if gain is None else f"{gain:+.2f}",
            ]
        )
    remarks = [f"{row.tool}: {remark}" for row in rows for remark in row.quality.get("remarks", [])]
    return "\n".join([format_table(*_without_empty(header, body)), *remarks])


def _without_empty(header: list[str], body: list[list[str]]) -> tuple[list[str], list[list[str]]]:
    """The table without the columns in which nobody has anything."""
    kept = [column for column in range(len(header)) if any(row[column] != ABSENT for row in body)]
    return [header[column] for column in kept], [[row[column] for column in kept] for row in body]


def _number(value: float | None, digits: int, unit: float = 1) -> str:
    return ABSENT if value is None else f"{value / unit:.{digits}f}"


def _ratio(row: Row, other: Row | None, read: Callable[[Row], float | None]) -> str:
    if other is None:
        return ABSENT
    mine, theirs = read(row), read(other)
    return ABSENT if mine is None or not theirs else f"{mine / theirs:.2f}"


def _bound(at_least: float | None, at_most: float | None) -> str:
    return f">= {at_least:g}" if at_least is not None else f"<= {at_most:g}"
