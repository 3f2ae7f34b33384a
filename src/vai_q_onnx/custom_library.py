"""`get_library_path`: a custom operator library for scripts that register one, although no model needs it.

    session_options.register_custom_ops_library(vai_q_onnx.get_library_path(device="cpu"))

The operators of every model that this package writes are functions inside the model. The library therefore has one
function, ``RegisterCustomOps``, which registers nothing and reports success. On Linux it is written here, byte by
byte (ELF, "Executable and Linkable Format", Tool Interface Standard 1.2); elsewhere a C compiler makes it.
"""

from __future__ import annotations

import logging
import os
import platform
import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

from quantforge.diagnostics import Diagnostic, InputError, UnsupportedError
from quantforge.files import write_atomic

logger = logging.getLogger("vai_q_onnx")

DEVICES = ("cpu", "cuda", "rocm")
SYMBOL = "RegisterCustomOps"
_SOURCE = f"""
#ifdef _WIN32
__declspec(dllexport)
#endif
void *{SYMBOL}(void *options, const void *api) {{ return 0; }}
"""
# machine -> (number of the machine in ELF, instructions of a function that returns 0)
_MACHINES = {
    "x86_64": (62, bytes.fromhex("31c0c3")),
    "aarch64": (183, bytes.fromhex("e0031faac0035fd6")),
}
_PAGE = 0x10000  # the largest page of these machines
_READ, _WRITE, _EXECUTE = 4, 2, 1


def get_library_path(device: str = "cpu") -> str:
    """The path of a library for `SessionOptions.register_custom_ops_library`.

    Args:
        device: "cpu", "cuda" or "rocm", in either case; one library serves all.

    Raises:
        InputError: Q0702 for another device, Q0601 when there is no place for the file.
        UnsupportedError: Q0712 on a machine without a C compiler that is not Linux on x86-64 or AArch64.
    """
    if not isinstance(device, str) or device.lower() not in DEVICES:
        expected = ", ".join(map(repr, DEVICES))
        raise InputError("Q0702", "device", repr(device), expected, "get_library_path()")
    logger.info(
        "%s",
        Diagnostic(
            "Q0712", "get_library_path", "a request for the library of custom operators",
            "no library: the operators are functions inside the model", "leave register_custom_ops_library out",
        ),
    )  # fmt: skip
    return str(_library())


def _library() -> Path:
    """The library, made when it is not there yet."""
    suffix = {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")
    name = f"libvai_custom_op_{platform.machine().lower()}{suffix}"
    data = _contents()
    *beside, last = _places()
    for folder in (*beside, last):
        if (folder / name).is_file() and (folder / name).read_bytes() == data:
            return folder / name
    for folder in beside:
        if folder.is_dir() and os.access(folder, os.W_OK):
            return write_atomic(folder / name, data)
    last.mkdir(parents=True, exist_ok=True)
    return write_atomic(last / name, data)


def _places() -> tuple[Path, ...]:
    """Where it is kept: beside this module's bytecode, else in the user's cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
    return Path(__file__).parent / "__pycache__", cache / "quantforge"


def _contents() -> bytes:
    known = _MACHINES.get(platform.machine().lower())
    if sys.platform == "linux" and known is not None:
        return elf_library(*known)
    return compiled_library()


def compiled_library() -> bytes:
    """The library from the C compiler of the machine.

    Raises:
        UnsupportedError: Q0712 when there is none, or it fails.
    """
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    with tempfile.TemporaryDirectory() as folder:
        source, made = Path(folder) / "empty.c", Path(folder) / "empty.library"
        source.write_text(_SOURCE)
        command = [str(compiler), "-shared", "-fPIC", "-o", str(made), str(source)]
        if compiler is None or subprocess.run(command, capture_output=True, check=False).returncode:
            which = "no" if compiler is None else "a failing"
            found = f"{platform.system()} on {platform.machine()}, {which} C compiler"
            raise UnsupportedError(
                "Q0712", "get_library_path", found, "Linux on x86-64 or AArch64, or a C compiler",
                "leave register_custom_ops_library out: the operators are functions inside the model",
            )  # fmt: skip
        return made.read_bytes()


def elf_library(machine: int, code: bytes) -> bytes:
    """A shared object with one function, `SYMBOL`, whose instructions are `code`.

    One segment for what is read and run, one for the dynamic section, which some loaders write to.
    """
    names = b"\0" + SYMBOL.encode() + b"\0"
    at = 64 + 4 * 56  # behind the headers
    strings, at = at, at + len(names) + -len(names) % 8
    symbols, at = at, at + 2 * 24
    hashes, at = at, at + 24
    text = at
    end = text + len(code)
    entries = ((4, hashes), (5, strings), (6, symbols), (10, len(names)), (11, 24), (0, 0))
    dynamic = b"".join(struct.pack("<QQ", tag, value) for tag, value in entries)
    header = struct.pack(
        "<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 3, machine, 1, 0, 64, 0, 0, 64, 56, 4, 0, 0, 0
    )
    segments = (
        (1, _READ | _EXECUTE, 0, end, _PAGE),
        (1, _READ | _WRITE, _PAGE, len(dynamic), _PAGE),
        (2, _READ | _WRITE, _PAGE, len(dynamic), 8),
        (0x6474E551, _READ | _WRITE, 0, 0, 16),  # a stack that is not executable
    )
    table = b"".join(
        struct.pack("<IIQQQQQQ", kind, flags, offset, offset, offset, size, size, align)
        for kind, flags, offset, size, align in segments
    )
    # global function, in section 1 of none: what counts is that it is defined
    symbol = struct.pack("<IBBHQQ", 1, 0x12, 0, 1, text, len(code))
    chain = struct.pack("<IIIIII", 1, 2, 1, 0, 0, 0)
    body = names + b"\0" * (-len(names) % 8) + b"\0" * 24 + symbol + chain + code
    first = header + table + body
    return first + b"\0" * (_PAGE - len(first)) + dynamic
