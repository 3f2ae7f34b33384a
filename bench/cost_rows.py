"""Published figures: tables of layers, and latencies of whole models on known hardware.

The file is not part of the project; a script that needs it says so when it is not there.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from quantforge.compiler.cost_constants import Task
from quantforge.targets.dpu import DpuTarget, load_dpu

PUBLISHED = Path(__file__).parents[2] / "shared" / "reference" / "published_performance.json"
EDGE = ("ZCU102", "ZCU104", "KV260", "Ultra96", "VCK190", "VEK280")
FRAMEWORKS = ("pt", "tf", "tf2", "cf", "dk", "torchvision")
# Architectures that come under many names; resnets by their depth.
_KNOWN = re.compile(
    r"(resnet|mobilenet|efficientnet|inception|yolo|salsanext|fadnet|refinedet)(?:_?v[12])?[-_]?(\d+(?![.\d]))?"
)
# Kinds of networks: one vector per image, or boxes; all others give maps (segmentation, depth, images).
_SCORES = re.compile(
    "imagenet|facerec|facereid|reid|quality|vehicle|orientation|landmark|pmg|plate-recog|spnet|hourglass|openpose|movenet"
)
_BOXES = re.compile(
    "yolo|ssd|refinedet|densebox|retinaface|vpgnet|fairmot|multitask|mt-|efficientdet|face-mask|plate-det|pointpill"
    "|centerpoint|solo|textm|ocr"
)
# An older board revision with other memory and software.
OTHER_MEMORY = "0432055-04"


@dataclass(frozen=True)
class Row:
    """One published latency of a whole model.

    Attributes:
        name: The model's published name.
        gops: Giga-operations per image.
        megapixels: Size of the input.
        target: The DPU with its clocks.
        ms: Milliseconds per call; a call takes all images of a batch.
        scope: "dpu" is the DPU alone, "e2e" a call with the host's work.
        board: The board.
    """

    name: str
    gops: float
    megapixels: float
    target: DpuTarget
    ms: float
    scope: str
    board: str

    @property
    def architecture(self) -> str:
        """What is left out together: the network's name without framework, data set, size and pruning.

        >>> row = Row("pt_OFA-resnet50_imagenet_160_160_1.8G", 1.8, 0.02, load_dpu("KV260"), 5, "e2e", "KV260")
        >>> row.architecture
        'resnet50'
        """
        known = _KNOWN.search(self.name.lower())
        if known is not None:
            return known[1] + (known[2] or "")
        words = [word for word in re.split(r"[_ ]", self.name.lower()) if word not in FRAMEWORKS]
        return words[0].removeprefix("ofa-").split("-")[0]

    @property
    def task(self) -> Task:
        """What the host does behind the network, by the kind of network its name says."""
        if _SCORES.search(self.name.lower()):
            return "scores"
        return "boxes" if _BOXES.search(self.name.lower()) else "maps"

    @property
    def images(self) -> int:
        """Images of one call."""
        return self.target.batch * self.target.engines


@cache
def published(path: Path = PUBLISHED) -> dict[str, Any]:
    """The file's content."""
    content: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return content


def whole_models() -> list[Row]:
    """Rows of scope "dpu" and single-thread rows of edge boards, for DPUs that are known, without doubtful ones."""
    found = []
    for row in published()["models"]:
        single_edge = row["threads"] == "single" and row["board"] in EDGE
        if row.get("doubtful") or not row["gops"] or row.get("board_revision") == OTHER_MEMORY:
            continue
        target, pixels = _target(row), _megapixels(row["input_hw"])
        rate = row["fps"] or (1000 / row["latency_ms"] if row["latency_ms"] else None)
        if (row["scope"] == "dpu" or single_edge) and target and pixels and rate:
            ms = target.batch * target.engines * 1000 / rate
            found.append(Row(row["name"], row["gops"], pixels, target, ms, row["scope"], row["board"]))
    return found


def _target(row: dict[str, Any]) -> DpuTarget | None:
    """The DPU of a row, with batch and clocks as printed; None when it is not known."""
    text = f"{row.get('target_if_known') or ''} {row.get('dpu_config') or ''}"
    versal = re.search(r"C(32|64)B(\d)", text)
    if row["board"] == "VCK190":
        if versal is None:
            return None
        base = load_dpu("DPUCVDX8G_ISA3_C64B1" if versal[1] == "64" else "DPUCVDX8G_ISA3_C32B6")
        target = replace(base, batch=int(versal[2]))
    elif row["board"] == "Ultra96":
        target = replace(load_dpu("DPUCZDX8G_ISA1_B1600"), frequency_mhz=287.0)
    elif row["board"] in ("ZCU102", "ZCU104", "KV260", "VEK280"):
        target = load_dpu(row["board"])
    else:
        return None
    clocks = {
        "frequency_mhz": row["freq_mhz"] or target.frequency_mhz,
        "aie_frequency_mhz": row.get("aie_freq_mhz") or target.aie_frequency_mhz,
    }
    return replace(target, bandwidth_mb_s=None, **clocks)


def _megapixels(text: str | None) -> float | None:
    sizes = [int(size) for size in re.findall(r"\d+", text or "")]
    return sizes[0] * sizes[1] / 1e6 if len(sizes) > 1 else None
