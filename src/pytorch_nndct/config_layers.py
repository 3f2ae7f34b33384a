"""Layers of the JSON quantization configuration: their types as kinds of operators, their names as module paths."""

from __future__ import annotations

import difflib
import re

from pytorch_nndct.config_values import refuse

_SCOPE = re.compile(r"\[([^\]/]*)\]")


def _windows(stem: str, kind: str, *more: str) -> dict[str, tuple[str, ...]]:
    return {f"{stem}{rank}d": tuple(f"{k}{rank}d" for k in (kind, *more)) for rank in (1, 2, 3)}


_KINDS: dict[str, tuple[str, ...]] = {
    **_windows("conv", "conv", "depthwise-conv"),
    **_windows("convtranspose", "transposed-conv", "transposed-depthwise-conv"),
    **_windows("depthwiseconv", "depthwise-conv"),
    **_windows("maxpool", "maxpool"),
    **_windows("avgpool", "avgpool"),
    **_windows("adaptiveavgpool", "avgpool"),
    **{f"batchnorm{rank}": ("batchnorm",) for rank in ("", "1d", "2d", "3d")},
    **{f"instancenorm{rank}": ("instancenorm",) for rank in ("", "1d", "2d", "3d")},
    **dict.fromkeys(("linear", "dense", "addmm"), ("inner-product",)),
    **dict.fromkeys(("matmul", "bmm", "mm"), ("matmul",)),
    **dict.fromkeys(("add", "elemwiseadd"), ("eltwise-add",)),
    **dict.fromkeys(("sub", "rsub", "elemwisesub"), ("eltwise-sub",)),
    **dict.fromkeys(("mul", "elemwisemul"), ("eltwise-mul",)),
    **dict.fromkeys(("div", "elemwisediv"), ("eltwise-div",)),
    **dict.fromkeys(("cat", "concat"), ("concat",)),
    **dict.fromkeys(("hardtanh", "clamp", "clip"), ("clip",)),
    **dict.fromkeys(("interpolate", "upsample", "resize"), ("resize",)),
    **dict.fromkeys(("silu", "swish"), ("swish",)),
    **dict.fromkeys(("hardswish", "hswish"), ("hard-swish",)),
    **dict.fromkeys(("hardsigmoid", "hsigmoid"), ("hard-sigmoid",)),
    **{name: (f"reduction-{name}",) for name in ("mean", "sum")},
    "max": ("reduction-max", "eltwise-max"),
    "min": ("reduction-min", "eltwise-min"),
    "leakyrelu": ("leaky-relu",),
    "logsoftmax": ("log-softmax",),
    "pixelshuffle": ("pixel-shuffle",),
    "permute": ("transpose",),
    "view": ("reshape",),
    **{
        name: (name,)
        for name in (
            "relu", "relu6", "prelu", "sigmoid", "tanh", "gelu", "elu", "selu", "mish", "softplus", "softmax",
            "exp", "log", "sqrt", "abs", "neg", "layernorm", "groupnorm", "pad", "transpose", "reshape", "flatten", 
            "squeeze", "unsqueeze", "split", "gather",
        )
    },
}  # fmt: skip


def kinds_of_type(layer_type: str, where: str) -> tuple[str, ...]:
    """The kinds of operators that a type of layer becomes; only its last dotted part counts.

    >>> kinds_of_type("torch.nn.Conv2d", "layer"), kinds_of_type("matmul", "layer")
    (('conv2d', 'depthwise-conv2d'), ('matmul',))

    Raises:
        InputError: Q1431 for a type that is not known, with the nearest one.
    """
    word = layer_type.rpartition(".")[2].replace("_", "").casefold()
    if word not in _KINDS:
        near = difflib.get_close_matches(word, _KINDS, n=1)
        fix = repr(near[0]) if near else "layer_name"
        raise refuse(f"{where}: layer_type", repr(layer_type), "a class or function of torch", fix)
    return _KINDS[word]


def path_of_name(layer_name: str, where: str) -> str:
    """The module path in a layer name, which may be that path or the name of a node in the original's generated file.

    >>> path_of_name("ResNet::ResNet/Sequential[layer1]/BasicBlock[0]/Conv2d[conv1]/ret.5", "layer")
    'layer1.0.conv1'
    >>> path_of_name("layer1.0.conv1", "layer")
    'layer1.0.conv1'

    Raises:
        InputError: Q1431 for a node of the top module's own code, which has no path.
    """
    if "::" not in layer_name:
        return layer_name
    path = ".".join(part for part in _SCOPE.findall(layer_name) if part)
    if not path:
        raise refuse(
            f"{where}: layer_name", repr(layer_name), "a name that says the module",
            "the name of the operator here, such as 'add' or 'relu_1'",
        )  # fmt: skip
    return path
