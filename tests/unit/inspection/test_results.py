"""What an inspection says of itself."""

from __future__ import annotations

from quantforge.inspection import Group, Inspection, Reason, Verdict

REASON = Reason("kernel_range", "conv2d.kernel", "kernel width 17", "1-16", "kernel width 16")
OTHER = Reason("stride_range", "conv2d.stride", "stride width 9", "1-8", "stride width 8")


def made(*verdicts: Verdict) -> Inspection:
    groups = (Group("USER", ("x",)), Group("CPU", ("a",)), Group("DPU", ("b",)), Group("CPU", ("c",)))
    return Inspection("net", "DPU", "0x01", verdicts, groups, {})


def test_devices_reasons_and_counts() -> None:
    inspection = made(
        Verdict("x", "data", (1,), "USER"),
        Verdict("a", "conv2d", (1,), "CPU", (REASON, OTHER), macs=30),
        Verdict("b", "conv2d", (1,), "DPU", macs=90),
        Verdict("w", "const", (1,), "CPU"),
        Verdict("f", "fix", (1,), "CPU"),
    )
    assert inspection.devices == {"x": "USER", "a": "CPU", "b": "DPU", "w": "CPU", "f": "CPU"}
    assert inspection.reasons == {
        "a": "kernel width 17; supported: 1-16; try: kernel width 16"
        " | stride width 9; supported: 1-8; try: stride width 8"
    }
    assert [verdict.name for verdict in inspection.on_cpu] == ["a"]
    assert inspection.subgraphs == {"USER": 1, "CPU": 2, "DPU": 1}
    assert (inspection.macs, inspection.dpu_macs, inspection.dpu_share) == (120, 90, 0.75)


def test_a_model_that_multiplies_nothing_has_no_share() -> None:
    assert made(Verdict("a", "relu", (1,), "DPU")).dpu_share is None
