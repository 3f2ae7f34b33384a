"""Names of tensors as names of files: what the tools of Vitis AI replace and leave out."""

from __future__ import annotations

import re

_AFFIX = re.compile(r"\([^()]*\)")
_GRAPH_RUNNER = re.compile(r"""[/():\[\]{}\\?%*|"'><;=]""")


def without_affixes(name: str) -> str:
    """A tensor's name without what compiler passes added in parentheses.

    >>> without_affixes("logits(TransferMatMulToConv2d)_fix")
    'logits_fix'
    """
    return _AFFIX.sub("", name)


def layer_file(name: str) -> str:
    """The stem of a layer's file in the DPU runner's dump and golden folders.

    >>> layer_file("VoxelNet/conv1(fused)_fix")
    'VoxelNet_conv1_fix'
    """
    return re.sub(r"[^A-Za-z0-9_]", "_", without_affixes(name))


def graph_runner_file(name: str) -> str:
    """The stem of a tensor's file in the dump folders of graph runner and CPU tasks.

    >>> graph_runner_file("model/input:0")
    'model_input_0'
    """
    return _GRAPH_RUNNER.sub("_", name)


def output_file(name: str, batch: int) -> str:
    """The file in which `xdputil run` stores one sample of an output.

    >>> output_file("net/logits_fix", 0)
    '0.net_logits_fix.bin'
    """
    return f"{batch}.{without_affixes(name).replace('/', '_')}.bin"
