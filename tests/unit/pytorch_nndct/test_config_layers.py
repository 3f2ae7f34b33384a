from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="torch is not installed")

from pytorch_nndct.config_layers import _KINDS, kinds_of_type, path_of_name
from quantforge.diagnostics import InputError
from quantforge.ops.registry import KINDS


def test_every_type_is_a_kind_of_operator() -> None:
    assert {kind for kinds in _KINDS.values() for kind in kinds} <= set(KINDS)


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (("torch.nn.Conv2d", "Conv2d", "conv2d", "torch.nn.functional.conv2d"), "conv2d"),
        (("torch.nn.ConvTranspose2d", "conv_transpose2d"), "transposed-conv2d"),
        (("nn.Linear", "linear", "dense"), "inner-product"),
        (("matmul", "torch.matmul", "bmm"), "matmul"),
        (("LeakyReLU", "leaky_relu"), "leaky-relu"),
        (("AdaptiveAvgPool2d", "adaptive_avg_pool2d"), "avgpool2d"),
        (("add", "elemwise_add", "pytorch_nndct.nn.modules.functional.Add"), "eltwise-add"),
        (("torch.cat", "Cat"), "concat"),
        (("Hardswish", "hswish"), "hard-swish"),
    ],
)
def test_classes_and_functions_are_one(names: tuple[str, ...], kind: str) -> None:
    assert all(kinds_of_type(name, "file")[0] == kind for name in names)


def test_an_unknown_type_names_the_nearest() -> None:
    with pytest.raises(InputError, match=r"Q1431 file: layer_type.*'torch\.nn\.Conv2'.*try: 'conv2d'"):
        kinds_of_type("torch.nn.Conv2", "file")


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("layer1.0.conv1", "layer1.0.conv1"),
        ("ResNet::ResNet/Conv2d[conv1]/input.2", "conv1"),
        ("ResNet::ResNet/Sequential[layer1]/BasicBlock[0]/Conv2d[conv1]/ret.5", "layer1.0.conv1"),
        ("N::N/Sequential[layer1]/Block[0]/Conv2d[conv1]/ret.5(N::nndct_conv2d_4)", "layer1.0.conv1"),
    ],
)  # fmt: skip
def test_names_of_the_original_say_the_module(name: str, path: str) -> None:
    assert path_of_name(name, "file") == path


def test_a_node_of_no_module_is_refused() -> None:
    with pytest.raises(InputError, match=r"Q1431 file: layer_name.*'Net::Net/ret\.31'"):
        path_of_name("Net::Net/ret.31", "file")
