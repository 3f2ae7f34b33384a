"""Operators of the graph as lines of Python that call torch: for each kind its module or its function.

What has parameters becomes a module of `torch.nn`, the rest a call. A kind without a form here becomes a
`GraphOperator`, which runs the door's own kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from quantforge.graph import Graph, Op


@dataclass(frozen=True)
class Written:
    """One operator in Python.

    Attributes:
        made: What makes its module; empty when it has none.
        call: The expression that computes it; ``{me}`` stands for its module.
        state: Names of the module's parameters, and the constants they hold.
    """

    made: str
    call: str
    state: tuple[tuple[str, str], ...] = ()


_OPEN_END = 2**31  # an end that only says "all"
Texts = Sequence[str]  # the inputs as expressions


def written(graph: Graph, op: Op, texts: Texts) -> Written:
    """The operator in Python; `texts` are its inputs, "None" where one is absent."""
    for rule in _MODULES.get(op.kind, ()):
        found = rule(graph, op, texts)
        if found is not None:
            return found
    call = _CALLS.get(op.kind)
    text = None if call is None else call(op, texts)
    return Written("", text) if text is not None else _by_kernel(op, texts)


def _by_kernel(op: Op, texts: Texts) -> Written:
    given = "".join(f", {name}={value!r}" for name, value in op.attrs.items() if name.isidentifier())
    return Written(f"GraphOperator({op.kind!r}, {len(op.outputs)}{given})", _call("{me}", *texts))


def _call(function: str, *arguments: object) -> str:
    return f"{function}({', '.join(str(argument) for argument in arguments)})"


def _ints(op: Op, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
    found = op.attrs.get(name, default)
    return tuple(int(item) for item in found) if isinstance(found, tuple) else default


def _number(op: Op, name: str, default: float) -> float:
    return float(op.attrs.get(name, default))  # type: ignore[arg-type]


def _shape(graph: Graph, op: Op, index: int) -> tuple[int, ...] | None:
    data = graph.const(op, index)
    return None if data is None else data.shape


def _has_bias(graph: Graph, op: Op) -> bool:
    return graph.const(op, 2) is not None


def _parameters(op: Op, *names: str) -> tuple[tuple[str, str], ...]:
    """Parameters of the module in the order of the op's inputs behind the first."""
    given = zip(names, op.inputs[1:], strict=False)
    return tuple((name, value) for name, value in given if name and value)


def _rest_is_const(graph: Graph, op: Op) -> bool:
    return all(graph.const(op, index) is not None for index in range(1, len(op.inputs)) if op.inputs[index])


def _convolution(graph: Graph, op: Op, texts: Texts) -> Written | None:
    weight, rank = _shape(graph, op, 1), int(op.kind[-2])
    transposed, group = op.kind.startswith("transposed"), int(_number(op, "group", 1))
    layout = str(op.attrs.get("weight_layout", "IO" if transposed else "OI"))
    if weight is None or not _rest_is_const(graph, op) or layout[:2] != ("IO" if transposed else "OI"):
        return None
    pads = _ints(op, "pads", (0,) * 2 * rank)
    even = pads[:rank] == pads[rank:]
    if transposed and not even:
        return None
    first, second = (weight[0], weight[1] * group) if transposed else (weight[1] * group, weight[0])
    keywords = {
        "stride": _ints(op, "stride", (1,) * rank),
        "padding": pads[:rank] if even else (0,) * rank,
        "output_padding": _ints(op, "output_padding", (0,) * rank),
        "dilation": _ints(op, "dilation", (1,) * rank),
        "groups": group,
        "bias": _has_bias(graph, op),
    }
    plain = {
        "stride": (1,) * rank,
        "padding": (0,) * rank,
        "output_padding": (0,) * rank,
        "groups": 1,
        "bias": True,
    }
    plain["dilation"] = (1,) * rank
    said = [f"{name}={value}" for name, value in keywords.items() if value != plain[name]]
    name = f"nn.Conv{'Transpose' if transposed else ''}{rank}d"
    pairs = [(pads[axis], pads[axis + rank]) for axis in reversed(range(rank))]
    source = texts[0] if even else f"F.pad({texts[0]}, {[amount for pair in pairs for amount in pair]})"
    return Written(
        _call(name, first, second, weight[2:], *said),
        _call("{me}", source),
        _parameters(op, "weight", "bias"),
    )


def _linear(graph: Graph, op: Op, texts: Texts) -> Written | None:
    weight = _shape(graph, op, 1)
    if weight is None or op.attrs.get("weight_layout", "IO") != "OI" or not _rest_is_const(graph, op):
        return None
    made = _call("nn.Linear", weight[1], weight[0], *([] if _has_bias(graph, op) else ["bias=False"]))
    return Written(made, _call("{me}", texts[0]), _parameters(op, "weight", "bias"))


