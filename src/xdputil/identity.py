"""`xdputil query`, `status` and `mem`: what there is to say about a DPU that is software."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import click

from quantforge.diagnostics import UnsupportedError
from xdputil.look import print_json

if TYPE_CHECKING:
    from quantforge.targets.dpu import DpuTarget

SOFTWARE = "software DPU (quantforge)"
KERNEL = "quantforge:software_dpu"
ENGINES = ("LOAD", "SAVE", "CONV", "MISC")
BURSTS = ("HP_ARCOUNT_MAX", "HP_ARLEN", "HP_AWCOUNT_MAX", "HP_AWLEN")
ADDRESSES = tuple(f"dpu0_base_addr_{index}" for index in range(8))


@click.command(short_help="Say which DPU there is.")
@click.argument("target", required=False)
def query(target: str | None) -> None:
    """Print the identity of the DPU as JSON.

    The software DPU runs models of every target; with TARGET (a name, board, fingerprint, arch.json or .toml
    file) the configuration of that target is printed too.
    """
    from quantforge.targets.dpu import load_dpu

    print_json(identity(None if target is None else load_dpu(target)))


@click.command(short_help="Show the registers of the DPU.")
def status() -> None:
    """Print the registers as JSON. A software DPU has none: counters and addresses are 0."""
    print_json(registers())


@click.command(
    short_help="Read or write the memory of the device.", context_settings={"ignore_unknown_options": True}
)
@click.argument("words", nargs=-1)
def mem(words: tuple[str, ...]) -> None:
    """Refused with a code: a software DPU has no device memory."""
    raise UnsupportedError(
        "Q1310",
        "xdputil mem",
        " ".join(words) or "a request",
        "a DPU in hardware; this one is software and has no device memory",
        "look at tensors with `xdputil run` or `quantforge run --dump`",
    )


def identity(target: DpuTarget | None) -> dict[str, Any]:
    """The record of `query`. A fingerprint of 0 says that models of every fingerprint run."""
    fingerprint = "0x0" if target is None else target.fingerprint_text
    kernel = {
        "DPU Arch": SOFTWARE if target is None else target.name,
        "DPU Frequency (MHz)": None,
        "IP Type": "software",
        "Load Parallel": None if target is None else target.load_parallel,
        "Save Parallel": None if target is None else target.save_parallel,
        "Load augmentation": None,
        "cu_addr": "0x0",
        "cu_handle": "0x0",
        "cu_idx": 0,
        "cu_mask": 1,
        "cu_name": KERNEL,
        "device_id": 0,
        "fingerprint": fingerprint,
        "is_vivado_flow": False,
        "name": "DPU Core 0",
    }
    return {
        "DPU IP Spec": {
            "DPU Core Count": 1,
            "DPU Batch Number": 1 if target is None else target.batch,
            "Bank Group Volume": None if target is None else bank_group_volume(target),
            "IP version": SOFTWARE,
            "DPU Target Version": None if target is None else f"ISA{target.isa_version}",
            "generation timestamp": None,
            "git commit id": None,
            "regmap": None,
        },
        "VAI Version": {"quantforge": version("quantforge")},
        "kernels": [kernel],
    }


def registers() -> dict[str, Any]:
    """The record of `status`."""
    edges = {f"{engine} {edge}": 0 for engine in ENGINES for edge in ("START", "END")}
    common = {"AP status": "idle", **edges, "PROF_VALUE": 0, "PROF_NUM": 0, **dict.fromkeys(BURSTS, 0)}
    addresses = dict.fromkeys(ADDRESSES, "0x0")
    kernel = {
        "cu_name": KERNEL,
        "name": f"DPU Registers Core 0 of the {SOFTWARE}: there is no hardware, so all is 0",
        "common_registers": common,
        "addrs_registers": addresses,
    }
    return {"kernels": [kernel]}


def bank_group_volume(target: DpuTarget) -> int:
    """Bytes of the image banks."""
    return sum(bank.bytes for bank in target.banks if bank.kind == "image")
