from __future__ import annotations

from quantforge.compiler.report import CompileReport, SubgraphReport
from quantforge.diagnostics import Diagnostic


def test_text_and_sums() -> None:
    notice = Diagnostic("Q1109", "--options hd_opt", "a", "b", "c")
    report = CompileReport(
        "net", "DPU", 0x0101000056010407,
        (
            SubgraphReport("subgraph_x", "USER", 1, 0),
            SubgraphReport("subgraph_a", "DPU", 3, 2_000_000_000, (("subgraph_b", 4, 2, 1),), 100, 200, 300),
            SubgraphReport("subgraph_s", "CPU", 2, 0),
        ),
        {"s": "sigmoid"}, (notice,), 0.5,
    )  # fmt: skip
    assert report.devices == {"USER": 1, "DPU": 1, "CPU": 1}
    assert report.operators == {"USER": 1, "DPU": 3, "CPU": 2} and report.workload == 2_000_000_000
    assert report.text() == (
        "Target architecture: DPU (fingerprint 0x0101000056010407)\n"
        "Graph name: net, with op num: 6\n"
        "Total device subgraph number 3, DPU subgraph number 1\n"
        "Subgraphs: 1 USER, 1 DPU, 1 CPU; workload 2.000 GOP\n"
        "  subgraph_a: 3 operators, 100 bytes of parameters, 200 of workspace, 300 on the chip\n"
        "    subgraph_b in 8 pieces (4 x 2 x 1 channels)\n"
        "On the CPU:\n"
        "  s: sigmoid\n"
        "Q1109 --options hd_opt: found a; expected b; try: c"
    )