def _batch_norm(graph: Graph, op: Op, texts: Texts) -> Written | None:
    shape = graph.value(op.inputs[0]).shape
    channels = _shape(graph, op, 1)
    if shape is None or channels is None or not _rest_is_const(graph, op) or len(shape) not in (2, 3, 4, 5):
        return None
    name = f"nn.BatchNorm{max(len(shape) - 2, 1)}d"
    state = _parameters(op, "weight", "bias", "running_mean", "running_var")
    return Written(
        _call(name, channels[0], f"eps={_number(op, 'epsilon', 1e-5)}"), _call("{me}", texts[0]), state
    )


def _layer_norm(graph: Graph, op: Op, texts: Texts) -> Written | None:
    sizes = _shape(graph, op, 1)
    if sizes is None or not _has_bias(graph, op):
        return None
    made = _call("nn.LayerNorm", sizes, f"eps={_number(op, 'epsilon', 1e-5)}")
    return Written(made, _call("{me}", texts[0]), _parameters(op, "weight", "bias"))


def _group_norm(graph: Graph, op: Op, texts: Texts) -> Written | None:
    channels = _shape(graph, op, 1)
    if channels is None or not _has_bias(graph, op):
        return None
    groups = int(_number(op, "groups", 1))
    made = _call("nn.GroupNorm", groups, channels[0], f"eps={_number(op, 'epsilon', 1e-5)}")
    return Written(made, _call("{me}", texts[0]), _parameters(op, "weight", "bias"))


def _embedding(graph: Graph, op: Op, texts: Texts) -> Written | None:
    table = _shape(graph, op, 0)
    if table is None or len(table) != 2 or int(_number(op, "axis", 0)) != 0:
        return None
    made = _call("nn.Embedding", *table)
    return Written(made, _call("{me}", texts[1]), (("weight", op.inputs[0]),))


def _pool(op: Op, texts: Texts) -> str | None:
    rank, average = int(op.kind[-2]), op.kind.startswith("avg")
    if op.attrs.get("global"):
        word = "mean" if average else "amax"
        return _call(f"torch.{word}", texts[0], tuple(range(2, 2 + rank)), "keepdim=True")
    ones, pads = (1,) * rank, _ints(op, "pads", (0,) * 2 * rank)
    if pads[:rank] != pads[rank:] or "dpu_factor" in op.attrs:
        return None
    said = [f"stride={_ints(op, 'stride', ones)}", f"padding={pads[:rank]}"]
    if op.attrs.get("ceil_mode"):
        said.append("ceil_mode=True")
    if average:
        said.append(f"count_include_pad={bool(op.attrs.get('count_include_pad', False))}")
    elif _ints(op, "dilation", ones) != ones:
        said.append(f"dilation={_ints(op, 'dilation', ones)}")
    return _call(f"F.{'avg' if average else 'max'}_pool{rank}d", texts[0], _ints(op, "kernel", ones), *said)


def _clip(op: Op, texts: Texts) -> str:
    ends = [f"{name}={_number(op, name, 0.0)}" for name in ("min", "max") if name in op.attrs]
    return _call("torch.clamp", texts[0], *ends)


def _reduction(word: str) -> Callable[[Op, Texts], str | None]:
    def call(op: Op, texts: Texts) -> str | None:
        axes = _ints(op, "axes", ())
        return (
            _call(f"torch.{word}", texts[0], axes, f"keepdim={bool(op.attrs.get('keepdims', True))}")
            if axes
            else None
        )

    return call


def _infix(sign: str) -> Callable[[Op, Texts], str]:
    return lambda op, texts: f"{texts[0]} {sign} {texts[1]}"


def _function(name: str) -> Callable[[Op, Texts], str]:
    return lambda op, texts: _call(name, *texts)


def _with_axis(name: str) -> Callable[[Op, Texts], str]:
    return lambda op, texts: _call(name, texts[0], int(_number(op, "axis", -1)))


def _reshape(op: Op, texts: Texts) -> str:
    sizes = [
        f"{texts[0]}.shape[{i}]" if size == 0 else str(size) for i, size in enumerate(_ints(op, "shape", ()))
    ]
    return _call(f"{texts[0]}.reshape", *sizes)


def _flatten(op: Op, texts: Texts) -> str | None:
    return _call("torch.flatten", texts[0], 1) if int(_number(op, "axis", 1)) == 1 else None


