"""Feature bits: hardware that is registered as well decodes to the same description."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantforge.diagnostics import InputError
from quantforge.targets.dpu import dpu_names, load_dpu
from quantforge.targets.dpu_features import decode_fingerprint
from quantforge.targets.dpu_limits import limits_text

DECODED = ("DPUCZDX8G_ISA1", "DPUCVDX8G_ISA3", "DPUCV2DX8G_ISA1")


@pytest.mark.parametrize("name", [name for name in dpu_names() if name.startswith(DECODED)])
def test_bits_and_file_describe_the_same_hardware(name: str) -> None:
    filed = load_dpu(name)
    decoded = decode_fingerprint(filed.fingerprint)
    assert decoded.name == f"{'_'.join(name.split('_')[:3])}_{filed.fingerprint:016X}"
    unknown = {"frequency_mhz": None, "aie_frequency_mhz": None, "boards": (), "name": decoded.name}
    assert decoded == replace(filed, **unknown)  # type: ignore[arg-type]


def test_the_older_edge_default_has_separate_engines() -> None:
    target = decode_fingerprint(0x01000020F6014407)
    assert target.name == "DPUCZDX8G_ISA0_B4096_01000020F6014407"
    assert target.alu is None and target.pool is not None and target.depthwise is not None
    assert target.pool.types == ("max", "avg", "max_reduce") and target.eltwise is not None
    assert target.depthwise.nonlinear == ("relu", "relu_six") and target.eltwise.types == ("add",)
    assert limits_text(target.pool.avg_kernel or ()) == "2-8"
    assert len(target.image_banks) == 2 and not target.argmax


def test_the_smallest_older_one_lacks_what_is_optional() -> None:
    target = decode_fingerprint(0x0100002022010107)  # B4096_MIN
    assert target.depthwise is None and target.bank("DWCONVW") is None
    assert target.pool is not None and target.pool.avg_kernel is None
    assert target.conv.channel_augmentation is None and target.conv.nonlinear == ("relu", "relu_six")


def test_multiplication_is_a_bit_of_its_own() -> None:
    engine = decode_fingerprint(0x01000030F7014407).eltwise
    assert engine is not None and engine.types == ("add", "mult")


def test_versal_with_and_without_an_alu() -> None:
    with_alu = decode_fingerprint(0x0602001036088231)  # ISA2_C32B3, for volumes too
    assert with_alu.batch == 3 and with_alu.conv.output_channel_parallel == 32
    assert with_alu.alu is not None and limits_text(with_alu.alu.stride or ()) == "1-256"
    flat = decode_fingerprint(0x0602001036088131).alu
    assert flat is not None and limits_text(flat.stride or ()) == "1-8" and "w16b0" not in flat.types
    without = decode_fingerprint(0x0602001036088031)
    assert without.alu is None and without.bank("DWCONVW") is None


def test_wide_pixels_limit_the_rows_written_apart() -> None:
    one = decode_fingerprint(0x0101000056010407).conv.stride_out_h
    four = decode_fingerprint(0x0101000256010407).conv.stride_out_h  # four columns at once, two rows
    assert (one, four) == (((1, 4),), ((1, 2),))


@pytest.mark.parametrize("value", [0, 0x0201000010002A00, 0x0102000056010407, 0xFF00000000000000])
def test_other_designs_say_nothing(value: int) -> None:
    with pytest.raises(InputError, match="Q1001"):
        decode_fingerprint(value)


@pytest.mark.parametrize(
    "value", [0x010100005601040F, 0x01000020F601440B, 0x0603000B56017861, 0x0901000044000E45]
)
def test_bits_outside_a_table_are_refused(value: int) -> None:
    with pytest.raises(InputError, match="Q1003"):
        decode_fingerprint(value)


@given(st.sampled_from([0x0100, 0x0101, 0x0602, 0x0603, 0x0900, 0x0901]), st.integers(0, (1 << 48) - 1))
def test_any_bits_give_a_target_or_a_coded_error(design: int, features: int) -> None:
    value = design << 48 | features
    try:
        target = decode_fingerprint(value)
    except InputError as error:
        assert error.diagnostic.code == "Q1003"
    else:
        assert target.fingerprint == value and target.batch >= 1 and target.peak_ops_per_cycle > 0
