from __future__ import annotations

import re
from importlib import resources

import pytest

from quantforge.diagnostics import InputError
from quantforge.targets.dpu import load_dpu
from quantforge.targets.dpu_files import parse_dpu

B4096 = resources.files("quantforge.targets").joinpath("dpu/DPUCZDX8G_ISA1_B4096.toml").read_text("utf-8")


def broken(text: str, code: str = "Q1005") -> InputError:
    with pytest.raises(InputError, match=code) as caught:
        parse_dpu(text, "mine.toml", load_dpu)
    return caught.value


def test_a_file_describes_everything() -> None:
    target = parse_dpu(B4096, "mine.toml")
    assert target.conv.kernel == ((1, 16),) and target.frequency_mhz == 300
    assert target.alu is not None and target.alu.pad_limit == (
        ((0, 15),), ((0, 255),), ((0, 15),), ((0, 255),),
    )  # fmt: skip
    assert target.batch == 1 and target.argmax


def test_base_takes_what_is_not_said_from_a_known_dpu() -> None:
    text = 'base = "KV260"\nname = "mine"\nfrequency_mhz = 275\n[conv]\nkernel = "1-7"\n[banks.VB0]\ndepth = 1024'
    target = parse_dpu(text, "mine.toml", load_dpu)
    known = load_dpu("KV260")
    assert (target.name, target.frequency_mhz, target.conv.kernel) == ("mine", 275, ((1, 7),))
    assert target.conv.stride == known.conv.stride and target.alu == known.alu
    depths = {bank.name: bank.depth for bank in target.banks}
    assert depths["VB0"] == 1024 and depths["VB1"] == 2048
    assert broken('base = "KV261"', "Q1000").diagnostic.fix == "KV260"


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ('name = "DPUCZDX8G_ISA1_B4096"\n', "", "no key name"),
        ('family = "DPUCZDX8G"', 'family = "DPUCZDX8H"', "family"),
        ("isa_version = 1", "isa_version = 256", "isa_version = 256"),
        ("isa_version = 1", 'isa_version = "1"', "isa_version = '1'"),
        ("argmax = true", "argmax = 1", "argmax = 1"),
        ("load_parallel = 16", "load_parallel = 0", "load_parallel = 0"),
        ("frequency_mhz = 300", "frequency_mhz = -3", "frequency_mhz = -3"),
        ("frequency_mhz = 300", "frequency_hz = 300", "key frequency_hz"),
        ('kind = "image"', 'kind = "images"', "banks.VB0.kind"),
        ("number = 8", "number = 0", "banks.VB0.number = 0"),
        ("depth = 2048\n\n[banks.CONVW]", "\n[banks.CONVW]", "no key banks.VB1.depth"),
        ("[conv]", "[convolution]", "key convolution"),
        ('kernel = "1-16"', "kernel = 16", "conv.kernel = 16"),
        ("pixel_parallel = 8", "pixel_parallel = -8", "conv.pixel_parallel = -8"),
        ('nonlinear = ["relu"]', 'nonlinear = "relu"', "eltwise.nonlinear"),
        ('pad_limit = ["0-15", ', "pad_limit = [", "alu.pad_limit"),
        ("[alu]", "[alu", "alu"),
    ],
)  # fmt: skip
def test_mistakes_are_named(old: str, new: str, found: str) -> None:
    assert old in B4096
    assert re.search(re.escape(found) + "|line", broken(B4096.replace(old, new, 1)).diagnostic.found)


def test_a_table_is_no_number() -> None:
    assert broken('base = "KV260"\neltwise = 3').diagnostic.found == "eltwise = 3"
    assert broken('base = "KV260"\n[banks]\nVB0 = 3').diagnostic.found == "banks.VB0 = 3"


def test_a_wrong_limit_names_its_place() -> None:
    error = broken(B4096.replace('kernel = "1-16"', 'kernel = "16-1"'), "Q1006")
    assert error.diagnostic.where == "mine.toml, conv.kernel"


def test_the_nearest_key_is_proposed() -> None:
    assert broken(B4096.replace("stride =", "strides =", 1)).diagnostic.fix == "conv.stride"