def _matmul(op: Op, texts: Texts) -> str | None:
    plain = len(texts) == 2 and op.attrs.get("weight_layout", "IO") != "OI"
    return f"{texts[0]} @ {texts[1]}" if plain else None


def _split(op: Op, texts: Texts) -> str:
    return _call("torch.split", texts[0], list(_ints(op, "sizes", ())), int(_number(op, "axis", 0)))


def _squeeze(op: Op, texts: Texts) -> str:
    axes = _ints(op, "axes", ())
    return _call("torch.squeeze", texts[0], *([axes] if axes else []))


def _unsqueeze(op: Op, texts: Texts) -> str | None:
    axes = _ints(op, "axes", ())
    return _call("torch.unsqueeze", texts[0], axes[0]) if len(axes) == 1 else None


def _slice(op: Op, texts: Texts) -> str | None:
    begin, end = _ints(op, "begin", ()), _ints(op, "end", ())
    axes = _ints(op, "axes", tuple(range(len(begin))))
    strides = _ints(op, "strides", (1,) * len(begin))
    if min(axes) < 0 or min(strides) < 1:
        return None
    parts = [":"] * (max(axes) + 1)
    for axis, first, last, step in zip(axes, begin, end, strides, strict=True):
        parts[axis] = f"{first}:{'' if last >= _OPEN_END else last}{f':{step}' if step > 1 else ''}"
    return f"{texts[0]}[{', '.join(parts)}]"


def _pad(op: Op, texts: Texts) -> str | None:
    pads = _ints(op, "pads", ())
    rank = len(pads) // 2
    if op.attrs.get("mode", "constant") != "constant":
        return None
    border = [amount for axis in reversed(range(rank)) for amount in (pads[axis], pads[axis + rank])]
    return _call("F.pad", texts[0], border, f"value={_number(op, 'value', 0.0)}")


def _cast(op: Op, texts: Texts) -> str:
    return f"{texts[0]}.to(torch.{op.attrs['to']})"


_Module = Callable[[Graph, Op, Texts], "Written | None"]
_CONVOLUTIONS = [
    f"{a}{b}conv{r}d" for a in ("", "transposed-") for b in ("", "depthwise-") for r in (1, 2, 3)
]
_MODULES: dict[str, tuple[_Module, ...]] = {
    **dict.fromkeys(_CONVOLUTIONS, (_convolution,)),
    "inner-product": (_linear,),
    "batchnorm": (_batch_norm,),
    "layernorm": (_layer_norm,),
    "groupnorm": (_group_norm,),
    "gather": (_embedding,),
}
_CALLS: dict[str, Callable[[Op, Texts], str | None]] = {
    **{f"{name}pool{rank}d": _pool for name in ("max", "avg") for rank in (1, 2, 3)},
    "eltwise-add": _infix("+"),
    "eltwise-sub": _infix("-"),
    "eltwise-mul": _infix("*"),
    "eltwise-div": _infix("/"),
    "eltwise-min": _function("torch.minimum"),
    "eltwise-max": _function("torch.maximum"),
    **{
        name: _function(f"torch.{name}")
        for name in ("relu", "sigmoid", "tanh", "exp", "log", "sqrt", "abs", "neg", "reciprocal", "erf", "where")
    },
    "relu6": _function("F.relu6"),
    "hard-swish": _function("F.hardswish"),
    "swish": _function("F.silu"),
    "mish": _function("F.mish"),
    "gelu": lambda op, texts: _call("F.gelu", texts[0], f"approximate={op.attrs.get('approximate', 'none')!r}"),
    "leaky-relu": lambda op, texts: _call("F.leaky_relu", texts[0], _number(op, "alpha", 0.01)),
    "elu": lambda op, texts: _call("F.elu", texts[0], _number(op, "alpha", 1.0)),
    "clip": _clip,
    "softmax": _with_axis("torch.softmax"),
    "log-softmax": _with_axis("torch.log_softmax"),
    "matmul": _matmul,
    "reduction-mean": _reduction("mean"),
    "reduction-sum": _reduction("sum"),
    "reduction-max": _reduction("amax"),
    "reduction-min": _reduction("amin"),
    "reshape": _reshape,
    "flatten": _flatten,
    "transpose": lambda op, texts: _call("torch.permute", texts[0], _ints(op, "order", ())),
    "concat": lambda op, texts: f"torch.cat([{', '.join(texts)}], {int(_number(op, 'axis', 0))})",
    "split": _split,
    "squeeze": _squeeze,
    "unsqueeze": _unsqueeze,
    "strided-slice": _slice,
    "pad": _pad,
    "identity": lambda op, texts: texts[0],
    "dropout": lambda op, texts: texts[0],
    "cast": _cast,
}  # fmt: skip
